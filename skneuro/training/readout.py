"""Linear readouts whose penalty is chosen on contiguous blocks of the labels: neighbours in time are alike."""

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

    The penalty with the smallest squared error on left-out folds is taken. All features are never held at once.

    Parameters
    ----------
    chunks : iterable of (features (n, p), values (n, d), fold (n,))
        One pass.
    penalties : tuple of float
        Candidates, in the units of scikit-learn's ``Ridge(alpha)``.
    weight : ndarray of shape (p,)
        Factors on the standardised features: those below 1 are used less.

    Returns
    -------
    centre, scale : ndarray of shape (p,)
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
    mean, sd = _moments(total, n_features, weight)
    penalty = penalties[0]
    if len(penalties) > 1 and len(products) > 1:
        errors = sum(_fold_errors(total - p, p, weight, penalties) for p in products.values())
        penalty = penalties[int(np.argmin(errors))]
    elif len(penalties) > 1:
        penalty = penalties[len(penalties) // 2]
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
    """Logistic regression on standardised features; the penalty with the largest likelihood on left-out folds.

    Parameters
    ----------
    features : ndarray of shape (n, p)
    classes : ndarray of shape (n,), 0 .. n_classes - 1
    fold : ndarray of shape (n,)
    penalties : tuple of float
        Candidates, as ``1 / C`` of scikit-learn's ``LogisticRegression``.
    weight : ndarray of shape (p,)
        Factors on the standardised features.

    Returns
    -------
    centre, scale : ndarray of shape (p,)
    coef : ndarray of shape (n_classes, p)
    intercept : ndarray of shape (n_classes,)
    penalty : float
    """
    centre = features.mean(0)
    scale = np.maximum(features.std(0), LEAST) / weight
    x = (features - centre) / scale
    penalty = penalties[len(penalties) // 2]
    if len(penalties) > 1:
        found = np.zeros(len(penalties))
        for k in np.unique(fold):
            training, held = fold != k, fold == k
            if len(np.unique(classes[training])) < 2:
                continue
            for number, candidate in enumerate(penalties):
                coef, intercept = _logistic(x[training], classes[training], n_classes, candidate)
                found[number] += _log_probability(x[held] @ coef.T + intercept, classes[held]).sum()
        penalty = penalties[int(np.argmax(found))] if found.any() else penalty
    return centre, scale, *_logistic(x, classes, n_classes, penalty), penalty


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
