"""What a check of a recording reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd


@dataclass(frozen=True)
class Finding:
    """One thing that is out of the ordinary.

    Parameters
    ----------
    check : str
        Name of the check.
    severity : {"serious", "warning", "note"}
        Serious: a model fitted to this recording would learn the defect.
    message : str
        What was found, with its numbers.
    remedy : str
        What to do about it.
    units : tuple, default=()
        Ids of the units concerned; empty where it concerns the recording.

    Examples
    --------
    >>> from skneuro.inspection import Finding
    >>> Finding("gaps", "serious", "nothing fired for 31 s", "mark it as not observed").severity
    'serious'
    """

    check: str
    severity: str
    message: str
    remedy: str
    units: tuple = ()


class Skipped(str):
    """Why a check could not be made."""


@dataclass(frozen=True)
class QualityReport:
    """All findings about a recording.

    Parameters
    ----------
    findings : tuple of Finding
        The serious ones first.
    passed : dict of str to str
        Checks that found nothing, with their numbers.
    skipped : dict of str to str
        Checks that could not be made, with the reason.
    units : DataFrame of shape (n_units, 12)
        What `unit_quality` returned.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.data import SpikeTrains
    >>> from skneuro.inspection import check_recording
    >>> times = np.sort(np.random.default_rng(0).uniform(0, 100, 500))
    >>> spikes = SpikeTrains.from_unit_times({"a": times, "b": times + 1e-5}, epochs=[[0.0, 101.0]])
    >>> report = check_recording(spikes)
    >>> report.serious
    True
    >>> report.findings[0].check, report.findings[0].units
    ('zero-lag peaks', ('a', 'b'))
    """

    findings: tuple[Finding, ...]
    passed: Mapping[str, str]
    skipped: Mapping[str, str]
    units: pd.DataFrame = field(repr=False)

    @property
    def serious(self) -> bool:
        """Whether one of the findings is serious."""
        return any(f.severity == "serious" for f in self.findings)
