"""Which part of a video drives which unit, asked of a fitted Neuroformer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from skneuro._threads import torch_threads
from skneuro.data import ModelInput, Video

METHODS = ("gradient", "occlusion", "attention", "attention_weights")


@dataclass(frozen=True)
class StimulusMaps:
    """How much each place of a video, and each lag, matters to each unit.

    Parameters
    ----------
    method : str
        How they were made, see `stimulus_maps` and `whitened_sta`.
    maps : ndarray of shape (n_units, n_lags, height, width)
        Importance in the pixels of the frames as they were given, never negative.
    unit_ids : ndarray of shape (n_units,)
        The units.
    lags : ndarray of shape (n_lags,), in seconds
        From the onset of a frame to the middle of the bin. Of maps over the frames of one trial (`trial`): onset of
        each frame on the clock of the spikes.
    trial : int or None
        Trial whose frames the maps are of; None for maps over lags.
    slopes : ndarray of shape (n_units, n_lags, height, width) or None
        Signed: what a pixel that is brighter by 1 adds, on average. Of the methods ``"gradient"`` (to the log
        intensity) and ``"sta"`` (spikes per bin).
    heads : ndarray of shape (n_units, n_heads, n_lags, height, width) or None
        Maps of every attention head, where they were asked for.

    Examples
    --------
    >>> import numpy as np
    >>> from skneuro.inspection import StimulusMaps
    >>> maps = np.zeros((1, 2, 8, 8))
    >>> maps[0, 1, 2:4, 5:7] = 1.0
    >>> found = StimulusMaps("gradient", maps, np.array([12]), lags=np.array([0.02, 0.06]))
    >>> found.peaks(patch=2)
       unit  row  column   lag
    0    12  2.5     5.5  0.06
    """

    method: str
    maps: np.ndarray
    unit_ids: np.ndarray
    lags: np.ndarray
    trial: int | None = None
    slopes: np.ndarray | None = None
    heads: np.ndarray | None = None

    def space(self) -> np.ndarray:
        """Root mean square over lags, (n_units, height, width)."""
        return np.sqrt((self.maps**2).mean(axis=1))

    def to_frame(self) -> pd.DataFrame:
        """Return the maps as a tidy table: ``unit``, ``lag`` (s), ``row``, ``column`` (pixels) and ``value``.

        Returns
        -------
        DataFrame
            One row for each unit, lag and pixel; with a column ``slope`` where there are slopes. ``lag`` is named
            ``time`` where the maps are of one trial.
        """
        axes = {
            "unit": self.unit_ids,
            "lag" if self.trial is None else "time": self.lags,
            "row": np.arange(self.maps.shape[2]),
            "column": np.arange(self.maps.shape[3]),
        }
        index = pd.MultiIndex.from_product(axes.values(), names=list(axes))
        table = pd.DataFrame({"value": self.maps.ravel()}, index=index)
        if self.slopes is not None:
            table["slope"] = self.slopes.ravel()
        return table.reset_index()

    def peaks(self, patch: int = 1) -> pd.DataFrame:
        """Where each map is largest.

        Parameters
        ----------
        patch : int, default=1
            Side of the square, in pixels, whose summed square is to be largest: lobes of a field that lie side by side
            then count together.

        Returns
        -------
        DataFrame
            One row a unit: ``unit``, ``row`` and ``column`` (middle of the square, in pixels), and ``lag``, the lag
            with the largest map (seconds). NaN where a map is the same everywhere, ``lag`` where it is so at all lags.

        Raises
        ------
        ValueError
            If `patch` is not an int from 1 to the frames' smaller side.
        """
        height, width = self.maps.shape[2:]
        check_patch(patch, (height, width))
        energy = (self.maps**2).sum(axis=1)
        windows = np.lib.stride_tricks.sliding_window_view(energy, (patch, patch), axis=(1, 2)).sum(axis=(3, 4))
        flat = windows.reshape(len(windows), -1)
        row, column = np.divmod(flat.argmax(axis=1), windows.shape[2])
        known = np.ptp(energy.reshape(len(energy), -1), axis=1) > 1e-9 * energy.reshape(len(energy), -1).max(axis=1)
        by_lag = (self.maps**2).sum(axis=(2, 3))
        timed = known | (np.ptp(by_lag, axis=1) > 1e-9 * by_lag.max(axis=1))
        middle = (patch - 1) / 2
        return pd.DataFrame(
            {
                "unit": self.unit_ids,
                "row": np.where(known, row + middle, np.nan),
                "column": np.where(known, column + middle, np.nan),
                "lag": np.where(timed, self.lags[by_lag.argmax(axis=1)], np.nan),
            }
        )


def stimulus_maps(
    estimator: Any,
    spikes: Any,
    stimuli: Any = None,
    *,
    method: str = "gradient",
    modality: str | None = None,
    units: Sequence[Any] | None = None,
    trial: int | None = None,
    n_contexts: int = 256,
    patch: int | None = None,
    per_head: bool = False,
    random_state: int = 0,
) -> StimulusMaps:
    """Ask a fitted Neuroformer which part of a video drives which unit.

    A context is a bin with all that came before it; the log intensity is that of a unit's first spike in the bin,
    before the bin's own spikes are known. In the model the state of a bin, which all units share, attends to the video,
    and linear filters of each unit see it beside the attention. A unit's own map is therefore what a place adds to that
    unit's log intensity:

    - ``"gradient"``: root mean square over contexts of the gradient of the log intensity by a pixel times the pixel's
      deviation from the mean frame. All paths of the model count. The mean gradient, which has a sign, is in `slopes`;
    - ``"occlusion"``: root mean square of the change when a patch of one frame is replaced by the mean frame's. All
      paths count, and nothing is linearised; the slowest;
    - ``"attention"``: root mean square of what the log intensity gains by looking more at a token: attention times
      (what the token's value adds to the unit, less what is attended to on average adds). The linear filters do not
      count, nor does what tokens know of each other, and the map is as coarse as the tokens: where frames enter whole,
      it says which lags matter and nothing of places;
    - ``"attention_weights"``: the attention itself, averaged with the unit's spikes as weights. All units share the
      query, so that the maps of units differ little: where the model looks, not what drives a unit.

    Parameters
    ----------
    estimator : NeuroformerEstimator
        Fitted.
    spikes : SpikeTrains, Recording or array-like
        As in the estimator's `fit`; best trials that it was not fitted to.
    stimuli : Modalities, Video or None, default=None
        As in `fit`; those of the Recording if None.
    method : {"gradient", "occlusion", "attention", "attention_weights"}, default="gradient"
        What to ask.
    modality : str, default=None
        Name of the video; needed where there are several.
    units : sequence of unit ids, default=None
        Units to ask for; all by default.
    trial : int, default=None
        Position of a trial: the maps are then of its frames, over time, from its first `n_contexts` bins.
        None: over lags, from bins of all trials.
    n_contexts : int, default=256
        Bins to ask in, drawn at random among those that see the video.
    patch : int, in pixels, default=None
        Side of the squares that ``"occlusion"`` covers; by default an eighth of the longer side of the frames.
    per_head : bool, default=False
        Whether maps of the attention are also to be had for each head, in `heads`.
    random_state : int, default=0
        Of the choice of bins.

    Returns
    -------
    StimulusMaps

    Raises
    ------
    NotFittedError
        If the estimator was not fitted.
    TypeError
        If the estimator is not a NeuroformerEstimator.
    ValueError
        If there is no such video, unit, trial, method or patch, or no bin sees the video.

    See Also
    --------
    whitened_sta : The same map without a model.
    StimulusAttentionDisplay : Draws the maps.

    Examples
    --------
    >>> from skneuro import NeuroformerEstimator
    >>> from skneuro.datasets import make_stimulus_driven_population
    >>> from skneuro.inspection import stimulus_maps
    >>> data = make_stimulus_driven_population(n_units=3, n_clips=4, n_repeats=2, random_state=0)
    >>> model = NeuroformerEstimator(bin_width=1 / 30, window_bins=1, d_model=16, max_epochs=1, random_state=0)
    >>> maps = stimulus_maps(model.fit(data.spikes, data.video), data.spikes, data.video, n_contexts=32)
    >>> maps.maps.shape
    (3, 18, 8, 8)
    """
    _check_choice("method", method, METHODS)
    check_positive("n_contexts", n_contexts)
    fitted, inp = _read(estimator, spikes, stimuli)
    name, video = _the_video(inp, modality)
    shape = video.frames.shape[2:4]
    patch = -(-max(shape) // 8) if patch is None else patch
    check_patch(patch, shape)
    positions = _positions(units, inp.spikes.unit_ids)
    if trial is not None and not (isinstance(trial, Integral) and int(trial) in range(len(video))):
        raise ValueError(f"trial must be the position of one of {len(video)} trials, or None. Got {trial!r} instead.")
    from skneuro.inspection._attention_maps import by_attention
    from skneuro.inspection._map_methods import Asked, by_gradient, by_occlusion
    from skneuro.training.own_frames import Buckets

    builder = fitted.builder(inp)
    buckets = Buckets(builder, name, video, trial)
    bins = _bins_with_video(inp, video, trial, int(n_contexts), random_state)
    asked = Asked(fitted.network.eval(), builder, buckets, bins, positions)
    slopes = heads = None
    with torch_threads(estimator.n_threads):
        if method == "gradient":
            maps, slopes = by_gradient(asked)
        elif method == "occlusion":
            maps = by_occlusion(asked, int(patch))
        else:
            maps = by_attention(asked, values=method == "attention", per_head=False)[:, 0]
            if per_head:
                heads = by_attention(asked, values=method == "attention", per_head=True)
    return StimulusMaps(method, maps, inp.spikes.unit_ids[positions], buckets.at, trial, slopes, heads)


def check_patch(patch: Any, shape: tuple[int, int]) -> None:
    """Refuse a side of squares that do not fit into frames of this height and width."""
    if isinstance(patch, bool) or not isinstance(patch, Integral) or int(patch) not in range(1, min(shape) + 1):
        raise ValueError(f"patch must be an int from 1 to {min(shape)}, in pixels. Got {patch!r:.80} instead.")


def _check_choice(name: str, value: Any, known: Sequence[str]) -> None:
    if value not in known:
        raise ValueError(f"The {name!r} parameter must be one of {list(known)}. Got {value!r:.80} instead.")


def check_positive(name: str, value: Any) -> None:
    """Refuse what is not an int of at least 1."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be an int of at least 1. Got {value!r:.80} instead.")


def _read(estimator: Any, spikes: Any, stimuli: Any) -> tuple[Any, ModelInput]:
    from skneuro.estimators import NeuroformerEstimator

    if not isinstance(estimator, NeuroformerEstimator):
        raise TypeError(f"stimulus_maps asks a NeuroformerEstimator. Got {type(estimator).__name__} instead.")
    from skneuro._sklearn_compat import check_is_fitted

    check_is_fitted(estimator)
    return estimator._working_model(), estimator._read(spikes, stimuli, reset=False)


def _the_video(inp: ModelInput, wanted: str | None) -> tuple[str, Video]:
    """Name and modality of the video that is asked for."""
    given = {} if inp.modalities is None else dict(inp.modalities.items())
    videos = {name: modality for name, modality in given.items() if isinstance(modality, Video)}
    if wanted is None and len(videos) == 1:
        return next(iter(videos.items()))
    if wanted not in videos:
        which = "Name one as modality." if wanted is None and videos else f"Got modality={wanted!r}."
        raise ValueError(
            f"stimulus_maps needs one of the videos among the stimuli: {list(videos)} of {list(given)}. {which}"
        )
    return wanted, videos[wanted]


def _positions(units: Sequence[Any] | None, unit_ids: np.ndarray) -> np.ndarray:
    if units is None:
        return np.arange(len(unit_ids))
    place = {unit: k for k, unit in enumerate(unit_ids.tolist())}
    asked = np.asarray(units).tolist()
    if not isinstance(asked, list) or not asked or len(set(asked)) < len(asked) or not set(asked) <= set(place):
        raise ValueError(f"units must be different ids among {list(place)[:10]}. Got {units!r:.80} instead.")
    return np.array([place[unit] for unit in asked])


def _bins_with_video(inp: ModelInput, video: Video, trial: int | None, n_contexts: int, seed: Any) -> np.ndarray:
    """Bins to ask in: those in which a frame is on, of all trials or of one."""
    shown = video.on_bins(inp.spikes) >= 0
    if trial is not None:
        mine = np.zeros_like(shown)
        mine[inp.spikes.ptr[trial] : inp.spikes.ptr[trial + 1]] = True
        shown &= mine
    bins = np.flatnonzero(shown)
    if not len(bins):
        raise ValueError("No bin of these trials sees the video; check the times of the frames (t_start, timestamps).")
    if trial is not None or len(bins) <= n_contexts:
        return bins[:n_contexts]
    return np.sort(np.random.default_rng(seed).choice(bins, n_contexts, replace=False))
