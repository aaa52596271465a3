"""Unique contributions, on populations whose truth is known: who is driven by what, and by nothing."""

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GroupKFold

from skneuro import Modalities, NeuroformerEstimator, Recording, SpikeTrains, TimeSeries, Video
from skneuro.baselines import CoupledGLM
from skneuro.data import Covariates, Events, Pulses
from skneuro.datasets import make_stimulus_driven_population
from skneuro.metrics import modality_contribution
from skneuro.metrics._global_state import as_series, latent_factors, population_rate
from skneuro.metrics._moved import _moved_events, _moved_pulses, moved

pytestmark = pytest.mark.filterwarnings("ignore::pandas.errors.PerformanceWarning")  # a sorted index is not needed

WIDTH = 0.1
N_SHIFTS = 9
SURE = 1 / (N_SHIFTS + 1)  # the smallest p value
MODEL = CoupledGLM(bin_width=WIDTH, history=0, stimulus_history=0, n_basis=1, coupling=False, alphas=30.0)


def series(values):
    return TimeSeries.from_lists(list(values), rate=1 / WIDTH)


def slow(rng, shape, tau=8):
    """Noise of variance 1 that forgets in `tau` bins, through all trials, (trials, bins)."""
    steps = rng.normal(size=int(np.prod(shape)))
    out = np.empty_like(steps)
    out[0] = steps[0]
    decay = np.exp(-1 / tau)
    for k in range(1, len(steps)):
        out[k] = decay * out[k - 1] + np.sqrt(1 - decay**2) * steps[k]
    return out.reshape(shape)


@pytest.fixture(scope="module")
def driven():
    """Unit "a" follows the speed, "b" the pupil, "none" nothing; "twin" is the pupil again with a little noise."""
    rng = np.random.default_rng(2)
    speed, pupil, noise = (slow(rng, (12, 60)) for _ in range(3))
    twin = pupil + 0.05 * rng.normal(size=pupil.shape)
    rate = np.exp(np.stack([0.8 * speed, 0.8 * pupil, 0 * noise], axis=2)) * 0.8
    spikes = SpikeTrains.from_counts(rng.poisson(rate), WIDTH, unit_ids=["a", "b", "none"])
    return spikes, {"speed": series(speed), "pupil": series(pupil), "noise": series(noise), "twin": series(twin)}


def table_of(spikes, modalities, model=MODEL, **settings):
    settings = {"cv": 3, "n_shifts": N_SHIFTS, "random_state": 0} | settings
    found = modality_contribution(model, spikes, modalities, **settings)
    return found.set_index(["modality", "kind", "unit"])


def test_each_unit_is_told_of_by_what_drives_it_and_by_nothing_else(driven):
    spikes, known = driven
    table = table_of(spikes, Modalities(**{name: known[name] for name in ("speed", "pupil", "noise")}))
    for modality, unit in (("speed", "a"), ("pupil", "b")):
        for kind in ("drop one", "only one"):
            row = table.loc[modality, kind, unit]
            assert row["bits_per_spike"] > 0.15 and row["p_value"] == SURE
            assert abs(row["null_mean"]) < 0.1 * row["bits_per_spike"]
    within = abs(table["bits_per_spike"] - table["null_mean"]) < 4 * table["null_sd"]
    for modality, units in {"speed": ["b", "none"], "pupil": ["a", "none"], "noise": ["a", "b", "none", "all"]}.items():
        assert all(within.loc[modality, :, unit].all() for unit in units)
    n_spikes = table["n_spikes"].loc["speed", "drop one"]
    assert n_spikes[["a", "b", "none"]].tolist() == spikes.bin(WIDTH).unit_counts().tolist()
    together = table["bits_per_spike"].loc["speed", "drop one"]
    assert together["all"] == pytest.approx((together * n_spikes)[["a", "b", "none"]].sum() / n_spikes["all"])


def test_what_two_modalities_share_is_unique_to_neither(driven):
    spikes, known = driven
    table = table_of(spikes, Modalities(pupil=known["pupil"], twin=known["twin"]), n_shifts=0)
    bits = table["bits_per_spike"].unstack("kind").loc[(slice(None), "b"), :]
    assert (bits["only one"] > 0.15).all()
    assert (bits["drop one"] < 0.1 * bits["only one"]).all()
    assert table[["null_mean", "null_sd", "p_value"]].isna().all(axis=None)


def test_contributions_are_differences_of_held_out_scores(driven):
    """By hand: the same folds, models and modalities, through `unit_score`."""
    spikes, known = driven
    both = Modalities(speed=known["speed"], pupil=known["pupil"])
    table = table_of(Recording(spikes, both), None, cv=[(np.arange(8), np.arange(8, 12))], n_shifts=0)
    halves = slice(0, 8), slice(8, 12)

    def bits(given):
        parts = [(spikes[rows], None if given is None else given[rows]) for rows in halves]
        return MODEL.fit(*parts[0]).unit_score(*parts[1])

    assert table["bits_per_spike"].loc["pupil", "drop one"][["a", "b", "none"]].tolist() == pytest.approx(
        (bits(both) - bits(Modalities(speed=known["speed"]))).tolist()
    )
    assert table["bits_per_spike"].loc["pupil", "only one"][["a", "b", "none"]].tolist() == pytest.approx(
        (bits(Modalities(pupil=known["pupil"])) - bits(None)).tolist()
    )


def test_a_video_drives_and_a_series_that_carries_nothing_stays_within_its_null():
    data = make_stimulus_driven_population(
        4, n_clips=30, n_repeats=2, clip_duration=1.0, frame_size=4, mean_rate=20.0, stimulus="white", random_state=0
    )
    nothing = series(slow(np.random.default_rng(1), (60, 10)))
    model = CoupledGLM(bin_width=0.05, history=0, stimulus_history=0.2, n_basis=3, coupling=False, alphas=100.0)
    table = table_of(
        data.spikes, Modalities(video=data.video, nothing=nothing), model, cv=GroupKFold(3), groups=data.groups
    )
    assert (table["p_value"].loc["video"] == SURE).all() and (table["bits_per_spike"].loc["video"] > 0.01).all()
    rows = table.loc["nothing"]
    assert (abs(rows["bits_per_spike"] - rows["null_mean"]) < 4 * rows["null_sd"]).all()
    assert (rows["p_value"] > SURE).mean() > 0.7


def test_slow_signals_that_drift_by_chance_are_within_their_null():
    """Rate and speed both drift and have nothing to do with each other; moved in a circle, speed explains as much."""
    folds = [(np.arange(k, 12, 2), np.arange(1 - k, 12, 2)) for k in range(2)]  # neighbours on both sides
    rows = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        drift, speed = slow(rng, (12, 60), tau=100), slow(rng, (12, 60), tau=100)
        spikes = SpikeTrains.from_counts(rng.poisson(np.exp(drift))[:, :, None], WIDTH)
        rows.append(table_of(spikes, series(speed), cv=folds).loc["stimulus", "only one", "all"])
    found = pd.DataFrame(rows)
    assert (found["bits_per_spike"] > 0.01).sum() >= 3  # what a test without a null would call effects
    assert (found["p_value"] == SURE).sum() <= 1


@pytest.mark.parametrize("control", ["population", "latents"])
def test_what_the_other_units_know_is_not_unique_to_behaviour(control):
    rng = np.random.default_rng(3)
    gain, light = slow(rng, (10, 60)), rng.normal(size=(10, 60))
    seen = np.zeros((10, 60, 8))
    seen[:, :, 7] = 0.7 * light
    rate = np.exp(0.7 * gain[:, :, None] + seen)
    spikes = SpikeTrains.from_counts(rng.poisson(rate), WIDTH)
    known = Modalities(pupil=series(gain + 0.5 * rng.normal(size=gain.shape)), light=series(light))
    free = table_of(spikes, known, cv=2, n_shifts=0)["bits_per_spike"]
    held = table_of(spikes, known, cv=2, n_shifts=0, control=control, n_latents=1)["bits_per_spike"]
    assert held["pupil", "drop one", "all"] < 0.35 * free["pupil", "drop one", "all"]
    assert held["light", "drop one", 7] > 0.8 * free["light", "drop one", 7] > 0.1
    assert held[control, "only one", "all"] > 0.1
    assert list(held.index.unique("unit")) == [*range(8), "all"]


def test_the_control_of_a_unit_does_not_hold_the_unit():
    counts = np.random.default_rng(0).poisson(2.0, (6, 30, 5))
    changed = counts.copy()
    changed[:, :, 2] += 7
    first, second = (SpikeTrains.from_counts(c, WIDTH).bin(WIDTH) for c in (counts, changed))
    assert np.array_equal(population_rate(first, 2)[:, 0], np.delete(counts, 2, axis=2).mean(2).ravel())
    assert np.array_equal(population_rate(first, 2), population_rate(second, 2))
    assert not np.array_equal(population_rate(first, 1), population_rate(second, 1))
    factors = [latent_factors(binned, 2, np.arange(4), 2) for binned in (first, second)]
    assert np.array_equal(*factors) and factors[0].shape == (180, 2)
    late = counts.copy()
    late[4:] = 0  # found in the first trials, computed in all
    other = latent_factors(SpikeTrains.from_counts(late, WIDTH).bin(WIDTH), 2, np.arange(4), 2)
    np.testing.assert_allclose(other[:120], factors[0][:120], atol=0.2)
    values = np.arange(180.0)[:, None]
    assert np.array_equal(as_series(values, first).on_bins(first), values)


def test_moved_series_keep_their_values_and_clock_and_leave_their_place():
    values = np.arange(100.0).reshape(10, 10)
    one = series(values)
    for seed in range(20):
        there = moved(one, 0.2, np.random.default_rng(seed))
        shift = int((there.values[0, 0] - 0) % 100)
        assert 20 <= shift <= 80
        assert np.array_equal(there.values[:, 0], (np.arange(100) + shift) % 100)
        assert np.array_equal(there.timestamps, one.timestamps)


def test_moved_videos_show_other_clips_or_other_frames():
    frames = np.arange(12 * 8.0).reshape(12, 8, 1, 1)
    rng = np.random.default_rng(0)
    distinct = moved(Video(frames, fps=10.0), 0.2, rng)
    assert (np.diff(distinct.index) % 12 == 1).all() and 3 <= (distinct.index[0] % 12) <= 9
    repeated = Video(frames, fps=10.0, index=np.repeat(np.arange(12), 2))
    exchanged = moved(repeated, 0.2, rng)
    assert np.array_equal(np.sort(exchanged.index), repeated.index) and (exchanged.index == repeated.index).mean() < 0.4
    single = moved(Video(frames[:1], fps=10.0, index=np.zeros(15, dtype=int)), 0.2, rng)
    starts = single.frames[:, 0, 0, 0]
    assert len(np.unique(starts)) > 2 and ((starts >= 2) & (starts <= 6)).all()
    assert np.array_equal(np.diff(single.frames[:, :, 0, 0], axis=1) % 8, np.ones((15, 7)))


def test_moved_events_and_covariates_are_those_that_were_there_elsewhere():
    """Three trials of 1, 2 and 3 s in one clock: an event at 0.5 s that is moved by half, 3 s, is in the third."""
    trials = [{"lick": [10.5]}, {"reward": [20.5], "lick": [21.9]}, {}]
    events = Events.from_lists(trials, [10.0, 20.0, 30.0], [11.0, 22.0, 33.0])
    half = _moved_events(events, 0.5)
    np.testing.assert_allclose(half.times, [30.5, 31.5, 32.9])
    assert half.ptr.tolist() == [0, 0, 0, 3] and [half.names[k] for k in half.labels] == ["lick", "reward", "lick"]
    for seed in range(5):
        there = moved(events, 0.1, np.random.default_rng(seed))
        assert np.array_equal(np.sort(there.labels), np.sort(events.labels)) and len(there) == 3
        assert np.isin(there.times, events.times).sum() == 0
    pulses = Pulses([10.5, 20.5, 21.9], [0.1, 0.2, 0.3], [0, 1, 3, 3], [10, 20, 30], [11, 22, 33], power=[1, 2, 3])
    half = _moved_pulses(pulses, 0.5)
    np.testing.assert_allclose(half.onset, [30.5, 31.5, 32.9])
    np.testing.assert_allclose([half.duration, half.power], [[0.1, 0.2, 0.3], [1, 2, 3]])
    assert moved(pulses, 0.1, np.random.default_rng(0)).ptr[-1] == 3
    rows = moved(Covariates({"contrast": np.arange(10.0)}), 0.2, np.random.default_rng(0)).values[:, 0]
    assert 2 <= rows[0] <= 8 and (np.diff(rows) % 10 == 1).all()
    with pytest.raises(TypeError, match="Got ndarray: leave it out"):
        moved(np.zeros(3), 0.1, np.random.default_rng(0))


def test_the_same_seed_gives_the_same_table_and_a_neuroformer_is_a_model_too(driven):
    spikes, known = driven
    model = NeuroformerEstimator(
        bin_width=WIDTH, window_bins=1, d_model=8, n_heads=2, max_epochs=1, gamma=0, mu=0.5, context=0, device="cpu"
    )
    settings = {"cv": [(np.arange(8), np.arange(8, 12))], "n_shifts": 1, "random_state": 3}
    first, second = (modality_contribution(model, spikes, known["speed"], **settings) for _ in range(2))
    pd.testing.assert_frame_equal(first, second)
    assert np.isfinite(first["bits_per_spike"]).all() and set(first["p_value"]) <= {0.5, 1.0}
    first, other = (modality_contribution(MODEL, spikes, known["speed"], n_shifts=1, random_state=k) for k in (3, 4))
    assert not np.array_equal(first["null_mean"], other["null_mean"])


def test_a_unit_that_is_silent_has_no_number(driven):
    counts = np.zeros((6, 20, 2), dtype=int)
    counts[:, ::3, 0] = 1
    table = table_of(SpikeTrains.from_counts(counts, WIDTH), series(np.random.default_rng(0).normal(size=(6, 20))))
    assert table["bits_per_spike"].loc[:, :, 1].isna().all() and table["p_value"].loc[:, :, 1].isna().all()
    assert table["bits_per_spike"].loc[:, :, "all"].notna().all()


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"estimator": "GLM"}, ValueError, "The 'estimator' parameter of modality_contribution must be"),
        ({"X": np.zeros((3, 4, 2))}, TypeError, "X must be SpikeTrains. Got ndarray"),
        ({"y": None}, ValueError, "needs at least one modality"),
        ({"y": np.zeros(12)}, TypeError, "y must be Modalities, a Video, a TimeSeries or Events. Got ndarray"),
        ({"control": "state"}, ValueError, "The 'control' parameter"),
        ({"control": "latents", "n_latents": 2}, ValueError, "needs at least 4 units.* Got 3"),
        ({"n_latents": 0}, ValueError, "'n_latents'"),
        ({"n_shifts": -1}, ValueError, "'n_shifts'"),
        ({"min_shift": -1.0}, ValueError, "'min_shift'"),
        ({"min_shift": 36.0}, ValueError, "below half of the 72 s of all trials. Got 36.0"),
        ({"random_state": "one"}, ValueError, "'random_state'"),
        ({"cv": 50}, ValueError, "n_splits=50"),
    ],
)
def test_bad_input_is_named(driven, changes, error, message):
    spikes, known = driven
    given = {"estimator": MODEL, "X": spikes, "y": known["speed"]} | changes
    with pytest.raises(error, match=message):
        modality_contribution(given.pop("estimator"), given.pop("X"), given.pop("y"), **given)


def test_modalities_that_do_not_fit_are_refused(driven):
    spikes, known = driven
    with pytest.raises(ValueError, match="given twice"):
        modality_contribution(MODEL, Recording(spikes, Modalities(a=known["speed"])), known["speed"])
    with pytest.raises(ValueError, match="have 11 trials, the spikes 12"):
        modality_contribution(MODEL, spikes, known["speed"][:11])
    with pytest.raises(ValueError, match="Got one: use spikes.cut"):
        modality_contribution(MODEL, spikes[:1], known["speed"][:1])
    with pytest.raises(ValueError, match="called 'population' already"):
        modality_contribution(MODEL, spikes, Modalities(population=known["speed"]), control="population")


def test_with_a_control_all_units_are_moved_alike(monkeypatch):
    """Shift k of "all" is the sum of what shift k does to each unit: it must be one and the same shift."""
    from skneuro.metrics import contribution

    seeds, of_one = [], contribution._gains

    def gains(*given):
        seeds.append(given[-2])
        return of_one(*given)

    monkeypatch.setattr(contribution, "_gains", gains)
    rng = np.random.default_rng(0)
    spikes = SpikeTrains.from_counts(rng.poisson(1.0, (6, 20, 3)), WIDTH)
    speed = Modalities(speed=series(rng.normal(size=(6, 20))))
    modality_contribution(MODEL, spikes, speed, control="population", cv=2, n_shifts=1, random_state=0)
    assert len(seeds) == 3 and len(set(seeds)) == 1
