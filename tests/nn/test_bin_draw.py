"""Facts about a bin that is drawn at once: it is the bin that asking one unit after the other gives."""

import pytest
import torch

from skneuro.nn.bin_draw import draw_bin
from skneuro.nn.counts import draw_repeats, fired_log_probability

N_ROWS, N_UNITS = 60, 9


def one_by_one(model, bin_, base, state, hidden, cache, uniform):
    """The same draw, one unit after the other: a plain loop."""
    session, counts, decided = model.session, torch.zeros_like(base), base.clone()
    for unit in range(N_UNITS):
        a = base + hidden @ session.embedding.T
        if session.coupled:
            a = a + session.same_bin_drive(session.standardise(counts, torch.ones_like(counts)), state)
        decided[:, unit] = session.bounded(a)[:, unit]
        rows = (uniform[:, unit].log() < fired_log_probability(decided[:, unit])).nonzero()[:, 0]
        if not len(rows):
            continue
        of = torch.full_like(rows, unit)
        count = draw_repeats(
            decided[rows, unit], session.repeat_shift(state)[rows, unit], session.repeat_table, of,
            uniform[rows, N_UNITS + unit],
        )  # fmt: skip
        counts[rows, unit] = count.to(counts.dtype)
        hidden[rows] = model.decoder.extend(session, of, torch.full_like(of, bin_), count, state[rows], cache, rows)
    return counts, decided


@pytest.mark.parametrize("rate", [0.05, 0.8])
@pytest.mark.parametrize("changes", [{}, {"coupling_bins": 0}, {"n_layers": 2}, {"n_layers": 0}])
def test_a_bin_drawn_at_once_is_the_bin_drawn_one_unit_after_the_other(tiny, rate, changes):
    model = tiny.model("hazard", 3, N_UNITS, noise=0.6, rate=rate, **changes)
    generator = torch.Generator().manual_seed(0)
    like = {"generator": generator, "dtype": torch.float64}
    base = torch.randn(N_ROWS, N_UNITS, **like) + torch.log(torch.tensor(rate))
    with torch.inference_mode():
        found = []
        for draw in (lambda *given: draw_bin(model.session, model.decoder, *given), lambda *g: one_by_one(model, *g)):
            generator.manual_seed(1)
            state = torch.randn(N_ROWS, 8, **like)
            hidden, cache = model.decoder.begin(state, n_tokens=2)  # the cache has to grow
            results = []
            for bin_ in range(3):
                state = torch.randn(N_ROWS, 8, **like)
                results.append(draw(bin_, base, state, hidden, cache, torch.rand(N_ROWS, 2 * N_UNITS, **like)))
            found.append((results, hidden, cache))
    (at_once, hidden, cache), (one_at_a_time, expected_hidden, expected_cache) = found
    for (counts, decided), (expected_counts, expected_decided) in zip(at_once, one_at_a_time, strict=True):
        assert torch.equal(counts, expected_counts)
        torch.testing.assert_close(decided, expected_decided, rtol=0, atol=1e-12)
    torch.testing.assert_close(hidden, expected_hidden, rtol=0, atol=1e-12)
    assert torch.equal(cache.length, expected_cache.length)
    for length, *pairs in zip(cache.length.max()[None], cache.keys, expected_cache.keys, strict=False):
        torch.testing.assert_close(pairs[0][:, :, :length], pairs[1][:, :, :length], rtol=0, atol=1e-12)
    drawn = torch.stack([counts for counts, _ in at_once])
    assert 0.02 < float((drawn > 0).double().mean()) < 0.98
    assert float(drawn.max()) > 1


def test_units_change_each_other_in_these_bins(tiny):
    """The test above would say nothing where the first guess is right."""
    model = tiny.model("hazard", 3, N_UNITS, noise=0.6, rate=0.8)
    uniform = torch.rand(N_ROWS, 2 * N_UNITS, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    base = torch.zeros(N_ROWS, N_UNITS, dtype=torch.float64)
    with torch.inference_mode():
        state = torch.zeros(N_ROWS, 8, dtype=torch.float64)
        hidden, cache = model.decoder.begin(state)
        first = base + hidden @ model.session.embedding.T
        _, decided = draw_bin(model.session, model.decoder, 0, base, state, hidden.clone(), cache, uniform)
        fires = uniform[:, :N_UNITS].log() < fired_log_probability(first)
        in_the_end = uniform[:, :N_UNITS].log() < fired_log_probability(decided)
    assert (fires != in_the_end).double().mean() > 0.05
