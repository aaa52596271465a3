"""Facts about what belongs to the units: lag kernels, coupling as a sum over past spikes, same-bin terms from below."""

import numpy as np
import pytest
import torch

from skneuro.nn import session as session_module
from skneuro.nn.layout import known_until
from skneuro.nn.session import lag_basis
from skneuro.nn.softmax_heads import coupling_effects, spike_effects


@pytest.mark.parametrize("n_bins", [1, 2, 5, 6, 30])
def test_lag_functions_span_every_lag(n_bins):
    basis = lag_basis(n_bins).numpy()
    assert basis.shape == (min(5, n_bins), n_bins)
    assert (basis >= 0).all() and (basis <= 1).all() and (basis.sum(0) > 0).all()
    assert np.linalg.matrix_rank(basis) == len(basis)


@pytest.mark.parametrize("many_lags", [1, 100])  # both ways to compute it
def test_coupling_is_a_sum_over_the_spikes_of_the_past(tiny, head, window_bins, many_lags, monkeypatch):
    monkeypatch.setattr(session_module, "MANY_LAGS", many_lags)
    model = tiny.model(head, window_bins, 3, coupling_bins=4)
    session = model.session
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.8, (1, 12, 3)).astype(float)
    seen = rng.random((1, 12, 3)) < 0.8
    index = torch.arange(12)[None]
    known = None if head == "hazard" else known_until(index, model.config)
    with torch.no_grad():
        found = session.lagged_drive(torch.from_numpy(counts), torch.from_numpy(seen), index, known)[0].numpy()
        kernels, mean = session.kernels().numpy(), session.mean.numpy()
    expected = np.zeros((12, 3))
    for b in range(12):
        start = b if head == "hazard" else b - b % window_bins
        for target in range(3):
            for source in range(3):
                for lag in range(1, 5):
                    if 0 <= b - lag < start and seen[0, b - lag, source]:
                        excess = counts[0, b - lag, source] - mean[source]
                        expected[b, target] += kernels[target, source, lag - 1] * excess
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_the_size_of_a_drive_is_that_of_its_root_mean_square_and_grows_ever_less(tiny):
    session = tiny.model("hazard", 3, 3).session
    drive = np.random.default_rng(0).normal(size=(2, 5, 3)) * [0.02, 0.2, 2.0]
    scored = np.array([[True] * 5, [True] * 3 + [False] * 2])  # what is padded does not count
    rms = np.sqrt([(drive[0] ** 2).mean(0), (drive[1, :3] ** 2).mean(0)])

    def size(values, where=None):
        where = np.ones(values.shape[:2], dtype=bool) if where is None else where
        with torch.no_grad():
            return float(session.drive_size(torch.from_numpy(values), torch.from_numpy(where)))

    per_bin = (np.sqrt(session.mean.numpy()) * 0.2 * np.log1p(rms / 0.2)).sum(1)
    assert size(drive, scored) == pytest.approx(per_bin @ [5, 3], rel=1e-4)
    assert size(drive) == pytest.approx(size(drive[:1]) + size(drive[1:]))
    assert size(np.zeros((2, 5, 3))) < 1e-2
    one, two, large, larger = (size(np.full((1, 4, 3), r)) for r in (1e-2, 2e-2, 2.0, 4.0))
    assert two > 1.9 * one and larger < 1.35 * large


def test_inside_a_window_a_spike_acts_through_the_same_kernels(tiny):
    session = tiny.model("chained", 3, 3, coupling_bins=2).session
    with torch.no_grad():
        effect, kernels = coupling_effects(session, 3).numpy(), session.kernels().numpy()
    for source in range(3):
        for b in range(3):
            for later in range(3):
                for target in range(3):
                    lag = later - b
                    if lag < 0 or lag > 2 or (lag == 0 and target <= source):
                        assert effect[source, b, later, target] == 0
                    elif lag > 0:
                        assert effect[source, b, later, target] == pytest.approx(kernels[target, source, lag - 1])


def test_same_bin_terms_come_from_lower_units_only(tiny):
    session = tiny.model("hazard", 1, 4).session
    rng = np.random.default_rng(0)
    x, state = torch.from_numpy(rng.standard_normal((5, 4))), torch.from_numpy(rng.standard_normal((5, 8)))
    with torch.no_grad():
        before = session.same_bin_drive(x, state)
        for unit in range(4):
            changed = x.clone()
            changed[:, unit:] += 1.0
            after = session.same_bin_drive(changed, state)
            torch.testing.assert_close(after[:, : unit + 1], before[:, : unit + 1], rtol=0, atol=1e-12)
        huge = session.same_bin_drive(1e4 * x, state)
    assert float(huge.abs().max()) <= 5.0


def test_a_low_rank_spike_acts_through_the_kernels_of_its_product(tiny, window_bins):
    session = tiny.model("chained", window_bins, 4, coupling_rank=2, noise=0.4).session
    unit, bin_ = torch.tensor([[0, 3], [2, 1]]), torch.tensor([[0, window_bins - 1], [0, 0]])
    with torch.no_grad():
        found, kernels = spike_effects(session, window_bins)(unit, bin_).numpy(), session.kernels().numpy()
    expected = np.zeros((2, 2, window_bins, 4))
    for row, place in np.ndindex(2, 2):
        for later in range(int(bin_[row, place]) + 1, window_bins):
            lag = later - int(bin_[row, place])
            if lag <= kernels.shape[2]:
                expected[row, place, later] = kernels[:, int(unit[row, place]), lag - 1]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert window_bins == 1 or np.abs(expected).max() > 0.01


def pairwise_twin(tiny, low):
    """A model with a coupling for each pair that are those of a model of low rank."""
    twin = tiny.model(low.config.head, 3, 4)
    with torch.no_grad():
        weights = {name: value for name, value in low.state_dict().items() if "coupling_" not in name}
        missing, unexpected = twin.load_state_dict(weights, strict=False)
        assert set(missing) == {"session.coupling", "session.same_bin", "session.lower"}
        assert not unexpected
        twin.session.coupling.copy_(low.session.coupling_source @ low.session.coupling_target)
        twin.session.same_bin.zero_()
    return twin


def test_a_low_rank_coupling_is_the_pairwise_one_of_its_product(tiny, head):
    low = tiny.model(head, 3, 4, coupling_rank=2, noise=0.4)
    twin = pairwise_twin(tiny, low)
    assert float(low.session.kernels().detach().abs().max()) > 0.05  # it acts
    torch.testing.assert_close(low.session.kernels(), twin.session.kernels(), rtol=0, atol=1e-12)
    counts = [np.random.default_rng(k).poisson(0.6, (12, 4)) for k in range(2)]
    for one, other in zip(tiny.cells(low, counts), tiny.cells(twin, counts), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-10)
    size = sum(p.numel() for name, p in low.session.named_parameters() if "coupling" in name)
    assert size == 4 * 2 + len(low.session.basis) * 2 * 4  # linear in the number of units
