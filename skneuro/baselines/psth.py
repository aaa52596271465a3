"""`PSTHModel`: rates as a function of time in the trial, one function for each repeated stimulus."""

from __future__ import annotations

from itertools import product
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from scipy.ndimage import gaussian_filter1d

from skneuro._base import as_before_on_failure
from skneuro._sklearn_compat import Interval, StrOptions, fit_context
from skneuro.baselines._baseline import StaticBaseline
from skneuro.baselines._features import bin_in_trial
from skneuro.baselines._heads import PoissonHead
from skneuro.data._onsets import told_onsets
from skneuro.data.binning import BinnedSpikes
from skneuro.data.inputs import ModelInput
from skneuro.data.recording import Modalities
from skneuro.data.video import Video
from skneuro.metrics.likelihood import poisson_log_pmf

# Candidates of the automatic choice: kernels in bins, belief in the constant rate in trials.
_SMOOTHING_BINS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0)
_SHRINKAGE_TRIALS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)


class PSTHModel(StaticBaseline):
    """Poisson spikes at the rate of the peri-stimulus time histogram.

    Where trials repeat a video (same ``Video.index``), each clip has its own histogram; otherwise, and for clips that
    were not there in `fit`, time in the trial is all that counts. A clip is known again by its pixels, wherever another
    `Video` stores it. Histograms are by time in the trial, so that a clip should come on at one time in all its trials.
    They are smoothed in time and drawn towards the constant rate, both by as much as predicts left-out trials best.

    Parameters
    ----------
    bin_width : float, default=0.01
        Width of a bin, in seconds.
    smoothing : float or "auto", default="auto"
        Standard deviation of the Gaussian kernel, in seconds; 0 does not smooth.
    shrinkage : float or "auto", default="auto"
        Weight of the constant rate, in trials.
    min_repeats : int, default=2
        Fewest trials that make a histogram.

    Attributes
    ----------
    rates_ : ndarray of shape (n_clips + 1, n_bins, n_units), in hertz
        Histogram of each clip, and last of all trials together.
    n_bins_ : ndarray of shape (n_clips + 1,)
        Bins that each histogram covers; 0 where a clip had too few trials, and the histogram of all trials serves.
    clip_digests_ : ndarray of shape (n_clips,), str
        Digest of the frames of each clip, empty for one that no trial shows; of shape (0,) without a video.
    smoothing_ : float, in seconds
        Kernel that was used.
    shrinkage_ : float, in trials
        Weight that was used.
    base_rate_ : ndarray of shape (n_units,), in hertz
        Constant rates, for the null model.
    unit_ids_ : ndarray of shape (n_units,)
        Units seen in `fit`.
    modalities_ : tuple of str
        Modalities seen in `fit`; of these, one video is used, for the identity of its clips.
    n_features_in_ : int
        Number of units.
    training_trials_ : dict
        Layout, start and duration of the training trials, for `sample`.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.baselines import PSTHModel
    >>> counts = np.random.default_rng(0).poisson([[0.1], [2.0], [0.1], [0.1]], size=(50, 4, 1))
    >>> model = PSTHModel(bin_width=0.1).fit(counts[:40])
    >>> int(model.predict(counts[40:])[0].argmax())
    1
    >>> model.score(counts[40:]) > 0.5
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "bin_width": [Interval(Real, 0, None, closed="neither")],
        "smoothing": [Interval(Real, 0, None, closed="left"), StrOptions({"auto"})],
        "shrinkage": [Interval(Real, 0, None, closed="neither"), StrOptions({"auto"})],
        "min_repeats": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(
        self,
        *,
        bin_width: float = 0.01,
        smoothing: float | str = "auto",
        shrinkage: float | str = "auto",
        min_repeats: int = 2,
    ):
        self.bin_width = bin_width
        self.smoothing = smoothing
        self.shrinkage = shrinkage
        self.min_repeats = min_repeats

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Average the trials.

        Parameters
        ----------
        X : SpikeTrains, Recording or array-like of shape (n_trials, n_bins, n_units) or (n_bins, n_units)
            Spikes. A 2-D array is one trial.
        y : Modalities, Video, TimeSeries, array-like or None, default=None
            Stimuli; of one `Video`, the clip of each trial is used.

        Returns
        -------
        self : PSTHModel
            The fitted model.

        Raises
        ------
        ValueError
            If no stimulus is repeated `min_repeats` times in trials of equal duration, or X holds no observed spike.

        Warns
        -----
        UserWarning
            If a clip comes on at different times in its trials, by more than half a bin.
        """
        with as_before_on_failure(self):
            inp = self._read_training(X, y)
            video = _video(inp.modalities)
            clip = np.zeros(inp.spikes.n_trials, dtype=np.int64) if video is None else video.index
            self.clip_digests_ = np.array([], dtype=str) if video is None else video.clip_digests()
            if video is not None:
                so = "The histogram is by time in the trial, and blurs what the clip evokes."
                told_onsets(video, inp.spikes.t_start, self.bin_width, so)
            counts, observed = _stack(inp)
            length = np.diff(inp.spikes.ptr)
            groups, self.n_bins_ = self._groups(clip, length)
            base = self.base_rate_ * self.bin_width
            sums = np.stack([counts[group].sum(axis=0) for group in groups])
            trials = np.stack([observed[group].sum(axis=0) for group in groups]).astype(np.float64)
            # The histogram that serves a trial: its clip's, or else that of all trials.
            served = np.where(self.n_bins_[clip] > 0, clip, len(groups) - 1)
            self.smoothing_, self.shrinkage_ = self._choose(counts, observed, sums[served], trials[served], base)
            mean = _shrink(_smooth(sums, self._bins(self.smoothing_)), _smooth(trials, self._bins(self.smoothing_)),
                           self.shrinkage_, base)  # fmt: skip
            self.rates_ = mean / self.bin_width
        return self

    def _groups(self, clip: np.ndarray, length: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        """Trials of each clip and of all, and the bins that the histogram of each covers (0: it has none)."""
        n_clips = int(clip.max()) + 1
        members = [np.flatnonzero(clip == number) for number in range(n_clips)] + [np.arange(len(clip))]
        n_bins = np.zeros(n_clips + 1, dtype=np.int64)
        for number, trials in enumerate(members):
            # One bin of difference is how a duration falls on the bins.
            if len(trials) >= self.min_repeats and np.ptp(length[trials]) <= 1:
                n_bins[number] = length[trials].max()
        if not n_bins.any():
            raise ValueError(
                f"A PSTH needs at least min_repeats={self.min_repeats} trials of equal duration that repeat a stimulus "
                f"or share their time course. Got {len(clip)} trials of {length.min()} to {length.max()} bins and "
                f"{len(np.unique(clip))} stimuli. Cut the recording into equal trials, or leave this model out."
            )
        return members, n_bins

    def _bins(self, seconds: float) -> float:
        return seconds / self.bin_width

    def _choose(self, counts, observed, sums, trials, base) -> tuple[float, float]:
        """Smoothing and shrinkage under which each trial is predicted best from the others."""
        smoothing: list[Any] = [self.smoothing]
        if self.smoothing == "auto":
            smoothing = [bins * self.bin_width for bins in _SMOOTHING_BINS]
        shrinkage: list[Any] = list(_SHRINKAGE_TRIALS) if self.shrinkage == "auto" else [self.shrinkage]
        if len(smoothing) * len(shrinkage) == 1:
            return float(smoothing[0]), float(shrinkage[0])
        scores = {}
        for seconds in smoothing:
            left_sums = _smooth(sums - counts, self._bins(seconds))
            left_trials = _smooth(trials - observed, self._bins(seconds))
            for weight in shrinkage:
                mean = _shrink(left_sums, left_trials, weight, base)
                scores[seconds, weight] = np.where(observed, poisson_log_pmf(counts, mean), 0.0).sum()
        best = max(product(smoothing, shrinkage), key=scores.__getitem__)
        return float(best[0]), float(best[1])

    @property
    def _uses_modalities(self) -> bool:  # type: ignore[override]
        return not hasattr(self, "n_bins_") or len(self.n_bins_) > 2

    def _warn_of_far_stimuli(self, inp: ModelInput) -> None:
        """Nothing: clips have no scale here, and series are not looked at."""

    def _known_clips(self, modalities: Modalities | None, n_trials: int) -> np.ndarray:
        """Which clip of `fit` each trial shows, (n_trials,); another number where it shows none of them."""
        video, seen = _video(modalities), getattr(self, "clip_digests_", None)
        if video is None or (seen is not None and not len(seen)):
            return np.full(n_trials, -1)
        if seen is None:  # saved by an earlier version, which knew clips by their number alone
            return video.index
        digests, first, n_equal = np.unique(seen, return_index=True, return_counts=True)
        place = {digests[k]: first[k] for k in np.flatnonzero((n_equal == 1) & (digests != ""))}
        now = video.clip_digests()
        number = np.array([place.get(digest, -1) for digest in now], dtype=np.int64)
        # Where clips of other numbers have the same pixels, the number alone tells which it is.
        same = np.flatnonzero(now[: len(seen)] == seen[: len(now)])
        number[same] = same
        return number[video.index]

    def _head(self) -> PoissonHead:
        largest = np.ceil(self.rates_.max(axis=(0, 1)) * self.bin_width)
        return PoissonHead(largest, np.log(self.base_rate_ * self.bin_width), np.zeros((0, len(largest))))

    def _drive(self, modalities: Modalities | None, binned: BinnedSpikes) -> np.ndarray:
        clip, everything = self._known_clips(modalities, binned.n_trials), len(self.n_bins_) - 1
        served = np.where((clip >= 0) & (clip < everything), clip, everything)
        served = np.where(self.n_bins_[served] > 0, served, everything)
        covered, length = self.n_bins_[served], np.diff(binned.ptr)
        if (covered == 0).any():
            raise ValueError(
                f"Trial {np.flatnonzero(covered == 0)[0]} shows no stimulus that was repeated in fit, and the trials "
                f"of fit differed in duration, so there is no histogram of all of them. Leave such trials out."
            )
        if (length > covered + 1).any():
            k = np.flatnonzero(length > covered + 1)[0]
            raise ValueError(
                f"The histogram covers {covered[k] * self.bin_width:g} s from the start of a trial. Got trial {k} of "
                f"{length[k] * self.bin_width:g} s; cut it to the duration of the training trials."
            )
        trial = np.repeat(np.arange(binned.n_trials), length)
        number = np.minimum(bin_in_trial(binned.ptr), covered[trial] - 1)
        return np.log(self.rates_[served[trial], number] * self.bin_width)


def _video(modalities: Modalities | None) -> Video | None:
    """The video, where there is exactly one."""
    videos = [] if modalities is None else [m for _, m in modalities.items() if isinstance(m, Video)]
    return videos[0] if len(videos) == 1 else None



def _stack(inp: ModelInput) -> tuple[np.ndarray, np.ndarray]:
    """Observed counts and the mask as (n_trials, n_bins, n_units); trials are padded with unobserved bins."""
    spikes = inp.spikes
    trial = np.repeat(np.arange(spikes.n_trials), np.diff(spikes.ptr))
    number = bin_in_trial(spikes.ptr)
    mask = spikes.mask()
    counts = np.zeros((spikes.n_trials, int(number.max()) + 1, spikes.n_units), dtype=np.int64)
    observed = np.zeros(counts.shape, dtype=bool)
    counts[trial, number] = np.where(mask, spikes.dense(), 0)
    observed[trial, number] = mask
    return counts, observed


def _smooth(values: np.ndarray, bins: float) -> np.ndarray:
    values = values.astype(np.float64)
    return values if bins == 0 else gaussian_filter1d(values, bins, axis=1, mode="nearest")


def _shrink(sums: np.ndarray, trials: np.ndarray, weight: float, base: np.ndarray) -> np.ndarray:
    """Spikes per bin: the average of the trials and of `weight` trials at the constant rate."""
    return (np.maximum(sums, 0.0) + weight * base) / (np.maximum(trials, 0.0) + weight)
