"""Facts about scoring whole trials: no window crosses a trial, and how the work is cut up leaves no trace."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy import sparse

from skneuro.data import Recording, SpikeTrains
from skneuro.training import evaluation
from skneuro.training.stretches import Segments

EXACT = {"rtol": 0, "atol": 1e-10}
LENGTHS = (7, 64, 0, 23, 64, 1)


def world(tiny, head, window_bins=3, **changes):
    spikes, stimuli = tiny.spikes(LENGTHS), tiny.stimuli([max(n, 1) for n in LENGTHS], index=[0, 1, 0, 0, 1, 0])
    return tiny.fitted(head, window_bins, modalities=stimuli, **changes), Recording(spikes, stimuli)


def score(tiny, fitted, recording):
    return fitted.cell_log_likelihood(tiny.read(recording))


@pytest.mark.parametrize("window_bins", [1, 3])
def test_a_trials_score_does_not_depend_on_the_other_trials(tiny, head, window_bins):
    fitted, recording = world(tiny, head, window_bins)
    together = score(tiny, fitted, recording)
    ptr = np.concatenate([[0], np.cumsum(LENGTHS)])
    for trial in range(len(LENGTHS)):
        alone = score(tiny, fitted, recording[[trial]])
        np.testing.assert_allclose(alone, together[ptr[trial] : ptr[trial + 1]], **EXACT)
    backwards = score(tiny, fitted, recording[::-1])
    np.testing.assert_allclose(backwards[: LENGTHS[5]], together[ptr[5] : ptr[6]], **EXACT)
    np.testing.assert_allclose(backwards[-LENGTHS[0] :], together[: LENGTHS[0]], **EXACT)


@pytest.mark.parametrize("window_bins", [1, 3])
@pytest.mark.parametrize("context_bins", [0, 4])
def test_a_long_trial_scores_in_pieces_as_in_one(tiny, head, window_bins, context_bins, monkeypatch):
    fitted, recording = world(tiny, head, window_bins, context_bins=context_bins)
    inp = tiny.read(recording)
    whole, embedded = fitted.cell_log_likelihood(inp), fitted.embed(inp)
    for piece, cells in ((5, 10**9), (13, 10**9), (20, 100)):
        monkeypatch.setattr(evaluation, "PIECE_BINS", piece)
        monkeypatch.setattr(evaluation, "CELLS_AT_ONCE", cells)
        np.testing.assert_allclose(fitted.cell_log_likelihood(inp), whole, **EXACT)
        np.testing.assert_allclose(fitted.embed(inp), embedded, **EXACT)


def test_recent_spikes_and_coupling_reach_back_over_the_border_of_a_piece(tiny, head, monkeypatch):
    """Also where the pieces are shorter than the memory."""
    fitted = tiny.fitted(head, 3, recent_bins=11, coupling_bins=7, context_bins=0)
    inp = tiny.read(tiny.spikes((40, 31)))
    whole = fitted.cell_log_likelihood(inp)
    monkeypatch.setattr(evaluation, "PIECE_BINS", 6)
    np.testing.assert_allclose(fitted.cell_log_likelihood(inp), whole, **EXACT)


def test_the_total_is_the_sum_of_the_cells(tiny, head):
    fitted, recording = world(tiny, head)
    inp = tiny.read(recording)
    builder = fitted.builder(inp)
    cells = fitted.cell_log_likelihood(inp)
    total = evaluation.total_log_likelihood(fitted.network, builder, np.arange(6))
    assert total == pytest.approx(cells.sum(), abs=1e-9)
    ptr = inp.spikes.ptr
    some = evaluation.total_log_likelihood(fitted.network, builder, np.array([3, 1]))
    assert some == pytest.approx(cells[ptr[3] : ptr[4]].sum() + cells[ptr[1] : ptr[2]].sum(), abs=1e-9)
    part = evaluation.cell_log_likelihood(fitted.network, builder, np.array([1]))
    np.testing.assert_allclose(part[ptr[1] : ptr[2]], cells[ptr[1] : ptr[2]], **EXACT)
    assert part.sum() == pytest.approx(part[ptr[1] : ptr[2]].sum())


def test_stretches_that_are_whole_trials_score_like_the_trials(tiny, head):
    fitted, recording = world(tiny, head)
    inp = tiny.read(recording)
    n_bins = np.diff(inp.spikes.ptr)
    trials = np.flatnonzero(n_bins)
    stretches = Segments(trials, np.zeros(len(trials), dtype=int), n_bins[trials])
    found = evaluation.stretch_log_likelihood(fitted.network, fitted.builder(inp), stretches)
    assert found == pytest.approx(fitted.cell_log_likelihood(inp).sum(), abs=1e-9)


def test_blocks_with_their_context_score_like_the_whole_recording(tiny, head):
    """What a block carries in front of it is past, and is scored once only."""
    fitted = tiny.fitted(head, 3)
    spikes = tiny.spikes((60,))
    blocks = spikes.cut(15 * tiny.BIN_WIDTH, context=45 * tiny.BIN_WIDTH)
    whole = fitted.cell_log_likelihood(tiny.read(spikes))
    inp = tiny.read(blocks)
    cut = fitted.cell_log_likelihood(inp)[inp.spikes.mask()[:, 0]]
    np.testing.assert_allclose(cut, whole, **EXACT)
    alone = fitted.cell_log_likelihood(tiny.read(spikes.cut(15 * tiny.BIN_WIDTH)))
    assert np.abs(alone[15:] - whole[15:]).max() > 1e-3


def test_gaps_are_masked_whatever_was_counted_there(tiny, head):
    fitted = tiny.fitted(head, 3)
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.5, (40, 3))
    seen = [[0.0, 0.5], [0.8, 2.0]]
    inside = np.ones(40, dtype=bool)
    inside[10:16] = False
    spikes = SpikeTrains.from_counts(np.where(inside[:, None], counts, 0)[None], tiny.BIN_WIDTH)
    spikes = SpikeTrains(
        spikes.times, spikes.units, spikes.ptr, spikes.t_start, spikes.t_stop, unit_ids=spikes.unit_ids,
        observed=seen, resolution=tiny.BIN_WIDTH,
    )  # fmt: skip
    inp = tiny.read(spikes)
    assert (inp.spikes.mask().all(1) == inside).all()
    found = fitted.cell_log_likelihood(inp)
    assert (found[~inside] == 0).all() and (found[inside] < 0).all()


def test_the_mode_of_the_model_is_left_as_it_was(tiny):
    fitted, recording = world(tiny, "hazard")
    for mode in (True, False):
        fitted.network.train(mode)
        score(tiny, fitted, recording)
        assert fitted.network.training is mode
    fitted.network.train()
    trained = score(tiny, fitted, recording)
    fitted.network.eval()
    np.testing.assert_array_equal(score(tiny, fitted, recording), trained)


# ---- the ceiling ---------------------------------------------------------------------------------------------------


def whole(recording, tiny):
    n_bins = np.diff(tiny.read(recording).spikes.ptr)
    return Segments(np.arange(len(n_bins)), np.zeros(len(n_bins), dtype=int), n_bins)


def highest(fitted, recording, tiny):
    builder = fitted.builder(tiny.read(recording))
    outputs = list(evaluation.stretch_outputs(fitted.network, builder, whole(recording, tiny)))
    return torch.cat([output.intensity.flatten(0, 1) for output in outputs])


def test_the_ceiling_is_the_quantile_of_each_units_own_intensities(tiny, head, monkeypatch):
    fitted, recording = world(tiny, head)
    session = fitted.network.session
    before = highest(fitted, recording, tiny)
    loose = session.ceiling.clone()
    monkeypatch.setattr(evaluation, "TRUSTED", 0.9)
    evaluation.set_ceiling(fitted.network, fitted.builder(tiny.read(recording)), whole(recording, tiny))
    n_bins = sum(LENGTHS)
    for unit in range(before.shape[1]):
        seen = before[:, unit][before[:, unit].isfinite()].sort(descending=True).values
        assert len(seen) == n_bins
        assert float(session.ceiling[unit]) == pytest.approx(float(seen[round(0.1 * n_bins) - 1]), abs=1e-12)
    assert bool((session.ceiling < loose).all())
    assert float((highest(fitted, recording, tiny) - session.ceiling).max()) <= 1e-12


def test_a_unit_without_observed_bins_keeps_the_loose_ceiling(tiny):
    fitted = tiny.fitted("hazard", 1)
    counts = np.random.default_rng(0).poisson(0.5, (30, 3))
    observed = np.ones((1, 30, 3), dtype=bool)
    observed[..., 2] = False
    binned = tiny.read(SpikeTrains.from_counts([counts], tiny.BIN_WIDTH))
    binned = dataclasses.replace(
        binned, spikes=dataclasses.replace(binned.spikes, cell_observed=observed.reshape(-1, 3))
    )
    loose = fitted.network.session.ceiling.clone()
    evaluation.set_ceiling(
        fitted.network, fitted.builder(binned), Segments(np.array([0]), np.array([0]), np.array([30]))
    )
    changed = ((fitted.network.session.ceiling - loose).abs() > 1e-6).tolist()
    assert changed == [True, True, False]


def test_trials_without_bins_embed_to_nothing_of_the_right_width(tiny, head):
    fitted = tiny.fitted(head, 3)
    for lengths in ((0, 0), (4, 0)):
        vectors = fitted.embed(tiny.read(tiny.spikes(lengths)))
        assert vectors.shape == (sum(lengths), fitted.embedding_width)


def test_the_units_log_likelihoods_are_sums_of_their_cells(tiny, head, monkeypatch):
    fitted, recording = world(tiny, head)
    inp = tiny.read(recording)
    monkeypatch.setattr(evaluation, "PIECE_BINS", 10)
    np.testing.assert_allclose(fitted.unit_log_likelihood(inp), fitted.cell_log_likelihood(inp).sum(0), rtol=1e-10)


@pytest.mark.parametrize("window_bins", [1, 3])
def test_counts_of_hidden_units_are_scored_as_if_each_alone_were_seen(tiny, window_bins):
    """Oracle: one cell of a hidden unit is observed at a time; what it scores is all that anyone saw of the unit."""
    fitted = tiny.fitted("hazard", window_bins)
    inp = tiny.read(tiny.spikes((7, 11), seed=3))
    hidden = np.array([True, False, True])
    shown = inp.spikes.hide(hidden)
    found = fitted.cell_log_likelihood(dataclasses.replace(inp, spikes=shown), inp.spikes)
    counts = inp.spikes.dense()
    for bin_ in range(inp.spikes.n_bins):
        for unit in np.flatnonzero(hidden):
            cells, alone = shown.mask(), shown.dense()
            cells[bin_, unit], alone[bin_, unit] = True, counts[bin_, unit]
            one = dataclasses.replace(shown, counts=sparse.csr_array(alone), cell_observed=cells)
            expected = fitted.cell_log_likelihood(dataclasses.replace(inp, spikes=one))[bin_, unit]
            assert found[bin_, unit] == pytest.approx(expected, abs=1e-10)
    seen = fitted.cell_log_likelihood(dataclasses.replace(inp, spikes=shown))
    np.testing.assert_allclose(found[:, 1], seen[:, 1], **EXACT)


def test_the_ceiling_of_a_unit_that_was_rarely_observed_is_of_the_bins_where_it_was(tiny, monkeypatch):
    fitted = tiny.fitted("hazard", 1)
    counts = np.random.default_rng(0).poisson(0.5, (200, 3))
    observed = np.ones((200, 3), dtype=bool)
    observed[20:, 2] = False
    inp = tiny.read(SpikeTrains.from_counts([counts], tiny.BIN_WIDTH))
    inp = dataclasses.replace(inp, spikes=dataclasses.replace(inp.spikes, cell_observed=observed))
    builder, everything = fitted.builder(inp), Segments(np.array([0]), np.array([0]), np.array([200]))
    outputs = list(evaluation.stretch_outputs(fitted.network, builder, everything))
    intensity = torch.cat([output.intensity.flatten(0, 1) for output in outputs])
    monkeypatch.setattr(evaluation, "TRUSTED", 0.9)
    evaluation.set_ceiling(fitted.network, builder, everything)
    for unit, beyond in ((0, 20), (1, 20), (2, 2)):
        own = intensity[:, unit].sort(descending=True).values
        assert float(fitted.network.session.ceiling[unit]) == pytest.approx(float(own[beyond - 1]), abs=1e-12)
