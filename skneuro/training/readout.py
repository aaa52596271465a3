"""Linear readouts; penalty and weights are chosen on contiguous blocks of the labels: neighbours in time are alike."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from sklearn.linear_model import LogisticRegression

PENALTIES = tuple(10.0 ** (k / 2) for k in range(-2, 13))
N_FOLDS = 5
LEAST = 0.3  # states lie within 1 of zero and counts vary by about 1: less is a quirk of few labels
UNSEEN = 1e-3  # probability of a class that a fold's training part lacks


def contiguous_folds(group: np.ndarray, n_folds: int = N_FOLDS) -> np.ndarray:
    """Fold of each label: runs of whole groups of about equal size, or of single labels where groups are few.

    Parameters
    ----------
    group : ndarray of shape (n_labels,), ascending
        What must stay together: the trial.
    """
    number = np.unique(group, return_inverse=True)[1]
    if number.max(initial=0) + 1 < n_folds:
        number = np.arange(len(group))
    size = np.bincount(number)
    middle = np.cumsum(size) - size / 2
    fold = np.minimum((middle / max(size.sum(), 1) * n_folds).astype(np.int64), n_folds - 1)
    return np.unique(fold[number], return_inverse=True)[1]


def ridge(
    chunks: Iterable[tuple[np.ndarray, np.ndarray, np.ndarray]], penalties: tuple[float, ...], weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """Ridge regression on standardised features, from products that chunks add to.

    The penalty and the weights with the smallest squared error on left-out folds are taken. All features are never held
    at once.

    Parameters
    ----------
    chunks : iterable of (features (n, p), values (n, d), fold (n,))
        One pass.
    penalties : tuple of float
        Candidates, in the units of scikit-learn's ``Ridge(alpha)``.
    weight : ndarray of shape (p,) or (n_candidates, p)
        Factors on the standardised features: those below 1 are used less. Several rows are candidates; the first is
        taken where there is nothing to choose by.

    Returns
    -------
    centre, scale : ndarray of shape (p,)
        Scales are those over the weights.
    coef : ndarray of shape (d, p)
        Of the standardised features.
    intercept : ndarray of shape (d,)
    penalty : float
    """
    products: dict[int, np.ndarray] = {}
    shift = None
    for features, values, fold in chunks:
        table = np.column_stack([np.ones(len(features)), features, values])
        n_features = features.shape[1]
        if shift is None:
            shift = np.append(0.0, table[:, 1:].mean(0))
        table = table - shift
        for k in np.unique(fold):
            part = table[fold == k]
            products[k] = products.get(k, 0.0) + part.T @ part
    if shift is None:
        raise ValueError("ridge needs at least one label")
    total = np.sum(list(products.values()), axis=0)
    candidates = np.atleast_2d(weight)
    chosen, penalty = candidates[0], penalties[len(penalties) // 2]
    if len(penalties) * len(candidates) > 1 and len(products) > 1:
        folds = list(products.values())
        errors = [np.sum([_fold_errors(total - p, p, one, penalties) for p in folds], axis=0) for one in candidates]
        row, column = np.unravel_index(int(np.argmin(errors)), (len(candidates), len(penalties)))
        chosen, penalty = candidates[row], penalties[column]
    mean, sd = _moments(total, n_features, chosen)
    gram, cross, value_mean = _standardised(total, n_features, mean, sd)
    coef = np.linalg.solve(gram + penalty * np.eye(n_features), cross).T
    return mean + shift[1 : n_features + 1], sd, coef, value_mean + shift[n_features + 1 :], penalty


def _moments(product: np.ndarray, n_features: int, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means, and standard deviations over weights."""
    n = product[0, 0]
    mean = product[0, 1 : n_features + 1] / n
    variance = np.diag(product)[1 : n_features + 1] / n - mean**2
    return mean, np.maximum(np.sqrt(np.maximum(variance, 0)), LEAST) / weight


def _standardised(product: np.ndarray, n_features: int, mean: np.ndarray, sd: np.ndarray) -> tuple[np.ndarray, ...]:
    """Gram matrix of the standardised features, their products with the centred values, the values' means."""
    n, inside = product[0, 0], slice(1, n_features + 1)
    value_mean = product[0, n_features + 1 :] / n
    gram = (product[inside, inside] - n * np.outer(mean, mean)) / np.outer(sd, sd)
    cross = (product[inside, n_features + 1 :] - n * np.outer(mean, value_mean)) / sd[:, None]
    return gram, cross, value_mean


def _fold_errors(
    training: np.ndarray, held: np.ndarray, weight: np.ndarray, penalties: tuple[float, ...]
) -> np.ndarray:
    """Squared error on a fold of the regressions on the others, one for each penalty."""
    mean, sd = _moments(training, len(weight), weight)
    gram, cross, value_mean = _standardised(training, len(weight), mean, sd)
    values, vectors = np.linalg.eigh(gram)
    rotated = vectors.T @ cross
    errors = []
    for penalty in penalties:
        coef = vectors @ (rotated / (np.maximum(values, 0) + penalty)[:, None]) / sd[:, None]
        intercept = value_mean - mean @ coef
        weights = np.vstack([intercept, coef, -np.eye(len(value_mean))])  # (1 + p + d, d): prediction - value
        errors.append(float(np.einsum("id,ij,jd->", weights, held, weights)))
    return np.array(errors)


def logistic(
    features: np.ndarray,
    classes: np.ndarray,
    fold: np.ndarray,
    n_classes: int,
    penalties: tuple[float, ...],
    weight: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    """Logistic regression on standardised features; penalty and weights of the largest likelihood on left-out folds.

    Parameters
    ----------
    features : ndarray of shape (n, p)
    classes : ndarray of shape (n,), 0 .. n_classes - 1
    fold : ndarray of shape (n,)
    penalties : tuple of float
        Candidates, as ``1 / C`` of scikit-learn's ``LogisticRegression``.
    weight : ndarray of shape (p,) or (n_candidates, p)
        Factors on the standardised features, as in :func:`ridge`.

    Returns
    -------
    centre, scale : ndarray of shape (p,)
        Scales are those over the first candidate's weights, whichever is chosen, and so the same for all classes of
        several outputs.
    coef : ndarray of shape (n_classes, p)
    intercept : ndarray of shape (n_classes,)
    penalty : float
    """
    candidates = np.atleast_2d(weight)
    centre = features.mean(0)
    scale = np.maximum(features.std(0), LEAST) / candidates[0]
    x = (features - centre) / scale
    factors = candidates / candidates[0]
    chosen, penalty = factors[0], penalties[len(penalties) // 2]
    if len(penalties) * len(candidates) > 1:
        found = np.array([[_held_log_probability(x * one, classes, fold, n_classes, p) for p in penalties]
                          for one in factors])  # fmt: skip
        if found.any():
            row, column = np.unravel_index(int(np.argmax(found)), found.shape)
            chosen, penalty = factors[row], penalties[column]
    coef, intercept = _logistic(x * chosen, classes, n_classes, penalty)
    return centre, scale, coef * chosen, intercept, penalty


def _held_log_probability(
    x: np.ndarray, classes: np.ndarray, fold: np.ndarray, n_classes: int, penalty: float
) -> float:
    """Log-probability of the classes of all folds, each by the regression on the others; 0 where there is none."""
    total = 0.0
    for k in np.unique(fold):
        training, held = fold != k, fold == k
        if len(np.unique(classes[training])) < 2:
            continue
        coef, intercept = _logistic(x[training], classes[training], n_classes, penalty)
        total += float(_log_probability(x[held] @ coef.T + intercept, classes[held]).sum())
    return total


def _logistic(x: np.ndarray, classes: np.ndarray, n_classes: int, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    model = LogisticRegression(C=1 / penalty, max_iter=500, tol=1e-3).fit(x, classes)
    coef, intercept = np.zeros((n_classes, x.shape[1])), np.full(n_classes, np.log(UNSEEN))
    if len(model.classes_) == 2:
        coef[model.classes_] = np.vstack([-0.5, 0.5]) * model.coef_
        intercept[model.classes_] = np.array([-0.5, 0.5]) * model.intercept_
    else:
        coef[model.classes_], intercept[model.classes_] = model.coef_, model.intercept_
    return coef, intercept


def _log_probability(logits: np.ndarray, classes: np.ndarray) -> np.ndarray:
    logits = logits - logits.max(1, keepdims=True)
    return logits[np.arange(len(classes)), classes] - np.log(np.exp(logits).sum(1))
