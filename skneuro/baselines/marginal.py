"""`ConstantMarginal`: each unit's own count distribution, constant in time."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np

from skneuro._base import as_before_on_failure
from skneuro._sklearn_compat import Interval, fit_context
from skneuro.baselines._baseline import StaticBaseline
from skneuro.baselines._heads import CategoricalHead
from skneuro.data.binning import BinnedSpikes
from skneuro.data.recording import Modalities


class ConstantMarginal(StaticBaseline):
    """Counts drawn from each unit's empirical distribution, independent of everything.

    It knows how counts are dispersed and nothing of what happens when: what it scores above zero is what a model of
    the same counts gains without any dynamics.

    Parameters
    ----------
    bin_width : float, default=0.01
        Width of a bin, in seconds.

    Attributes
    ----------
    head_ : dict of str to ndarray
        What the count distribution is made of. A unit's classes are the counts up to its largest in the training data,
        and one for all beyond, spread geometrically; each class has half a count added, so no count is impossible.
    base_rate_ : ndarray of shape (n_units,), in hertz
        Constant rates, for the null model.
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
    HomogeneousPoisson : Poisson counts at a constant rate.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.baselines import ConstantMarginal
    >>> counts = np.tile([[1, 2], [1, 0]], (50, 1))  # far more regular than Poisson
    >>> ConstantMarginal(bin_width=0.05).fit(counts).score(counts) > 0.5
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"bin_width": [Interval(Real, 0, None, closed="neither")]}
    _uses_modalities = False

    def __init__(self, *, bin_width: float = 0.01):
        self.bin_width = bin_width

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Measure the count distributions.

        Parameters
        ----------
        X : SpikeTrains, Recording or array-like of shape (n_bins, n_units) or (n_trials, n_bins, n_units)
            Spikes.
        y : Modalities, Video, TimeSeries, array-like or None, default=None
            Stimuli; not used.

        Returns
        -------
        self : ConstantMarginal
            The fitted model.

        Raises
        ------
        ValueError
            If X holds no observed spike.
        """
        with as_before_on_failure(self):
            inp = self._read_training(X, y)
            self.head_ = CategoricalHead.from_counts(inp.spikes.dense(), inp.spikes.mask()).to_arrays()
        return self

    def _head(self) -> CategoricalHead:
        return CategoricalHead(**self.head_)

    def _drive(self, modalities: Modalities | None, binned: BinnedSpikes) -> np.ndarray:
        return np.broadcast_to(self.head_["z_start"], (binned.n_bins, binned.n_units))
