"""Intervals, Fano factors and autocorrelations of processes for which they are known."""

import numpy as np
import pytest

from skneuro.data import SpikeTrains
from skneuro.metrics import autocorrelation, fano_factors, interval_table


def gamma_trains(shape, rate, n, seed=0):
    times = np.cumsum(np.random.default_rng(seed).gamma(shape, 1.0 / (shape * rate), n))
    return SpikeTrains.from_lists([[times]], 0.0, float(times[-1]) + 1.0)


def test_intervals_of_a_renewal_process_have_its_mean_and_spread():
    row = interval_table(gamma_trains(4.0, 20.0, 20_000)).iloc[0]
    assert row["mean"] == pytest.approx(0.05, rel=0.02)
    assert row["cv"] == pytest.approx(0.5, rel=0.03)


def test_intervals_do_not_cross_trials_units_or_gaps():
    spikes = SpikeTrains.from_lists(
        [[[0.1, 0.2, 0.7, 0.9], [0.15]], [[0.3], [0.31, 0.32]]], 0.0, 1.0, observed=[[0.0, 0.5], [0.6, 1.0]]
    )
    table = interval_table(spikes, short=0.05)
    assert table["n"].tolist() == [2, 1]
    np.testing.assert_allclose(table["mean"], [0.15, 0.01])
    np.testing.assert_allclose(table["short_share"], [0.0, 1.0])


def test_a_gap_of_one_unit_parts_only_its_own_intervals():
    observed = {"a": [[0.0, 0.4], [0.6, 1.0]], "b": [[0.0, 1.0]]}
    spikes = SpikeTrains.from_lists([[[0.3, 0.7], [0.3, 0.7]]], 0.0, 1.0, unit_ids=["a", "b"], observed=observed)
    assert interval_table(spikes)["n"].to_dict() == {"a": 0, "b": 1}


def test_in_bins_intervals_are_whole_bins_and_spikes_of_one_bin_are_together():
    spikes = SpikeTrains.from_lists([[[0.011, 0.019, 0.041]]], 0.0, 0.1)
    table = interval_table(spikes, bin_width=0.02)
    assert table["mean"].item() == pytest.approx(0.02) and table["short_share"].item() == 0.5


def test_the_first_interval_of_each_short_kind_is_counted_against_a_loop():
    rng = np.random.default_rng(1)
    trials = [[np.sort(rng.uniform(0, 1, rng.integers(0, 60))) for _ in range(3)] for _ in range(4)]
    table = interval_table(SpikeTrains.from_lists(trials, 0.0, 1.0))
    for unit in range(3):
        intervals = np.concatenate([np.diff(trial[unit]) for trial in trials])
        row = table.iloc[unit]
        assert row["n"] == len(intervals)
        assert row["mean"] == pytest.approx(intervals.mean())
        assert row["sd"] == pytest.approx(intervals.std(ddof=1))
        assert row["short_share"] == pytest.approx((intervals < 0.003).mean())


def test_fano_of_a_poisson_process_is_one_whatever_the_stimulus_does():
    rng = np.random.default_rng(2)
    rate = np.repeat(rng.gamma(2.0, 2.0, (3, 100, 1)), 40, axis=0)
    spikes = SpikeTrains.from_counts(rng.poisson(rate, (120, 100, 2)), 0.1)
    stimulus = np.repeat([0, 1, 2], 40)
    np.testing.assert_allclose(fano_factors(spikes, 0.1, stimulus), 1.0, atol=0.03)
    assert (fano_factors(spikes, 0.1) > 2).all()


def test_fano_of_a_regular_process_is_the_square_of_its_cv_in_long_windows():
    assert fano_factors(gamma_trains(4.0, 20.0, 40_000), 5.0)[0] == pytest.approx(0.25, abs=0.05)


def test_autocorrelation_of_a_moving_average_is_the_textbooks():
    x = np.random.default_rng(3).poisson(1.0, 40_002)
    spikes = SpikeTrains.from_counts((x[2:] + x[1:-1] + x[:-2])[:, None], 0.1)
    np.testing.assert_allclose(autocorrelation(spikes, 0.1, 4)[0], [2 / 3, 1 / 3, 0, 0], atol=0.02)


def test_autocorrelation_does_not_pair_bins_of_two_trials():
    counts = np.zeros((400, 3, 1), dtype=int)
    counts[:, 0], counts[:, 2] = 1, 1  # the last bin of a trial and the first of the next always fire
    result = autocorrelation(SpikeTrains.from_counts(counts, 0.1), 0.1, 3)[0]
    assert result[0] < 0 and np.isnan(result[2])


def test_silent_units_have_no_number():
    spikes = SpikeTrains.from_lists([[[], [0.1]]], 0.0, 1.0)
    assert interval_table(spikes)["mean"].isna().all()
    assert np.isnan(fano_factors(spikes, 0.5)[0]) and np.isnan(autocorrelation(spikes, 0.1, 2)[0]).all()


def test_wrong_arguments_are_refused():
    spikes = SpikeTrains.from_lists([[[0.1, 0.2]], [[0.3]]], 0.0, 1.0)
    with pytest.raises(ValueError, match="short must be a positive number"):
        interval_table(spikes, short=-1)
    with pytest.raises(ValueError, match="bin_width must be a positive"):
        interval_table(spikes, bin_width=0)
    with pytest.raises(ValueError, match="n_lags"):
        autocorrelation(spikes, 0.1, 0)
    with pytest.raises(ValueError, match="repeated"):
        fano_factors(spikes, 0.5, [0, 1])
    with pytest.raises(ValueError, match="one entry for each of 2 trials"):
        fano_factors(spikes, 0.5, [0])


def test_a_window_longer_than_the_trials_is_named():
    spikes = SpikeTrains.from_lists([[[0.1]], [[0.3]]], 0.0, 0.4)
    for ids in (None, [0, 0]):
        with pytest.raises(ValueError, match="window of 0.5 s is longer"):
            fano_factors(spikes, 0.5, ids)
    with pytest.raises(ValueError, match="at least two windows"):
        fano_factors(spikes[:1], 0.4)
