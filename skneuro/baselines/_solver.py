"""Minimise many small smooth functions at once, one for each column of a matrix.

The columns are independent problems (one unit under one penalty each), but evaluating them together
turns the design matrix's products into a few large matrix products.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

_MEMORY = 10
_SUFFICIENT = 1e-4
_MAX_HALVINGS = 25


def minimise_columns(
    function: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]],
    start: np.ndarray,
    scale: np.ndarray,
    *,
    max_iter: int,
    tol: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Limited-memory BFGS on every column at once, each with its own step.

    Parameters
    ----------
    function : callable
        ``function(x, columns)`` returns the values, shape (len(columns),), and the gradients,
        shape (n_params, len(columns)), at ``x`` of shape (n_params, len(columns)).
    start : ndarray of shape (n_params, n_columns)
        Where to begin.
    scale : ndarray of shape (n_params, n_columns)
        Estimate of the inverse of the diagonal of the Hessian, positive; 0 keeps a parameter fixed.
    max_iter : int
        Largest number of iterations.
    tol : float
        A column has converged when its predicted decrease, g' H g / 2, falls below ``tol``.

    Returns
    -------
    x : ndarray of shape (n_params, n_columns)
        The minimisers.
    value : ndarray of shape (n_columns,)
        The minima.
    converged : ndarray of shape (n_columns,), bool
        Whether the predicted decrease fell below ``tol``.
    """
    x = start.copy()
    active = np.arange(x.shape[1])
    value, gradient = function(x, active)
    steps = np.zeros((_MEMORY, *x.shape))
    bends = np.zeros((_MEMORY, *x.shape))
    inverse_curvature = np.zeros((_MEMORY, x.shape[1]))
    converged = np.zeros(x.shape[1], dtype=bool)
    for iteration in range(max_iter):
        direction = -_two_loops(
            gradient[:, active], steps[:, :, active], bends[:, :, active],
            inverse_curvature[:, active], scale[:, active], iteration,
        )  # fmt: skip
        slope = (direction * gradient[:, active]).sum(axis=0)
        done = -0.5 * slope <= tol
        converged[active[done]] = True
        active, direction, slope = active[~done], direction[:, ~done], slope[~done]
        if not len(active):
            break
        moved, new_value, new_gradient = _line_search(function, x[:, active], value[active], direction, slope, active)
        step, bend = moved - x[:, active], new_gradient - gradient[:, active]
        curvature = (step * bend).sum(axis=0)
        slot = iteration % _MEMORY
        useful = curvature > 1e-12 * (bend**2 * scale[:, active]).sum(axis=0)
        steps[slot][:, active], bends[slot][:, active] = step, bend
        inverse_curvature[slot, active] = np.where(useful, 1.0 / np.where(useful, curvature, 1.0), 0.0)
        stuck = ~(new_value < value[active])
        x[:, active], value[active], gradient[:, active] = moved, new_value, new_gradient
        active = active[~stuck]
        if not len(active):
            break
    return x, value, converged


def _two_loops(gradient, steps, bends, inverse_curvature, scale, iteration) -> np.ndarray:
    """Apply the inverse Hessian that the last steps have shown, column by column."""
    # A skipped pair has inverse curvature 0 and drops out of both loops by itself.
    order = [(iteration - 1 - back) % _MEMORY for back in range(min(iteration, _MEMORY))]
    q = gradient.copy()
    weight = {}
    for slot in order:
        weight[slot] = inverse_curvature[slot] * (steps[slot] * q).sum(axis=0)
        q -= weight[slot] * bends[slot]
    q *= scale
    for slot in reversed(order):
        correction = inverse_curvature[slot] * (bends[slot] * q).sum(axis=0)
        q += (weight[slot] - correction) * steps[slot]
    return q


def _line_search(function, x, value, direction, slope, columns):
    """Halve each column's step until its value falls enough; a column that cannot move stays."""
    length = np.ones(x.shape[1])
    best, best_value = x.copy(), value.copy()
    best_gradient = np.zeros_like(x)
    open_ = np.arange(x.shape[1])
    for _ in range(_MAX_HALVINGS):
        trial = x[:, open_] + length[open_] * direction[:, open_]
        with np.errstate(over="ignore", invalid="ignore"):
            trial_value, trial_gradient = function(trial, columns[open_])
        enough = trial_value <= value[open_] + _SUFFICIENT * length[open_] * slope[open_]
        accepted = open_[enough]
        best[:, accepted], best_value[accepted] = trial[:, enough], trial_value[enough]
        best_gradient[:, accepted] = trial_gradient[:, enough]
        open_ = open_[~enough]
        if not len(open_):
            break
        length[open_] *= 0.5
    return best, best_value, best_gradient
