"""Facts about how an epoch is cut: every bin is trained on once, in whole windows, in batches of similar length."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skneuro.nn.moving import moved
from skneuro.training.segments import cut_segments, segment_bins, shuffled_batches
from skneuro.training.stretches import Segments


def stretches_of(rows):
    table = np.array(rows, dtype=np.int64).reshape(-1, 3)
    return Segments(table[:, 0], table[:, 1], table[:, 2])


stretches = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 400)), min_size=1, max_size=5).map(
    lambda spans: stretches_of([(trial, start, start + n) for trial, (start, n) in enumerate(spans)])
)


@settings(max_examples=60, deadline=None)
@given(stretches=stretches, length=st.integers(1, 120), seed=st.none() | st.integers(0, 9))
def test_segments_cover_every_bin_once(stretches, length, seed):
    rng = None if seed is None else np.random.default_rng(seed)
    segments = cut_segments(stretches, length, rng)
    for trial, start, stop in zip(stretches.trial, stretches.start, stretches.stop, strict=True):
        mine = np.flatnonzero(segments.trial == trial)
        edges = np.append(segments.start[mine], segments.stop[mine][-1:])
        assert edges[0] == start and edges[-1] == stop
        assert (segments.stop[mine][:-1] == segments.start[mine][1:]).all()
        assert (np.diff(edges) > 0).all()
        assert (np.diff(edges) <= 1.5 * length).all()


def test_the_phase_is_random_so_that_windows_move(tiny):
    stretch = stretches_of([(0, 0, 1000)])
    first = {int(cut_segments(stretch, 100, np.random.default_rng(seed)).stop[0]) for seed in range(30)}
    assert len(first) > 15 and max(first) <= 100
    assert cut_segments(stretch, 100).start.tolist() == list(range(0, 1000, 100))


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(1, 300), min_size=1, max_size=60), batch_size=st.integers(1, 9))
def test_every_segment_is_in_one_batch(lengths, batch_size):
    n = len(lengths)
    segments = Segments(np.arange(n), np.zeros(n, dtype=int), np.array(lengths))
    batches = list(shuffled_batches(segments, batch_size, np.random.default_rng(0)))
    assert sorted(np.concatenate([batch.trial for batch in batches]).tolist()) == list(range(n))
    assert max(len(batch) for batch in batches) <= batch_size
    assert len(batches) <= -(-n // batch_size) + n // (8 * batch_size) + 1


@pytest.mark.parametrize("window_bins", [1, 7, 300])
def test_segments_hold_whole_windows(tiny, window_bins):
    config = tiny.fitted("hazard", window_bins, context_bins=150).network.config
    assert segment_bins(config) % window_bins == 0
    assert segment_bins(config) >= max(150, 2 * window_bins)


def test_rows_hold_the_bins_before_them_and_nothing_of_another_trial(tiny):
    spikes = tiny.spikes((30, 12, 50), rate=2.0)
    fitted = tiny.fitted("hazard", 3)
    inp = tiny.read(spikes)
    counts = np.split(inp.spikes.dense(), inp.spikes.ptr[1:-1])
    segments = stretches_of([(2, 6, 21), (0, 0, 30), (1, 9, 12), (2, 48, 50)])
    batch = fitted.builder(inp).build(segments, 8)
    for row, (trial, start, stop) in enumerate(zip(segments.trial, segments.start, segments.stop, strict=True)):
        begin = max(start - 8, 0)
        n = stop - begin
        assert int(batch.first[row]) == start - begin and int(batch.length[row]) == n
        np.testing.assert_array_equal(batch.counts[row, :n].numpy(), counts[trial][begin:stop])
        assert not batch.counts[row, n:].any() and not batch.observed[row, n:].any()
        assert int(batch.scored[row].sum()) == stop - start
    assert batch.scored.shape[1] % 3 == 0


def test_a_batch_is_moved_with_all_that_is_listed_of_it(tiny):
    """A tensor that stayed behind would be missed, or would be waited for in every step."""
    modalities = tiny.stimuli((30, 50))
    fitted = tiny.fitted("hazard", 3, modalities=modalities, aligned=(next(iter(modalities)),))
    builder = fitted.builder(tiny.read(tiny.spikes((30, 50)), modalities))
    batch = builder.build(stretches_of([(0, 4, 30), (1, 0, 50)]), 4)
    seen = []

    def look(thing):
        if isinstance(thing, torch.Tensor):
            seen.append(str(thing.device))
        for part in thing.values() if isinstance(thing, dict) else thing if isinstance(thing, list) else ():
            look(part)
        if hasattr(thing, "__dataclass_fields__"):
            look({name: getattr(thing, name) for name in thing.__dataclass_fields__})

    look(moved(batch, torch.device("meta")))
    assert set(seen) == {"meta"}
    assert len(seen) > 40
    assert batch.layout.n_scored == 76
