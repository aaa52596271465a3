"""The ground-truth recordings of spycon: their counts, and a truth that points the right way."""

import numpy as np
import pytest

from skneuro.connectivity import ConnectivityInference
from skneuro.datasets import fetch_spycon_1917


@pytest.mark.parametrize(("recording", "n_spikes", "n_edges"), [("tiny", 23_017, 17), ("long", 93_699, 18)])
def test_each_recording_has_its_spikes_and_edges(recordings, recording, n_spikes, n_edges):
    data = fetch_spycon_1917(recording, data_home=recordings("sim_spycon_1917"), download_if_missing=False)
    assert data.spikes.shape == (1, 20) and data.spikes.n_spikes == n_spikes
    weights = data.weights.to_numpy()
    assert np.isnan(np.diag(weights)).all()
    off = weights[~np.eye(20, dtype=bool)]
    assert np.isfinite(off).all() and (off != 0).sum() == n_edges
    assert (data.weights.index.name, data.weights.columns.name) == ("target", "source")


def test_the_truth_points_from_sources_to_targets(recordings):
    data = fetch_spycon_1917("long", data_home=recordings("sim_spycon_1917"), download_if_missing=False)
    inference = ConnectivityInference(method="ccg").fit(data.spikes)
    assert inference.compare(data.weights)["direction_rate"] > 0.9


def test_a_recording_that_is_not_offered_is_named():
    with pytest.raises(ValueError, match="'recording' parameter of fetch_spycon_1917"):
        fetch_spycon_1917("huge")
