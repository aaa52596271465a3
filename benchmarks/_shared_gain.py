"""Poisson spikes whose rates share one gain: a population whose units share their excitability and nothing else."""

from __future__ import annotations

import numpy as np

from skneuro import Recording, SpikeTrains
from skneuro.baselines import CoupledGLM, HomogeneousPoisson
from skneuro.data import Modalities


class SharedGainPoisson:
    """Rates from the stimulus (a Poisson GLM; constant ones without a stimulus) times a gain that all units share.

    The gain of Goris, Movshon and Simoncelli (2014), Nat Neurosci 17:858, with a memory: its logarithm is a Gaussian
    first-order autoregression, new in each trial. Variance and memory are those that make the variance of the
    population's count, and its covariance with the next bin's, what they are in training.

    Parameters
    ----------
    bin_width : float, in seconds
    """

    def __init__(self, bin_width: float) -> None:
        self.bin_width = bin_width

    def fit(self, train: Recording) -> SharedGainPoisson:
        """Fit the rates, then the gain."""
        stimulated = train.modalities is not None
        self.rates = (
            CoupledGLM(bin_width=self.bin_width, history=0.0)
            if stimulated
            else HomogeneousPoisson(bin_width=self.bin_width)
        )
        self.rates.fit(train)
        expected = [trial.sum(1) for trial in self.rates.predict(train)]
        binned = train.spikes.bin(self.bin_width)
        counts = np.split(binned.dense().sum(1), binned.ptr[1:-1])
        self.variance, self.memory = gain_moments(counts, expected)
        return self

    def sample(
        self, stimuli: Modalities | None = None, n_samples: int = 1, *, duration=None, random_state: int = 0
    ) -> SpikeTrains:
        """Simulate trials, as `sample` of the baselines."""
        drawn = self.rates.sample(stimuli, n_samples, duration=duration, random_state=random_state)
        rows = None if stimuli is None else stimuli[np.repeat(np.arange(len(stimuli)), n_samples)]
        rng = np.random.default_rng(random_state)
        counts = []
        for mean in self.rates.predict(drawn, rows):
            counts.append(rng.poisson(mean * self._gain(len(mean), rng)[:, None]))
        return SpikeTrains.from_counts(counts, self.bin_width, t_start=drawn.t_start, unit_ids=drawn.unit_ids)

    def _gain(self, n_bins: int, rng: np.random.Generator) -> np.ndarray:
        variance = np.log1p(self.variance)  # of the logarithm
        log_gain = np.empty(n_bins)
        log_gain[0] = rng.standard_normal()
        for k, noise in enumerate(rng.standard_normal(n_bins - 1), start=1):
            log_gain[k] = self.memory * log_gain[k - 1] + np.sqrt(1 - self.memory**2) * noise
        return np.exp(np.sqrt(variance) * log_gain - variance / 2)


def gain_moments(counts: list[np.ndarray], expected: list[np.ndarray]) -> tuple[float, float]:
    """Variance of a gain and correlation of its logarithm from bin to bin, from a population's counts and expectations.

    With counts ``N`` that are Poisson given gain times expectation ``M``, ``E[(N - M)^2 - M] = variance * M^2``, and
    the product of the residuals of two bins has the gains' covariance times ``M M'``. A lognormal gain has a covariance
    of ``exp(c) - 1`` where that of its logarithm is ``c``.
    """
    residual = [n - m for n, m in zip(counts, expected, strict=True)]
    variance = sum(float(((r**2) - m).sum()) for r, m in zip(residual, expected, strict=True))
    variance /= sum(float((m**2).sum()) for m in expected)
    covariance = sum(float((r[1:] * r[:-1]).sum()) for r in residual)
    covariance /= sum(float((m[1:] * m[:-1]).sum()) for m in expected)
    if variance <= 0:
        return 0.0, 0.0
    return variance, float(np.clip(np.log1p(max(covariance, 0.0)) / np.log1p(variance), 0.0, 0.999))
