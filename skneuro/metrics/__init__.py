"""How good a model is: pure numpy functions on arrays and containers."""

from skneuro.metrics.connectivity import (
    adjacency_scores,
    auprc,
    auprc_by_sign,
    auprc_chance,
    auroc,
    direction_rate,
    hub_recall,
    precision_at_k,
    sign_accuracy,
    signed_r2,
)
from skneuro.metrics.likelihood import (
    bits_per_spike,
    bits_per_spike_scorer,
    homogeneous_rates,
    null_log_likelihood,
    poisson_log_pmf,
    unit_null_log_likelihood,
)
from skneuro.metrics.responses import (
    explainable_variance,
    noise_ceiling,
    psth_correlation,
    response_table,
    responses_by_stimulus,
    sampled_bits_per_spike,
)

__all__ = [
    "adjacency_scores",
    "auprc",
    "auprc_by_sign",
    "auprc_chance",
    "auroc",
    "bits_per_spike",
    "bits_per_spike_scorer",
    "direction_rate",
    "explainable_variance",
    "homogeneous_rates",
    "hub_recall",
    "noise_ceiling",
    "null_log_likelihood",
    "poisson_log_pmf",
    "precision_at_k",
    "psth_correlation",
    "response_table",
    "responses_by_stimulus",
    "sampled_bits_per_spike",
    "sign_accuracy",
    "signed_r2",
    "unit_null_log_likelihood",
]
