import numpy as np

from skneuro.baselines._solver import minimise_columns


def quadratics(n_params=6, n_columns=4, seed=0):
    """Problems x'Ax/2 - b'x of very different scale, and their solutions."""
    rng = np.random.default_rng(seed)
    matrices = []
    for column in range(n_columns):
        factor = rng.normal(size=(n_params, n_params))
        matrices.append(10.0**column * (factor @ factor.T + 0.1 * np.eye(n_params)))
    targets = rng.normal(size=(n_params, n_columns))

    def function(x, columns):
        slope = np.stack([matrices[c] @ x[:, k] for k, c in enumerate(columns)], axis=1)
        return (0.5 * slope * x - targets[:, columns] * x).sum(axis=0), slope - targets[:, columns]

    solution = np.stack([np.linalg.solve(m, targets[:, c]) for c, m in enumerate(matrices)], axis=1)
    scale = np.stack([1.0 / np.diag(m) for m in matrices], axis=1)
    return function, scale, solution


def test_every_column_finds_its_own_minimum():
    function, scale, solution = quadratics()
    x, value, converged = minimise_columns(function, np.zeros_like(solution), scale, max_iter=200, tol=1e-14)
    assert converged.all()
    assert np.allclose(x, solution, atol=1e-5)
    assert np.allclose(value, function(solution, np.arange(4))[0])


def test_a_column_does_not_feel_the_others():
    function, scale, solution = quadratics()
    together, _, _ = minimise_columns(function, np.zeros_like(solution), scale, max_iter=7, tol=0.0)
    for column in range(4):
        alone, _, _ = minimise_columns(
            lambda x, _, c=column: function(x, np.array([c])),
            np.zeros_like(solution[:, :1]),
            scale[:, column : column + 1],
            max_iter=7,
            tol=0.0,
        )
        assert np.allclose(alone[:, 0], together[:, column])


def test_scale_zero_keeps_a_parameter_where_it_is():
    function, scale, solution = quadratics()
    scale[2] = 0.0

    def masked(x, columns):
        value, slope = function(x, columns)
        slope[2] = 0.0
        return value, slope

    start = np.full_like(solution, 0.5)
    x, _, _ = minimise_columns(masked, start, scale, max_iter=100, tol=1e-12)
    assert (x[2] == 0.5).all()


def test_too_few_iterations_are_reported():
    function, scale, solution = quadratics()
    _, _, converged = minimise_columns(function, np.zeros_like(solution), scale, max_iter=1, tol=1e-14)
    assert not converged.any()


def test_a_step_into_overflow_is_taken_back():
    def function(x, columns):  # the minimum of e^x - 3x is at log 3; a full step from -8 overflows
        return (np.exp(x) - 3.0 * x)[0], np.exp(x) - 3.0

    x, _, converged = minimise_columns(function, np.array([[-8.0]]), np.array([[1e3]]), max_iter=100, tol=1e-12)
    assert converged.all() and np.isclose(x[0, 0], np.log(3.0), atol=1e-5)
