"""`few_shot_curve`: what decoders make of few labelled trials, side by side and honestly."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.exceptions import FitFailedWarning
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import check_cv

from skneuro._sklearn_compat import StrOptions, num_samples, safe_indexing, validate_parameter_constraints
from skneuro._warn import warn_user
from skneuro.data import Recording, SpikeTrains


def few_shot_curve(
    decoders: Mapping[str, Any],
    X: Any,
    y: Any,
    *,
    pretrain: Any = None,
    fractions: Sequence[float] = (0.01, 0.05, 0.1, 0.2, 1.0),
    seeds: int | Sequence[int] = 5,
    cv: Any = 5,
    groups: Any = None,
    labelled: str = "block",
    scoring: Callable[..., Any] | None = None,
    error_score: float | str = np.nan,
    n_jobs: int | None = None,
) -> pd.DataFrame:
    """Score decoders that learn from a share of the labelled trials, all of them from the same.

    Like scikit-learn's `learning_curve`, but for several decoders at once, several draws of the labelled trials, and
    a model that is pretrained on the spikes of the training trials alone: neither the spikes nor the labels of a test
    trial are seen before it is scored, and of the training trials only the chosen ones show their labels.

    Parameters
    ----------
    decoders : dict of str to estimator
        What is compared: anything with `fit` and `score`. Each is cloned and gets the seed as its `random_state`,
        where it has one. A `NeuroformerRegressor` or `NeuroformerClassifier` with ``estimator=None`` gets the
        pretrained model (of which ``mode="scratch"`` takes the parameters alone).
    X : SpikeTrains, Recording or array-like of shape (n_trials, n_bins, n_units)
        Spikes; a row is a trial.
    y : TimeSeries, Modalities, list of arrays or array-like
        Behaviour, a row for each trial.
    pretrain : NeuroformerEstimator or callable, default=None
        Fitted to the spikes of the training trials, once a seed and fold, where a decoder wants it; the seed is its
        `random_state`. Or ``pretrain(train, seed)``, which gives a model that was fitted to nothing but the rows
        `train` of X.
    fractions : sequence of float, default=(0.01, 0.05, 0.1, 0.2, 1.0)
        Shares of the training trials' time (of their number, for arrays) that are labelled. At least one trial is.
    seeds : int or sequence of int, default=5
        Seeds, or how many of them: 0, 1, 2, ... A seed chooses the labelled trials and the random numbers of the
        pretrained model and of the decoders.
    cv : int, splitter or iterable of (train, test), default=5
        Splits of the trials; an int takes contiguous blocks. Leave a gap with `TrialBlockSplit`.
    groups : array-like of shape (n_trials,), default=None
        For the splitter.
    labelled : {"block", "random"}, default="block"
        Whether the labelled trials follow each other, as when a session is annotated from some point on, or are drawn
        at random. Random ones are the harder to justify and the better to learn from; those of a smaller fraction are
        then among those of a larger one.
    scoring : callable, default=None
        ``scoring(decoder, X, y)`` gives a number, or a dict of numbers; None takes the decoder's `score`.
    error_score : "raise" or float, default=nan
        What stands for the score where `fit` fails, as a classifier's does on labels of one class.
    n_jobs : int or None, default=None
        Seeds and folds that run at once, as in joblib.

    Returns
    -------
    DataFrame
        One row for each seed, fold, fraction and decoder: ``decoder``, ``fraction``, ``seed``, ``fold``,
        ``n_labelled`` and ``n_train`` (trials), ``labelled_seconds`` (NaN for arrays), ``fit_seconds`` (CPU time of
        the decoder's fit, without pretraining) and ``score``, or the names that `scoring` gave.

    Raises
    ------
    InvalidParameterError
        If a parameter is out of its range.
    TypeError
        If `decoders` is no dict, or something in it has no `fit` and `score`.
    ValueError
        If a decoder holds a fitted model, which may have seen the test trials, or needs one and there is no
        `pretrain`, or lengths disagree.

    Warns
    -----
    FitFailedWarning
        For each fit that failed, with `error_score` not ``"raise"``.

    See Also
    --------
    skneuro.NeuroformerRegressor : What it was made for.
    sklearn.model_selection.learning_curve : For one estimator and growing parts of the data.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro import NeuroformerEstimator, NeuroformerRegressor
    >>> from skneuro.model_selection import TrialBlockSplit, few_shot_curve
    >>> rng = np.random.default_rng(0)
    >>> speed = np.sin(np.arange(40) / 5 + rng.uniform(0, 6, (12, 1)))  # (trials, bins)
    >>> counts = rng.poisson(np.exp(speed)[:, :, None] * [0.5, 1.0, 1.5])
    >>> model = NeuroformerEstimator(bin_width=0.05, window_bins=1, d_model=8, n_heads=2, max_epochs=1)
    >>> curve = few_shot_curve(
    ...     {"frozen": NeuroformerRegressor(), "from scratch": NeuroformerRegressor(mode="scratch", max_epochs=1)},
    ...     counts, speed[:, :, None], pretrain=model, fractions=[0.1, 1], seeds=1, cv=TrialBlockSplit(2),
    ... )
    >>> curve.groupby(["decoder", "fraction"])["score"].mean().shape
    (4,)
    """
    validate_parameter_constraints(
        {
            "labelled": [StrOptions({"block", "random"})],
            "scoring": [callable, None],
            "error_score": [StrOptions({"raise"}), Real],
            "n_jobs": [Integral, None],
        },
        {"labelled": labelled, "scoring": scoring, "error_score": error_score, "n_jobs": n_jobs},
        caller_name="few_shot_curve",
    )
    _check_decoders(decoders, pretrain)
    shares, seeds = _fractions(fractions), _seeds(seeds)
    n_trials = num_samples(X)
    if num_samples(y) != n_trials:
        raise ValueError(f"X and y must have a row for each trial. Got {n_trials} and {num_samples(y)} rows.")
    splits = list(check_cv(cv).split(X, y=None, groups=groups))
    jobs = [(seed, fold, *split) for seed in seeds for fold, split in enumerate(splits)]
    found = Parallel(n_jobs=n_jobs)(
        delayed(_one_fold)(decoders, X, y, pretrain, shares, labelled, scoring, error_score, *job) for job in jobs
    )
    return pd.DataFrame([row for rows in found for row in rows])


def labelled_trials(size: np.ndarray, fraction: float, seed: int, kind: str) -> np.ndarray:
    """Trials that make up about a share of all time, at least one: a run that begins anywhere, or any of them.

    Parameters
    ----------
    size : ndarray of shape (n_trials,)
        Duration of each.
    fraction : float
    seed : int
    kind : {"block", "random"}

    Returns
    -------
    int64 ndarray
        Ascending.
    """
    if fraction >= 1:
        return np.arange(len(size))
    rng = np.random.default_rng([seed, 7])
    if kind == "random":
        order = rng.permutation(len(size))
        until = np.cumsum(size[order]) - size[order] / 2
        return np.sort(order[: max(int((until < fraction * size.sum()).sum()), 1)])
    stop = np.cumsum(size)
    wanted = fraction * stop[-1]
    begin = rng.uniform(0, stop[-1] - wanted)
    first = int(np.searchsorted(stop, begin))
    # A share that ends with a trial must not take the next one because sums are rounded.
    last = int(np.searchsorted(stop, stop[first] - size[first] + wanted - 1e-9 * stop[-1]))
    return np.arange(first, min(max(last, first) + 1, len(size)))


def _one_fold(
    decoders: Mapping[str, Any], X: Any, y: Any, pretrain: Any, fractions: list[float], labelled: str, scoring: Any,
    error_score: Any, seed: int, fold: int, train: np.ndarray, test: np.ndarray,
) -> list[dict[str, Any]]:  # fmt: skip
    """Rows of the table for one seed and fold: the model is pretrained once."""
    train, test = np.asarray(train), np.asarray(test)
    wanted = any(map(_takes_a_model, decoders.values()))
    model = _pretrained(pretrain, X, train, seed) if wanted else None
    seconds = _durations(X)
    size = np.ones(num_samples(X)) if seconds is None else seconds
    rows = []
    for fraction in fractions:
        some = train[labelled_trials(size[train], fraction, seed, labelled)]
        for name, decoder in decoders.items():
            fitted = _prepared(decoder, model, seed)
            start = time.process_time()
            failed = None
            try:
                fitted.fit(safe_indexing(X, some), safe_indexing(y, some))
            except Exception as error:
                if error_score == "raise":
                    raise
                failed = error
                warn_user(
                    f"{name!r} could not learn from {len(some)} labelled trials (fraction {fraction:g}, seed {seed}); "
                    f"its score is {error_score}. {type(error).__name__}: {error}",
                    FitFailedWarning,
                )
            taken = time.process_time() - start
            row = {"decoder": name, "fraction": fraction, "seed": seed, "fold": fold, "n_labelled": len(some)}
            row |= {"n_train": len(train), "labelled_seconds": np.nan if seconds is None else seconds[some].sum()}
            row["fit_seconds"] = taken
            rows.append(row | (_score(fitted, X, y, test, scoring) if failed is None else {"score": error_score}))
    return rows


def _score(fitted: Any, X: Any, y: Any, test: np.ndarray, scoring: Any) -> dict[str, float]:
    given = safe_indexing(X, test), safe_indexing(y, test)
    found = fitted.score(*given) if scoring is None else scoring(fitted, *given)
    return dict(found) if isinstance(found, Mapping) else {"score": float(found)}


def _pretrained(pretrain: Any, X: Any, train: np.ndarray, seed: int) -> Any:
    """The fitted model in a FrozenEstimator, or None."""
    if pretrain is None:
        return None
    if not hasattr(pretrain, "fit"):
        return FrozenEstimator(pretrain(train, seed))
    model = _seeded(clone(pretrain), seed)
    spikes = X.spikes if isinstance(X, Recording) else X
    return FrozenEstimator(model.fit(safe_indexing(spikes, train)))


def _prepared(decoder: Any, model: Any, seed: int) -> Any:
    fitted = _seeded(clone(decoder), seed)
    return fitted.set_params(estimator=model) if model is not None and _takes_a_model(fitted) else fitted


def _seeded(estimator: Any, seed: int) -> Any:
    has = hasattr(estimator, "get_params") and "random_state" in estimator.get_params(deep=False)
    return estimator.set_params(random_state=seed) if has else estimator


def _takes_a_model(decoder: Any) -> bool:
    parameters = decoder.get_params(deep=False) if hasattr(decoder, "get_params") else {}
    return {"estimator", "mode"} <= set(parameters) and parameters["estimator"] is None


def _check_decoders(decoders: Any, pretrain: Any) -> None:
    if not isinstance(decoders, Mapping) or not decoders:
        raise TypeError(f"decoders must be a dict of name to estimator, with at least one. Got {decoders!r:.80}.")
    if pretrain is not None and not hasattr(pretrain, "fit") and not callable(pretrain):
        raise TypeError(
            f"pretrain must be an estimator, a function of (train, seed), or None. Got {type(pretrain).__name__}."
        )
    for name, decoder in decoders.items():
        if not hasattr(decoder, "fit") or not hasattr(decoder, "score"):
            raise TypeError(f"The decoder {name!r} must have fit and score. Got {type(decoder).__name__}.")
        given = decoder.get_params(deep=False) if hasattr(decoder, "get_params") else {}
        if isinstance(given.get("estimator"), FrozenEstimator):
            raise ValueError(
                f"The decoder {name!r} holds a fitted model, and what it was fitted to may hold the test trials. Leave "
                f"its 'estimator' out and give the model that is to be fitted as pretrain."
            )
        if pretrain is None and _takes_a_model(decoder) and given["mode"] != "scratch":
            raise ValueError(f"The decoder {name!r} with mode={given['mode']!r} needs a model: give pretrain.")


def _fractions(fractions: Any) -> list[float]:
    values = np.atleast_1d(np.asarray(fractions, dtype=float))
    if values.ndim != 1 or not len(values) or not ((values > 0) & (values <= 1)).all():
        raise ValueError(f"The 'fractions' parameter must hold numbers above 0 and up to 1. Got {fractions!r} instead.")
    return values.tolist()


def _seeds(seeds: Any) -> list[int]:
    values = range(seeds) if isinstance(seeds, Integral) and not isinstance(seeds, bool) else seeds
    listed = list(values) if isinstance(values, (range, list, tuple, np.ndarray)) else []
    if not listed or any(not isinstance(seed, Integral) or seed < 0 for seed in listed):
        raise ValueError(
            f"The 'seeds' parameter must be a positive int, or a sequence of ints from 0 on. Got {seeds!r:.80} instead."
        )
    return [int(seed) for seed in listed]


def _durations(X: Any) -> np.ndarray | None:
    """Duration of each trial, in seconds; None for arrays."""
    spikes = X.spikes if isinstance(X, Recording) else X
    return np.asarray(spikes.duration, dtype=float) if isinstance(spikes, SpikeTrains) else None
