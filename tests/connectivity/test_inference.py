"""Facts about inferred connectivity: it finds known couplings, bound to units, directions and trial edges."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError, UndefinedMetricWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import Bunch
from sklearn.utils.estimator_checks import parametrize_with_checks

from skneuro.baselines import CoupledGLM, HomogeneousPoisson
from skneuro.connectivity import CoarseCouplingWarning, ConnectivityInference
from skneuro.connectivity.baselines import lagged_correlation
from skneuro.connectivity.transfer_entropy import transfer_entropy
from skneuro.data import SpikeTrains
from skneuro.exceptions import ShortenedLagWarning, SilentUnitsWarning, TransposedTruthWarning
from skneuro.metrics.connectivity import auprc

METHODS = (
    "coupling",
    "glm",
    "ccg",
    "lagged_correlation",
    "transfer_entropy",
    "partial_correlation",
    "pearson",
)
LAGGED = ("coupling", "glm", "ccg", "lagged_correlation", "transfer_entropy")
BIN_WIDTH = 0.005


@parametrize_with_checks([ConnectivityInference(method=method) for method in METHODS])
@pytest.mark.filterwarnings("ignore::skneuro.exceptions.NonIntegerCountsWarning")
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def simulate(weights, n_bins, shared=0.0, rate=0.06, seed=0):
    """Counts of a coupled Poisson network: a spike changes log-rates one and two bins later.

    A slow input of size `shared`, common to all units, correlates them without connecting them.
    """
    rng = np.random.default_rng(seed)
    n_units = len(weights)
    slow = np.convolve(rng.standard_normal(n_bins + 99), np.ones(100) / 10, mode="valid")
    counts = np.zeros((n_bins, n_units), dtype=int)
    for t in range(2, n_bins):
        drive = weights @ (counts[t - 1] + 0.5 * counts[t - 2]) + shared * slow[t]
        counts[t] = rng.poisson(rate * np.exp(np.minimum(drive, 3.0)))
    return counts


def random_network(n_units, seed):
    rng = np.random.default_rng(seed)
    edges = rng.random((n_units, n_units)) < 0.12
    np.fill_diagonal(edges, False)
    sign = np.where(rng.random(n_units) < 0.25, -1.0, 1.0)
    return edges * sign * rng.uniform(0.6, 1.4, (n_units, n_units))


WEIGHTS = random_network(12, seed=1)
COUNTS = simulate(WEIGHTS, 20_000, shared=0.4)
SPIKES = SpikeTrains.from_counts(COUNTS, BIN_WIDTH, unit_ids=[f"u{k}" for k in range(12)])


def infer(method):
    return ConnectivityInference(method=method, bin_width=BIN_WIDTH)


@pytest.fixture(scope="module")
def fitted():
    return {method: infer(method).fit(SPIKES) for method in METHODS}


def test_the_glm_finds_the_edges_and_beats_every_baseline(fitted):
    scores = {method: inference.compare(WEIGHTS) for method, inference in fitted.items()}
    assert scores["glm"]["auprc"] > 0.95
    assert scores["glm"]["direction_rate"] > 0.95
    assert scores["glm"]["signed_r2"] > 0.8
    for baseline in ("ccg", "lagged_correlation"):
        assert scores["glm"]["auprc"] >= scores[baseline]["auprc"] > scores["pearson"]["auprc"] + 0.2
    assert scores["glm"]["auprc"] > scores["partial_correlation"]["auprc"]
    assert scores["coupling"]["auprc"] >= scores["glm"]["auprc"] - 0.01
    assert scores["pearson"]["direction_rate"] == 0.5


@pytest.mark.parametrize("method", LAGGED)
def test_the_transposed_truth_scores_worse(fitted, method):
    assert fitted[method].score(SPIKES, WEIGHTS) > auprc(fitted[method].adjacency_, WEIGHTS.T) + 0.2


@pytest.mark.parametrize("method", METHODS)
def test_permuting_units_permutes_the_adjacency(fitted, method):
    order = np.random.default_rng(3).permutation(12)
    permuted = infer(method).fit(SPIKES.select_units(SPIKES.unit_ids[order]))
    expected = fitted[method].adjacency_[np.ix_(order, order)]
    scale = np.nanmax(np.abs(expected))  # the coordinate ascent stops when areas change by a thousandth
    np.testing.assert_allclose(permuted.adjacency_, expected, rtol=1e-5, atol=2e-3 * scale)
    np.testing.assert_array_equal(permuted.unit_ids_, SPIKES.unit_ids[order])


@pytest.mark.parametrize("method", METHODS)
def test_the_diagonal_and_only_the_diagonal_is_unknown(fitted, method):
    np.testing.assert_array_equal(np.isnan(fitted[method].adjacency_), np.eye(12, dtype=bool))


@pytest.mark.parametrize("method", METHODS)
def test_arrays_and_containers_give_the_same_matrix(fitted, method):
    from_array = infer(method).fit(COUNTS)
    np.testing.assert_allclose(from_array.adjacency_, fitted[method].adjacency_, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("method", LAGGED)
def test_no_lag_crosses_the_edge_of_a_trial(method):
    """Unit 1 starts every trial with a burst and unit 0 ends it with one: only across edges 0 leads 1."""
    rng = np.random.default_rng(0)
    trials = rng.poisson(0.05, (300, 40, 2))
    trials[:, -1, 0] += 2
    trials[:, 0, 1] += 2
    apart = infer(method).fit(trials)
    joined = infer(method).fit(trials.reshape(-1, 2))
    assert joined.adjacency_[1, 0] > 0
    assert abs(apart.adjacency_[1, 0]) < 0.25 * joined.adjacency_[1, 0]
    assert apart.n_observations_[1, 0] == 300 * (40 - 3)


@pytest.mark.parametrize("method", METHODS)
def test_what_was_not_observed_does_not_matter(method):
    """The first half of the recording holds nonsense for unit 0; it must not count, nor count as silence."""
    half = len(COUNTS) // 2
    seen = np.ones(COUNTS.shape, dtype=bool)
    seen[:half, 0] = False
    masked = SpikeTrains.from_counts(COUNTS * seen, BIN_WIDTH, observed=seen)
    inference = infer(method).fit(masked)
    late = infer(method).fit(COUNTS[half:])
    silent = infer(method).fit(COUNTS * seen)
    pairs = ~np.eye(12, dtype=bool)[0]
    error = np.abs(inference.adjacency_[0] - late.adjacency_[0])[pairs].max()
    wrong = np.abs(silent.adjacency_[0] - late.adjacency_[0])[pairs].max()
    # The priors of the edges are learned from all pairs, those of the first half too.
    share = 0.9 if method == "coupling" else 0.6
    assert error < max(share * wrong, 0.02 * np.nanstd(late.adjacency_))
    n_lags = 3 if method in LAGGED else 0
    assert inference.n_observations_[0, 1] == half
    assert inference.n_observations_[1, 0] == half - n_lags
    assert inference.n_observations_[2, 1] == len(COUNTS) - n_lags


@pytest.mark.parametrize("method", ["lagged_correlation", "transfer_entropy"])
def test_a_pair_seen_for_moments_is_not_stronger_than_a_weak_coupling_that_is_well_known(method):
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.1, (20_000, 10))
    counts[1:, 1] += rng.binomial(counts[:-1, 0], 0.1)
    seen = np.ones(counts.shape, dtype=bool)
    seen[200:, 5:] = False
    masked = SpikeTrains.from_counts(counts * seen, BIN_WIDTH, observed=seen)
    strength = np.nan_to_num(np.abs(infer(method).fit(masked).adjacency_))
    assert np.unravel_index(strength.argmax(), strength.shape) == (1, 0)


@pytest.mark.parametrize(
    ("method", "measure"), [("lagged_correlation", lagged_correlation), ("transfer_entropy", transfer_entropy)]
)
def test_strengths_of_pairs_that_were_observed_alike_are_as_measured(method, measure):
    gap = np.ones(len(COUNTS), dtype=bool)
    gap[3000:9000] = False
    spikes = SpikeTrains.from_counts(COUNTS * gap[:, None], BIN_WIDTH, observed=gap)
    found, expected = infer(method).fit(spikes).adjacency_, measure(spikes.bin(BIN_WIDTH), 3)
    np.testing.assert_array_equal(found[~np.eye(12, dtype=bool)], expected[~np.eye(12, dtype=bool)])


def test_correlation_over_observed_bins_equals_numpys():
    seen = np.random.default_rng(0).random((500, 3)) > 0.3
    counts = COUNTS[:500, :3] * seen
    spikes = SpikeTrains.from_counts(counts, BIN_WIDTH, observed=seen)
    inference = infer("pearson").fit(spikes)
    both = seen[:, 0] & seen[:, 2]
    expected = np.corrcoef(counts[both, 0], counts[both, 2])[0, 1]
    assert inference.adjacency_[0, 2] == pytest.approx(expected, abs=1e-12)
    assert inference.n_observations_[0, 2] == both.sum()


class FittedModel(BaseEstimator):
    """Stands for a fitted Neuroformer: all that is read are its kernels, bins and units."""

    def __init__(self, bin_width=0.01):
        self.bin_width = bin_width

    def fit(self, X, y=None):
        rng = np.random.default_rng(0)
        self.coupling_kernels_ = rng.standard_normal((12, 12, 8))
        self.unit_ids_ = SPIKES.unit_ids
        self.n_features_in_ = 12
        return self


@pytest.mark.parametrize("wrap", [lambda model: model, FrozenEstimator])
def test_kernels_of_a_fitted_model_are_summed_over_the_lags_read(wrap):
    model = FittedModel().fit(None)
    inference = ConnectivityInference(wrap(model), readout_lag=0.03, max_lag=0.06).fit(SPIKES)
    expected = model.coupling_kernels_[:, :, :3].sum(axis=2) * 0.01
    np.fill_diagonal(expected, np.nan)
    np.testing.assert_allclose(inference.adjacency_, expected)
    np.testing.assert_allclose(inference.lags_, np.arange(1, 7) * 0.01)
    assert inference.lag_kernels_.shape == (12, 12, 6)


@pytest.mark.parametrize("prior", ["sparse", "dense"])
def test_it_is_said_that_kernels_under_the_dense_prior_are_never_zero(prior):
    model = FittedModel().fit(None)
    model.coupling_prior_ = prior
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ConnectivityInference(model, readout_lag=0.03, max_lag=0.06).fit(SPIKES)
    said = [str(w.message) for w in caught if "dense prior" in str(w.message)]
    assert len(said) == (prior == "dense")
    assert all("coupling_prior='sparse'" in message for message in said)


def test_only_a_frozen_model_survives_clone():
    model = FittedModel().fit(None)
    clone(ConnectivityInference(FrozenEstimator(model))).fit(SPIKES)
    with pytest.raises(NotFittedError, match="FrozenEstimator"):
        clone(ConnectivityInference(model)).fit(SPIKES)


def test_a_model_is_refused_where_it_does_not_fit():
    model = FittedModel().fit(None)
    with pytest.raises(ValueError, match="in another order"):
        ConnectivityInference(model).fit(SPIKES.select_units(SPIKES.unit_ids[::-1]))
    with pytest.raises(ValueError, match="fitted on 12"):
        ConnectivityInference(model).fit(COUNTS[:, :3])
    with pytest.raises(ValueError, match="reads no estimator"):
        ConnectivityInference(model, method="pearson").fit(SPIKES)
    with pytest.raises(TypeError, match="Got the class FittedModel"):
        ConnectivityInference(FittedModel).fit(SPIKES)
    glm = CoupledGLM(bin_width=BIN_WIDTH, history=0.02, alphas=100.0).fit(SPIKES)
    with pytest.raises(ValueError, match="kernels of a NeuroformerEstimator, and a CoupledGLM has none.*method='glm'"):
        ConnectivityInference(FrozenEstimator(glm)).fit(SPIKES)
    del model.coupling_kernels_
    with pytest.raises(ValueError, match="coupling=True"):
        ConnectivityInference(model).fit(SPIKES)


@pytest.mark.parametrize("settings", [{}, {"method": "effect"}, {"background": "model"}], ids=str)
def test_what_holds_a_model_of_spikes_is_no_model_of_spikes(settings):
    search = GridSearchCV(HomogeneousPoisson(), {"bin_width": [0.005]}, cv=2).fit(COUNTS)
    pipeline = make_pipeline(FunctionTransformer(), HomogeneousPoisson(bin_width=0.005)).fit(COUNTS)
    line = LinearRegression().fit(COUNTS[:, :1], COUNTS[:, 1])
    cases = [
        (
            search,
            "a GridSearchCV, which has no bin_width and no unit_ids_; give the model inside it, .*best_estimator_",
        ),
        (FrozenEstimator(search), "best_estimator_"),
        (pipeline, r"a Pipeline, .* give the model inside it, pipeline\[-1\]"),
        (line, "a LinearRegression, which has no bin_width and no unit_ids_; give a NeuroformerEstimator or"),
    ]
    for estimator, message in cases:
        with pytest.raises(TypeError, match=message):
            ConnectivityInference(estimator, **settings).fit(SPIKES)


@pytest.mark.parametrize("settings", [{"method": "effect"}, {"background": "model"}, {}], ids=str)
@pytest.mark.parametrize("wrap", [lambda model: model, FrozenEstimator])
def test_a_bin_width_that_was_changed_after_the_fit_of_the_model_is_refused(settings, wrap):
    model = CoupledGLM(bin_width=BIN_WIDTH, history=0.02, n_basis=2, alphas=20.0).fit(SPIKES)
    model.set_params(bin_width=0.01)
    with pytest.raises(ValueError, match=r"fitted with bin_width=0.005 s, and it is 0.01 s now"):
        ConnectivityInference(wrap(model), **settings).fit(SPIKES)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_fit_that_fails_leaves_an_inference_as_it_was(monkeypatch, error):
    other = SpikeTrains.from_counts(COUNTS[:1000, ::-1], BIN_WIDTH, unit_ids=[f"v{k}" for k in range(12)])

    def fail(*_):
        raise error("in between")

    def failing_fit(inference):
        with monkeypatch.context() as patch:
            patch.setattr(ConnectivityInference, "_infer", fail)
            with pytest.raises(error, match="in between"):
                inference.fit(other)

    inference = infer("lagged_correlation")
    failing_fit(inference)
    assert vars(inference) == vars(infer("lagged_correlation"))
    with pytest.raises(NotFittedError):
        inference.to_frame()
    table = inference.fit(SPIKES).to_frame()
    failing_fit(inference)
    pd.testing.assert_frame_equal(inference.to_frame(), table)


def test_a_fit_on_silence_leaves_an_inference_as_it_was():
    inference = infer("lagged_correlation").fit(SPIKES)
    with pytest.raises(ValueError, match="needs spikes"):
        inference.fit(np.zeros((100, 3), dtype=int))
    assert inference.to_frame().shape == (12, 12) and inference.n_features_in_ == 12


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "pearson", "background": "innovations"}, "takes no background='innovations'"),
        ({"method": "ccg", "dale": True}, "no dale=True"),
        ({"method": "pearson", "background": "model"}, "needs an estimator"),
        ({"estimator": FittedModel().fit(None), "background": "innovations"}, "read as they were trained"),
        ({"estimator": FittedModel().fit(None), "dale": True}, "without Dale's law"),
        ({"estimator": FittedModel().fit(None), "bin_width": 0.002}, "at its own bin_width=0.01. Got bin_width=0.002"),
    ],
)
def test_parameters_that_contradict_each_other_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ConnectivityInference(**settings).fit(SPIKES)


def test_warnings_name_the_line_that_fits():
    counts = COUNTS[:2000, :4] * [1, 1, 1, 0]
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        ConnectivityInference(method="glm", bin_width=0.02, max_lag=0.04).fit(counts)
    assert {warning.category for warning in found} == {CoarseCouplingWarning, SilentUnitsWarning}
    assert {warning.filename for warning in found} == {__file__}


def test_lags_as_long_as_the_recording_are_shortened():
    with pytest.warns(ShortenedLagWarning, match="longest trial has 300 bins"):
        inference = ConnectivityInference(max_lag=1e6, readout_lag=0.05).fit(COUNTS[:300])
    assert np.isfinite(inference.adjacency_[~np.eye(12, dtype=bool)]).any()


def test_coarse_bins_warn_by_name():
    with pytest.warns(CoarseCouplingWarning, match="50 ms"):
        ConnectivityInference(FittedModel(bin_width=0.05).fit(None)).fit(SPIKES)
    for method in LAGGED:
        with pytest.warns(CoarseCouplingWarning, match="20 ms"):
            ConnectivityInference(method=method, bin_width=0.02).fit(SPIKES)


def test_silent_units_are_unknown_and_named():
    counts = COUNTS[:2000, :4].copy()
    counts[:, 2] = 0
    for method in METHODS:
        with pytest.warns(SilentUnitsWarning, match=r"1 of 4 units have no spike .*\[2\]"):
            inference = ConnectivityInference(method=method).fit(counts)
        unknown = np.eye(4, dtype=bool)
        unknown[2] = unknown[:, 2] = True
        np.testing.assert_array_equal(np.isnan(inference.adjacency_), unknown)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (np.zeros((50, 3), dtype=int), "needs spikes"),
        (np.ones((40, 2, 3), dtype=int), "longest trial has 2 bins"),
        (np.ones((1, 3), dtype=int), "1 sample"),
    ],
)
def test_input_that_says_nothing_is_refused(X, message):
    with pytest.raises(ValueError, match=message):
        ConnectivityInference().fit(X)


def test_fitting_again_leaves_nothing_of_the_other_method():
    inference = ConnectivityInference().fit(COUNTS[:2000])
    inference.set_params(method="pearson").fit(COUNTS[:2000])
    assert not hasattr(inference, "lag_kernels_")
    assert inference.lags_.tolist() == [0.0]


def test_one_unit_has_no_pairs():
    assert np.isnan(ConnectivityInference().fit(COUNTS[:500, :1]).adjacency_).all()


def test_truth_is_read_by_label_and_orientation(fitted):
    glm, ids = fitted["glm"], SPIKES.unit_ids
    order = np.random.default_rng(0).permutation(12)
    table = pd.DataFrame(WEIGHTS, index=ids, columns=ids).iloc[order, order]
    assert glm.score(SPIKES, table) == glm.score(SPIKES, WEIGHTS)
    with pytest.raises(ValueError, match="rows must be targets"):
        glm.score(SPIKES, table.rename_axis(index="source"))
    with pytest.raises(ValueError, match="Missing"):
        glm.score(SPIKES, table.iloc[1:, 1:])
    with pytest.raises(ValueError, match=r"shape \(12, 12\)"):
        glm.score(SPIKES, WEIGHTS[:3, :3])
    with pytest.raises(TypeError, match="Got Bunch. Pass its weights"):
        glm.compare(Bunch(weights=WEIGHTS))
    with pytest.raises(ValueError, match="must be finite, or NaN"):
        glm.compare(np.where(WEIGHTS != 0, np.inf, 0))
    with pytest.warns(TransposedTruthWarning, match="transposed truth scores clearly better"):
        glm.compare(WEIGHTS.T)
    for nothing in (None, np.zeros((12, 12)), np.full((12, 12), np.nan)):
        with pytest.warns(UndefinedMetricWarning):
            assert np.isnan(glm.score(SPIKES, nothing))


def test_the_names_of_a_tables_axes_tell_its_orientation(fitted):
    """A table that is turned by mistake is refused by its names, or warned of by its score, never read as it is."""
    glm, ids = fitted["glm"], SPIKES.unit_ids
    right, turned = pd.DataFrame(WEIGHTS, index=ids, columns=ids), pd.DataFrame(WEIGHTS.T, index=ids, columns=ids)
    with pytest.warns(TransposedTruthWarning):
        glm.score(SPIKES, turned)
    for target, source in [("target", "source"), ("post", "pre"), ("Postsynaptic", "Presynaptic"), ("to", "from")]:
        named = right.rename_axis(index=target, columns=source)
        assert glm.score(SPIKES, named) == glm.score(SPIKES, WEIGHTS)
        for wrong in ({"index": source}, {"columns": target}, {"index": source, "columns": target}):
            with pytest.raises(ValueError, match="rows must be targets"):
                glm.score(SPIKES, turned.rename_axis(**wrong))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        glm.score(SPIKES, turned.rename_axis(index="target", columns="source"))  # what is named is taken at its word


@pytest.mark.parametrize("truth", [[[0, 1], [0]], pd.DataFrame([["no"] * 12] * 12, SPIKES.unit_ids, SPIKES.unit_ids)])
def test_a_truth_that_is_no_matrix_of_numbers_is_refused(fitted, truth):
    with pytest.raises(TypeError, match="must be a matrix of numbers"):
        fitted["glm"].score(SPIKES, truth)


def test_a_method_without_signs_has_no_score_of_signs(fitted):
    flow = fitted["transfer_entropy"]
    scores = flow.compare(WEIGHTS)
    assert np.isnan(scores["sign_accuracy"]) and np.isnan(scores["signed_r2"])
    assert scores["auprc"] == auprc(flow.adjacency_, WEIGHTS)
    assert np.isnan(flow.compare(fitted["glm"])["sign_agreement"])
    assert np.isnan(fitted["glm"].compare(flow)["sign_agreement"])
    assert fitted["glm"].compare(fitted["ccg"])["sign_agreement"] > 0.5


@pytest.fixture(scope="module")
def of_areas():
    """Units a, b in V1 and c, d, e in LM, f in none; a drives c and d, c inhibits b."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.15, (20_000, 6))
    counts[1:, 2] += rng.binomial(counts[:-1, 0], 0.4)
    counts[1:, 3] += rng.binomial(counts[:-1, 0], 0.4)
    counts[1:, 1] *= counts[:-1, 2] == 0
    areas = ["V1", "V1", "LM", "LM", "LM", None]
    info = pd.DataFrame({"area": areas, "depth": np.arange(6.0)}, index=list("abcdef"))
    plain = SpikeTrains.from_counts(counts, BIN_WIDTH, unit_ids=list("abcdef"))
    spikes = SpikeTrains(
        plain.times, plain.units, plain.ptr, plain.t_start, plain.t_stop, unit_ids=plain.unit_ids, unit_info=info
    )
    return ConnectivityInference(method="glm").fit(spikes)


def test_areas_are_summarised_by_their_significant_pairs(of_areas):
    inference = of_areas
    table = inference.area_to_area()
    assert set(table.index) == {(a, b) for a in ("V1", "LM") for b in ("V1", "LM")}  # f has no area
    assert table["n_pairs"].to_dict() == {("V1", "V1"): 2, ("V1", "LM"): 6, ("LM", "V1"): 6, ("LM", "LM"): 6}
    assert table["n_edges"].to_dict() == {("V1", "V1"): 0, ("V1", "LM"): 1, ("LM", "V1"): 2, ("LM", "LM"): 0}
    forth, back = table.loc[("LM", "V1")], table.loc[("V1", "LM")]
    assert forth["density"] == pytest.approx(2 / 6) and back["density"] == pytest.approx(1 / 6)
    assert forth["mean_strength"] == pytest.approx(inference.adjacency_[[2, 3], 0].mean())
    assert (forth["fraction_excitatory"], back["fraction_excitatory"]) == (1.0, 0.0)
    assert np.isnan(table.loc[("V1", "V1"), "fraction_excitatory"])
    assert inference.area_to_area(significant=False)["n_edges"].sum() == 20
    with pytest.raises(ValueError, match="a column 'layer'.*'area', 'depth'"):
        inference.area_to_area("layer")


def test_the_graph_has_an_arrow_from_source_to_target_for_each_significant_pair(of_areas):
    pytest.importorskip("networkx")
    inference = of_areas
    graph = inference.to_networkx()
    assert set(graph.edges) == {("a", "c"), ("a", "d"), ("c", "b")}
    assert graph.edges["c", "b"]["weight"] == inference.adjacency_[1, 2] < 0
    assert dict(graph.nodes["c"]) == {"area": "LM", "depth": 2.0}
    assert list(graph) == list("abcdef")
    assert inference.to_networkx(significant=False).number_of_edges() == 30


def test_two_inferences_are_compared_by_their_common_pairs(fitted):
    agreement = fitted["glm"].compare(fitted["ccg"])
    assert agreement["n_pairs"] == 132
    assert agreement["spearman"] > 0.3
    assert fitted["glm"].compare(fitted["coupling"])["pearson"] > 0.9
    assert fitted["glm"].compare(fitted["glm"])["pearson"] == pytest.approx(1.0)
    other = ConnectivityInference(method="pearson").fit(SPIKES.select_units(SPIKES.unit_ids[:5]))
    with pytest.raises(ValueError, match="unit ids should match"):
        fitted["glm"].compare(other)


def test_the_table_is_labelled_target_by_source(fitted):
    table = fitted["glm"].to_frame()
    assert (table.index.name, table.columns.name) == ("target", "source")
    assert table.loc["u3", "u5"] == fitted["glm"].adjacency_[3, 5]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted["glm"])).to_frame(), table)


def test_lags_that_were_shortened_are_named():
    with pytest.warns(ShortenedLagWarning, match=r"max_lag=0.04 s was shortened to 0.025 s, .* has 6 bins"):
        ConnectivityInference(method="glm", bin_width=0.005, readout_lag=0.01).fit(COUNTS[:600].reshape(100, 6, 12))
    with pytest.warns(ShortenedLagWarning, match=r"readout_lag=0.03 s was shortened to 0.02 s, because max_lag"):
        ConnectivityInference(method="glm", max_lag=0.02, readout_lag=0.03).fit(COUNTS[:600])
    with pytest.warns(ShortenedLagWarning, match=r"readout_lag=0.1 s was shortened to 0.08 s, because the kernels"):
        ConnectivityInference(FittedModel().fit(None), readout_lag=0.1, max_lag=0.2).fit(SPIKES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ConnectivityInference(method="glm").fit(COUNTS[:600])
        ConnectivityInference(method="pearson", max_lag=0.02, readout_lag=0.03).fit(COUNTS[:600])


@pytest.mark.parametrize("method", ["pearson", "partial_correlation", "lagged_correlation", "transfer_entropy"])
def test_a_rate_that_does_not_hold_is_not_promised(fitted, method):
    assert hasattr(fitted[method], "z_scores_") and not hasattr(fitted[method], "significant_")
    with pytest.raises(AttributeError, match=f"method='{method}' has no significant_: where units share input"):
        fitted[method].significant_  # noqa: B018
    with pytest.raises(ValueError, match="Pass significant=False"):
        fitted[method].to_networkx()
    with pytest.raises(AttributeError, match="no attribute 'significant_'"):
        ConnectivityInference(method=method).significant_  # noqa: B018
