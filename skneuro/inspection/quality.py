"""What may be wrong with a recording, found before a model is fitted to it.

`check_recording` runs every measure of this package and turns what is out of the ordinary into findings, each
with its numbers and its remedy.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from skneuro.data import Modalities, Recording, SpikeTrains
from skneuro.data.modality import Modality
from skneuro.exceptions import IncompatibleModalityError
from skneuro.inspection import _judgements as judge
from skneuro.inspection.findings import Finding, QualityReport, Skipped
from skneuro.inspection.measures import unit_quality

_FINE = 1.0e-3  # s; counts in wider bins show neither short intervals nor coincidences
_ORDER = {"serious": 0, "warning": 1, "note": 2}


def check_recording(
    spikes: SpikeTrains | Recording,
    modalities: Modalities | Modality | None = None,
    *,
    sync_pulses: tuple[ArrayLike, ArrayLike] | None = None,
    outside: float = 0.0,
) -> QualityReport:
    """Look for what would spoil a model fitted to a recording.

    Parameters
    ----------
    spikes : SpikeTrains or Recording
        The recording.
    modalities : Modalities, Video, TimeSeries or None, default=None
        What was recorded beside it; that of the Recording if None. A series of `Modalities` whose name contains
        "speed", "running", "velocity", "treadmill" or "wheel" is compared with the population's rate.
    sync_pulses : tuple of two ndarrays, default=None
        Times of the same synchronisation pulses on the recording's clock and on the other one, in seconds.
    outside : float, default=0.0
        Share of the spikes that were left out when the file was read, for they lie before the first trial or after
        the last.

    Returns
    -------
    report : QualityReport
        Findings, checks passed, checks that could not be made, and the table of units.

    Raises
    ------
    TypeError
        If the spikes are no `SpikeTrains` or `Recording`, or the modalities no `Modality` or `Modalities`.
    ValueError
        If there is no spike at all, or modalities are given beside a Recording that has some.
    IncompatibleModalityError
        If the modalities have another number of trials.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.data import SpikeTrains
    >>> from skneuro.inspection import check_recording
    >>> rng = np.random.default_rng(0)
    >>> times = {unit: np.arange(0, 200, 0.2) + rng.uniform(0, 0.19, 1000) for unit in "abc"}
    >>> times["b"] = times["b"][times["b"] < 90]
    >>> for finding in check_recording(SpikeTrains.from_unit_times(times, epochs=[[0.0, 200.0]])).findings:
    ...     print(finding.severity, finding.check, finding.units)
    warning presence ('b',)
    """
    spikes, modalities = _read(spikes, modalities)
    if spikes.times.size == 0:
        raise ValueError(
            f"expected a recording with spikes, got {spikes.shape[1]} units and {len(spikes)} trials without one; "
            "check that times are in seconds and lie between t_start and t_stop"
        )
    units = unit_quality(spikes)
    results = {
        "time unit": judge.time_unit(spikes, units, outside),
        "rates": judge.rates(units),
        "presence": judge.presence(units),
        "gaps": judge.gaps(spikes),
    }
    skipped = {}
    if spikes.resolution is None or spikes.resolution <= _FINE:
        results["duplicated spikes"] = judge.duplicates(units)
        results["refractory period"] = judge.refractory(units)
        results.update(judge.coincidences(spikes))
    else:
        why = f"the file holds counts in bins of {1e3 * spikes.resolution:g} ms, not spike times"
        skipped = dict.fromkeys(["duplicated spikes", "refractory period", "shared artefacts"], why)
        results["zero-lag peaks"] = judge.count_correlation(spikes, spikes.resolution)
    if sync_pulses is None:
        skipped["clocks"] = "no synchronisation pulses given"
    else:
        results["clocks"] = judge.clocks(*sync_pulses)
    if modalities is None:
        skipped["coverage"] = "nothing given beside the spikes"
    else:
        results["coverage"] = judge.coverage(spikes, modalities)
    running = judge.running_series(modalities)
    if running is None:
        skipped["running"] = "no series named speed, running, velocity, treadmill or wheel"
    else:
        results["running"] = judge.running(spikes, *running)
    findings = [f for found in results.values() for f in found if isinstance(f, Finding)]
    texts = {name: text for name, found in results.items() for text in found if isinstance(text, str)}
    skipped |= {name: str(text) for name, text in texts.items() if isinstance(text, Skipped)}
    passed = {name: text for name, text in texts.items() if name not in skipped}
    return QualityReport(tuple(sorted(findings, key=lambda f: _ORDER[f.severity])), passed, skipped, units)


def _read(spikes: Any, modalities: Any) -> tuple[SpikeTrains, Modalities | None]:
    """Spikes and modalities in any form that `fit` takes them in, but for arrays, which have no spike times."""
    if isinstance(spikes, Recording):
        if modalities is not None and spikes.modalities is not None:
            raise ValueError("modalities are given twice: in the Recording and beside it. Give one.")
        modalities = spikes.modalities if modalities is None else modalities
        spikes = spikes.spikes
    if not isinstance(spikes, SpikeTrains):
        raise TypeError(
            f"spikes must be SpikeTrains or a Recording. Got {type(spikes).__name__} instead; use "
            "as_spike_trains(spikes), or SpikeTrains.from_counts(counts, bin_width)."
        )
    if isinstance(modalities, Modality):
        modalities = Modalities(stimulus=modalities)
    if modalities is not None and not isinstance(modalities, Modalities):
        raise TypeError(
            f"modalities must be Modalities, a Video, a TimeSeries or None. Got {type(modalities).__name__} instead; "
            "use Modalities(name=...)."
        )
    if modalities is not None and len(modalities) != len(spikes):
        raise IncompatibleModalityError(
            f"modalities must be of the same {len(spikes)} trials as the spikes. Got {len(modalities)}."
        )
    return spikes, modalities
