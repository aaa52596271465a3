"""Facts about predictions and samples for containers: what they may see, what they depend on, and that they agree."""

from itertools import combinations_with_replacement

import numpy as np
import pytest
import torch
from scipy import stats

from skneuro.data import Modalities, Recording, SpikeTrains, TimeSeries
from skneuro.training import evaluation, generation

EXACT = {"rtol": 0, "atol": 1e-10}
LENGTHS = (14, 5, 0, 20)


def world(tiny, head, window_bins=3, **changes):
    spikes, stimuli = tiny.spikes(LENGTHS), tiny.stimuli([max(n, 1) for n in LENGTHS], index=[0, 1, 0, 0])
    return tiny.fitted(head, window_bins, modalities=stimuli, **changes), Recording(spikes, stimuli)


def predict(tiny, fitted, recording, n_samples=4):
    return generation.predict(fitted, tiny.read(recording), n_samples)


def sample(tiny, fitted, stimuli, n_bins, n_samples=1, seed=0, temperature=1.0, top_p=1.0):
    """Counts (n_trials * n_samples, n_bins, n_units); `stimuli` is None or Modalities that cover the bins."""
    n_trials = 1 if stimuli is None else len(stimuli)
    n_units = fitted.network.config.n_units
    nothing = SpikeTrains.from_counts(np.zeros((n_trials, n_bins, n_units), dtype=int), tiny.BIN_WIDTH)
    seed = np.random.SeedSequence(seed)
    drawn = generation.sample(fitted, tiny.read(nothing, stimuli), n_samples, seed, temperature, top_p)
    return drawn.dense().reshape(-1, n_bins, n_units)


# ------------------------------------------------------------------------------------------------ predict


@pytest.mark.parametrize("window_bins", [1, 3])
def test_predictions_do_not_look_inside_their_window(tiny, head, window_bins):
    fitted, recording = world(tiny, head, window_bins)
    recording = recording[[3]]
    before = predict(tiny, fitted, recording)
    assert before.shape == (20, 3) and (before >= 0).all()
    counts = tiny.read(recording).spikes.dense()
    for bin_ in (0, 4, 8, 19):
        changed = counts.copy()
        changed[bin_:] += 2
        other = Recording(SpikeTrains.from_counts(changed[None], tiny.BIN_WIDTH), recording.modalities)
        after = predict(tiny, fitted, other)
        same = (bin_ // window_bins + 1) * window_bins
        np.testing.assert_allclose(after[:same], before[:same], **EXACT)
        if same < 20:
            assert np.abs(after[same:] - before[same:]).max() > 1e-6


def test_predictions_of_a_trial_do_not_depend_on_the_others(tiny, head, monkeypatch):
    fitted, recording = world(tiny, head)
    together = predict(tiny, fitted, recording)
    ptr = np.concatenate([[0], np.cumsum(LENGTHS)])
    for trial in range(4):
        np.testing.assert_allclose(
            predict(tiny, fitted, recording[[trial]]), together[ptr[trial] : ptr[trial + 1]], **EXACT
        )
    monkeypatch.setattr(evaluation, "PIECE_BINS", 6)
    monkeypatch.setattr(generation, "CELLS_AT_ONCE", 30)
    np.testing.assert_allclose(predict(tiny, fitted, recording), together, **EXACT)


def test_without_memory_equal_windows_are_predicted_alike(tiny, head):
    fitted = tiny.fitted(head, 3, context_bins=0, recent_bins=0, coupling_bins=0)
    found = predict(tiny, fitted, tiny.spikes((12,))).reshape(4, 3, 3)
    np.testing.assert_allclose(found, np.broadcast_to(found[:1], found.shape), **EXACT)


def test_predictions_are_the_expected_counts_of_the_next_window(tiny, head):
    """One unit and one bin, from its whole distribution; the hazard's needs a single draw."""
    fitted = tiny.fitted(head, 1, 1)
    spikes = tiny.spikes((6,), 1)
    n_samples = 1 if head == "hazard" else 3000
    found = predict(tiny, fitted, spikes, n_samples)
    counts = tiny.read(spikes).spikes.dense()
    for bin_ in (0, 3, 5):
        p = []
        for k in range(25):
            trial = np.append(counts[:bin_], [[k]], axis=0)
            cells = fitted.cell_log_likelihood(tiny.read(SpikeTrains.from_counts(trial[None], tiny.BIN_WIDTH)))
            p.append(np.exp(cells[bin_, 0]))
        p = np.array(p)
        mean, sd = (p * np.arange(25)).sum(), np.sqrt((p * np.arange(25) ** 2).sum())
        if head == "hazard":
            assert found[bin_, 0] == pytest.approx(mean, abs=1e-6)
        else:
            assert found[bin_, 0] == pytest.approx(mean, abs=4 * sd / np.sqrt(n_samples))


def test_more_draws_give_steadier_predictions(tiny):
    fitted, recording = world(tiny, "hazard")
    reference = predict(tiny, fitted, recording, 300)
    few, many = (np.abs(predict(tiny, fitted, recording, n) - reference).mean() for n in (2, 60))
    assert many < 0.6 * few


# ------------------------------------------------------------------------------------------------ sample


def test_sampled_trials_have_the_probabilities_that_scoring_gives_them(tiny, head):
    """Trials of one window and a part of the next, with stimuli."""
    stimuli = tiny.stimuli([3])
    fitted = tiny.fitted(head, 2, 2, modalities=stimuli, noise=0.1)
    n, n_bins = 3000, 3
    drawn = sample(tiny, fitted, stimuli, n_bins, n).reshape(n, -1)
    patterns = []
    for k in range(4):
        for cells in combinations_with_replacement(range(2 * n_bins), k):
            patterns.append(np.bincount(np.array(cells, dtype=int), minlength=2 * n_bins))
    patterns = np.array(patterns)
    trials = SpikeTrains.from_counts(patterns.reshape(-1, n_bins, 2), tiny.BIN_WIDTH)
    scored = fitted.cell_log_likelihood(tiny.read(trials, stimuli[np.zeros(len(patterns), dtype=int)]))
    p = np.exp(scored.reshape(len(patterns), -1).sum(1))
    likely = n * p >= 5
    table = {tuple(pattern): k for k, pattern in enumerate(patterns.tolist())}
    where = np.array([table.get(tuple(row), -1) for row in drawn.tolist()])
    seen = np.bincount(where[where >= 0], minlength=len(patterns))[likely]
    wanted = n * p[likely]
    assert wanted.sum() > 0.4 * n
    seen, wanted = np.append(seen, n - seen.sum()), np.append(wanted, n - wanted.sum())
    assert stats.chisquare(seen, wanted).pvalue > 1e-3


def test_the_stimulus_of_a_sampled_bin_is_the_one_of_its_time(tiny, head):
    """One unit, the surest draw: in every bin it does what scoring holds for likeliest, over several blocks of bins."""
    n_bins = 40
    stimuli = tiny.stimuli([n_bins])
    fitted = tiny.fitted(head, 1, 1, modalities=stimuli, noise=0.15, seed=5)
    for bias in np.linspace(0.4, -4.0, 12):  # until it is neither always silent nor always active
        fitted.network.session.bias.data[:] = bias
        drawn = sample(tiny, fitted, stimuli, n_bins, top_p=1e-9)[0]
        if 4 < (drawn > 0).sum() < 36:
            break
    assert 4 < (drawn > 0).sum() < 36
    silent = np.stack([np.where(np.arange(n_bins)[:, None] < b, drawn, 0) for b in range(n_bins)])
    trials = SpikeTrains.from_counts(silent, tiny.BIN_WIDTH)
    cells = fitted.cell_log_likelihood(tiny.read(trials, stimuli[np.zeros(n_bins, dtype=int)])).reshape(n_bins, n_bins)
    np.testing.assert_array_equal(drawn[:, 0] > 0, np.exp(np.diag(cells)) < 0.5)


def test_a_sampled_row_does_not_depend_on_the_others(tiny, head):
    stimuli = tiny.stimuli([20] * 3, index=[0, 1, 0])
    fitted = tiny.fitted(head, 3, modalities=stimuli, noise=0.1)
    drawn = sample(tiny, fitted, stimuli, 20, 2)
    assert drawn.shape == (6, 20, 3)
    np.testing.assert_array_equal(sample(tiny, fitted, stimuli[:1], 20, 2), drawn[:2])
    np.testing.assert_array_equal(sample(tiny, fitted, stimuli[:2], 20, 2), drawn[:4])
    assert len(np.unique(drawn.reshape(6, -1), axis=0)) == 6
    np.testing.assert_array_equal(sample(tiny, fitted, stimuli, 20, 2), drawn)
    assert (sample(tiny, fitted, stimuli, 20, 2, seed=1) != drawn).any()


def test_other_weights_give_other_samples(tiny, head):
    fitted = tiny.fitted(head, 3)
    before = sample(tiny, fitted, None, 15, 3)
    fitted.network.session.bias.data += 1.0
    assert sample(tiny, fitted, None, 15, 3).sum() > before.sum()
    fitted.network.session.bias.data -= 1.0
    np.testing.assert_array_equal(sample(tiny, fitted, None, 15, 3), before)


def test_longer_trials_begin_like_shorter_ones(tiny, head):
    """Of whole windows: nothing of a later window reaches back."""
    fitted = tiny.fitted(head, 3)
    short, long = (sample(tiny, fitted, None, n, 4) for n in (9, 30))
    np.testing.assert_array_equal(long[:, :9], short)


def test_sampled_rates_agree_with_predicted_ones(tiny, head):
    """Over the model's own trials the mean of one-step predictions is the mean count.

    Every window is predicted with the same random numbers, so their error does not average out over windows.
    """
    fitted = tiny.fitted(head, 3, noise=0.1)
    drawn = sample(tiny, fitted, None, 12, 200)
    predicted = predict(tiny, fitted, SpikeTrains.from_counts(drawn, tiny.BIN_WIDTH), 16).reshape(drawn.shape)
    difference = (drawn - predicted).sum(1)  # (trials, units), a sum of martingale differences
    error = difference.std(0) / np.sqrt(len(difference))
    assert (np.abs(difference.mean(0)) < 4 * error + 0.05 * drawn.sum(1).mean(0)).all()
    assert drawn.mean() > 0.05


def test_trials_of_unequal_length_end_where_they_should(tiny, head):
    rng = np.random.default_rng(0)
    lengths = (7, 2, 0, 11)
    spikes = tiny.spikes(lengths)
    speed = TimeSeries.from_lists([rng.standard_normal((max(n, 1), 2)) for n in lengths], rate=1 / tiny.BIN_WIDTH)
    fitted = tiny.fitted(head, 3, modalities=Modalities(speed=speed))
    inp = tiny.read(spikes, speed)
    inp = type(inp)(inp.spikes, Modalities(speed=speed), inp.layout, inp.trials)
    drawn = generation.sample(fitted, inp, 3, np.random.SeedSequence(0), 1.0, 1.0)
    assert np.diff(drawn.ptr).tolist() == list(np.repeat(lengths, 3))
    assert drawn.trial_ids.tolist() == list(np.repeat(np.arange(4), 3))
    trains = generation.to_spike_trains(drawn, None)
    assert trains.shape == (12, 3)
    np.testing.assert_array_equal(trains.bin(tiny.BIN_WIDTH).dense(), drawn.dense())


@pytest.mark.parametrize("window_bins", [1, 3])
def test_the_likelihood_from_the_past_is_the_sum_over_what_the_bins_other_units_do(tiny, window_bins):
    fitted = tiny.fitted("hazard", window_bins, 2, noise=0.25, seed=3)
    rng = np.random.default_rng(0)
    history = rng.poisson(0.6, (5, 2))  # the sixth bin is the last of a window of three
    for given in ([0, 0], [1, 2], [2, 1]):
        trial = SpikeTrains.from_counts([np.vstack([history, given])], tiny.BIN_WIDTH)
        others = [np.vstack([history, [n, given[1]]]) for n in range(16)]
        table = fitted.cell_log_likelihood(tiny.read(SpikeTrains.from_counts(others, tiny.BIN_WIDTH)))
        exact = np.exp(table.reshape(16, 6, 2)[:, -1].sum(1)).sum()
        found = generation.past_log_likelihood(fitted, tiny.read(trial), 4000)
        conditional = fitted.cell_log_likelihood(tiny.read(trial))
        assert np.exp(found[-1, 1]) == pytest.approx(exact, rel=0.01)
        np.testing.assert_allclose(found[:, 0], conditional[:, 0], rtol=0, atol=1e-9)  # no unit is before it
        assert abs(found[-1, 1] - conditional[-1, 1]) > 1e-3


def test_the_likelihood_from_the_past_sees_the_stimuli_of_its_bins(tiny):
    """In the middle of a trial, too: of the first unit of a bin, of which nothing else is known in `score` either."""
    lengths = (14, 5)
    stimuli = tiny.stimuli(lengths)
    fitted = tiny.fitted("hazard", 3, 2, modalities=stimuli, noise=0.3)
    inp = tiny.read(tiny.spikes(lengths, 2), stimuli)
    found = generation.past_log_likelihood(fitted, inp, 2)
    np.testing.assert_allclose(found[:, 0], fitted.cell_log_likelihood(inp)[:, 0], rtol=0, atol=1e-9)


def test_a_recorded_past_ends_in_the_state_that_scoring_has(tiny, monkeypatch):
    """Whatever of the stimuli is known from before the first bin that is sampled, and of that bin."""
    n_before, n_after = 6, 4
    whole = tiny.stimuli([n_before + n_after, n_before + n_after])["speed"]
    fitted = tiny.fitted("hazard", 3, modalities=Modalities(speed=whole))
    counts = np.stack(tiny.spikes([n_before] * 2).to_counts(tiny.BIN_WIDTH))
    known = np.concatenate([counts, np.zeros((2, n_after, 3), dtype=int)], axis=1)
    inp = tiny.read(SpikeTrains.from_counts(known, tiny.BIN_WIDTH), Modalities(speed=whole))
    states = []
    evaluation.walk(fitted.network, fitted.builder(inp), np.arange(2), lambda _s, _b, found: states.append(found))
    seen, remember = [], generation.ClosedLoop.remember

    def remembered(loop, *given):
        remember(loop, *given)
        seen.append(loop.hidden.clone())

    monkeypatch.setattr(generation.ClosedLoop, "remember", remembered)
    start = n_before * tiny.BIN_WIDTH
    silence = SpikeTrains.from_counts(np.zeros((2, n_after, 3), dtype=int), tiny.BIN_WIDTH, t_start=start)
    past = SpikeTrains.from_counts(counts, tiny.BIN_WIDTH)
    asked = tiny.read(silence, Modalities(speed=whole))
    generation.sample(fitted, asked, 2, np.random.SeedSequence(0), 1.0, 1.0, history=past)
    for row in range(4):
        np.testing.assert_allclose(seen[0][row], states[0][row // 2, n_before], **EXACT)


def test_the_logarithm_of_a_mean_is_corrected_for_its_bias():
    rng = torch.Generator().manual_seed(0)
    draws = torch.where(torch.rand(20_000, 16, generator=rng) < 0.3, 0.5, 0.1).log()  # 20,000 means of 16 draws
    truth, plain = np.log(0.3 * 0.5 + 0.7 * 0.1), float((draws.exp().mean(1).log()).mean())
    corrected = float(generation.log_of_mean(draws).mean())
    assert plain < truth - 0.015
    assert corrected == pytest.approx(truth, abs=0.003)
    assert torch.equal(generation.log_of_mean(draws[:, :1]), draws[:, 0])  # one draw tells no variance


def test_bins_of_a_trial_have_random_numbers_of_their_own_in_the_score_of_the_past(tiny):
    """The same bin again and again: with common numbers its error would be the same each time."""
    fitted = tiny.fitted("hazard", 1, 3, noise=0.25, seed=3)
    still = SpikeTrains.from_counts([np.zeros((40, 3), dtype=int)], tiny.BIN_WIDTH)
    found = generation.past_log_likelihood(fitted, tiny.read(still), 2)[20:, 2]  # long after the past has settled
    assert np.ptp(found) > 1e-4
    again = generation.past_log_likelihood(fitted, tiny.read(still), 2)[20:, 2]
    np.testing.assert_array_equal(found, again)


def test_the_likelihood_from_the_past_knows_gaps_and_borders(tiny):
    """Trials that end within a window, cells that were not observed: nothing of them counts."""
    fitted = tiny.fitted("hazard", 3, 3)
    spikes = tiny.spikes((7, 4, 9))
    alone = [generation.past_log_likelihood(fitted, tiny.read(spikes[k]), 3) for k in range(3)]
    together = generation.past_log_likelihood(fitted, tiny.read(spikes), 3)
    np.testing.assert_allclose(together, np.concatenate(alone), rtol=0, atol=1e-9)
    assert (together < 0).all()
    # The past that a block carries, and a bin that is not whole, are seen and not scored.
    width = tiny.BIN_WIDTH
    parts = (spikes.times, spikes.units, spikes.ptr, spikes.t_start)
    longer = SpikeTrains(*parts, spikes.t_stop + 0.4 * width, unit_ids=spikes.unit_ids, context=2 * width)
    cut = tiny.read(longer)
    found, mask = generation.past_log_likelihood(fitted, cut, 3), cut.spikes.mask()
    assert (found[~mask] == 0).all() and (found[mask] < 0).all()
    assert mask.sum() == together.size - 3 * 2 * spikes.shape[1]
