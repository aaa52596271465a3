"""Terms between units in the same bin: each unit may depend on those of lower index (the chain rule)."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from skneuro.baselines._features import CountScale
from skneuro.baselines._heads import CountHead
from skneuro.data.interventions import apply


class SameBinTerm(Protocol):
    """What the units of a bin that came before add to the log-intensity of the next one."""

    def begin(self, n_rows: int) -> None:
        """Forget the bin before."""

    def offset(self, unit: int) -> np.ndarray:
        """Addition to the log-intensity of a unit, (n_rows,)."""

    def see(self, unit: int, residual: np.ndarray) -> None:
        """Take note of a unit's standardised count, (n_rows,)."""


class LinearTerm:
    """Sum of the standardised counts of lower units, weighted.

    Parameters
    ----------
    weights : ndarray of shape (n_units, n_units), source by target
        Zero unless the source is lower than the target.
    """

    def __init__(self, weights: np.ndarray):
        self.weights = weights

    def begin(self, n_rows: int) -> None:
        self.residuals = np.zeros((n_rows, len(self.weights)))

    def offset(self, unit: int) -> np.ndarray:
        return self.residuals[:, :unit] @ self.weights[:unit, unit]

    def see(self, unit: int, residual: np.ndarray) -> None:
        self.residuals[:, unit] = residual


class CellDrawer:
    """Draws all units of a bin, one after the other where they depend on each other.

    Parameters
    ----------
    head : CountHead
        Distribution of a count.
    shape : ndarray of shape (n_shape, n_units)
        Fitted shape parameters of the units.
    scale : CountScale
        How counts are standardised.
    """

    def __init__(self, head: CountHead, shape: np.ndarray, scale: CountScale):
        self.head, self.shape, self.scale = head, shape, scale
        self.n_units = len(head.largest)
        self._single = [head.take([unit]) for unit in range(self.n_units)]

    def draw(
        self,
        z: np.ndarray,
        nu: np.ndarray | None,
        uniforms: np.ndarray,
        term: SameBinTerm | None,
        forced: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Expected and drawn counts, (n_rows, n_units) each; an expectation is given the draws of lower units."""
        if term is None:
            return self.head.mean(z, self.shape, nu), apply(self.head.draw(z, self.shape, uniforms, nu), forced)
        mean, counts = np.empty(z.shape), np.empty(z.shape, dtype=np.int64)
        term.begin(len(z))
        for unit, head in enumerate(self._single):
            own, shape = slice(unit, unit + 1), self.shape[:, unit : unit + 1]
            log_intensity = z[:, own] + term.offset(unit)[:, None]
            own_nu = None if nu is None else nu[:, own]
            mean[:, own] = head.mean(log_intensity, shape, own_nu)
            counts[:, own] = apply(head.draw(log_intensity, shape, uniforms[:, own], own_nu), forced, own)
            seen = self.scale.within(counts[:, unit], unit)
            term.see(unit, (seen - self.scale.mean[unit]) / self.scale.deviation[unit])
        return mean, counts
