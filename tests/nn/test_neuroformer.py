"""Facts about the model: it is a probability distribution over patterns, causal, and masks what was not observed."""

import json
from dataclasses import replace
from itertools import combinations_with_replacement

import numpy as np
import pytest
import torch

from skneuro import NeuroformerEstimator
from skneuro.data import Modalities, TimeSeries, Video
from skneuro.estimators._fitting import settings
from skneuro.nn import NeuroformerConfig
from skneuro.training.loop import batch_loss
from skneuro.training.stretches import Segments

EXACT = {"rtol": 0, "atol": 1e-10}


def history_of(window_bins, n_units=2, seed=3):
    return np.random.default_rng(seed).poisson(0.6, (2 * window_bins, n_units))


def tokens_of(pattern):
    """Cells of the spikes of a window in canonical order."""
    return np.repeat(np.arange(pattern.size), pattern.ravel()).tolist()


# ------------------------------------------------------------------------------------------------ probability


def test_finished_patterns_and_unfinished_prefixes_have_all_the_mass(tiny, head, window_bins):
    model = tiny.model(head, window_bins)
    longest = 2
    oracle = tiny.Oracle(model, history_of(window_bins), most=longest)
    cells = range(oracle.n_cells)
    mass = sum(
        oracle.finished(tokens) for n in range(longest + 1) for tokens in combinations_with_replacement(cells, n)
    )
    unfinished = sum(oracle.prefix(list(tokens)) for tokens in combinations_with_replacement(cells, longest + 1))
    assert 0.001 < unfinished < 0.9
    assert mass + unfinished == pytest.approx(1.0, abs=1e-10)


def test_all_patterns_of_one_bin_sum_to_one(tiny, head):
    model = tiny.model(head, 1)
    counts = np.arange(19)
    patterns = np.stack(np.meshgrid(counts, counts), axis=-1).reshape(-1, 1, 2)
    found = tiny.last_window(model, patterns, history_of(1)).cells[:, 0].sum(1).exp().sum()
    assert float(found) == pytest.approx(1.0, abs=1e-10)


def test_tokens_may_follow_in_canonical_order_only_and_their_probabilities_sum_to_one(tiny, head, window_bins):
    model = tiny.model(head, window_bins, seed=1)
    oracle = tiny.Oracle(model, history_of(window_bins), most=2)
    for tokens in ([], [0], [1], [0, 0], [0, 1]):
        assert oracle.following(tokens).sum() == pytest.approx(1.0, abs=1e-10)


def test_the_cells_sum_to_the_total_and_time_and_id_parts_to_the_pattern(tiny, head, window_bins):
    model = tiny.model(head, window_bins, seed=2)
    oracle = tiny.Oracle(model, history_of(window_bins), most=3)
    rng = np.random.default_rng(0)
    n_cells = oracle.n_cells
    patterns = [rng.multinomial(k, np.full(n_cells, 1 / n_cells)) for k in (0, 1, 2, 3, 3)]
    for pattern in patterns:
        output = tiny.last_window(model, pattern.reshape(1, window_bins, 2), history_of(window_bins), split=True)
        tokens = tokens_of(pattern)
        assert float(output.total) == pytest.approx(float(output.cells.sum()), abs=1e-10)
        assert float(output.total) == pytest.approx(np.log(oracle.finished(tokens)), abs=1e-9)
        assert float(output.time) == pytest.approx(oracle.time_log_likelihood(tokens), abs=1e-8)
        assert output.n_tokens == len(tokens) + 1
        assert float(output.total - output.time) <= 1e-10  # -L_id is the log of a probability


def test_the_time_part_of_several_windows_is_the_sum_over_them(tiny, head):
    model = tiny.model(head, 3, recent_bins=0, context_bins=0, coupling_bins=0)  # nothing beyond the window is seen
    patterns = np.random.default_rng(0).poisson(0.5, (5, 3, 2))
    none = np.zeros((0, 2), dtype=int)
    together = tiny.last_window(model, patterns, none, split=True)
    alone = [tiny.last_window(model, pattern[None], none, split=True) for pattern in patterns]
    assert float(together.time) == pytest.approx(sum(float(one.time) for one in alone), abs=1e-10)
    assert float(together.total) == pytest.approx(sum(float(one.total) for one in alone), abs=1e-10)


def test_a_window_of_one_bin_without_past_and_coupling_is_a_fixed_distribution(tiny, head):
    model = tiny.model(head, 1, recent_bins=0, context_bins=0, coupling_bins=0)
    counts = np.random.default_rng(0).poisson(0.5, (30, 2))
    order = np.random.default_rng(1).permutation(30)
    there = tiny.cells(model, [counts])[0]
    np.testing.assert_allclose(tiny.cells(model, [counts[order]])[0], there[order], **EXACT)


# ------------------------------------------------------------------------------------------------ causality

N_BINS, N_UNITS = 15, 3


def everything(tiny, head, window_bins, **changes):
    modalities = (tiny.SPEED, tiny.VIDEO)
    return tiny.model(
        head, window_bins, N_UNITS, modalities=modalities, **{"state_dependent_drive": True, **changes}
    )


def some_counts(seed=0, n_bins=N_BINS, rate=0.5):
    return np.random.default_rng(seed).poisson(rate, (n_bins, N_UNITS))


def test_later_spikes_change_nothing_before_them(tiny, head, window_bins):
    model = everything(tiny, head, window_bins)
    counts, stimuli = some_counts(), tiny.stimuli(("speed", "video"), 1, N_BINS)
    before = tiny.cells(model, [counts], stimuli)[0].ravel()
    for cell in (0, 14, 22, 31, 44):
        changed = counts.copy()
        changed.ravel()[cell] += 1
        changed.ravel()[cell + 1 :] = some_counts(1).ravel()[cell + 1 :]
        after = tiny.cells(model, [changed], stimuli)[0].ravel()
        np.testing.assert_allclose(after[:cell], before[:cell], **EXACT)
        assert abs(after[cell] - before[cell]) > 1e-6


def test_what_comes_after_a_bin_does_not_enter_it(tiny, head, window_bins):
    """After the end of the bin for the hazard, of the window for a softmax over all of its cells."""
    model = everything(tiny, head, window_bins)
    counts, stimuli = some_counts(), tiny.stimuli(("speed", "video"), 1, N_BINS)
    before = tiny.cells(model, [counts], stimuli)[0]
    for bin_ in (0, 4, 7, 13):
        changed = bent(stimuli, (bin_ + 1) * tiny.BIN_WIDTH)
        after = tiny.cells(model, [counts], changed)[0]
        same = bin_ + 1 if head == "hazard" else (bin_ + 1) // window_bins * window_bins
        np.testing.assert_allclose(after[:same], before[:same], **EXACT)
        assert np.abs(after - before)[bin_ + 1 :].max() > 1e-6


def bent(stimuli, time):
    """Other values in every sample and frame from `time` on."""
    speed, video = stimuli["speed"], stimuli["video"]
    values = speed.values + 3.0 * (speed.timestamps >= time - 1e-9)[:, None]
    frames = video.frames + 3.0 * (video.timestamps >= time - 1e-9)[:, :, None, None].astype(np.float32)
    return Modalities(
        speed=TimeSeries(values, speed.timestamps, speed.ptr),
        video=Video(frames, timestamps=video.timestamps, index=video.index),
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_clock_is_exact_late_in_a_long_trial(tiny, head, dtype):
    """A quarter of an hour in, one ulp of a float32 second is 60 microseconds."""
    model = tiny.model(head, 1, 2, modalities=(tiny.SPEED,), dtype=dtype)
    n_bins = 18_000
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.3, (n_bins, 2))
    stimuli = tiny.stimuli(("speed",), 1, n_bins)
    batches = tiny.builder(model, [counts], stimuli)
    speed = stimuli["speed"]
    where = np.arange(n_bins - 200, n_bins - 100)
    later = np.zeros(n_bins, dtype=bool)
    later[n_bins - 150 :] = True
    other = Modalities(speed=TimeSeries(speed.values + 3.0 * later[:, None], speed.timestamps, speed.ptr))
    segment = Segments(np.zeros(1, dtype=int), where[:1], where[-1:] + 1)
    with torch.no_grad():
        before = model(batches.build(segment, 8)).cells[0].double().numpy()
        after = model(tiny.builder(model, [counts], other).build(segment, 8)).cells[0].double().numpy()
        early = tiny.builder(model, [counts[where[0] - 8 :]], stimuli_from(stimuli, where[0] - 8, tiny.BIN_WIDTH))
        shifted = Segments(np.zeros(1, dtype=int), np.array([8]), np.array([108]))
        moved = model(early.build(shifted, 8)).cells[0].double().numpy()
    np.testing.assert_array_equal(after[:50], before[:50])
    assert np.abs(after[50:100] - before[50:100]).max() > 1e-3
    close = 1e-9 if dtype == torch.float64 else 1e-3
    # Stimuli from before the shifted trial's start are gone from its first bins.
    np.testing.assert_allclose(moved[10:100], before[10:100], rtol=close, atol=close)


def stimuli_from(stimuli, bin_, width):
    speed = stimuli["speed"]
    values = speed.values[bin_:]
    return Modalities(speed=TimeSeries(values, np.arange(len(values)) * width, [0, len(values)]))


# ------------------------------------------------------------------------------------------------ observation


def test_cells_that_were_not_observed_never_matter(tiny, head, window_bins):
    model = everything(tiny, head, window_bins)
    rng = np.random.default_rng(0)
    counts, stimuli = some_counts(rate=1.0), tiny.stimuli(("speed", "video"), 1, N_BINS)
    seen = rng.random(counts.shape) < 0.7
    seen[4:6] = False
    scored = tiny.cells(model, [counts], stimuli, [seen])[0]
    other = np.where(seen, counts, rng.poisson(2.0, counts.shape))
    np.testing.assert_array_equal(tiny.cells(model, [other], stimuli, [seen])[0], scored)
    np.testing.assert_array_equal(scored[~seen], 0.0)
    assert (scored[seen] < 0).all()


def test_probabilities_sum_to_one_over_the_observed_cells(tiny, head):
    """Of a window of one bin of which one unit was not observed: the other's counts sum to one."""
    model = tiny.model(head, 1)
    total = 0.0
    for count in range(19):
        counts = np.concatenate([history_of(1), [[7, count]]])
        seen = np.ones(counts.shape, dtype=bool)
        seen[-1, 0] = False
        total += np.exp(tiny.cells(model, [counts], None, [seen])[0][-1].sum())
    assert total == pytest.approx(1.0, abs=1e-10)


def test_what_was_not_observed_is_not_silence(tiny, head):
    model = tiny.model(head, 1)
    counts = np.zeros((6, 2), dtype=int)
    seen = np.ones(counts.shape, dtype=bool)
    silent = tiny.cells(model, [counts], None, [seen])[0]
    seen[3] = False
    gap = tiny.cells(model, [counts], None, [seen])[0]
    assert np.abs(gap[4:] - silent[4:]).max() > 1e-6


# ------------------------------------------------------------------------------------------------ batches


def test_a_padded_batch_scores_like_single_rows(tiny, head, window_bins):
    model = everything(tiny, head, window_bins)
    rng = np.random.default_rng(0)
    counts = [rng.poisson(0.5, (n, N_UNITS)) for n in (4, 40, 1, 17)]
    stimuli = tiny.stimuli(("speed", "video"), 4, 40, index=[0, 1, 0, 1])
    together = tiny.cells(model, counts, stimuli)
    for row in range(4):
        alone = tiny.cells(model, counts[row : row + 1], stimuli[row : row + 1])[0]
        np.testing.assert_allclose(together[row], alone, **EXACT)


def test_units_keep_their_meaning_in_a_window_that_is_silent(tiny, head, window_bins):
    model = everything(tiny, head, window_bins)
    silent = np.zeros((N_BINS, N_UNITS), dtype=int)
    stimuli = tiny.stimuli(("speed", "video"), 1, N_BINS)
    assert np.isfinite(tiny.cells(model, [silent], stimuli)[0]).all()


def test_the_neural_vector_of_a_window_does_not_depend_on_the_batch(tiny, window_bins):
    for context_bins in (0, 4):
        model = tiny.model("hazard", window_bins, context_bins=context_bins)
        rng = np.random.default_rng(0)
        counts = [rng.poisson(0.5, (n, 2)) for n in (4, 40, 1)]
        vectors = neural(tiny, model, counts)
        for row, trial in enumerate(counts):
            alone = neural(tiny, model, [trial])[0]
            n_windows = -(-len(trial) // window_bins)
            np.testing.assert_allclose(vectors[row, :n_windows], alone[:n_windows], **EXACT)


def neural(tiny, model, counts):
    batches = tiny.builder(model, counts)
    segments = Segments(np.arange(len(counts)), np.zeros(len(counts), dtype=int), batches.n_bins)
    with torch.no_grad():
        batch = batches.build(segments, 0)
        return model.neural_vectors(batch, model.past_states(batch)).numpy()


# ------------------------------------------------------------------------------------------------ the parts


@pytest.mark.parametrize("share_fusion", [False, True])
@pytest.mark.parametrize("context_bins", [0, 4])
def test_the_gradient_reaches_every_parameter(tiny, head, context_bins, share_fusion):

    model = everything(
        tiny, head, 3, context_bins=context_bins, aligned=("video", "speed"), learn_temperature=True,
        share_fusion=share_fusion, n_fusion_layers=2,
    ).train()
    plan = settings(NeuroformerEstimator(gamma=0.3, mu=0.2), 0.5, "sparse")
    rng = np.random.default_rng(0)
    counts = [np.minimum(rng.poisson(0.9, (40, N_UNITS)), 4) for _ in range(3)]
    batches = tiny.builder(model, counts, tiny.stimuli(("speed", "video"), 3, 40, index=[0, 1, 0]))
    whole = Segments(np.arange(3), np.zeros(3, dtype=int), batches.n_bins)
    loss, _ = batch_loss(model, batches.build(whole, 0), plan, 120)
    loss.backward()
    untouched = [n for n, p in model.named_parameters() if p.grad is None or not bool((p.grad != 0).any())]
    assert untouched == []
    assert all(bool(torch.isfinite(p.grad).all()) for p in model.parameters())


def test_the_gradient_of_the_loss_is_that_of_finite_differences(tiny, head):
    model = tiny.model(head, 3, seed=4)
    patterns = np.random.default_rng(0).poisson(0.7, (4, 3, 2))
    names = ["session.bias", "session.repeat_table", "session.repeat_state", "session.coupling", "session.same_bin"]
    parameters = dict(model.named_parameters())

    def loss():
        counts = [np.concatenate([history_of(3), pattern]) for pattern in patterns]
        segments = Segments(np.arange(4), np.zeros(4, dtype=int), np.full(4, 9))
        output = model(tiny.builder(model, counts).build(segments, 0), split=True)
        return output.total + 0.5 * output.time

    model.zero_grad()
    loss().backward()
    step = 1e-5
    for name in names:
        parameter = parameters[name]
        place = tuple(0 for _ in parameter.shape[:-1]) + (parameter.shape[-1] - 1,)
        with torch.no_grad():
            values = []
            for sign in (1, -1):
                parameter[place] += sign * step
                values.append(float(loss()))
                parameter[place] -= sign * step
        assert float(parameter.grad[place]) == pytest.approx((values[0] - values[1]) / (2 * step), abs=1e-6), name


def test_a_missing_modality_is_like_one_of_which_nothing_is_seen(tiny, head):
    model = everything(tiny, head, 3)
    counts, both = some_counts(), tiny.stimuli(("speed", "video"), 1, N_BINS)
    nothing = TimeSeries(np.full((N_BINS, 2), np.nan), np.arange(N_BINS) * tiny.BIN_WIDTH, [0, N_BINS])
    absent = tiny.cells(model, [counts], Modalities(video=both["video"]))[0]
    unseen = tiny.cells(model, [counts], Modalities(video=both["video"], speed=nothing))[0]
    np.testing.assert_allclose(unseen, absent, **EXACT)
    assert np.abs(tiny.cells(model, [counts], both)[0] - absent).max() > 1e-6


def test_what_a_stimulus_drives_depends_on_the_state_only_where_it_is_asked_for(tiny, head):
    """Without attention, past spikes and a speed add up, unless the features of the past see the speed's filters."""
    steps = {}
    for dependent in (True, False):
        model = everything(tiny, head, 3, state_dependent_drive=dependent, coupling_bins=0, stimuli_in_context=())
        with torch.no_grad():
            model.readout.weight.zero_()
        batches = [
            tiny.builder(model, [counts], speed).build(Segments(*np.array([[0], [6], [N_BINS]])), 6)
            for counts in (some_counts(0), some_counts(1)) for speed in (tiny.stimuli(("speed",), 1, N_BINS), None)
        ]  # fmt: skip
        with torch.no_grad():
            states = [model.past_states(batch)[torch.zeros(1, dtype=int)[:, None], batch.bins] for batch in batches]
            one, alone, other, other_alone = (
                model.context(*pair).base for pair in zip(batches, states, strict=True)
            )
        steps[dependent] = float(((one - alone) - (other - other_alone)).abs().max())
    assert steps[True] > 1e-3
    assert steps[False] < 1e-12


def test_the_long_past_sees_a_stimulus_from_its_own_bin_on(tiny):
    """Beside the spikes, and only where it enters; what behaviour is read from and aligned is of spikes alone."""
    counts, bin_ = some_counts(), 7
    stimuli = tiny.stimuli(("speed", "video"), 1, N_BINS)
    changed = bent(stimuli, bin_ * tiny.BIN_WIDTH)
    for names in (("speed",), ()):
        model = everything(tiny, "hazard", 3, stimuli_in_context=names)
        whole = Segments(np.zeros(1, dtype=int), np.zeros(1, dtype=int), np.array([N_BINS]))
        batches = [tiny.builder(model, [counts], given).build(whole, 0) for given in (stimuli, changed)]
        with torch.no_grad():
            states = [model.past_states(batch) for batch in batches]
            alone = [model.neural_states(*pair) for pair in zip(batches, states, strict=True)]
        moved = (states[0] - states[1]).abs().amax((0, 2)).numpy() > 1e-9
        assert moved.tolist() == [bool(names) and bin_ <= k < N_BINS for k in range(N_BINS)] + [bool(names)]
        assert torch.equal(*alone)


def test_alignment_and_behaviour_are_of_spikes_alone(tiny):
    """They do not shape how stimuli enter the state, and what is hidden from the state is aligned all the same."""
    whole = Segments(np.arange(2), np.zeros(2, dtype=int), np.array([N_BINS, N_BINS]))
    found = []
    for dropout in (0.0, 1 - 1e-12):
        model = everything(tiny, "hazard", 3, modality_dropout=dropout, aligned=("speed",), behaviour=(("gaze", 1),))
        batches = tiny.builder(model, [some_counts(0), some_counts(1)], tiny.stimuli(("speed", "video"), 2, N_BINS))
        batches.behaviour = np.random.default_rng(2).standard_normal((2 * N_BINS, 1))
        output = model.train()(batches.build(whole, 0))
        found.append([float(output.contrastive.detach()), float(output.behaviour.detach())])
        (output.contrastive + output.behaviour).backward()
        assert all(weights.grad is None or not weights.grad.any() for weights in model.past.stimuli.parameters())
        assert model.past.bias.grad.any()
    np.testing.assert_allclose(*found, **EXACT)


def test_of_several_stimuli_all_are_hidden_together(tiny):
    """Else spikes alone would hardly ever be learned from."""
    names, chance, n_segments = ("speed", "gaze", "pupil"), 0.2, 2000
    shapes = tuple(replace(tiny.SPEED, name=name) for name in names)
    model = tiny.model("hazard", 1, modalities=shapes, modality_dropout=chance).train()
    values = np.ones((n_segments, 2, 2))
    given = Modalities(**{name: TimeSeries.from_lists(list(values), rate=1 / tiny.BIN_WIDTH) for name in names})
    counts = [np.zeros((2, 2), dtype=int)] * n_segments
    whole = Segments(np.arange(n_segments), np.zeros(n_segments, dtype=int), np.full(n_segments, 2))
    batch = tiny.builder(model, counts, given).build(whole, 0)
    hidden = model._some_segments_without(batch).stimuli
    gone = np.stack([(hidden[name] == 0).all((1, 2)).numpy() for name in names])
    assert (gone == gone[0]).all()
    assert gone[0].mean() == pytest.approx(chance, abs=0.03)


def test_in_training_a_stimulus_is_hidden_from_whole_segments(tiny, monkeypatch):
    """From what the state sees of it and from what attends to it: as if it were not there."""
    model = everything(tiny, "hazard", 3, modality_dropout=1 - 1e-12, aligned=()).train()
    whole = Segments(np.arange(2), np.zeros(2, dtype=int), np.array([N_BINS, N_BINS]))
    counts = [some_counts(0), some_counts(1)]
    given = tiny.builder(model, counts, tiny.stimuli(("speed",), 2, N_BINS)).build(whole, 0)
    absent = tiny.builder(model, counts).build(whole, 0)
    assert given.stimuli and not absent.stimuli
    monkeypatch.setattr(model, "_some_hidden", lambda keys: keys)  # that of single blocks
    with torch.no_grad():
        np.testing.assert_allclose(model(given).cells, model(absent).cells, **EXACT)
        model.eval()
        assert (model(given).cells - model(absent).cells).abs().max() > 1e-6


def test_the_prior_on_drives_counts_what_goes_through_the_state(tiny):
    """With the linear filters' own weights at zero, only that is left."""
    sizes = {}
    for dependent in (True, False):
        model = everything(tiny, "hazard", 3, state_dependent_drive=dependent).train()
        with torch.no_grad():
            for weights in model.session.filters:
                weights.zero_()
        batches = tiny.builder(model, [some_counts()], tiny.stimuli(("speed", "video"), 1, N_BINS))
        whole = Segments(np.zeros(1, dtype=int), np.zeros(1, dtype=int), batches.n_bins)
        sizes[dependent] = float(model(batches.build(whole, 0)).drive_size)
    assert sizes[True] > 100 * sizes[False] > 0


@pytest.mark.parametrize("n_layers", [0, 2])
def test_other_depths_are_distributions_too(tiny, head, n_layers):
    model = tiny.model(head, 1, n_layers=n_layers)
    counts = np.arange(17)
    patterns = np.stack(np.meshgrid(counts, counts), axis=-1).reshape(-1, 1, 2)
    found = tiny.last_window(model, patterns, history_of(1)).cells[:, 0].sum(1).exp().sum()
    assert float(found) == pytest.approx(1.0, abs=1e-10)


def test_a_configuration_survives_json(tiny):
    config = everything(tiny, "chained", 3, aligned=("video",)).config
    again = NeuroformerConfig.from_dict(json.loads(json.dumps(config.to_dict())))
    assert again == config
    assert again.stimuli_in_context == ("speed",)
    later = ("state_dependent_drive", "stimuli_in_context")
    before = NeuroformerConfig.from_dict({k: v for k, v in config.to_dict().items() if k not in later})
    assert not before.state_dependent_drive and not before.in_context  # a file of an earlier version
    with pytest.raises(TypeError):
        NeuroformerConfig.from_dict({**config.to_dict(), "wings": 2})
