"""A population with a past, same-bin couplings and a stimulus, and what must hold for every model of one."""

import numpy as np
import pytest


@pytest.fixture(scope="session")
def population():
    """Counts (trials, bins, units): unit 0 drives unit 1 a bin later, unit 1 silences unit 2 in the same bin."""
    rng = np.random.default_rng(0)
    counts = np.zeros((30, 60, 3), dtype=int)
    for t in range(60):
        before = counts[:, t - 1, 0] if t else np.zeros(30)
        counts[:, t, 0] = rng.poisson(0.5, 30)
        counts[:, t, 1] = rng.poisson(0.2 + 0.8 * before)
        counts[:, t, 2] = rng.poisson(np.where(counts[:, t, 1] > 0, 0.1, 1.2))
    return counts


@pytest.fixture(scope="session")
def cells():
    """Log-likelihood of every cell of counts (trials, bins, units) under a model."""

    def evaluate(model, counts):
        return model._cell_log_likelihood(model._read(counts, None, reset=False)).reshape(counts.shape)

    return evaluate


@pytest.fixture(scope="session")
def changes(cells):
    """Cells, as (bin, unit), whose likelihood changes when one spike is added to one cell of a trial."""

    def evaluate(model, counts, bin_, unit):
        other = counts.copy()
        other[0, bin_, unit] += 1
        moved = np.abs(cells(model, other) - cells(model, counts)) > 1e-7
        assert not moved[1:].any(), "another trial felt it"
        return moved[0]

    return evaluate


@pytest.fixture(scope="session")
def closed_loop(cells):
    """Draw a trial bin by bin; compare the expected counts on the way with those of the finished trial."""

    def compare(model, n_bins=12):
        generator = model._generator()
        rng = np.random.default_rng(1)
        state, means, drawn = generator.start(1), [], []
        for _ in range(n_bins):
            mean, counts, state = generator.step(state, np.zeros((1, 0)), rng.random((1, 3)))
            means.append(mean[0])
            drawn.append(counts[0])
        drawn = np.array(drawn)
        # In a Poisson model, the likelihood of a count gives its mean away: log p(k+1) - log p(k) = log(m / (k+1)).
        found = np.zeros(drawn.shape)
        for cell in np.ndindex(drawn.shape):
            more = drawn.copy()
            more[cell] += 1
            ratio = cells(model, more[None])[0][cell] - cells(model, drawn[None])[0][cell]
            found[cell] = np.exp(ratio) * (drawn[cell] + 1)
        np.testing.assert_allclose(np.array(means), found, rtol=1e-4)

    return compare
