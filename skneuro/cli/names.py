"""Names as one writes them, and what the scores of simulations mean."""

from __future__ import annotations

from dataclasses import dataclass

_WRITTEN = {"psth": "PSTH", "rmse": "RMSE", "kl": "KL", "isi": "ISI", "fano": "Fano", "victor": "Victor",
            "purpura": "Purpura", "rossum": "Rossum"}  # fmt: skip


def written(metric: str) -> str:
    """A metric of `evaluate_generation` as one writes it: ``isi_sd_rmse`` is ISI sd RMSE."""
    return " ".join(_WRITTEN.get(word, word) for word in metric.split("_"))


@dataclass(frozen=True)
class Measure:
    """What a metric of `evaluate_generation` is.

    Parameters
    ----------
    unit : str
        Its unit; empty where it has none.
    better : str
        Which values are the better ones.
    meaning : str
        One line.
    """

    unit: str
    better: str
    meaning: str


def measure_of(metric: str) -> Measure:
    """Say what a metric is.

    Parameters
    ----------
    metric : str
        Its name in the table of `evaluate_generation`.

    Returns
    -------
    measure : Measure

    Examples
    --------
    >>> from skneuro.cli.names import measure_of
    >>> measure_of("rate_rmse").unit, measure_of("rate_rmse").better
    ('Hz', 'lower')
    """
    if metric.startswith("tuning_correlation_"):
        return Measure("", "higher", "Correlation of simulated with recorded tuning to this variable, mean over units.")
    return _MEASURES.get(metric, Measure("", "", ""))


_MEASURES = {
    "psth_correlation": Measure(
        "", "higher", "Correlation of simulated with recorded mean responses to each stimulus, mean over units."
    ),
    "sampled_bits_per_spike": Measure(
        "bits per spike",
        "higher",
        "Log-likelihood of recorded counts under the mean rates of many simulations of the stimulus, above constant "
        "rates. It scores the mean response alone, and does not compare with the bits per spike one step ahead.",
    ),
    "noise_correlation": Measure(
        "", "higher", "Correlation, over pairs of units, of simulated with recorded noise correlations."
    ),
    "rate_ratio_error": Measure("", "lower", "By which share the rate of the whole population is off."),
    "rate_rmse": Measure("Hz", "lower", "Root mean square difference (RMSE) of the units' mean rates."),
    "population_count_kl": Measure(
        "bits",
        "lower",
        "Kullback-Leibler divergence (KL), simulated from recorded, of how many spikes the population fires in a bin.",
    ),
    "pairwise_correlation_rmse": Measure("", "lower", "Difference of the correlations of the counts of two units."),
    "noise_correlation_rmse": Measure(
        "", "lower", "The same of what is left of the counts without the mean response to the stimulus."
    ),
    "isi_mean_rmse": Measure("s", "lower", "Difference of the units' mean inter-spike intervals (ISI), in bins."),
    "isi_sd_rmse": Measure("s", "lower", "Difference of the standard deviations (sd) of these intervals."),
    "fano_rmse": Measure(
        "", "lower", "Difference of Fano factors: variance over mean of a unit's count in windows of half a second."
    ),
    "autocorrelation_rmse": Measure(
        "", "lower", "Difference of how a unit's count correlates with its own 1 to 20 bins later."
    ),
    "dimensionality_difference": Measure(
        "dimensions", "lower", "Difference of the number of dimensions in which units vary together."
    ),
    "shared_variance_difference": Measure(
        "", "lower", "Difference of the share of their variance that units share with others."
    ),
    "short_isi_share_difference": Measure(
        "", "lower", "Difference of the share of intervals below 3 ms, of which bins of 3 ms or less alone know."
    ),
    "two_sample_accuracy": Measure(
        "",
        "near 0.5",
        "How often a classifier (gradient boosting) tells recorded from simulated windows; 0.5 is chance. It looks for "
        "whatever the other numbers miss.",
    ),
    "victor_purpura": Measure(
        "",
        "lower",
        "Victor and Purpura's distance between spike trains: 1 to add or delete a spike, 1 to move one by 20 ms.",
    ),
    "van_rossum": Measure(
        "", "lower", "Van Rossum's distance: that of the trains smoothed by an exponential of 20 ms."
    ),
}
