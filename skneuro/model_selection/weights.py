"""`loss_weight_grid`: the legal weights of the three losses, as a grid for scikit-learn's searches."""

from __future__ import annotations

from numbers import Integral, Real

from skneuro._sklearn_compat import Interval, validate_parameter_constraints


def loss_weight_grid(n_steps: int = 5, *, gamma_max: float = 1.0, prefix: str = "") -> list[dict[str, list[float]]]:
    """Grid over the weights of the contrastive, the unit-identity and the time loss.

    The three weights `gamma`, `mu` and ``1 - gamma - mu`` are multiples of ``1 / n_steps`` that sum to one. `gamma`
    may be 0 (no alignment); `mu` and the time weight may not, since a head without a loss is not trained. `score`
    does not depend on the weights, so that a search over them is honest.

    Parameters
    ----------
    n_steps : int, default=5
        Steps along each side of the simplex, at least 2; with all of them there are ``n_steps (n_steps - 1) / 2``
        points.
    gamma_max : float, default=1.0
        Largest `gamma`; 0 searches `mu` alone, for a model without modalities.
    prefix : str, default=""
        Put before both names, ``"neuroformerestimator__"`` inside a pipeline.

    Returns
    -------
    list of dict
        A `param_grid`: one point each, every one legal.

    Raises
    ------
    InvalidParameterError
        If a parameter is out of its range.

    See Also
    --------
    skneuro.inspection.LossWeightDisplay : The result of a search, drawn on the simplex.

    Examples
    --------
    >>> from skneuro.model_selection import loss_weight_grid
    >>> loss_weight_grid(3)
    [{'gamma': [0.0], 'mu': [0.333...]}, {'gamma': [0.0], 'mu': [0.666...]}, {'gamma': [0.333...], 'mu': [0.333...]}]
    >>> len(loss_weight_grid(10)), len(loss_weight_grid(10, gamma_max=0))
    (45, 9)
    """
    validate_parameter_constraints(
        {
            "n_steps": [Interval(Integral, 2, None, closed="left")],
            "gamma_max": [Interval(Real, 0, 1, closed="both")],
            "prefix": [str],
        },
        {"n_steps": n_steps, "gamma_max": gamma_max, "prefix": prefix},
        caller_name="loss_weight_grid",
    )
    return [
        {f"{prefix}gamma": [i / n_steps], f"{prefix}mu": [j / n_steps]}
        for i in range(n_steps - 1)
        if i / n_steps <= gamma_max + 1e-9
        for j in range(1, n_steps - i)
    ]
