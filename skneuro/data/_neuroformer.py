"""Recordings in the layout of the published Neuroformer code: a dictionary of arrays, or a folder of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import numpy as np

from skneuro._warn import warn_user
from skneuro.data._restricted_pickle import read_restricted_pickle
from skneuro.data._validation import check_width
from skneuro.data.recording import Modalities, Recording
from skneuro.data.spike_trains import SpikeTrains
from skneuro.data.time_series import TimeSeries
from skneuro.data.video import Video
from skneuro.exceptions import UnsafeFileError

_FRAMES = ("frames", "stimulus")
_SPLITS = ("intervals", "train_intervals", "test_intervals", "finetune_intervals", "callback")
_MOST_SPIKES = 2**15  # in one bin; beyond it the file is damaged, or holds no counts
_NAMED_DT = re.compile(r"(?P<name>.+)_dt_(?P<dt>\d*\.?\d+)$")


def read_neuroformer(
    path: str | Path,
    *,
    dt: float | None = None,
    behavior_dt: float = 0.05,
    fps: float = 20.0,
    frames: Any = None,
    clips: Any = None,
) -> Recording:
    """Read a recording in the layout of the published Neuroformer code (V1AL, Visnav).

    The file is a dictionary, or one under the key ``data``. ``spikes`` holds counts of shape (n_units, n_bins), one
    such array a trial in a dict, or (n_trials, n_units, n_bins). ``dt`` is the width of these bins. ``frames`` (or
    ``stimulus``) is a video of shape (T, H, W), (T, 1, H, W) or (n_clips, T, H, W). All other arrays, also those of a
    dict ``behavior``, are series of shape (n_samples,) or (n_samples, d) on one clock, or one a trial in a dict;
    ``NAME_dt`` gives the step of one, ``behavior_dt`` of all. Nothing in the file is run: pickles are read by a
    reader that knows arrays of numbers and nothing else.

    Parameters
    ----------
    path : str or Path
        A ``.npz``, ``.mat`` (up to version 7) or ``.pkl``/``.pickle`` file, or a folder of ``NAME_dt_STEP.npy``
        files such as ``spikerates_dt_0.01.npy``, with the video in ``stimulus.npy``.
    dt : float, in seconds, default=None
        Width of the bins of the spikes, where the file does not say.
    behavior_dt : float, in seconds, default=0.05
        Step of the series, where the file does not say.
    fps : float, in hertz, default=20.0
        Frame rate of the video, where the file has no ``frames_dt``.
    frames : ndarray, default=None
        The video, where it is in a file of its own.
    clips : array-like of shape (n_trials,), default=None
        Clip of each trial, trials in ascending order of their names. None: the trials are divided evenly, the first
        share saw the first clip.

    Returns
    -------
    recording : Recording
        Spikes, with the modalities ``video`` and the series by their names (``behavior_`` in front is dropped).

    Raises
    ------
    UnsafeFileError
        If the file is damaged or holds something else than plain values and arrays of numbers.
    ValueError
        If spikes or their bin width are missing, or shapes do not fit.
    OSError
        If the file cannot be read.

    Notes
    -----
    ``.mat`` files are read by scipy, in C: nothing in them is run, but a damaged one may end the process. Prefer
    ``.npz`` for files of strangers.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from skneuro.data import read_neuroformer
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "mouse.npz"
    >>> np.savez(path, spikes=np.ones((3, 100), dtype=int), speed=np.zeros(20), dt=0.01)
    >>> read_neuroformer(path)
    Recording(SpikeTrains(1 trials, 3 units, 300 spikes, 1 s), Modalities(1 trials: speed))
    """
    path = Path(path)
    data = _load(path)
    inner = data.pop("data", None)
    data = {**data, **inner} if isinstance(inner, dict) else data
    behavior = data.pop("behavior", None)
    if isinstance(behavior, dict):
        data.update(behavior)
    elif behavior is not None:
        data["behavior"] = behavior
    if data.get("spikes") is None:
        raise ValueError(f"{path}: spikes missing, found {', '.join(map(str, data)) or 'nothing'}.")
    steps = {key[:-3]: data.pop(key) for key in list(data) if str(key).endswith("_dt")}
    width = data.pop("dt", None) if dt is None else dt
    data.pop("dt", None)
    if width is None:
        raise ValueError(f"{path}: the file has no dt, the width of the bins of spikes. Give it: dt=0.01.")
    spikes = _spikes(data.pop("spikes"), check_width(_number(width, "dt"), "dt"), path)
    parts: dict[str, Any] = {}
    video = next((data.pop(key) for key in _FRAMES if data.get(key) is not None), None)
    frame_step = next((steps.pop(key) for key in _FRAMES if key in steps), None)
    if frames is not None or video is not None:
        rate = fps if frame_step is None else 1.0 / check_width(_number(frame_step, "frames_dt"), "frames_dt")
        parts["video"] = _video(video if frames is None else frames, rate, clips, len(spikes), path)
    common = _number(steps.pop("behavior", behavior_dt), "behavior_dt")
    for key, values in data.items():
        if key in _SPLITS:
            continue
        step = check_width(_number(steps.pop(key, common), f"{key}_dt"), f"{key}_dt")
        series = _series(values, step, spikes, f"{path}: {key}")
        if series is None:
            warn_user(f"{path}: {key} is neither a series nor a video and is left out.")
        else:
            parts[str(key).removeprefix("behavior_")] = series
    return Recording(spikes, Modalities(**parts) if parts else None)


def _load(path: Path) -> dict[Any, Any]:
    if path.is_dir():
        return _load_folder(path)
    ending = path.suffix.lower()
    if not path.exists():
        raise FileNotFoundError(f"{path} is not there.")
    if ending == ".npz":
        if not is_zipfile(path):
            raise UnsafeFileError(f"{path} is no .npz file: numpy.savez did not write it, or it was cut short.")
        with _damage(path), np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    if ending == ".mat":
        from scipy.io import loadmat

        with _damage(path, "; files of version 7.3 must be saved again with -v7"):
            found = loadmat(path, simplify_cells=True)
        return {key: value for key, value in found.items() if not key.startswith("__")}
    if ending in (".pkl", ".pickle"):
        value = read_restricted_pickle(path)
        if not isinstance(value, dict):
            raise ValueError(f"{path}: expected a dictionary with spikes. Got {type(value).__name__}.")
        # V1AL's own file holds the trials without a name.
        trials = value and all(isinstance(key, int) for key in value)
        return {"spikes": value} if trials else dict(value)
    raise ValueError(f"{path}: expected a folder or a file that ends in .npz, .mat, .pkl or .pickle.")


def _load_folder(path: Path) -> dict[Any, Any]:
    data: dict[Any, Any] = {}
    for file in sorted(path.glob("*.npy")):
        with _damage(file):
            values = np.load(file, allow_pickle=False)
        named = _NAMED_DT.match(file.stem)
        name = named["name"] if named else file.stem
        name = "spikes" if name == "spikerates" else name
        data[name] = values
        if named:
            data["dt" if name == "spikes" else f"{name}_dt"] = float(named["dt"])
    return data


class _damage:
    """Whatever a library says of a damaged file, as one kind of error."""

    def __init__(self, path: Path, remedy: str = "") -> None:
        self.path, self.remedy = path, remedy

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, Exception) and not isinstance(error, FileNotFoundError):
            raise UnsafeFileError(f"{self.path} is not read ({type(error).__name__}: {error}){self.remedy}.") from error


def _number(value: Any, name: str) -> float:
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "iuf":
        raise ValueError(f"{name} must be one number of seconds. Got {value!r:.80} instead.")
    return float(array.ravel()[0])


def _spikes(spikes: Any, dt: float, path: Path) -> SpikeTrains:
    if isinstance(spikes, dict):
        ids = sorted(spikes)
        trials = [np.asarray(spikes[key]) for key in ids]
    else:
        array = np.asarray(spikes)
        trials = list(array) if array.ndim == 3 else [array]
        ids = list(range(len(trials)))
    for trial in trials:
        if trial.ndim != 2 or trial.dtype.kind not in "biuf" or 0 in trial.shape:
            raise ValueError(f"{path}: spikes must be numbers of shape (n_units, n_bins). Got shape {trial.shape}.")
        if np.nanmax(trial) > _MOST_SPIKES:
            raise ValueError(f"{path}: spikes must be counts. Got {np.nanmax(trial):g} spikes of a unit in one bin.")
    if not trials or len({len(trial) for trial in trials}) > 1:
        raise ValueError(f"{path}: every trial must have the same units. Got {sorted({len(t) for t in trials})}.")
    return SpikeTrains.from_counts([trial.T for trial in trials], dt, trial_ids=ids)


def _video(frames: Any, fps: float, clips: Any, n_trials: int, path: Path) -> Video:
    frames = np.asarray(frames)
    if frames.ndim == 3 or (frames.ndim == 4 and frames.shape[1] == 1 and n_trials == 1):
        frames = frames.reshape(1, len(frames), *frames.shape[-2:])
    if frames.ndim == 5 and frames.shape[2] == 1:  # (n_clips, T, 1, H, W)
        frames = frames[:, :, 0]
    if frames.ndim != 4 or frames.dtype.kind not in "biuf":
        raise ValueError(
            f"{path}: frames must be of shape (T, H, W), (T, 1, H, W) or (n_clips, T, H, W). Got {frames.shape}."
        )
    if clips is None:
        if n_trials % len(frames):
            raise ValueError(
                f"{path}: {n_trials} trials cannot be divided evenly among {len(frames)} clips. Give the clip of each "
                "trial: clips=[...]."
            )
        clips = np.repeat(np.arange(len(frames)), n_trials // len(frames))
    return Video(frames, fps=check_width(fps, "fps", unit="hertz"), index=clips)


def _series(values: Any, step: float, spikes: SpikeTrains, name: str) -> TimeSeries | None:
    if isinstance(values, dict):
        missing = [trial for trial in spikes.trial_ids.tolist() if trial not in values]
        if missing:
            raise ValueError(f"{name} has no trial {missing[0]!r}.")
        trials = [np.asarray(values[trial]) for trial in spikes.trial_ids.tolist()]
    else:
        array = np.asarray(values)
        if array.dtype.kind not in "biuf" or array.ndim == 0:
            return None
        trials = [array] if len(spikes) == 1 else list(array)
    if any(trial.dtype.kind not in "biuf" or trial.ndim not in (1, 2) for trial in trials):
        return None
    lengths = np.array([len(trial) for trial in trials])
    if len(trials) != len(spikes) or (np.abs(lengths * step - spikes.duration) > 1.5 * step).any():
        raise ValueError(
            f"{name} must have one sample each {step:g} s of {len(spikes)} trials of {spikes.duration[0]:g} s. Got "
            f"shapes {[trial.shape for trial in trials][:3]}; its step is NAME_dt in the file, or behavior_dt=."
        )
    return TimeSeries.from_lists([trial.astype(np.float64) for trial in trials], rate=1.0 / step)
