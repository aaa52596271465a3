"""The dictionary of synaptic kernels, and what short lags leave of it."""

import numpy as np
import pytest

from skneuro.connectivity import ConnectivityInference
from skneuro.connectivity.shapes import synaptic_shapes
from skneuro.data import SpikeTrains
from skneuro.exceptions import ShortenedLagWarning

OFF = ~np.eye(6, dtype=bool)


@pytest.fixture(scope="module")
def driven():
    """Unit 0 drives unit 1 within 1 to 2 ms, and no one else anyone."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.02, (60_000, 6))
    counts[2:, 1] += rng.binomial(np.minimum(counts[:-2, 0], 1), 0.3)
    return SpikeTrains.from_counts(counts[None], 0.001)


@pytest.mark.parametrize("bin_width", [0.0005, 0.001, 0.002, 0.005, 0.01, 0.05])
def test_all_shapes_are_there_at_the_usual_lags(bin_width):
    assert synaptic_shapes(max(1, round(0.04 / bin_width)), bin_width).shape[0] == 20


@pytest.mark.parametrize(
    ("n_lags", "bin_width", "n_shapes"), [(4, 0.001, 16), (2, 0.001, 8), (1, 0.001, 4), (1, 0.002, 12), (5, 0.001, 20)]
)
def test_shapes_that_begin_beyond_the_lags_are_left_out(n_lags, bin_width, n_shapes):
    """Four decays for each delay; bins blur a delay by their width."""
    shapes = synaptic_shapes(n_lags, bin_width)
    assert shapes.shape == (n_shapes, n_lags)
    np.testing.assert_allclose(shapes.sum(axis=1) * 1e3 * bin_width, 1.0)
    assert (shapes >= 0).all()


def test_lags_before_any_effect_are_refused():
    with pytest.raises(ValueError, match=r"up to 0.4 ms end before the effect of a synapse begins. Raise max_lag"):
        synaptic_shapes(4, 0.0001)
    with pytest.warns(ShortenedLagWarning), pytest.raises(ValueError, match="Raise max_lag"):
        ConnectivityInference(bin_width=0.0002, max_lag=0.0004).fit(np.ones((100, 3), dtype=int))


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.filterwarnings("ignore::skneuro.exceptions.ShortenedLagWarning")
@pytest.mark.parametrize(
    "settings",
    [
        {"max_lag": 0.004, "bin_width": 0.001},
        {"max_lag": 0.002},
        {"max_lag": 0.004, "bin_width": 0.001, "method": "glm"},
        {"max_lag": 0.002, "bin_width": 0.001, "method": "glm"},
    ],
    ids=str,
)
def test_short_lags_find_the_edge_that_is_within_them(driven, settings):
    inference = ConnectivityInference(**settings).fit(driven)
    assert np.isfinite(inference.adjacency_[OFF]).all() and np.isfinite(inference.z_scores_[OFF]).all()
    assert np.argwhere(inference.significant_).tolist() == [[1, 0]]
