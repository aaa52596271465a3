"""`evaluate_generation`: simulate what was recorded, and say in one table how good the simulations are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from skneuro.data._onsets import told_onsets
from skneuro.data.modality import Modality
from skneuro.data.recording import Modalities, Recording
from skneuro.data.spike_trains import SpikeTrains
from skneuro.data.video import Video
from skneuro.metrics._checks import bins_of_window, check_same_units, check_spikes, check_stimulus_ids
from skneuro.metrics._simulated import rank_within, simulate_trials
from skneuro.metrics.likelihood import homogeneous_rates
from skneuro.metrics.population import noise_correlations
from skneuro.metrics.realism import check_min_intervals, compare, floor_of, shuffled_trials
from skneuro.metrics.responses import (
    noise_ceiling,
    psth_correlation,
    responses_by_stimulus,
    sampled_bits_per_spike,
    spearman_brown,
)
from skneuro.metrics.tuning import map_correlation, tuning_maps

__all__ = ["evaluate_generation"]

COLUMNS = ["source", "aspect", "metric", "unit", "value", "floor", "ceiling", "recorded", "sampled"]


@dataclass(frozen=True)
class _Trials:
    """Recorded trials and what is known about them; what every model is compared with is computed once."""

    spikes: SpikeTrains
    stimuli: Modalities | None
    ids: np.ndarray | None
    bin_width: float

    @property
    def stimulus(self) -> np.ndarray:
        """Which stimulus each trial had, every one its own where that is not known."""
        return np.arange(len(self.spikes)) if self.ids is None else self.ids

    @cached_property
    def responses(self) -> list[np.ndarray]:
        """Counts of the trials of each stimulus."""
        return list(responses_by_stimulus(self.spikes, self.stimulus, self.bin_width).values())

    @cached_property
    def noise(self) -> tuple[np.ndarray, float]:
        """Noise correlations of the pairs of units, and the ceiling of a correlation with them.

        The ceiling is the square root of their reliability, by Spearman and Brown from halves of the repeats, as that
        of mean responses.
        """
        top, half = np.nan, rank_within(self.stimulus) % 2 == 0
        if min(np.unique(self.stimulus[part], return_counts=True)[1].max() for part in (half, ~half)) > 1:
            r = _correlation(*(_noise_of(self.spikes[h], self.stimulus[h], self.bin_width) for h in (half, ~half)))
            top = float(np.sqrt(spearman_brown(r, 2.0))) if r > 0 else top
        return _noise_of(self.spikes, self.stimulus, self.bin_width), top

    @cached_property
    def _maps(self) -> dict[str, np.ndarray]:
        return {}

    def maps(self, name: str, edges: Any) -> np.ndarray:
        """Tuning to a modality."""
        if name not in self._maps:
            self._maps[name] = tuning_maps(self.spikes, self.stimuli[name], edges, self.bin_width)  # type: ignore[index]
        return self._maps[name]


def evaluate_generation(
    estimator: Any,
    spikes: Any,
    stimuli: Any = None,
    *,
    train: Any = None,
    train_stimuli: Any = None,
    baselines: Mapping[str, Any] | None = None,
    stimulus_ids: Any = None,
    train_stimulus_ids: Any = None,
    n_samples: int = 20,
    window: float = 0.5,
    tuning: Mapping[str, Any] | None = None,
    min_intervals: int = 0,
    random_state: int = 0,
) -> pd.DataFrame:
    """Simulate held-out trials in closed loop and score the simulations, with floors and ceilings.

    Mean responses are scored with all simulations of a stimulus, realism with one simulation of each trial, which is
    as much data as was recorded. Trials that repeat a stimulus are found by the clips of a `Video` that come on in the
    same bin of the trial, or named by `stimulus_ids`. Nothing below the model's `bin_width` is modelled, so nothing
    below it is scored. What was not observed of a trial is left out of its simulations, too.

    Parameters
    ----------
    estimator : estimator
        Fitted, with `sample` and `bin_width`.
    spikes : SpikeTrains or Recording
        Held-out trials, of the units that the estimator was fitted to.
    stimuli : Modalities, Video, TimeSeries or None, default=None
        Stimuli of the same trials; those of the Recording if None. Without any there are no mean responses.
    train : SpikeTrains or Recording, default=None
        Training trials: the floor is how far they are from the held-out ones. None: how far the halves of the
        held-out trials are from each other, which have less data and so a higher floor.
    train_stimuli : Modalities, Video, TimeSeries or None, default=None
        Stimuli of the training trials; those of the Recording if None.
    baselines : dict of str to estimator, default=None
        Fitted models to score in the same way. Shuffled recorded trials are always scored, as ``"shuffled"``, but where
        time was not observed.
    stimulus_ids : array-like of shape (n_trials,), default=None
        Which stimulus each trial had, where that is no `Video`.
    train_stimulus_ids : array-like of shape (n_train_trials,), default=None
        The same of the training trials. Where held-out trials repeat stimuli, name these, too: else Fano factors and
        noise correlations, which are then given the stimulus, have no floor.
    n_samples : int, default=20
        Simulations of each stimulus, at least 2: one simulated train is not a rate.
    window : float, in seconds, default=0.5
        For Fano factors, shared variance and the classifier; a multiple of the bin width.
    tuning : dict of str to array-like, default=None
        Class borders of modalities (`TimeSeries`) by name: tuning curves, or place fields of a position (a list of the
        borders of each axis), are compared. All classes that were visited weigh the same: take borders that leave
        out values that are hardly ever taken, such as glitches of the tracking.
    min_intervals : int, default=0
        Units with fewer inter-spike intervals on either side are left out where intervals are compared; see
        `realism_table`.
    random_state : int, default=0
        Of the simulations, shuffles, splits and classifiers.

    Returns
    -------
    table : DataFrame
        One row a score: ``source`` (``"model"``, a baseline's name or ``"shuffled"``), ``aspect`` (``"response"``,
        ``"realism"`` or ``"tuning"``), ``metric``, ``unit`` (None for the population, or the mean over units whose
        ceiling is known), ``value``, ``floor`` (of a difference), ``ceiling`` (of a correlation), and the means of
        what is compared, ``recorded`` and ``sampled``. ``attrs["bin_width"]`` is the bin width.

    Raises
    ------
    TypeError
        If the trials are no `SpikeTrains` or `Recording`.
    ValueError
        If units, stimuli or borders do not fit, `n_samples` is 1, training stimuli are named without `train`, or a
        simulation is shorter than its trial.

    Warns
    -----
    UserWarning
        If a clip comes on at different times in its trials, which then are no repeats.

    Examples
    --------
    >>> from skneuro.baselines import HomogeneousPoisson
    >>> from skneuro.datasets import make_stimulus_driven_population
    >>> from skneuro.metrics import evaluate_generation
    >>> data = make_stimulus_driven_population(n_units=4, n_clips=2, n_repeats=4, random_state=0)
    >>> model = HomogeneousPoisson(bin_width=0.1).fit(data.spikes, data.video)
    >>> table = evaluate_generation(model, data.spikes, data.video)
    >>> table.query("source == 'model' and metric == 'psth_correlation' and unit.isna()")["value"].item() < 0.4
    True
    """
    if not hasattr(estimator, "sample"):
        raise TypeError(
            f"estimator must be a fitted model, with `sample`. Got {type(estimator).__name__}; the order is "
            f"evaluate_generation(model, spikes, stimuli)."
        )
    if isinstance(n_samples, bool) or not isinstance(n_samples, Integral) or n_samples < 2:
        raise ValueError(
            f"n_samples must be an int of at least 2: one simulated train is not a rate. Got {n_samples!r:.80} instead."
        )
    bin_width = float(estimator.bin_width)
    recorded = _read(spikes, stimuli, stimulus_ids, bin_width, "spikes")
    if train is None and train_stimulus_ids is not None:
        raise ValueError("train_stimulus_ids name the stimuli of the training trials: give train=, too.")
    reference = None if train is None else _read(train, train_stimuli, train_stimulus_ids, bin_width, "train")
    if reference is not None:
        check_same_units(recorded.spikes, reference.spikes)
    models = {"model": estimator, **(baselines or {})}
    if len(models) <= len(baselines or {}) or "shuffled" in models:
        raise ValueError("The names 'model' and 'shuffled' are taken; give the baseline another one.")
    tuning = _check_tuning(tuning, recorded)
    bins_of_window(window, bin_width)
    check_min_intervals(min_intervals)
    real = recorded.spikes, recorded.ids
    other = None if reference is None else (reference.spikes, reference.ids)
    floors = floor_of(real, other, bin_width, window, min_intervals)
    rows: list[tuple] = []
    for source, model in models.items():
        n = _simulations_per_trial(recorded, int(n_samples))
        sampled, row = simulate_trials(model, recorded.spikes, recorded.stimuli, n, random_state)
        if recorded.stimuli is not None:
            rows += _responses(source, recorded, reference, sampled, row)
            rows += _noise(source, recorded, sampled, row)
        one = rank_within(row) == 0
        ids = None if recorded.ids is None else recorded.ids[row[one]]
        rows += _realism(source, compare(real, (sampled[one], ids), bin_width, window, floors, min_intervals))
        rows += _tuning(source, recorded, reference, sampled, row, tuning)
    if recorded.spikes.observation is None:
        shuffled = shuffled_trials(recorded.spikes, random_state), recorded.ids
        rows += _realism("shuffled", compare(real, shuffled, bin_width, window, floors, min_intervals))
    table = pd.DataFrame(rows, columns=COLUMNS)
    table.attrs["bin_width"] = bin_width
    return table


def _read(spikes: Any, stimuli: Any, stimulus_ids: Any, bin_width: float, name: str) -> _Trials:
    if isinstance(spikes, Recording):
        stimuli = spikes.modalities if stimuli is None else stimuli
        spikes = spikes.spikes
    check_spikes(spikes, name)
    if isinstance(stimuli, Modality):
        stimuli = Modalities(stimulus=stimuli)
    if stimuli is not None and not isinstance(stimuli, Modalities):
        raise TypeError(f"Stimuli must be Modalities, a Video or a TimeSeries. Got {type(stimuli).__name__}.")
    if stimuli is not None and len(stimuli) != len(spikes):
        raise ValueError(f"Stimuli must be of the same {len(spikes)} trials as {name}. Got {len(stimuli)}.")
    ids = None
    if stimulus_ids is not None:
        ids = check_stimulus_ids(stimulus_ids, len(spikes), f"{'train_' * (name == 'train')}stimulus_ids")
    elif stimuli is not None:
        videos = [_clips(m, spikes, bin_width) for _, m in stimuli.items() if isinstance(m, Video)]
        if videos:
            ids = np.array(["/".join(shown) for shown in zip(*videos, strict=True)])
    return _Trials(spikes, stimuli, ids, bin_width)


def _clips(video: Video, spikes: SpikeTrains, bin_width: float) -> np.ndarray:
    """What each trial shows and when in it: another set of trials has the same name for it.

    Clips of equal pixels go by number.
    """
    so = "Only trials in which it comes on in the same bin are repeats."
    onsets = told_onsets(video, spikes.t_start, bin_width, so)
    digests = video.clip_digests()
    equal = np.unique(digests, return_inverse=True, return_counts=True)
    numbered = [f"{d}:{k}" if equal[2][equal[1][k]] > 1 else d for k, d in enumerate(digests)]
    shown = zip(np.array(numbered)[video.clip_ids].tolist(), onsets, strict=True)
    return np.array([f"{clip}@{late}" if late else clip for clip, late in shown])


def _simulations_per_trial(recorded: _Trials, n_samples: int) -> int:
    """So many that every stimulus is simulated `n_samples` times; without stimuli one for each trial will do."""
    if recorded.stimuli is None:
        return 1
    fewest = 1 if recorded.ids is None else int(np.unique(recorded.ids, return_counts=True)[1].min())
    return -(-n_samples // fewest)


def _responses(
    source: str, recorded: _Trials, reference: _Trials | None, sampled: SpikeTrains, row: np.ndarray
) -> list[tuple]:
    """Mean responses to each stimulus, one row a unit and the mean over units."""
    real, bin_width = recorded.responses, recorded.bin_width
    drawn = list(responses_by_stimulus(sampled, recorded.stimulus[row], bin_width).values())
    drawn = [d[:, : r.shape[1]] for r, d in zip(real, drawn, strict=True)]
    correlation = psth_correlation(real, drawn)
    ceiling = np.full(len(correlation), np.nan)
    if min(len(r) for r in real) > 1:
        ceiling = noise_ceiling(real, n_samples=min(len(d) for d in drawn))
    known = np.isfinite(ceiling) if np.isfinite(ceiling).any() else np.ones(len(ceiling), dtype=bool)
    # A model whose mean response is constant predicts nothing of it: 0, not a unit less.
    value = np.where(np.isnan(correlation) & known, 0.0, correlation)
    nothing = np.nan
    rows = [
        (source, "response", "psth_correlation", unit, c, nothing, top, nothing, nothing)
        for unit, c, top in zip(recorded.spikes.unit_ids.tolist(), correlation, ceiling, strict=True)
    ]
    top = ceiling[known].mean() if np.isfinite(ceiling).any() else nothing
    rows.append((source, "response", "psth_correlation", None, value[known].mean(), nothing, top, nothing, nothing))
    null = homogeneous_rates((reference or recorded).spikes.bin(bin_width))
    bits = sampled_bits_per_spike(real, drawn, null, bin_width)
    rows.append((source, "response", "sampled_bits_per_spike", None, bits, 0.0, nothing, nothing, nothing))
    return rows


def _noise(source: str, recorded: _Trials, sampled: SpikeTrains, row: np.ndarray) -> list[tuple]:
    """Correlation over pairs of units of recorded with simulated noise correlations."""
    ids = recorded.ids
    if ids is None or len(np.unique(ids)) == len(ids):
        return []
    real, top = recorded.noise
    drawn = _noise_of(sampled, ids[row], recorded.bin_width)
    means = (float(np.nanmean(x)) if np.isfinite(x).any() else np.nan for x in (real, drawn))
    return [(source, "response", "noise_correlation", None, _correlation(real, drawn), np.nan, top, *means)]


def _noise_of(spikes: SpikeTrains, ids: np.ndarray, bin_width: float) -> np.ndarray:
    """Noise correlation of every pair of units."""
    return noise_correlations(spikes, ids, bin_width)[np.triu_indices(spikes.shape[1], 1)]


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Where both are known; NaN where one does not vary."""
    a, b = (x[np.isfinite(a) & np.isfinite(b)] for x in (a, b))
    return float(np.corrcoef(a, b)[0, 1]) if len(a) > 1 and a.std() > 0 and b.std() > 0 else float("nan")


def _realism(source: str, table: pd.DataFrame) -> list[tuple]:
    return [
        (source, "realism", r.metric, None, r.value, r.floor, np.nan, r.recorded, r.sampled) for r in table.itertuples()
    ]


def _check_tuning(tuning: Mapping[str, Any] | None, recorded: _Trials) -> dict[str, Any]:
    if tuning is not None and not isinstance(tuning, Mapping):
        raise TypeError(f"tuning must be a dict of class borders by the name of a modality. Got {tuning!r:.80}.")
    for name in tuning or {}:
        if recorded.stimuli is None or name not in recorded.stimuli:
            known = [] if recorded.stimuli is None else list(recorded.stimuli.names)
            raise ValueError(f"tuning names the modality {name!r}, which is not among the stimuli: {known}.")
    return dict(tuning or {})


def _tuning(
    source: str,
    recorded: _Trials,
    reference: _Trials | None,
    sampled: SpikeTrains,
    row: np.ndarray,
    tuning: dict[str, Any],
) -> list[tuple]:
    """Correlation of recorded with simulated maps; that of recorded with training maps is the ceiling."""
    rows: list[tuple] = []
    for name, edges in tuning.items():
        variable = recorded.stimuli[name]  # type: ignore[index]
        real = recorded.maps(name, edges)
        drawn = tuning_maps(sampled, variable[row], edges, recorded.bin_width)
        value, top = map_correlation(real, drawn), np.full(len(real), np.nan)
        if reference is not None and reference.stimuli is not None and name in reference.stimuli:
            top = map_correlation(real, reference.maps(name, edges))
        metric = f"tuning_correlation_{name}"
        units = recorded.spikes.unit_ids.tolist()
        rows += [
            (source, "tuning", metric, unit, v, np.nan, t, r, d)
            for unit, v, t, r, d in zip(units, value, top, _rate(real), _rate(drawn), strict=True)
        ]
        # As for mean responses: a simulated map that is constant is 0, and both means are over the same units.
        known = np.isfinite(top) if np.isfinite(top).any() else np.isfinite(map_correlation(real, real))
        mean = float(np.nan_to_num(value[known]).mean()) if known.any() else np.nan
        mean_top = float(top[known].mean()) if known.any() else np.nan
        rows.append((source, "tuning", metric, None, mean, np.nan, mean_top, np.nan, np.nan))
    return rows


def _rate(maps: np.ndarray) -> np.ndarray:
    return np.nanmean(maps.reshape(len(maps), -1), axis=1)
