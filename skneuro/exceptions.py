"""Warnings and errors that skneuro raises besides those of Python and scikit-learn.

Every error is also a ``ValueError``, an ``OSError`` or an ``ArithmeticError``, so that code which knows nothing of
skneuro catches it.
"""

__all__ = [
    "AcausalEventsWarning",
    "ArtefactWarning",
    "DatasetNotFoundError",
    "DroppedSpikesWarning",
    "IncompatibleModalityError",
    "MissingModalityWarning",
    "NonFiniteLossError",
    "NonIntegerCountsWarning",
    "ShortenedLagWarning",
    "SilentUnitsWarning",
    "TransposedTruthWarning",
    "UnsafeFileError",
    "UnseenStimulusWarning",
]


class AcausalEventsWarning(UserWarning):
    """Events that know their signal's future are scored one step ahead, which flatters every model.

    Use `skneuro.metrics.dead_time_score`.

    Examples
    --------
    >>> from skneuro.exceptions import AcausalEventsWarning
    >>> issubclass(AcausalEventsWarning, UserWarning)
    True
    """


class ArtefactWarning(UserWarning):
    """A single value of a modality or of the labels, or a single count, can decide the result.

    Nothing was changed. The message names the place.

    Examples
    --------
    >>> import warnings
    >>> from skneuro.exceptions import ArtefactWarning
    >>> warnings.filterwarnings("error", category=ArtefactWarning)  # make it an error
    >>> warnings.filterwarnings("default", category=ArtefactWarning)
    """


class MissingModalityWarning(UserWarning):
    """A modality seen in ``fit`` is missing now, or a column of it is in every sample: the model does without it.

    Examples
    --------
    >>> import warnings
    >>> from skneuro.exceptions import MissingModalityWarning
    >>> warnings.filterwarnings("error", category=MissingModalityWarning)  # make it an error
    >>> warnings.filterwarnings("default", category=MissingModalityWarning)
    """


class UnseenStimulusWarning(UserWarning):
    """Many values of a modality lie beyond all that ``fit`` saw: what a model says there was never tested.

    Examples
    --------
    >>> from skneuro.exceptions import UnseenStimulusWarning
    >>> issubclass(UnseenStimulusWarning, UserWarning)
    True
    """


class NonIntegerCountsWarning(UserWarning):
    """Spike counts were not whole numbers and have been rounded, ``floor(x + 0.5)``.

    Examples
    --------
    >>> from skneuro.exceptions import NonIntegerCountsWarning
    >>> issubclass(NonIntegerCountsWarning, UserWarning)
    True
    """


class DroppedSpikesWarning(UserWarning):
    """Spikes lay outside every epoch or in time that was not observed, and were left out.

    The message says how many, and why.

    Examples
    --------
    >>> from skneuro.exceptions import DroppedSpikesWarning
    >>> issubclass(DroppedSpikesWarning, UserWarning)
    True
    """


class ShortenedLagWarning(UserWarning):
    """Fewer lags were read or modelled than was asked for, because trials, kernels or another parameter are shorter.

    Examples
    --------
    >>> from skneuro.exceptions import ShortenedLagWarning
    >>> issubclass(ShortenedLagWarning, UserWarning)
    True
    """


class SilentUnitsWarning(UserWarning):
    """Units without a spike in observed time: nothing can be said of their couplings, which are NaN.

    Examples
    --------
    >>> from skneuro.exceptions import SilentUnitsWarning
    >>> issubclass(SilentUnitsWarning, UserWarning)
    True
    """


class TransposedTruthWarning(UserWarning):
    """A bare matrix of true couplings scores clearly better transposed: it is likely [source, target].

    Examples
    --------
    >>> from skneuro.exceptions import TransposedTruthWarning
    >>> issubclass(TransposedTruthWarning, UserWarning)
    True
    """


class IncompatibleModalityError(ValueError):
    """A modality does not fit the spikes, or the model.

    Another number of trials, or a trial that it does not cover; another kind, size or frame rate than in ``fit``.

    Examples
    --------
    >>> from skneuro.exceptions import IncompatibleModalityError
    >>> issubclass(IncompatibleModalityError, ValueError)
    True
    """


class UnsafeFileError(ValueError):
    """A file is not what ``skneuro.load`` reads: a pickle, truncated, of an unknown class or a wrong size.

    Examples
    --------
    >>> from skneuro.exceptions import UnsafeFileError
    >>> issubclass(UnsafeFileError, ValueError)
    True
    """


class DatasetNotFoundError(OSError):
    """A recording is neither in the cache nor to be downloaded, or is not the published one.

    Examples
    --------
    >>> from skneuro.exceptions import DatasetNotFoundError
    >>> issubclass(DatasetNotFoundError, OSError)
    True
    """


class NonFiniteLossError(FloatingPointError):
    """Training ended because the loss or its gradient became NaN or infinite.

    A `NeuroformerEstimator` then holds its last good weights; a `GRUModel` has to be fitted again.

    Examples
    --------
    >>> from skneuro.exceptions import NonFiniteLossError
    >>> issubclass(NonFiniteLossError, ArithmeticError)
    True
    """
