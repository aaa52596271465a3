"""Facts about the count of one cell: Poisson where nothing was learned, a distribution whatever was learned."""

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from skneuro.nn import counts


def log_odds(rate, k):
    rate, k = (torch.tensor([value], dtype=torch.float64) for value in (rate, k))
    return float(counts.poisson_repeat_log_odds(rate.log(), k))


@settings(max_examples=60, deadline=None)
@given(rate=st.floats(1e-4, 300.0), k=st.integers(1, 60))
def test_repeats_start_at_poissons_odds(rate, k):
    expected = stats.poisson.logsf(k, rate) - stats.poisson.logpmf(k, rate)
    assume(np.isfinite(expected))  # scipy's tail ends at 1e-308
    assert log_odds(rate, k) == pytest.approx(expected, rel=1e-8, abs=1e-8)


def test_counts_far_above_the_rate_stay_improbable():
    """Where a probability is too small for a float, the odds of one more spike are still about rate / (k + 1)."""
    for rate in (0.01, 1.0, 7.0, 9.0, 40.0):
        for k in (300, 1000, 5000):
            assert log_odds(rate, k) == pytest.approx(np.log(rate / (k + 1)), abs=0.2)


def test_a_device_that_is_not_asked_gives_the_same_odds(monkeypatch):
    log_rate = torch.linspace(-8.0, 5.7, 60, dtype=torch.float64).repeat(20)
    k = torch.arange(1, 21, dtype=torch.float64).repeat_interleave(60)
    asked = counts.poisson_repeat_log_odds(log_rate, k)
    monkeypatch.setattr(counts, "at_hand", lambda values: False)
    torch.testing.assert_close(counts.poisson_repeat_log_odds(log_rate, k), asked, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("rate", [0.01, 0.5, 7.9, 8.1, 60.0])
def test_the_slope_of_the_odds_is_that_of_finite_differences(rate):
    x = torch.tensor([np.log(rate)] * 3, dtype=torch.float64, requires_grad=True)
    k = torch.tensor([1.0, 3.0, 12.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: counts.poisson_repeat_log_odds(x, k), (x,), atol=1e-6)


def pmf(log_rate, shift, table, n=200):
    """Probabilities of 0 .. n - 1 spikes in a cell, from its odds."""
    rate = torch.full((n,), float(log_rate), dtype=torch.float64)
    k = torch.arange(1, n + 1)
    shifts = shift + counts.table_shift(table, torch.zeros(n, dtype=torch.long), k)
    again = torch.sigmoid(counts.counted_repeat_log_odds(rate, k.double(), shifts, table.shape[1]))
    alive = torch.cat([torch.ones(1, dtype=torch.float64), again.cumprod(0)[:-1]])
    fired = counts.fired_log_probability(rate[:1]).exp()
    return torch.cat([counts.silent_log_probability(rate[:1]).exp(), (fired * alive * (1 - again))[:-1]]).numpy()


def test_a_cell_without_shifts_is_poisson():
    table = torch.zeros(1, 200, dtype=torch.float64)
    for rate in (0.01, 0.7, 3.0, 20.0):
        np.testing.assert_allclose(
            pmf(np.log(rate), 0.0, table), stats.poisson.pmf(np.arange(200), rate), rtol=1e-8, atol=1e-14
        )


cell = st.tuples(st.floats(-4, 1), st.floats(-2, 2), st.lists(st.floats(-1, 1), min_size=1, max_size=3))


@settings(max_examples=40, deadline=None)
@given(cell=cell)
def test_a_cell_with_any_shifts_is_a_distribution(cell):
    log_rate, shift, row = cell
    p = pmf(log_rate, shift, torch.tensor([row], dtype=torch.float64))
    assert (p >= 0).all()
    assert p.sum() == pytest.approx(1.0, abs=1e-10)


@settings(max_examples=40, deadline=None)
@given(log_rate=st.floats(-14, 3), shift=st.floats(-20, 20))
def test_a_shift_makes_bursts_and_never_endless_ones(log_rate, shift):
    """However large: above 5 it lifts the odds to even at most."""
    table = torch.tensor([[0.0]], dtype=torch.float64)
    for k in (1, 2, 7):
        plain = log_odds(np.exp(log_rate), k)
        given_ = torch.tensor([log_rate], dtype=torch.float64), torch.tensor([float(k)], dtype=torch.float64)
        shifted = float(counts.repeat_log_odds(*given_, torch.tensor([shift], dtype=torch.float64)))
        assert shifted <= max(plain + 5.0, 0.0) + 1e-9
        assert shifted == pytest.approx(min(plain + max(shift, -5.0), max(plain + 5.0, 0.0)), abs=1e-9)
    assert pmf(log_rate, shift, table, 4000).sum() == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("shift", [-1.0, 2.0, 9.0])
def test_counts_beyond_the_table_get_rarer_by_a_constant_factor(shift, monkeypatch):
    """Where the last column's odds are below one in two; above, they fall as Poisson's do until they are that."""
    table = torch.tensor([[0.3, 0.1, -0.2]], dtype=torch.float64)
    for rate in (0.02, 2.0):
        p = pmf(np.log(rate), shift, table, 400)
        k = torch.arange(1.0, 40.0, dtype=torch.float64)
        given_ = torch.full_like(k, np.log(rate)), k, torch.full_like(k, shift - 0.2)
        odds = counts.counted_repeat_log_odds(*given_, 3)
        plain = counts.repeat_log_odds(*given_)
        torch.testing.assert_close(odds[:3], plain[:3], rtol=0, atol=0)
        floor = plain[2].clamp_max(np.log(0.5))
        torch.testing.assert_close(odds[3:], torch.maximum(plain[3:], floor), rtol=1e-12, atol=1e-12)
        assert p.sum() == pytest.approx(1.0, abs=1e-6)
        monkeypatch.setattr(counts, "at_hand", lambda values: False)
        torch.testing.assert_close(counts.counted_repeat_log_odds(*given_, 3), odds, rtol=1e-12, atol=1e-12)
        monkeypatch.undo()


@settings(max_examples=12, deadline=None)
@given(cell=cell)
def test_the_expected_count_is_the_mean_of_the_distribution(cell):
    log_rate, shift, row = cell
    table = torch.tensor([row], dtype=torch.float64)
    one = torch.ones(1, 1, dtype=torch.float64)
    expected = counts.expected_count(log_rate * one, shift * one, table, 80)
    p = pmf(log_rate, shift, table, 80)
    assert float(expected) == pytest.approx((np.arange(80) * p).sum(), rel=1e-9)


def test_draws_have_the_distribution():
    rng = np.random.default_rng(0)
    n = 20_000
    table = torch.tensor([[0.5, -0.3], [-1.0, 0.2]], dtype=torch.float64)
    for unit in (0, 1):
        p = pmf(-0.4, 0.3, table[unit : unit + 1])[1:]
        full = [torch.full((n,), value, dtype=torch.float64) for value in (-0.4, 0.3)]
        units = torch.full((n,), unit)
        drawn = counts.draw_repeats(*full, table, units, torch.from_numpy(rng.random(n))).numpy()
        seen = np.bincount(drawn, minlength=8)[1:8]
        expected = n * p[:7] / p.sum()
        assert stats.chisquare(seen, expected * seen.sum() / expected.sum()).pvalue > 1e-3


@pytest.mark.parametrize("temperature", [0.2, 0.5, 3.0])
def test_a_temperature_divides_the_log_odds_of_firing(temperature):
    a = torch.linspace(-5, 1.5, 14, dtype=torch.float64)
    p = 1 - torch.exp(-torch.exp(a))
    found = counts.drawn_fired_log_probability(a, temperature).exp()
    expected = p ** (1 / temperature) / (p ** (1 / temperature) + (1 - p) ** (1 / temperature))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_top_p_leaves_out_what_the_likelier_answer_makes_up_for():
    a = torch.tensor([0.1, 0.3, 0.45, 0.55, 0.7, 0.9], dtype=torch.float64).neg().log1p().neg().log()
    found = counts.drawn_fired_log_probability(a, 1.0, 0.65).exp()
    torch.testing.assert_close(found, torch.tensor([0.0, 0.0, 0.45, 0.55, 1.0, 1.0], dtype=torch.float64))
    assert (counts.drawn_fired_log_probability(a, 1.0, 1e-9).exp() == (a > a[2])).all()
    assert torch.equal(counts.drawn_fired_log_probability(a), counts.fired_log_probability(a))


def test_the_hotter_the_more_spikes_and_top_p_takes_the_likelier_choice():
    n = 2000
    uniform = torch.from_numpy(np.random.default_rng(0).random(n))
    shift, units = torch.zeros(n, dtype=torch.float64), torch.zeros(n, dtype=torch.long)
    table = torch.zeros(1, 1, dtype=torch.float64)
    rare, often = torch.full((n,), -2.0, dtype=torch.float64), torch.full((n,), 1.5, dtype=torch.float64)
    draws = [counts.draw_repeats(rare, shift, table, units, uniform, t).double().mean() for t in (0.3, 1.0, 3.0)]
    assert draws[0] < draws[1] < draws[2]
    for top_p in (0.5, 0.1, 1e-6):
        assert (counts.draw_repeats(rare, shift, table, units, uniform, 1.0, top_p) == 1).all()
        greedy = counts.draw_repeats(often, shift, table, units, uniform, 1.0, top_p)
        assert (greedy == _greedy_count(np.exp(1.5))).all()


def _greedy_count(rate):
    """Spikes until none is likelier than one more: P(N > k | N >= k) < 1/2."""
    k = np.arange(1, 30)
    again = stats.poisson.sf(k, rate) / stats.poisson.sf(k - 1, rate)
    return int(k[again < 0.5][0])


def test_silence_and_firing_are_complements_at_every_intensity():
    x = torch.linspace(-30, 10, 81, dtype=torch.float64, requires_grad=True)
    silent, fired = counts.silent_log_probability(x), counts.fired_log_probability(x)
    np.testing.assert_allclose((silent.exp() + fired.exp()).detach(), 1.0, atol=1e-12)
    (silent.sum() + fired.sum()).backward()
    assert bool(torch.isfinite(x.grad).all())


@settings(max_examples=60, deadline=None)
@given(rate=st.floats(1e-6, 300.0), n=st.integers(1, 60))
def test_the_table_of_odds_holds_the_single_ones(rate, n):
    x = torch.tensor([rate, 0.3], dtype=torch.float64).log()
    table = counts.poisson_repeat_table(x, n)
    for k in (1, n // 2 + 1, n):
        single = counts.poisson_repeat_log_odds(x, torch.full((2,), float(k), dtype=torch.float64))
        torch.testing.assert_close(table[k - 1], single, rtol=1e-8, atol=1e-8)
