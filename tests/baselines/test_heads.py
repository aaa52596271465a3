import numpy as np
import pytest
from scipy import stats

from skneuro.baselines._heads import HEADS

RNG = np.random.default_rng(0)
COUNTS = np.stack(
    [RNG.poisson(0.3, 400), RNG.poisson(4.0, 400), RNG.binomial(3, 0.5, 400), RNG.negative_binomial(1, 0.3, 400)],
    axis=1,
)
MASK = RNG.random(COUNTS.shape) < 0.9
FAR = np.arange(300)


@pytest.fixture(params=sorted(HEADS))
def head(request):
    return HEADS[request.param].from_counts(COUNTS, MASK)


def inputs(head, n_bins=6):
    """Log-intensities, shape parameters and dispersions away from the start."""
    rng = np.random.default_rng(1)
    z = head.z_start + rng.normal(0.0, 0.5, (n_bins, 4))
    shape = head.shape_start + rng.normal(0.0, 0.2, head.shape_start.shape)
    nu = 1.0 + rng.normal(0.0, 0.3, z.shape) if head.uses_nu else None
    return z, shape, nu


def pmf(head, z, shape, nu):
    """Probability of every count up to 299 in each cell, (n_bins, n_units, 300)."""
    values = [np.exp(head.log_pmf(z, np.full(z.shape, k), np.ones(z.shape, bool), shape, nu)) for k in FAR]
    return np.stack(values, axis=-1)


def test_probabilities_of_all_counts_sum_to_one(head):
    probability = pmf(head, *inputs(head))
    assert np.allclose(probability.sum(axis=-1), 1.0, atol=1e-9)
    assert (probability[..., :60] > 0).all()


def test_mean_is_the_mean_of_the_distribution(head):
    args = inputs(head)
    assert np.allclose(head.mean(*args), pmf(head, *args) @ FAR, rtol=1e-8)


def test_draws_have_the_distribution(head):
    z, shape, nu = inputs(head, n_bins=1)
    n = 20_000
    uniforms = np.repeat((np.arange(n)[:, None] + 0.5) / n, 4, axis=1)  # every quantile once
    drawn = head.draw(np.repeat(z, n, axis=0), shape, uniforms, None if nu is None else np.repeat(nu, n, axis=0))
    frequency = np.stack([np.bincount(column, minlength=300)[:300] for column in drawn.T]) / n
    assert np.abs(frequency - pmf(head, z, shape, nu)[0]).max() <= 1.01 / n


def test_draws_of_large_counts():
    counts = np.full((50, 1), 200)
    for head in (kind.from_counts(counts, counts > 0) for kind in HEADS.values()):
        z = np.full((2000, 1), np.log(400.0))
        uniforms = (np.arange(2000)[:, None] + 0.5) / 2000
        drawn = head.draw(z, head.shape_start, uniforms)
        assert np.isclose(drawn.mean(), head.mean(z[:1], head.shape_start)[0, 0], rtol=1e-2)


def test_gradients_are_those_of_finite_differences(head):
    z, shape, nu = inputs(head)
    counts, weight = COUNTS[: len(z)], np.random.default_rng(2).random(z.shape)

    def total(z, shape, nu):
        return head.evaluate(z, counts, weight, shape, nu).log_pmf

    found, step = head.evaluate(z, counts, weight, shape, nu), 1e-6
    assert np.allclose(found.z, (total(z + step, shape, nu) - total(z - step, shape, nu)) / (2 * step), atol=1e-7)
    if nu is not None:
        by_nu = (total(z, shape, nu + step) - total(z, shape, nu - step)) / (2 * step)
        assert np.allclose(found.nu, by_nu, atol=1e-7)
    for row in range(len(shape)):
        bump = np.zeros_like(shape)
        bump[row] = step
        slope = (total(z, shape + bump, nu) - total(z, shape - bump, nu)).sum(axis=0) / (2 * step)
        assert np.allclose(found.shape[row], np.where(getattr(head, "valid", True), slope, 0.0)[row]
                           if head.uses_nu else slope, atol=1e-6)  # fmt: skip


def test_blocks_of_cells_do_not_matter(head, monkeypatch):
    z, shape, nu = inputs(head, n_bins=50)
    weight = np.ones(z.shape)
    whole = head.evaluate(z, COUNTS[:50], weight, shape, nu)
    monkeypatch.setattr("skneuro.baselines._heads._BLOCK_CELLS", 3)
    small = head.evaluate(z, COUNTS[:50], weight, shape, nu)
    assert np.allclose(whole.log_pmf, small.log_pmf) and np.allclose(whole.shape, small.shape)


def test_some_units_are_as_in_the_whole(head):
    z, shape, nu = inputs(head)
    ones, units = np.ones(z.shape, bool), [2, 0]
    part = head.take(units).log_pmf(
        z[:, units], COUNTS[:6, units], ones[:, units], shape[:, units], None if nu is None else nu[:, units]
    )
    assert np.allclose(part, head.log_pmf(z, COUNTS[:6], ones, shape, nu)[:, units])


def test_poisson_and_negative_binomial_are_those_of_scipy():
    z, counts, ones = np.log([[0.5, 3.0, 20.0, 1.0]]), np.array([[0, 5, 17, 2]]), np.ones((1, 4), bool)
    poisson = HEADS["poisson"].from_counts(COUNTS, MASK)
    assert np.allclose(poisson.log_pmf(z, counts, ones, poisson.shape_start), stats.poisson.logpmf(counts, np.exp(z)))
    size = np.array([0.5, 1.0, 4.0, 30.0])
    found = HEADS["negative_binomial"].from_counts(COUNTS, MASK).log_pmf(z, counts, ones, np.log(size)[None])
    assert np.allclose(found, stats.nbinom.logpmf(counts, size, size / (size + np.exp(z))))


def test_categorical_starts_at_the_smoothed_histogram():
    head = HEADS["categorical"].from_counts(COUNTS, MASK)
    seen = COUNTS[MASK[:, 2], 2]
    n_classes = seen.max() + 2
    histogram = (np.bincount(seen, minlength=n_classes) + 0.5) / (len(seen) + 0.5 * n_classes)
    found = pmf(head, head.z_start[None], head.shape_start, None)[0, 2]
    assert np.allclose(found[: n_classes - 1], histogram[:-1])
    # Beyond the largest count the last class is spread geometrically.
    assert np.allclose(found[n_classes - 1 : n_classes + 5], histogram[-1] * 0.5 ** np.arange(1, 7))


def test_categorical_without_shape_is_poisson_on_its_classes():
    head = HEADS["categorical"].from_counts(COUNTS, MASK)
    z = np.log(np.full((1, 4), 0.7))
    found = pmf(head, z, np.zeros_like(head.shape_start), None)[0, 1, : head.largest[1] + 1]
    expected = stats.poisson.pmf(np.arange(head.largest[1] + 1), 0.7)
    assert np.allclose(found / found[0], expected / expected[0])


def test_clipping_bounds_the_mean(head):
    z, shape, nu = inputs(head, n_bins=2000)
    head.clip_at(z)
    wild = np.full((1, 4), 50.0)
    nu = None if nu is None else np.ones((1, 4))
    assert np.allclose(head.mean(wild, shape, nu), head.mean(np.quantile(z, 0.999, axis=0)[None], shape, nu))
    assert np.isfinite(head.log_pmf(wild, COUNTS[:1], np.ones((1, 4), bool), shape, nu)).all()


def test_cells_out_of_the_mask_are_zero(head):
    z, shape, nu = inputs(head)
    mask = MASK[:6]
    assert (head.log_pmf(z, COUNTS[:6], mask, shape, nu)[~mask] == 0).all()
