"""Mouse visual cortex, two-photon: fluorescence (not spikes) during drifting gratings, speed and pupil."""

from __future__ import annotations

import os

import numpy as np
from scipy.io import loadmat
from sklearn.utils import Bunch

from skneuro._sklearn_compat import StrOptions, validate_parameter_constraints
from skneuro.data import Modalities, TimeSeries
from skneuro.datasets._base import RemoteFile, fetch_file

_FILES = (
    ("230803_mrcuts25_fov6", "ed4e01cf205e93791205b3b78bc441b4071847eed8788b3faaeebf50b987416b"),
    ("230809_mrcuts28_fov4", "b3935f05ced3dbd4f47a3035afd877d926a9ec8b149362d278b503ee562bcd18"),
    ("230814_mrcuts30_fov1", "797a6b9fd9892178717c17172ae2a0d35bf1b6625417acce61d61fc997cc6955"),
)
SESSIONS = {
    name.split("_")[1]: RemoteFile(
        repository="surlab/Park_et_al",
        commit="bdff7ce60297cc5cdcb46687645f43e80f8d719c",
        path=f"sample-data/glm/{name}_grat-000_data.mat",
        sha256=sha256,
    )
    for name, sha256 in _FILES
}
DESCR = """Mouse primary visual cortex, two-photon imaging: drifting gratings, running speed and pupil

128 trials of 49 samples at 16 Hz, -1 to 2 s about the onset of the grating, 8 directions, 16 trials each.

THE NEURAL SIGNAL IS FLUORESCENCE (dF/F), NOT SPIKES. It can be negative and a model of spike counts must not
be fitted to it: estimate events by deconvolution first. So there is no `spikes` here; dF/F is a modality.

Trials are cut-outs: the time between them is not in the file. Speed is scaled to a maximum of 1, the pupil to
0 to 1. Some of the animals are GAT3 knock-outs (see the paper).

Source: https://github.com/surlab/Park_et_al (MIT licence), sample-data/glm.
Cite: Park J et al., Sur M (2024) Astrocytic modulation of population encoding in mouse visual cortex via GABA
transporter 3 revealed by multiplexed CRISPR/Cas9 gene editing.
"""


def fetch_v1_gratings(
    session: str = "mrcuts28",
    *,
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
) -> Bunch:
    """Load two-photon fluorescence (dF/F, not spikes) of mouse V1 during drifting gratings (2 to 3 MB).

    Parameters
    ----------
    session : {"mrcuts25", "mrcuts28", "mrcuts30"}, default="mrcuts28"
        Which session, named after the animal; 53, 56 and 39 neurons.
    data_home : path or None, default=None
        Directory of the recordings, see :func:`~skneuro.datasets.get_data_home`.
    download_if_missing : bool, default=True
        False: a file that is not in the cache is an error.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        modalities : Modalities
            ``dff`` (n_neurons columns), ``speed`` and ``pupil``, 128 trials of 49 samples; times are counted
            from the onset of the grating.
        direction : int64 ndarray of shape (128,), in degrees
            Direction of the grating, 0 to 315 in steps of 45.
        session : str
            The session.
        files : list of pathlib.Path
            The file in the cache.
        DESCR : str
            What the recording is, where it is from and what to cite.

    Raises
    ------
    DatasetNotFoundError
        If the file is neither in the cache nor can be downloaded.
    ValueError
        If there is no such session or the contents of the file are not those that were published.

    Examples
    --------
    >>> from skneuro.datasets import fetch_v1_gratings
    >>> data = fetch_v1_gratings("mrcuts28")  # doctest: +SKIP
    >>> data.modalities["dff"].shape  # doctest: +SKIP
    (128, 56)
    """
    validate_parameter_constraints(
        {"session": [StrOptions(set(SESSIONS))]}, {"session": session}, caller_name="fetch_v1_gratings"
    )
    path = fetch_file(
        SESSIONS[session],
        "v1_mouse_2p_gratings_run",
        data_home=data_home,
        download_if_missing=download_if_missing,
    )
    content = loadmat(path)
    signals, times = content["D"][0, 0], content["t"].ravel().astype(float)
    neurons = [name for name in signals.dtype.names if name.startswith("neuron")]

    def series(*names: str) -> TimeSeries:
        # (trial, time, signal)
        values = np.stack([np.stack([v.ravel() for v in signals[n].ravel()]) for n in names], axis=-1)
        return TimeSeries.from_lists(list(values), timestamps=[times] * len(values), names=list(names))

    return Bunch(
        modalities=Modalities(dff=series(*neurons), speed=series("speed"), pupil=series("pupil_zscore")),
        direction=content["TE"][0, 0]["direction"].ravel().astype(np.int64),
        session=session,
        files=[path],
        DESCR=DESCR,
    )
