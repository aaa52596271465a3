"""Facts about light in a fitted model: it tells of the units that it drives, later only, and not of the artefact."""

import numpy as np
import pytest

from skneuro.baselines import CoupledGLM
from skneuro.data import Modalities, Pulses, SpikeTrains

BIN, N_TRIALS, N_BINS = 0.05, 16, 30


@pytest.fixture(scope="module")
def lit():
    """Unit "a" is driven by each pulse, "b" silenced; pulses last one to three bins."""
    rng = np.random.default_rng(0)
    onset, length = rng.integers(3, 24, N_TRIALS), rng.integers(1, 4, N_TRIALS)
    on = (np.arange(N_BINS) >= onset[:, None]) & (np.arange(N_BINS) < (onset + length)[:, None])
    rate = np.stack([np.where(on, 3.0, 0.2), np.where(on, 0.02, 0.6)], axis=2)
    pulses = Pulses(onset * BIN, length * BIN, np.arange(N_TRIALS + 1), -0.2, N_BINS * BIN)
    return SpikeTrains.from_counts(rng.poisson(rate), BIN, unit_ids=["a", "b"]), pulses


def with_artefact(spikes, pulses, seed):
    """Up to three false spikes of every unit in the 20 ms after each pulse is switched on."""
    rng = np.random.default_rng(seed)
    rows = np.repeat(np.arange(N_TRIALS), np.diff(spikes.ptr))
    false = rng.integers(0, 4, (N_TRIALS, 2))
    trial = np.repeat(np.arange(N_TRIALS), false.sum(1))
    unit = np.concatenate([np.repeat([0, 1], n) for n in false])
    times = np.concatenate([spikes.times, pulses.onset[trial] + rng.uniform(0, 0.02, len(trial))])
    every, units = np.concatenate([rows, trial]), np.concatenate([spikes.units, unit])
    order = np.lexsort((times, every))
    ptr = np.searchsorted(every[order], np.arange(N_TRIALS + 1))
    return SpikeTrains(times[order], units[order], ptr, 0.0, N_BINS * BIN, unit_ids=["a", "b"])


def test_light_that_drives_units_raises_the_score(make, lit):
    spikes, pulses = lit
    plan = {"max_epochs": 25, "learning_rate": 1e-2, "dropout": 0.0}
    without = make(**plan).fit(spikes[:10]).score(spikes[10:])
    assert make(**plan).fit(spikes[:10], pulses[:10]).score(spikes[10:], pulses[10:]) > without + 0.05
    glm = CoupledGLM(bin_width=BIN)
    without = glm.fit(spikes[:10]).score(spikes[10:])
    assert glm.fit(spikes[:10], pulses[:10]).score(spikes[10:], pulses[10:]) > without + 0.05


def test_a_pulse_changes_nothing_before_it_and_its_length_nothing_while_it_lasts(make, lit):
    spikes, pulses = lit
    model = make(precision="float64", window_bins=1, head="hazard").fit(spikes, Modalities(laser=pulses))
    found = []
    for onset, duration in (([0.3], [0.1]), ([0.3, 0.76], [0.1, 0.1]), ([0.3, 0.76], [0.1, 0.3])):
        light = Pulses(onset, duration, [0, len(onset)], -0.2, N_BINS * BIN)
        found.append(model.predict(spikes[:1], Modalities(laser=light))[0])
    np.testing.assert_array_equal(found[0][:15], found[1][:15])
    assert np.abs(found[0][15:] - found[1][15:]).max() > 1e-8
    np.testing.assert_array_equal(found[1][:17], found[2][:17])  # 0.85 s, while the shorter one is on
    assert np.abs(found[1][18:] - found[2][18:]).max() > 1e-8


@pytest.mark.parametrize("units", [None, ["b"]])
def test_spikes_in_blanked_time_change_neither_fit_nor_score_nor_prediction(make, lit, units):
    spikes, pulses = lit
    outcomes = []
    for seed in (1, 2):
        recorded = with_artefact(spikes, pulses, seed)
        if units is not None:  # the artefact is in the blanked unit alone
            clean = recorded.units == 1
            kept = clean | np.isin(recorded.times, spikes.times)
            ptr = np.concatenate([[0], np.cumsum(kept)])[recorded.ptr]
            recorded = SpikeTrains(
                recorded.times[kept], recorded.units[kept], ptr, 0.0, N_BINS * BIN, unit_ids=["a", "b"]
            )
        blanked = pulses.blank(recorded, after=0.02, edges=True, units=units)
        raw, safe = (make().fit(one, pulses) for one in (recorded, blanked))
        outcomes.append(
            (raw.score(recorded, pulses), safe.score(blanked, pulses), safe.predict(blanked, pulses)[3])
        )
    assert outcomes[0][0] != outcomes[1][0]  # without blanking the artefact counts
    assert outcomes[0][1] == outcomes[1][1]
    np.testing.assert_array_equal(outcomes[0][2], outcomes[1][2])
    # A bin is out of the likelihood where a part of it is blanked.
    masked = ~blanked.bin(BIN).mask()
    assert masked[:, 1].sum() == 2 * N_TRIALS and masked[:, 0].sum() == (2 * N_TRIALS if units is None else 0)
