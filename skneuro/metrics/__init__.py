"""How good a model is: pure numpy functions on arrays and containers."""

from skneuro.metrics.alignment import retrieval
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
from skneuro.metrics.contribution import modality_contribution
from skneuro.metrics.dead_time import dead_time_score
from skneuro.metrics.distances import spike_train_distance
from skneuro.metrics.generation import evaluate_generation
from skneuro.metrics.likelihood import (
    bits_per_spike,
    bits_per_spike_scorer,
    homogeneous_rates,
    null_log_likelihood,
    poisson_log_pmf,
    unit_null_log_likelihood,
)
from skneuro.metrics.population import (
    noise_correlations,
    pairwise_correlations,
    population_count_distribution,
    population_count_kl,
    shared_variance,
)
from skneuro.metrics.realism import realism_table, shuffled_trials
from skneuro.metrics.responses import (
    explainable_variance,
    noise_ceiling,
    psth_correlation,
    response_table,
    responses_by_stimulus,
    sampled_bits_per_spike,
)
from skneuro.metrics.tuning import map_correlation, tuning_maps
from skneuro.metrics.two_sample import two_sample_accuracy
from skneuro.metrics.variability import autocorrelation, fano_factors, interval_table

__all__ = [
    "adjacency_scores",
    "auprc",
    "auprc_by_sign",
    "auprc_chance",
    "auroc",
    "autocorrelation",
    "bits_per_spike",
    "bits_per_spike_scorer",
    "dead_time_score",
    "direction_rate",
    "evaluate_generation",
    "explainable_variance",
    "fano_factors",
    "homogeneous_rates",
    "hub_recall",
    "interval_table",
    "map_correlation",
    "modality_contribution",
    "noise_ceiling",
    "noise_correlations",
    "null_log_likelihood",
    "pairwise_correlations",
    "poisson_log_pmf",
    "population_count_distribution",
    "population_count_kl",
    "precision_at_k",
    "psth_correlation",
    "realism_table",
    "response_table",
    "responses_by_stimulus",
    "retrieval",
    "sampled_bits_per_spike",
    "shared_variance",
    "shuffled_trials",
    "sign_accuracy",
    "signed_r2",
    "spike_train_distance",
    "tuning_maps",
    "two_sample_accuracy",
    "unit_null_log_likelihood",
]
