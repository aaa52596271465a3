"""Simulated cortical cells with known synapses: the test recordings of spycon."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.utils import Bunch

from skneuro._sklearn_compat import StrOptions, validate_parameter_constraints
from skneuro.data import SpikeTrains
from skneuro.datasets._base import RemoteFile, fetch_file

_REPOSITORY, _COMMIT = "christiando/spycon", "9720cfa0a71ffd70a07c71c4e0e77a02baeba550"
# Of each recording: its file, and its length in seconds.
_FILES = {
    "tiny": (
        RemoteFile(
            _REPOSITORY,
            _COMMIT,
            "data/gt_data/sim1917Cell1Block1_tiny.npz",
            "129ab56e33e03a5873d463e00bb37c99bfd4df2b985c57cf0192bb7fbe92036c",
        ),
        1800.0,
    ),
    "long": (
        RemoteFile(
            _REPOSITORY,
            _COMMIT,
            "data/gt_data/ren_simulation_1917_Cell1Block1_long_340_20_ei5_example.npz",
            "b510577afcba5de20e0137f2e3e78c0e3c5b1801f9e5280e9d78f2489fe02722",
        ),
        3600.0,
    ),
}
DESCR = """Simulated cortical network, 20 of more than 320 cells, with the synapses between them

"tiny": half an hour, 0.64 Hz a cell, 17 edges (1 where there is one). "long": an hour, 1.3 Hz a cell, 18 excitatory
edges (synaptic weights of about 2e-10). The other cells of the network are not in the files. Spike times come on a grid
of 0.05 ms.

Source: https://github.com/christiando/spycon (MIT licence).
Cite: Donner C, Bartram J, Hornauer P, Kim T, Roqueiro D, Hierlemann A, Obozinski G, Schroter M (2024) Ensemble learning
and ground-truth validation of synaptic connectivity inferred from spike trains. PLoS Comput Biol 20:e1011964.
"""


def fetch_spycon_1917(
    recording: str = "tiny", *, data_home: str | os.PathLike[str] | None = None, download_if_missing: bool = True
) -> Bunch:
    """Load simulated spike trains whose synapses are known (0.4 to 1.1 MB).

    Parameters
    ----------
    recording : {"tiny", "long"}, default="tiny"
        Half an hour or an hour.
    data_home : path or None, default=None
        Directory of the recordings, see :func:`~skneuro.datasets.get_data_home`.
    download_if_missing : bool, default=True
        False: a file that is not in the cache is an error.

    Returns
    -------
    data : :class:`~sklearn.utils.Bunch`
        spikes : SpikeTrains of shape (1, 20)
            One long trial; unit ids are those of the simulation.
        weights : DataFrame of shape (20, 20)
            Truth, rows are targets and columns are sources (the file has it the other way round): 0 for no synapse,
            NaN where the file says nothing and on the diagonal.
        files : list of pathlib.Path
            The file in the cache.
        DESCR : str
            What the recording is, where it is from and what to cite.

    Raises
    ------
    DatasetNotFoundError
        If the file is neither in the cache nor can be downloaded.
    ValueError
        If the contents of the file are not those that were published, or `recording` is not offered.

    Examples
    --------
    >>> from skneuro import ConnectivityInference
    >>> from skneuro.datasets import fetch_spycon_1917
    >>> data = fetch_spycon_1917()  # doctest: +SKIP
    >>> ConnectivityInference().fit(data.spikes).compare(data.weights)["auroc"]  # doctest: +SKIP
    """
    validate_parameter_constraints(
        {"recording": [StrOptions(set(_FILES))]}, {"recording": recording}, caller_name="fetch_spycon_1917"
    )
    file, duration = _FILES[recording]
    path = fetch_file(file, "sim_spycon_1917", data_home=data_home, download_if_missing=download_if_missing)
    spikes, weights = read_spycon(path, duration)
    return Bunch(spikes=spikes, weights=weights, files=[path], DESCR=DESCR)


def read_spycon(path: Path, duration: float) -> tuple[SpikeTrains, pd.DataFrame]:
    """Read a ground-truth file of spycon.

    Parameters
    ----------
    path : Path
        An npz file with ``times`` (s), ``ids``, ``nodes`` and ``marked_edges``, rows of (source, target, weight).
    duration : float, in seconds
        Length of the recording, which the file does not hold.

    Returns
    -------
    spikes : SpikeTrains of shape (1, n_units)
    weights : DataFrame of shape (n_units, n_units)
        ``[target, source]``.
    """
    with np.load(path, allow_pickle=False) as file:
        times, ids, nodes, edges = (file[name] for name in ("times", "ids", "nodes", "marked_edges"))
    column = {int(node): k for k, node in enumerate(nodes)}
    order = np.argsort(times, kind="stable")
    spikes = SpikeTrains(
        times[order],
        np.array([column[int(unit)] for unit in ids[order]], dtype=np.int64),
        [0, len(times)],
        [0.0],
        [duration],
        unit_ids=nodes,
    )
    weights = np.full((len(nodes), len(nodes)), np.nan)
    for source, target, weight in edges:
        weights[column[int(target)], column[int(source)]] = weight
    np.fill_diagonal(weights, np.nan)
    return spikes, pd.DataFrame(
        weights, index=pd.Index(nodes, name="target"), columns=pd.Index(nodes, name="source")
    )
