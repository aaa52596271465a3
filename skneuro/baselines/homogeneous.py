"""`HomogeneousPoisson`: constant rates, the null model of every score."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np

from skneuro._base import as_before_on_failure
from skneuro._sklearn_compat import Interval, fit_context
from skneuro.baselines._baseline import StaticBaseline
from skneuro.baselines._heads import PoissonHead
from skneuro.data.binning import BinnedSpikes
from skneuro.data.inputs import ModelInput
from skneuro.data.recording import Modalities
from skneuro.metrics.likelihood import null_log_likelihood


class HomogeneousPoisson(StaticBaseline):
    """Poisson spikes at a constant rate, each unit on its own.

    The zero of every score: ``score`` is 0 on any data.

    Parameters
    ----------
    bin_width : float, default=0.01
        Width of a bin, in seconds.

    Attributes
    ----------
    base_rate_ : ndarray of shape (n_units,), in hertz
        ``(n + 1/2) / T`` over the time each unit was observed.
    unit_ids_ : ndarray of shape (n_units,)
        Units seen in `fit`.
    modalities_ : tuple of str
        Modalities seen in `fit`; they are not used.
    n_features_in_ : int
        Number of units.
    training_trials_ : dict
        Layout, start and duration of the training trials, for `sample`.

    See Also
    --------
    ConstantMarginal : Constant too, but with the counts' own distribution.

    Examples
    --------
    >>> from skneuro.baselines import HomogeneousPoisson
    >>> counts = [[0, 2], [1, 0], [0, 1], [1, 1]]
    >>> model = HomogeneousPoisson(bin_width=0.5).fit(counts)
    >>> model.base_rate_
    array([1.25, 2.25])
    >>> model.score(counts)
    0.0
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"bin_width": [Interval(Real, 0, None, closed="neither")]}
    _uses_modalities = False

    def __init__(self, *, bin_width: float = 0.01):
        self.bin_width = bin_width

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Measure the rates.

        Parameters
        ----------
        X : SpikeTrains, Recording or array-like of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
            Spikes.
        y : Modalities, Video, TimeSeries, array-like or None, default=None
            Stimuli; not used.

        Returns
        -------
        self : HomogeneousPoisson
            The fitted model.

        Raises
        ------
        ValueError
            If X holds no observed spike.
        """
        with as_before_on_failure(self):
            self._read_training(X, y)
        return self

    def _cell_log_likelihood(self, inp: ModelInput, target: BinnedSpikes | None = None) -> np.ndarray:
        return null_log_likelihood(inp.spikes if target is None else target, self.base_rate_)

    def _head(self) -> PoissonHead:
        mean = self.base_rate_ * self.bin_width
        return PoissonHead(np.ceil(mean), np.log(mean), np.zeros((0, len(mean))))

    def _drive(self, modalities: Modalities | None, binned: BinnedSpikes) -> np.ndarray:
        return np.broadcast_to(self._head().z_start, (binned.n_bins, binned.n_units))
