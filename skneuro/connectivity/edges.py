"""Which couplings are synapses: an empirical-Bayes mixture of "no edge", excitation and inhibition.

The likelihood of each target is a quadratic form (`Evidence`), so that all sources are weighed together: what one
explains is not credited to another. A pair's kernel is a sum of

- a nuisance kernel, Gaussian, whose covariance is learned from all pairs (what shared input leaves behind), and
- with a small probability, an edge: a sign times an area times a shape of the dictionary.

Where few pairs of spikes are expected, a quadratic form takes a chance meeting for strong evidence: it counts for each
shape no more than the normal score of so many meetings does under Poisson's distribution.

The probability of an edge, the log-normal law of areas and the weights of the shapes are learned for each sign. With
Dale's law a source has one sign for all its targets. Everything is fitted by coordinate ascent (mean-field variational
Bayes, as Carbonetto & Stephens, Bayesian Analysis 2012, do for regression), without a random number.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from skneuro.connectivity.glm import Evidence
from skneuro.connectivity.past import Past
from skneuro.connectivity.shapes import synaptic_shapes
from skneuro.connectivity.significance import normal_score

__all__ = ["Edges", "infer_edges"]

_AREAS = np.geomspace(0.5, 100.0, 16)  # nats x ms
_SIGNS = np.array([1.0, -1.0])
_FIXED_SWEEPS = 3  # before the priors are learned
_RARE = (0.002, 0.4)  # bounds of the probability of an edge
_NUISANCE = 1e-3  # nats^2, to start with
_ENOUGH = 1e-3  # change of areas, relative, at which the sweeps stop


@dataclass(frozen=True, eq=False)
class Edges:
    """Posterior of all edges.

    Parameters
    ----------
    area : ndarray of shape (n_units, n_units), in nats x seconds
        ``[target, source]``: posterior mean of the signed area of the edge's kernel.
    probability : ndarray of shape (n_units, n_units)
        Posterior probability that there is an edge.
    z : ndarray of shape (n_units, n_units)
        Area that fits best, whether edge or not, in standard errors, as a normal score (`normal_score`): of the mean
        shape, given all other pairs.
    weights : ndarray of shape (n_coefficients, n_units)
        Coefficients of the edges alone, and of each target's own past.
    dale : bool
        Whether a source has one sign.
    dale_evidence : float, in nats
        Log Bayes factor of Dale's law on these data; NaN where it was not asked for.
    """

    area: np.ndarray
    probability: np.ndarray
    z: np.ndarray
    weights: np.ndarray
    dale: bool
    dale_evidence: float


def infer_edges(
    past: Past,
    evidence: Evidence,
    *,
    dale: bool | str = "auto",
    alpha: float = 20.0,
    n_sweeps: int = 25,
    most: float = _RARE[1],
) -> Edges:
    """Weigh every pair's kernel as edge or nuisance.

    Parameters
    ----------
    past : Past
        The design.
    evidence : Evidence
        The targets' log-likelihoods.
    dale : bool or "auto", default="auto"
        Whether all edges of a source have one sign. "auto" compares both by their evidence after half of the sweeps.
    alpha : float, default=20.0
        Ridge penalty on a target's own past.
    n_sweeps : int, default=25
        Most sweeps over all sources.
    most : float, default=0.4
        Largest prior probability of an edge of either sign.

    Returns
    -------
    Edges

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.connectivity.edges import infer_edges
    >>> from skneuro.connectivity.glm import fit_targets
    >>> from skneuro.connectivity.past import Past
    >>> from skneuro.data import BinnedSpikes
    >>> rng = np.random.default_rng(0)
    >>> counts = rng.poisson(0.02, (60000, 3))
    >>> counts[2:, 1] += rng.binomial(counts[:-2, 0], 0.3)
    >>> past = Past.of(BinnedSpikes.from_counts(counts, np.array([0, 60000]), 0.002), 10, 5)
    >>> edges = infer_edges(past, fit_targets(past))
    >>> np.argwhere(edges.probability > 0.5).tolist()
    [[1, 0]]
    """
    mixture = _Mixture(past, evidence, alpha, most)
    mixture.dale = dale is True
    dale_evidence = float("nan")
    for sweep in range(n_sweeps):
        before = mixture.area.copy()
        mixture.sweep()
        if dale == "auto" and sweep == n_sweeps // 2:
            dale_evidence = mixture.bayes_factor
            mixture.dale = dale_evidence > 0
        if sweep >= _FIXED_SWEEPS:
            mixture.learn()
        elif sweep + 1 < n_sweeps:
            continue
        moved = np.abs(mixture.area - before).max() > _ENOUGH * np.abs(before).max(initial=1e-9)
        if not moved and (dale != "auto" or sweep > n_sweeps // 2):
            break
    return Edges(
        area=1e-3 * mixture.area,
        probability=mixture.probability,
        z=mixture.z,
        weights=mixture.kept,
        dale=bool(mixture.dale),
        dale_evidence=dale_evidence,
    )


class _Mixture:
    """State of the coordinate ascent: posterior means of all pairs, and the priors."""

    def __init__(self, past: Past, evidence: Evidence, alpha: float, most: float) -> None:
        self.evidence, self.gram, self.alpha, self.most = evidence, past.gram, alpha, most
        n_lags, n_basis = past.basis.shape
        n_units = past.binned.n_units
        self.basis = past.basis
        shapes = synaptic_shapes(n_lags, past.binned.bin_width)
        self.shapes = shapes @ np.linalg.pinv(past.basis).T  # (shapes, basis)
        self.index = np.arange(n_basis * n_units).reshape(n_basis, n_units).T  # coefficients of each source
        self.precision = np.empty((n_units, n_units, n_basis, n_basis))  # [target, source]
        for source, at in enumerate(self.index):
            own = evidence.cross[:, at]  # (targets, basis, covariates)
            block = evidence.n_spikes[:, None, None] * self.gram[np.ix_(at, at)] - own @ own.transpose(0, 2, 1)
            # A unit that never fired says nothing; a tiny precision says so without a division by zero.
            self.precision[:, source] = block + 1e-6 * np.eye(n_basis)
        self.covariance = np.linalg.inv(self.precision)
        own = np.einsum("sa,ijab,sb->ijs", self.shapes, self.precision, self.shapes, optimize=True)
        # [target, source, shape]: the count of so many events is as skewed as the pair's sum
        self.n_events = own * [self._worth(shape) for shape in self.shapes]
        self.mean = np.zeros((n_basis * n_units, n_units))
        self.kept = np.zeros_like(self.mean)
        self.area = np.zeros((n_units, n_units))
        self.probability = np.zeros((n_units, n_units))
        self.z = np.zeros((n_units, n_units))
        self.nuisance = _NUISANCE * np.eye(n_basis)
        self.edge_rate = np.array([min(0.05, most), min(0.02, most)])
        self.shape_weight = np.full((2, len(shapes)), 1.0 / len(shapes))
        self.area_log_mean, self.area_log_sd = np.array([1.5, 2.0]), np.ones(2)
        self.excitatory_rate = 0.7
        self.dale = False
        self.bayes_factor = 0.0

    def sweep(self) -> None:
        """Update every source in turn, all its targets at once, and collect what the priors are learned from."""
        n_units, n_basis = len(self.index), len(self.nuisance)
        self.marginal = np.linalg.inv(self.covariance + self.nuisance)  # precision of an estimate about its edge
        self.shape_precision = np.einsum("sa,ijab,sb->ijs", self.shapes, self.marginal, self.shapes, optimize=True)
        log_area = np.log(_AREAS)
        prior = -0.5 * ((log_area - self.area_log_mean[:, None]) / self.area_log_sd[:, None]) ** 2
        prior -= np.log(np.exp(prior).sum(axis=1, keepdims=True))
        self.atom_prior = np.log(self.shape_weight)[:, :, None] + prior[:, None, :]
        self.found = np.zeros((2, len(self.shapes), len(_AREAS)))
        self.exposed, self.n_excitatory = np.zeros(2), 0.0
        self.scatter = np.zeros((n_basis, n_basis))
        self.bayes_factor = 0.0
        self.projected = np.einsum("ifk,fi->ik", self.evidence.cross, self.mean)
        for source in range(n_units):
            self._update(source)

    def learn(self) -> None:
        """Set the priors to what the last sweep found (empirical Bayes)."""
        n_units = len(self.index)
        per_sign = self.found.sum(axis=(1, 2))
        self.edge_rate = np.clip(per_sign / np.maximum(self.exposed, 1.0), _RARE[0], self.most)
        by_shape = self.found.sum(axis=2) + 1.0
        self.shape_weight = by_shape / by_shape.sum(axis=1, keepdims=True)
        by_area, log_area = self.found.sum(axis=1) + 1e-9, np.log(_AREAS)
        mean = (by_area @ log_area) / by_area.sum(axis=1)
        variance = (by_area @ log_area**2) / by_area.sum(axis=1) - mean**2
        self.area_log_mean, self.area_log_sd = mean, np.sqrt(np.maximum(variance, 0.04))
        self.nuisance = self.scatter / max(n_units * (n_units - 1), 1) + 1e-8 * np.eye(len(self.scatter))
        if self.dale:
            self.excitatory_rate = float(np.clip(self.n_excitatory / n_units, 0.05, 0.95))

    def _update(self, source: int) -> None:
        at, n_spikes = self.index[source], self.evidence.n_spikes
        own, precision = self.evidence.cross[:, at], self.precision[:, source]
        mean = self.mean[at]
        rest = self.evidence.linear[at] - n_spikes * (self.gram[at] @ self.mean)
        rest += np.einsum("iak,ik->ai", own, self.projected) + np.einsum("iab,bi->ai", precision, mean)
        estimate = np.einsum("iab,bi->ia", self.covariance[:, source], rest)  # of the pair alone
        weighted = np.einsum("iab,ib->ia", self.marginal[:, source], estimate)

        posterior = self._atoms(source, weighted @ self.shapes.T)  # (targets, sign, shape, area)
        signed = np.einsum("isca,s,a->ic", posterior, _SIGNS, _AREAS)
        edge = signed @ self.shapes
        square = np.einsum("isca,a->ic", posterior, _AREAS**2)
        spread = np.einsum("ic,ca,cb->iab", square, self.shapes, self.shapes, optimize=True)
        spread -= edge[:, :, None] * edge[:, None, :]

        shrink = self.nuisance @ self.marginal[:, source]
        nuisance = np.einsum("iab,ib->ia", shrink, estimate - edge)
        scatter = self.nuisance - shrink @ self.nuisance + nuisance[:, :, None] * nuisance[:, None, :]
        scatter += shrink @ spread @ shrink.transpose(0, 2, 1)
        scatter[source] = 0.0
        self.scatter += scatter.sum(axis=0)

        new, kept = edge + nuisance, edge
        # A target's own past is no edge: refractoriness and bursts have a ridge prior instead.
        ridge = precision[source] + self.alpha * np.eye(len(at))
        new[source] = kept[source] = np.linalg.solve(ridge, rest[:, source])
        self.projected += np.einsum("iak,ai->ik", own, new.T - mean)
        self.mean[at], self.kept[at] = new.T, kept.T
        self.area[:, source] = signed.sum(axis=1)
        self.probability[:, source] = posterior.sum(axis=(1, 2, 3))
        self.z[:, source] = self._score(source, weighted)
        self.found += posterior.sum(axis=0)

    def _atoms(self, source: int, matched: np.ndarray) -> np.ndarray:
        """Posterior over (sign, shape, area) of the edges of one source; what is missing to 1 is "no edge"."""
        log_ratio = _SIGNS[:, None, None] * _AREAS * matched[:, None, :, None]
        log_ratio -= 0.5 * _AREAS**2 * self.shape_precision[:, source][:, None, :, None]
        edge = logsumexp(self._usable(source, matched)[..., None] * log_ratio + self.atom_prior, axis=(2, 3))
        log_ratio += self.atom_prior
        atoms = np.exp(log_ratio - log_ratio.max(axis=(2, 3), keepdims=True))
        total = atoms.sum(axis=(2, 3))
        others = np.arange(len(edge)) != source

        alone = np.log1p(-self.edge_rate), np.log(self.edge_rate) + edge
        of_sign = np.logaddexp(*alone)
        by_sign = of_sign[others].sum(axis=0) + np.log([self.excitatory_rate, 1.0 - self.excitatory_rate])
        either = np.logaddexp(np.log1p(-self.edge_rate.sum()), np.logaddexp(*alone[1].T))
        one_sign = np.logaddexp(*by_sign)
        self.bayes_factor += self._versus_free(edge[others])
        if self.dale:
            sign = np.exp(by_sign - one_sign)
            chance = np.exp(np.minimum(alone[1] - of_sign, 0.0)) * sign
            self.exposed += sign * others.sum()
            self.n_excitatory += sign[0]
        else:
            chance = np.exp(np.minimum(alone[1] - either[:, None], 0.0))
            self.exposed += others.sum()
        chance[source] = 0.0
        return atoms * (chance / total)[:, :, None, None]

    def _versus_free(self, edge: np.ndarray) -> float:
        """Log evidence for one sign over a sign of each edge's own, at equal rates of edges."""
        rate = min(float(self.edge_rate.sum()), 0.9)
        share = self.edge_rate / self.edge_rate.sum()
        free = np.logaddexp(np.log1p(-rate), np.log(rate) + np.logaddexp(*(np.log(share) + edge).T)).sum()
        one = np.logaddexp(np.log1p(-rate), np.log(rate) + edge).sum(axis=0) + np.log(share)
        return float(np.logaddexp(*one) - free)

    def _score(self, source: int, weighted: np.ndarray) -> np.ndarray:
        shape = self.shape_weight.mean(axis=0) @ self.shapes
        variance, own = self._quadratic(self.marginal, source, shape), self._quadratic(self.precision, source, shape)
        z = weighted @ shape / np.sqrt(np.maximum(variance, 1e-300))
        return normal_score(z, own * self._worth(shape))

    def _usable(self, source: int, matched: np.ndarray) -> np.ndarray:
        """Share of the quadratic evidence for each shape (targets, sign, shape) that few spikes leave of it.

        A log-likelihood ratio is half a squared normal score. Few pairs of spikes make the quadratic one too large on
        the side of more.
        """
        z = matched / np.sqrt(np.maximum(self.shape_precision[:, source], 1e-300))
        score = normal_score(z, self.n_events[:, source])
        share = np.clip(score / np.where(z == 0, 1.0, z), 0.0, 1.0) ** 2
        return np.where(_SIGNS[:, None] * z[:, None] > 0, share[:, None], 1.0)

    def _quadratic(self, precision: np.ndarray, source: int, shape: np.ndarray) -> np.ndarray:
        """Quadratic form of a shape, for all targets."""
        return np.einsum("a,iab,b->i", shape, precision[:, source], shape)

    def _worth(self, shape: np.ndarray) -> float:
        """Pairs of spikes whose count is as skewed as a sum weighed by the shape, over the variance of that sum."""
        lags = self.basis @ shape
        return float((lags**2).sum() / max(abs((lags**3).sum()), 1e-300)) ** 2
