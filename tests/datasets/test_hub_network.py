"""The hub network: its truth keeps the rules it states, and its spikes show that truth."""

import numpy as np
import pytest

from skneuro.data import SpikeTrains, TimeSeries
from skneuro.datasets import make_hub_network


@pytest.fixture(scope="module")
def easy():
    return make_hub_network(n_units=40, duration=100.0, random_state=0)


@pytest.fixture(scope="module")
def large():
    return make_hub_network(n_units=80, duration=1.0, random_state=3)


def _correlogram(spikes, target, source, lags):
    """Spikes of the target at each lag (ms) after those of the source, relative to chance."""
    n_bins = round(spikes.duration[0] * 1000)
    trains = np.zeros((2, n_bins))
    for row, unit in enumerate((target, source)):
        trains[row, (spikes.trial(0)[unit] * 1000).astype(int)] = 1
    chance = trains[0].sum() * trains[1].sum() / n_bins
    return np.array([np.sum(trains[0, lag:] * trains[1, : n_bins - lag]) for lag in lags]) / chance


def test_the_recording_is_one_continuous_trial(easy):
    assert isinstance(easy.spikes, SpikeTrains)
    assert easy.spikes.shape == (1, 40)
    assert easy.spikes.t_start[0] == 0.0 and easy.spikes.t_stop[0] == 100.0
    assert easy.stimuli is None and easy.shared_input is None


def test_the_same_seed_gives_the_same_data():
    first, again, other = (make_hub_network(10, 3.0, random_state=seed) for seed in (4, 4, 5))
    assert np.array_equal(first.spikes.times, again.spikes.times)
    assert np.array_equal(first.weights, again.weights)
    assert not np.array_equal(first.weights, other.weights)


@pytest.mark.parametrize("level", ["easy", "medium", "stimulus"])
def test_a_longer_recording_continues_a_shorter_one(level):
    short, long = (make_hub_network(8, duration, level, random_state=1) for duration in (1.3, 3.0))
    n = short.spikes.n_spikes
    assert n > 0
    assert np.array_equal(short.spikes.times, long.spikes.times[:n])
    assert np.all(long.spikes.times[n:] >= 1.3)


@pytest.mark.parametrize(
    "faults", [{"n_split": 2}, {"rate_drift": 1.0, "n_merged": 2, "n_split": 2}, {"dead_time": 1e-3, "n_split": 1}]
)
def test_a_longer_recording_with_faults_continues_a_shorter_one(faults):
    short, long = (make_hub_network(10, duration, random_state=1, **faults) for duration in (1.3, 3.5))
    n = short.spikes.n_spikes
    assert np.array_equal(short.spikes.times, long.spikes.times[:n])
    assert np.array_equal(short.spikes.units, long.spikes.units[:n])
    np.testing.assert_array_equal(short.weights, long.weights)


def test_every_kind_of_random_state_is_taken_and_the_global_one_left_alone():
    np.random.seed(0)  # noqa: NPY002 the point is that this state stays as it is
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    make_hub_network(5, 0.5, random_state=None)
    make_hub_network(5, 0.5, random_state=np.random.RandomState(1))
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    seeded = make_hub_network(5, 0.5, random_state=np.random.default_rng(2))
    assert np.array_equal(seeded.spikes.times, make_hub_network(5, 0.5, random_state=2).spikes.times)


def test_each_cell_has_one_sign(large):
    for source in range(80):
        signs = np.sign(large.weights[:, source])
        expected = -1 if large.unit_types[source] == "inhibitory" else 1
        assert set(signs) <= {0, expected}
    assert np.all(np.diag(large.weights) == 0)


def test_hubs_project_to_more_cells_than_all_others(large):
    out_degree = (large.weights != 0).sum(axis=0)
    others = np.setdiff1d(np.arange(80), large.hubs)
    assert len(large.hubs) == 6  # 7.5 %
    assert out_degree[large.hubs].min() > out_degree[others].max()
    assert np.mean(out_degree[large.hubs]) == pytest.approx(0.45 * 79, rel=0.2)
    assert np.mean(out_degree[others]) == pytest.approx(0.05 * 79, rel=0.2)


def test_a_fifth_of_the_cells_and_one_hub_are_inhibitory(large):
    assert (large.unit_types == "inhibitory").sum() == 16
    assert (large.unit_types[large.hubs] == "inhibitory").sum() == 1


def test_weights_have_the_stated_distribution(large):
    excitatory, inhibitory = large.weights[large.weights > 0], -large.weights[large.weights < 0]
    assert np.median(excitatory) == pytest.approx(1.3, rel=0.15)
    assert np.std(np.log(excitatory)) == pytest.approx(0.6, rel=0.15)
    assert np.median(inhibitory) == pytest.approx(3 * 1.3, rel=0.3)
    assert excitatory.max() <= 6 * 1.3


def test_delays_are_given_for_synapses_only(large):
    assert np.array_equal(np.isnan(large.delays), large.weights == 0)
    delays = large.delays[~np.isnan(large.delays)]
    assert delays.min() >= 1e-3 - 1e-12 and delays.max() <= 5e-3 + 1e-12
    assert len(np.unique(np.round(delays, 6))) == 9  # 1 to 5 ms in steps of 0.5


def test_units_fire_at_2_5_to_9_hz(easy):
    rates = np.bincount(easy.spikes.units, minlength=40) / 100.0
    assert rates.min() > 2.5 and rates.max() < 9.0
    assert np.abs(np.log(rates / easy.target_rates)).max() < 0.3


def test_no_unit_fires_in_its_refractory_period(easy):
    for times in easy.spikes.trial(0):
        assert np.diff(times).min() >= 3e-3 - 1e-9


def test_unit_info_tells_what_the_truth_tells(easy):
    info = easy.spikes.unit_info
    assert info["type"].tolist() == easy.unit_types.tolist()
    assert np.array_equal(np.flatnonzero(info["hub"]), easy.hubs)
    assert np.array_equal(info["target_rate"], easy.target_rates)


def test_a_synapse_acts_after_its_delay_and_not_before(easy):
    reciprocal = (easy.weights != 0) & (easy.weights.T != 0)
    strong = np.where(reciprocal, 0.0, easy.weights)
    pairs = np.column_stack(np.unravel_index(np.argsort(strong, axis=None)[-25:], strong.shape))
    before, after = [], []
    for target, source in pairs:
        delay = easy.delays[target, source] * 1000
        before.append(_correlogram(easy.spikes, target, source, range(1, int(delay))).sum() / max(int(delay) - 1, 1))
        after.append(_correlogram(easy.spikes, target, source, range(int(delay) + 1, int(delay) + 6)).mean())
    long_delay = easy.delays[tuple(pairs.T)] >= 3e-3
    assert np.mean(after) > 2.0
    assert np.mean(np.array(before)[long_delay]) < 1.3


def test_lagged_correlation_finds_the_synapses(easy):
    from sklearn.metrics import roc_auc_score

    n_bins = 100_000
    trains = np.zeros((n_bins, 40), dtype=np.float32)
    trains[(easy.spikes.times * 1000).astype(int), easy.spikes.units] = 1
    chance = np.outer(trains.sum(axis=0), trains.sum(axis=0)) / n_bins
    z = np.stack([(trains[lag:].T @ trains[:-lag] - chance) / np.sqrt(chance) for lag in range(1, 11)])
    smooth = np.abs(z[:-2] + z[1:-1] + z[2:]).max(axis=0)
    off_diagonal = ~np.eye(40, dtype=bool)
    assert roc_auc_score((easy.weights != 0)[off_diagonal], smooth[off_diagonal]) > 0.8


def test_shared_input_is_hidden_on_medium_and_cells_are_missing_on_hard():
    medium = make_hub_network(16, 2.0, "medium", random_state=0)
    assert medium.stimuli is None and medium.shared_input.shape == (1, 2)
    assert medium.hidden_weights.shape == (16, 0)
    hard = make_hub_network(16, 2.0, "hard", random_state=0)
    assert hard.stimuli is None and hard.spikes.shape == (1, 16)
    assert hard.hidden_weights.shape == (16, 5)  # 26 for 80
    assert hard.loadings.shape == (16, 2)


def test_the_stimulus_is_on_its_own_clock_and_drives_the_units():
    data = make_hub_network(20, 60.0, "stimulus", random_state=0)
    assert isinstance(data.stimuli, TimeSeries)
    assert np.allclose(np.diff(data.stimuli.timestamps), 1 / 60)
    assert data.stimuli.timestamps[-1] == pytest.approx(60.0 - 1 / 60)
    counts = data.spikes.to_counts(1 / 60)[0]
    drive = data.stimuli.values @ data.loadings.T
    driven = np.argmax(np.linalg.norm(data.loadings, axis=1))
    same = np.corrcoef(drive[:-1, driven], counts[1:, driven])[0, 1]
    shifted = np.corrcoef(np.roll(drive[:, driven], 1800), counts[:, driven])[0, 1]
    assert same > 0.2 and abs(shifted) < 0.05


def test_a_repeated_stimulus_gives_repeatable_responses():
    data = make_hub_network(12, 60.0, "stimulus", random_state=0, stimulus_period=2.0)
    frames = data.stimuli.values.reshape(30, 120, 2)
    assert np.all(frames == frames[0])
    trials = data.spikes.cut(2.0)
    assert len(trials) == 30
    counts = trials.to_counts(0.05).sum(axis=2)  # (trials, bins), the population
    odd, even = counts[::2].mean(axis=0), counts[1::2].mean(axis=0)
    assert np.corrcoef(odd, even)[0, 1] > 0.5


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"n_units": 1}, "'n_units' parameter of make_hub_network must be an int in the range"),
        ({"duration": 0.0}, "'duration' parameter of make_hub_network must be a float in the range"),
        ({"level": "harder"}, "'level' parameter of make_hub_network must be a str among"),
        ({"random_state": "seed"}, "'random_state' parameter of make_hub_network"),
        ({"stimulus_period": 2.0}, "needs level='stimulus'"),
        ({"stimulus_period": 0.001, "level": "stimulus"}, "multiple of 1/60 s"),
    ],
)
def test_a_parameter_out_of_range_is_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        make_hub_network(**{"n_units": 5, "duration": 1.0, **parameters})


def test_fewer_cells_are_seen_but_each_keeps_its_number_of_inputs():
    data = make_hub_network(20, 0.1, random_state=0, observed_fraction=0.25)
    assert data.spikes.shape == (1, 20)
    assert data.hidden_weights.shape == (20, 60)
    inputs = ((data.weights != 0).sum(axis=1) + (data.hidden_weights != 0).sum(axis=1)).mean()
    assert inputs == pytest.approx(20 * (0.925 * 0.05 + 0.075 * 0.45), rel=0.5)


def test_merged_units_hold_the_spikes_of_both_cells():
    data = make_hub_network(20, 20.0, random_state=0, n_merged=6)
    rates = np.bincount(data.spikes.units, minlength=20) / 20.0
    assert (data.target_rates > 2 * 3.0).sum() >= 6
    assert np.corrcoef(rates, data.target_rates)[0, 1] > 0.9
    assert np.isfinite(data.weights).all() and data.weights.shape == (20, 20)


def test_split_units_share_a_cell_and_what_they_do_to_each_other_is_unknown():
    data = make_hub_network(20, 20.0, random_state=0, n_split=3)
    pairs = np.argwhere(np.isnan(data.weights))
    assert len(pairs) == 6
    for a, b in pairs:
        others = np.setdiff1d(np.arange(20), [a, b])
        np.testing.assert_array_equal(data.weights[a, others], data.weights[b, others])
        np.testing.assert_array_equal(data.weights[others, a], data.weights[others, b])
        together = np.sort(np.concatenate([data.spikes.trial(0)[a], data.spikes.trial(0)[b]]))
        assert np.diff(together).min() >= 3e-3 - 1e-9  # the refractory period of one cell


def test_no_spike_is_detected_within_the_dead_time_of_another():
    data = make_hub_network(20, 20.0, random_state=0, dead_time=1e-3)
    assert np.diff(np.sort(data.spikes.times)).min() > 1e-3
    assert data.spikes.n_spikes < make_hub_network(20, 20.0, random_state=0).spikes.n_spikes


def test_rates_wander_with_drift():
    still, drifting = (make_hub_network(10, 60.0, random_state=1, rate_drift=mv) for mv in (0.0, 4.0))
    counts = [data.spikes.to_counts(10.0)[0] for data in (still, drifting)]
    fano = [np.median(c.var(axis=0) / c.mean(axis=0)) for c in counts]
    assert fano[1] > 2 * fano[0]


def test_without_dales_law_a_cell_has_synapses_of_both_signs():
    data = make_hub_network(60, 0.1, random_state=0, dale=False)
    hub = data.weights[:, data.hubs]
    assert ((hub > 0).any(axis=0) & (hub < 0).any(axis=0)).all()


def test_more_faults_than_units_are_refused():
    with pytest.raises(ValueError, match="must not exceed 'n_units', 10"):
        make_hub_network(10, 1.0, n_merged=5, n_split=3)
    with pytest.raises(ValueError, match="'observed_fraction' parameter of make_hub_network"):
        make_hub_network(10, 1.0, observed_fraction=0.0)
