"""What the connectivity benchmarks share: the baselines of pairs of units, and a bootstrap over pairs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

BASELINES = {
    "Pearson": {"method": "pearson"},
    "partial correlation": {"method": "partial_correlation"},
    "lagged correlation": {"method": "lagged_correlation"},
    "transfer entropy": {"method": "transfer_entropy"},
    "CCG": {"method": "ccg"},
    "GLM": {"method": "glm"},
}


def bootstrap(adjacencies: Sequence[np.ndarray], weights: np.ndarray, n_draws: int = 2000) -> np.ndarray:
    """AUROC and AUPRC of several methods on the same draws of pairs of units, edges and other pairs drawn apart.

    Returns
    -------
    ndarray of shape (n_draws, n_methods, 2)
    """
    rng = np.random.default_rng(0)
    known = np.isfinite(weights) & np.all([np.isfinite(adjacency) for adjacency in adjacencies], axis=0)
    np.fill_diagonal(known, False)
    edge = weights[known] != 0
    strength = np.abs([adjacency[known] for adjacency in adjacencies])
    edges, others = np.flatnonzero(edge), np.flatnonzero(~edge)
    truth = np.repeat([True, False], [len(edges), len(others)])
    draws = np.empty((n_draws, len(strength), 2))
    for draw in draws:
        pairs = np.concatenate([rng.choice(edges, len(edges)), rng.choice(others, len(others))])
        for scores, of_method in zip(draw, strength, strict=True):
            scores[:] = roc_auc_score(truth, of_method[pairs]), average_precision_score(truth, of_method[pairs])
    return draws
