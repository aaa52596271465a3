"""Shared input, read from what the couplings leave unexplained.

The residuals of all units are projected on a few factors, whose loadings follow from the residuals' cross-spectra, and
smoothed with the factors' own Wiener filter. What a target itself contributes is left out of its factors, so that a
covariate never holds the spike it is to explain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft

__all__ = ["SharedInput", "shared_input"]

_BLOCK = 4.0  # s, of a spectrum
_PAD = 0.25  # s of silence between stretches, so that no filter reaches from one to the next
_N_BANDS = 25
_SLOW = 10.0  # Hz: the first loadings are those of the slow bands
_MAX_FACTORS = 6
_FEWEST_UNITS = 4  # of fewer, a factor is one pair
_FEWEST_ROWS = 8  # one block of a spectrum
# Noise and couplings that were missed give eigenvalues of both signs, shared input positive ones only: a factor must
# be this much larger than the most negative eigenvalue.
_MARGIN = 1.5


@dataclass(frozen=True, eq=False)
class SharedInput:
    """Factors of the shared input, and how each target sees them without itself.

    Parameters
    ----------
    factors : ndarray of shape (n_rows, n_factors), float32
        Smoothed factors.
    loadings : ndarray of shape (n_units, n_factors)
        Of the residuals in standard deviations.
    strength : ndarray of shape (n_units,)
        Leading eigenvalues of the residual covariance, largest first; zeros beyond those that were looked at.
    residual : ndarray of shape (n_rows, n_units), float32
        Residuals in standard deviations.
    place : ndarray of shape (n_rows,), int
        Where the rows stand on a time axis with silence between stretches.
    gain : ndarray of shape (n_factors, n_factors, n_frequencies)
        The filter.
    """

    factors: np.ndarray
    loadings: np.ndarray
    strength: np.ndarray
    residual: np.ndarray
    place: np.ndarray
    gain: np.ndarray

    @property
    def n_factors(self) -> int:
        """Number of factors."""
        return self.loadings.shape[1]

    def without(self, targets: np.ndarray) -> np.ndarray:
        """Return the factors as the other units show them.

        Parameters
        ----------
        targets : ndarray of shape (n_targets,), int
            Units to leave out, each from its own covariates only.

        Returns
        -------
        ndarray of shape (n_rows, n_targets, n_factors), float32
            Centred, of unit variance.
        """
        own = np.einsum("abf,ib->iaf", self.gain, self.loadings[targets])  # (targets, factors, frequencies)
        result = np.empty((len(self.place), len(targets), self.n_factors), dtype=np.float32)
        for k, target in enumerate(targets):
            spectrum = _transform(self.residual[:, [target]], self.place)
            part = fft.irfft(own[k].astype(np.float32) * spectrum[:, 0], n=_length(self.place), axis=1)
            result[:, k] = self.factors - part[:, self.place].T
        result -= result.mean(axis=0)
        return result / np.maximum(result.std(axis=0), 1e-12)


def shared_input(
    residual: np.ndarray, rows: np.ndarray, bin_width: float, n_factors: int | None = None
) -> SharedInput | None:
    """Find factors that the residuals of many units share.

    Parameters
    ----------
    residual : ndarray of shape (n_rows, n_units), float32
        Counts minus their expectation, each unit divided by the square root of its mean count.
    rows : ndarray of shape (n_rows,), int
        Bins of the rows; where they jump, a new stretch begins.
    bin_width : float, in seconds
        Width of a bin.
    n_factors : int, default=None
        Number of factors. None takes as many as stand out of the noise of the residual covariance, at most 6.

    Returns
    -------
    SharedInput or None
        None where nothing stands out, or where there are fewer than 4 units or 8 bins.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.connectivity.innovations import shared_input
    >>> rng = np.random.default_rng(0)
    >>> slow = np.convolve(rng.standard_normal(20019), np.ones(20) / 4.5, mode="valid")
    >>> noise = rng.standard_normal((20000, 12))
    >>> found = shared_input((noise + 0.5 * slow[:, None]).astype(np.float32), np.arange(20000), 0.005)
    >>> found.n_factors, bool(np.corrcoef(found.factors[:, 0], slow)[0, 1] ** 2 > 0.5)
    (1, True)
    >>> shared_input(noise.astype(np.float32), np.arange(20000), 0.005) is None
    True
    """
    n_units = residual.shape[1]
    if n_units < _FEWEST_UNITS or len(rows) < _FEWEST_ROWS:
        return None
    place = _place(rows, bin_width)
    edges, spectra, weight = _band_spectra(residual, place, bin_width)
    most = min(_MAX_FACTORS if n_factors is None else n_factors, max(n_units // 4, 1), n_units)
    slow = (edges[:-1] < _SLOW).astype(float)
    power = slow
    for _ in range(3):
        mean = np.einsum("b,bij->ij", power * weight, spectra) / (power * weight).sum()
        loadings, strength = _hollow_factors(mean, most, choose=n_factors is None)
        if not loadings.shape[1]:
            return None
        # The next round weighs each band by how much of it the factors explain.
        off = ~np.eye(n_units, dtype=bool)
        pattern = (loadings @ loadings.T)[off]
        power = np.maximum([(band[off] @ pattern) / (pattern @ pattern) for band in spectra], 0.0)
        power = power if power.any() else slow
    gain = _wiener(spectra, loadings, edges, place, bin_width)
    projected = fft.rfft(_spread(residual @ loadings.astype(np.float32), place), axis=0)
    factors = fft.irfft(np.einsum("abf,fb->fa", gain, projected), n=_length(place), axis=0)[place]
    return SharedInput(factors.astype(np.float32), loadings, strength, residual, place, gain)


def _place(rows: np.ndarray, bin_width: float) -> np.ndarray:
    jump = np.concatenate([[0], np.cumsum(np.diff(rows) != 1)])
    return np.arange(len(rows)) + jump * int(np.ceil(_PAD / bin_width))


def _length(place: np.ndarray) -> int:
    return int(fft.next_fast_len(int(place[-1]) + 1 + (place[-1] - len(place) > 0), real=True))


def _spread(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    result = np.zeros((_length(place), values.shape[1]), dtype=np.float32)
    result[place] = values
    return result


def _transform(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    return fft.rfft(_spread(values, place), axis=0)


def _band_spectra(
    residual: np.ndarray, place: np.ndarray, bin_width: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Edges of the bands in hertz, their mean cross-spectra (in-phase part, noise is 1), and their share."""
    spread = _spread(residual, place)
    n_block = min(max(int(_BLOCK / bin_width), _FEWEST_ROWS), len(spread))
    frequency = fft.rfftfreq(n_block, bin_width)
    edges = np.unique(np.concatenate([[0.0], np.geomspace(1.0, frequency[-1] + 1.0, _N_BANDS)]))
    band = np.searchsorted(edges, frequency, side="right") - 1
    kept = np.unique(band)
    total = np.zeros((len(kept), residual.shape[1], residual.shape[1]))
    for start in range(0, len(spread) - n_block + 1, n_block):
        wave = fft.rfft(spread[start : start + n_block], axis=0)
        for k, number in enumerate(kept):
            part = wave[band == number]
            total[k] += (part.conj().T @ part).real
    n_waves = np.array([(band == number).sum() for number in kept])
    occupied = len(place) / len(spread) * (len(spread) // n_block) * n_block
    total /= (n_waves * occupied)[:, None, None]
    return np.append(edges[kept], edges[kept[-1] + 1]), total, n_waves.astype(float)


def _hollow_factors(matrix: np.ndarray, most: int, *, choose: bool) -> tuple[np.ndarray, np.ndarray]:
    """Loadings that explain a matrix off its diagonal (principal factors); as many as clear the noise."""
    n_units, off = len(matrix), ~np.eye(len(matrix), dtype=bool)
    loadings, strength = np.zeros((n_units, 0)), np.zeros(n_units)
    for n_factors in range(1, most + 1):
        values = np.linalg.eigvalsh(np.where(off, matrix - loadings @ loadings.T, 0.0))
        if choose and values[-1] < -_MARGIN * values[0]:
            break
        loadings, strength = _principal_factors(matrix, n_factors)
    return loadings, strength


def _principal_factors(matrix: np.ndarray, n_factors: int, n_iter: int = 50) -> tuple[np.ndarray, np.ndarray]:
    hollow, diagonal = matrix.copy(), np.zeros(len(matrix))
    for _ in range(n_iter):
        np.fill_diagonal(hollow, diagonal)
        values, vectors = np.linalg.eigh(hollow)
        values, vectors = values[::-1], vectors[:, ::-1]
        loadings = vectors[:, :n_factors] * np.sqrt(np.maximum(values[:n_factors], 0.0))
        diagonal = (loadings**2).sum(axis=1)
    return loadings, values


def _wiener(
    spectra: np.ndarray, loadings: np.ndarray, edges: np.ndarray, place: np.ndarray, bin_width: float
) -> np.ndarray:
    """Filter from projected residuals to factors: ``Phi (1 + L'L Phi)^-1`` with ``Phi`` the factors' spectrum."""
    n_factors, off = loadings.shape[1], ~np.eye(len(loadings), dtype=bool)
    pairs = [(a, b) for a in range(n_factors) for b in range(a, n_factors)]
    patterns = [np.outer(loadings[:, a], loadings[:, b]) for a, b in pairs]
    design = np.array([(p + p.T if a != b else p)[off] for p, (a, b) in zip(patterns, pairs, strict=True)]).T
    information, gains = loadings.T @ loadings, []
    for band in spectra:
        power = np.zeros((n_factors, n_factors))
        for (a, b), value in zip(pairs, np.linalg.lstsq(design, band[off], rcond=None)[0], strict=True):
            power[a, b] = power[b, a] = value
        values, vectors = np.linalg.eigh(power)
        power = (vectors * np.maximum(values, 0.0)) @ vectors.T
        gains.append(power @ np.linalg.inv(np.eye(n_factors) + information @ power))
    centre = np.log(np.sqrt(np.maximum(edges[:-1], 0.25) * edges[1:]))
    frequency = np.log(np.maximum(fft.rfftfreq(_length(place), bin_width), 1e-3))
    stacked = np.array(gains)
    result = np.empty((n_factors, n_factors, len(frequency)))
    for a in range(n_factors):
        for b in range(n_factors):
            result[a, b] = np.interp(frequency, centre, stacked[:, a, b])
    return result
