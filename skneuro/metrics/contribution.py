"""What each modality tells of each unit: alone, and beyond all others, against what it tells when moved in time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.model_selection import check_cv

from skneuro._random import random_numbers
from skneuro._sklearn_compat import HasMethods, Interval, StrOptions, validate_parameter_constraints
from skneuro.data.binning import BinnedSpikes
from skneuro.data.modality import Modality
from skneuro.data.recording import Modalities, Recording
from skneuro.data.spike_trains import SpikeTrains
from skneuro.metrics._checks import check_spikes
from skneuro.metrics._global_state import as_series, latent_factors, population_rate
from skneuro.metrics._moved import all_moved

__all__ = ["modality_contribution"]

DROP, ONLY = "drop one", "only one"
EVERYTHING = "all"  # the units together
Condition = frozenset[tuple[str, int]]  # modalities that a model is given; -1 as it is, else the number of its shift
TRUE = -1


def modality_contribution(
    estimator: Any,
    X: Any,
    y: Any = None,
    *,
    control: str | None = None,
    n_latents: int = 3,
    cv: Any = 5,
    groups: Any = None,
    n_shifts: int = 20,
    min_shift: float | None = None,
    random_state: Any = None,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Contribution of each modality to the held-out bits per spike of each unit, beside its circular-shift null.

    What a modality adds depends on what was added before it: speed explains much of what pupil size explains. So two
    numbers are given, and neither depends on an order: what is lost when one modality is taken from all (``"drop
    one"``, its unique contribution), and what it explains with no other (``"only one"``). Every model is fitted anew
    without it, on training trials, and scored on held-out ones.

    Slow signals correlate by chance, and a modality more can cost bits by overfitting. The null therefore fits the same
    models with the modality moved in a circle against the spikes: as many parameters, the same slowness, no relation.

    Parameters
    ----------
    estimator : estimator
        Unfitted model of spikes with `fit` and `unit_score`: `CoupledGLM` is quick, `NeuroformerEstimator` takes
        ``folds * (2 + 2 * modalities * (1 + n_shifts))`` fits, or a few less.
    X : SpikeTrains or Recording
        Spikes; a row is a trial. Cut one long recording into blocks, ``spikes.cut(5.0)``.
    y : Modalities, Video, TimeSeries, Events, Pulses or Covariates, default=None
        The modalities, where X does not hold them. A single one is called ``"stimulus"``.
    control : {None, "population", "latents"}, default=None
        A further modality made from the *other* units, as a control for the global state of the animal and the
        population: their mean rate in each bin, or `n_latents` factors of their counts (factor analysis, found in the
        training trials). What is left of a modality's unique contribution then cannot be told from the other units.
        Each unit is modelled on its own, with its own past and a control that leaves it out.
    n_latents : int, default=3
        Factors of ``control="latents"``.
    cv : int, splitter or iterable of (train, test), default=5
        Splits of the trials; an int takes contiguous blocks. Leave a gap with `TrialBlockSplit`.
    groups : array-like of shape (n_trials,), default=None
        For the splitter: the clips of a video, where unseen clips are to be predicted.
    n_shifts : int, default=20
        Shifts of each modality. The smallest p value is ``1 / (n_shifts + 1)``; 0 gives no null.
    min_shift : float, in seconds, default=None
        Least shift, in both directions; None takes a tenth of all trials' time.
    random_state : int, RandomState instance or None, default=None
        Seed of the shifts, and of the estimator where it has a `random_state`.
    n_jobs : int or None, default=None
        Fits that run at once, as in joblib.

    Returns
    -------
    DataFrame
        One row for each modality, kind and unit, and one for the units together (``unit == "all"``): ``modality``,
        ``kind``, ``unit``, ``bits_per_spike`` (the contribution), ``null_mean``, ``null_sd`` (of the moved modality),
        ``p_value`` (share of shifts that contribute as much, the truth counted as one) and ``n_spikes``. NaN for units
        without a held-out spike.

    Raises
    ------
    InvalidParameterError
        If a parameter is out of its range.
    TypeError
        If X or y is of another kind.
    ValueError
        If there is no modality, only one trial, modalities are given twice, or the population is too small for the
        control.

    See Also
    --------
    skneuro.metrics.bits_per_spike : The unit of the result.

    Notes
    -----
    Series and events are moved through the trials as if these followed each other; of covariates and of a video whole
    trials are moved, or exchanged at random where clips repeat (a shift would only give the repeats another name). With
    a stimulus that comes in a fixed cycle a shift, too, only changes names: exchange its trials instead. A fold in
    which a unit is silent says nothing of that unit.

    The null follows Harris KD (2020) Nonsense correlations in neuroscience, bioRxiv 2020.11.29.402719.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro import Modalities, SpikeTrains, TimeSeries
    >>> from skneuro.baselines import CoupledGLM
    >>> from skneuro.metrics import modality_contribution
    >>> rng = np.random.default_rng(0)
    >>> speed, light = rng.normal(size=(2, 12, 50))  # (trials, bins); light drives nothing
    >>> spikes = SpikeTrains.from_counts(rng.poisson(np.exp(0.7 * speed - 1))[:, :, None], bin_width=0.1)
    >>> known = {"speed": speed, "light": light}
    >>> known = Modalities(**{name: TimeSeries.from_lists(list(v), rate=10.0) for name, v in known.items()})
    >>> model = CoupledGLM(bin_width=0.1, history=0, stimulus_history=0, alphas=10.0)
    >>> table = modality_contribution(model, spikes, known, cv=3, n_shifts=9, random_state=0)
    >>> table[table["unit"] == "all"].set_index(["kind", "modality"])["p_value"].unstack().round(1)
    modality  light  speed
    kind
    drop one    ...    0.1
    only one    ...    0.1
    """
    _check_parameters(dict(locals()))
    spikes, modalities = _read(X, y)
    rng = np.random.default_rng(random_numbers(random_state).randint(2**31 - 1))
    splits = [tuple(map(np.asarray, split)) for split in check_cv(cv).split(spikes, groups=groups)]
    least = _least_shift(min_shift, spikes)
    model = clone(estimator)
    if random_state is not None and "random_state" in model.get_params(deep=False):
        model.set_params(random_state=int(rng.integers(2**31 - 1)))
    shifts = int(rng.integers(2**31 - 1))  # one seed: shift k is the same for all units, which "all" adds up
    if control is None:
        gains, n_spikes = _gains(model, spikes, [modalities] * len(splits), splits, n_shifts, least, shifts, n_jobs)
        return _table(gains, n_spikes, tuple(modalities), n_shifts, spikes.unit_ids)
    if control in modalities:
        raise ValueError(f"There is a modality called {control!r} already: rename it, or use another control.")
    binned = _check_population(spikes, model.bin_width, control, n_latents)
    parts = []
    for column, unit in enumerate(spikes.unit_ids.tolist()):
        given = [
            modalities | {control: as_series(_state(binned, control, column, train, n_latents), binned)}
            for train, _ in splits
        ]
        parts.append(_gains(model, spikes.select_units([unit]), given, splits, n_shifts, least, shifts, n_jobs))
    joined = {key: np.concatenate([gains[key] for gains, _ in parts]) for key in parts[0][0]}
    n_spikes = np.concatenate([n for _, n in parts])
    return _table(joined, n_spikes, (*modalities, control), n_shifts, spikes.unit_ids)


# ---- fits ------------------------------------------------------------------------------------------------------------


def _gains(
    model: Any, spikes: SpikeTrains, given: list[dict[str, Modality]], splits: list, n_shifts: int, least: float,
    seed: int, n_jobs: int | None,
) -> tuple[dict[Condition, np.ndarray], np.ndarray]:  # fmt: skip
    """Held-out bits of each unit under each condition, summed over folds, and the spikes that were held out.

    Parameters
    ----------
    given : list of dict
        The modalities of each fold.
    seed : int
        Of the shifts.
    """
    conditions = _conditions(tuple(given[0]), n_shifts)
    jobs = []
    for modalities, (train, test) in zip(given, splits, strict=True):
        versions = {(name, TRUE): modality for name, modality in modalities.items()}
        versions |= all_moved(modalities, tuple(modalities), n_shifts, least, np.random.default_rng(seed))
        jobs += [(_chosen(versions, modalities, condition), train, test) for condition in conditions]
    bits = Parallel(n_jobs=n_jobs)(delayed(_fold_bits)(model, spikes, *job) for job in jobs)
    summed = np.reshape(bits, (len(splits), len(conditions), -1)).sum(axis=0)
    n_spikes = sum(_n_spikes(spikes[test], model.bin_width) for _, test in splits)
    return dict(zip(conditions, summed, strict=True)), np.asarray(n_spikes)


def _conditions(names: tuple[str, ...], n_shifts: int) -> list[Condition]:
    """Everything that is to be fitted, each once."""
    needed: dict[Condition, None] = {}
    for name in names:
        for shift in range(TRUE, n_shifts):
            for pair in (_pair(names, name, DROP, shift), _pair(names, name, ONLY, shift)):
                needed |= dict.fromkeys(pair)
    return list(needed)


def _pair(names: tuple[str, ...], name: str, kind: str, shift: int) -> tuple[Condition, Condition]:
    """With a modality, moved or not, and without."""
    others = frozenset((other, TRUE) for other in names if other != name and kind == DROP)
    return others | {(name, shift)}, others


def _chosen(versions: dict[tuple[str, int], Modality], order: Iterable[str], condition: Condition) -> Modalities | None:
    chosen = {name: versions[name, shift] for name in order for other, shift in condition if other == name}
    return Modalities(**chosen) if chosen else None


def _fold_bits(
    model: Any, spikes: SpikeTrains, modalities: Modalities | None, train: np.ndarray, test: np.ndarray
) -> np.ndarray:
    """Bits of each unit above constant rates, of the held-out trials; 0 where it is silent there."""
    parts = [(spikes[rows], None if modalities is None else modalities[rows]) for rows in (train, test)]
    fitted = clone(model).fit(*parts[0])
    n_spikes = _n_spikes(parts[1][0], model.bin_width)
    return np.where(n_spikes > 0, fitted.unit_score(*parts[1]) * n_spikes, 0.0)


def _n_spikes(spikes: SpikeTrains, bin_width: float) -> np.ndarray:
    return spikes.bin(bin_width).unit_counts()


def _state(binned: BinnedSpikes, control: str, unit: int, train: np.ndarray, n_latents: int) -> np.ndarray:
    return population_rate(binned, unit) if control == "population" else latent_factors(binned, unit, train, n_latents)


# ---- the table -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Contribution:
    """Bits of each unit: as it is, and one row a shift."""

    true: np.ndarray
    null: np.ndarray


def _table(
    gains: dict[Condition, np.ndarray],
    n_spikes: np.ndarray,
    names: tuple[str, ...],
    n_shifts: int,
    unit_ids: np.ndarray,
) -> pd.DataFrame:
    parts = []
    for name in names:
        for kind in (DROP, ONLY):
            differences = []
            for shift in range(TRUE, n_shifts):
                with_it, without = _pair(names, name, kind, shift)
                differences.append(gains[with_it] - gains[without])
            bits = np.array(differences)  # (1 + n_shifts, n_units)
            bits = np.column_stack([bits, bits.sum(axis=1)])
            spikes = np.append(n_spikes, n_spikes.sum())
            with np.errstate(invalid="ignore", divide="ignore"):
                bits = np.where(spikes > 0, bits / spikes, np.nan)
            parts.append(_rows(name, kind, _Contribution(bits[0], bits[1:]), [*unit_ids.tolist(), EVERYTHING], spikes))
    return pd.concat(parts, ignore_index=True)


def _rows(name: str, kind: str, found: _Contribution, units: list[Any], n_spikes: np.ndarray) -> pd.DataFrame:
    n_shifts = len(found.null)
    nothing = np.full(len(units), np.nan)
    p_value = (1 + (found.null >= found.true).sum(axis=0)) / (1 + n_shifts)
    return pd.DataFrame({
        "modality": name, "kind": kind, "unit": pd.Series(units, dtype=object), "bits_per_spike": found.true,
        "null_mean": found.null.mean(axis=0) if n_shifts else nothing,
        "null_sd": found.null.std(axis=0, ddof=1) if n_shifts > 1 else nothing,
        "p_value": np.where(np.isnan(found.true), np.nan, p_value) if n_shifts else nothing, "n_spikes": n_spikes,
    })  # fmt: skip


# ---- what is asked for -----------------------------------------------------------------------------------------------


def _check_parameters(given: dict[str, Any]) -> None:
    constraints = {
        "estimator": [HasMethods(["fit", "unit_score", "get_params"])],
        "control": [StrOptions({"population", "latents"}), None],
        "n_latents": [Interval(Integral, 1, None, closed="left")],
        "n_shifts": [Interval(Integral, 0, None, closed="left")],
        "min_shift": [Interval(Real, 0, None, closed="left"), None],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
    }
    given = {name: given[name] for name in constraints}
    validate_parameter_constraints(constraints, given, caller_name="modality_contribution")


def _read(X: Any, y: Any) -> tuple[SpikeTrains, dict[str, Modality]]:
    if isinstance(X, Recording):
        if y is not None and X.modalities is not None:
            raise ValueError("Modalities are given twice: X is a Recording with modalities, and y is not None.")
        X, y = X.spikes, X.modalities if y is None else y
    spikes = check_spikes(X, "X")
    if isinstance(y, Modality):
        y = Modalities(stimulus=y)
    if y is None:
        raise ValueError("modality_contribution needs at least one modality. Got none: give y, or a Recording.")
    if not isinstance(y, Modalities):
        raise TypeError(f"y must be Modalities, a Video, a TimeSeries or Events. Got {type(y).__name__}.")
    if len(spikes) < 2:
        raise ValueError("modality_contribution needs several trials to hold some out. Got one: use spikes.cut(5.0).")
    return Recording(spikes, y).spikes, dict(y.items())


def _least_shift(min_shift: float | None, spikes: SpikeTrains) -> float:
    """Share of the session."""
    seconds = float(np.sum(spikes.duration))
    if min_shift is None:
        return 0.1
    if min_shift >= seconds / 2:
        raise ValueError(
            f"The 'min_shift' parameter must be below half of the {seconds:g} s of all trials. Got {min_shift!r:.80}."
        )
    return min_shift / seconds


def _check_population(spikes: SpikeTrains, bin_width: float, control: str, n_latents: int) -> BinnedSpikes:
    needed = 2 if control == "population" else n_latents + 2
    if spikes.shape[1] < needed:
        raise ValueError(
            f"control={control!r} needs at least {needed} units, since a unit's control comes from the others. Got "
            f"{spikes.shape[1]}."
        )
    return spikes.bin(bin_width)
