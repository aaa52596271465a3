"""How strongly a model is regularised and what enters its long past, and how held-out data choose."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from skneuro import NeuroformerEstimator
from skneuro.data import SpikeTrains, TimeSeries, read_input
from skneuro.estimators import _choices, _fitting, _learner, _search
from skneuro.estimators._choices import Choices, alternatives, count_segments, usual
from skneuro.exceptions import NonFiniteLossError
from skneuro.persistence import load
from skneuro.training.stretches import Segments

TRAIN, IN_SILENCE = _learner.train, _search.in_silence
AUTO = {"weight_decay": "auto", "dropout": "auto", "unit_dropout": "auto", "coupling_prior": "auto"}


@pytest.fixture
def config(make):
    return _fitting.make_config(make(), read_input(np.ones((3, 100, 2), dtype=int), bin_width=0.05), 3)


def test_few_segments_are_decayed_more(make):
    """0.5 from 270 segments on, four times that at half, at most 3 % a step; or less of it, down to 0.5 again."""
    est = make(weight_decay="auto", learning_rate=3e-3)

    def decays(n_segments, est=est):
        ways = [replace(usual(est, 10**4), towards_usual=share) for share in (0.0, 0.5, 1.0)]
        return [how.weight_decay(est, n_segments) for how in ways]

    assert decays(300) == decays(270) == pytest.approx([0.5, 0.5, 0.5])
    assert decays(135) == pytest.approx([2.0, 1.0, 0.5])
    assert decays(10) == pytest.approx([10.0, 5**0.5, 0.5])
    assert decays(10, make(weight_decay="auto", learning_rate=3e-2))[0] == pytest.approx(1.0)
    assert decays(10, make(weight_decay=0.1)) == [0.1, 0.1, 0.1]


def test_segments_are_of_about_a_hundred_bins(config):
    trials = Segments(np.arange(3), np.zeros(3, dtype=int), np.full(3, 100))
    assert count_segments(trials, config) == 3


def test_what_may_be_chosen_is_what_the_user_left_open_where_data_are_few(make, config):
    def tried(n_segments=20, config=config, **changes):
        est = make(**{**AUTO, **changes})
        return [replace(usual(est, 10**4), **change) for change in alternatives(est, n_segments, 10**4, config)]

    mid, full = (Choices(share, 0.4, 0.0, "sparse", False) for share in (0.5, 1.0))
    dense = Choices(0.5, 0.5, 0.1, "dense", False)
    assert tried(190) == [mid, full, dense]
    assert tried(191) == []
    assert tried(learning_rate=0.1) == [dense]  # no more decay than usual
    assert tried(weight_decay=1.0) == [dense]
    assert tried(dropout=0.3) == [replace(how, dropout=0.3) for how in (mid, full, dense)]
    assert tried(unit_dropout=0.3) == [replace(how, unit_dropout=0.3) for how in (mid, full, dense)]
    assert tried(coupling_prior="sparse") == tried(coupling_penalty=0.0) == [mid, full]
    assert tried(coupling_prior="dense") == [replace(dense, towards_usual=share) for share in (0.0, 1.0)]
    for couplings in ({"coupling_bins": 0}, {"coupling_rank": 2}):  # no couplings of pairs
        assert tried(config=replace(config, **couplings)) == [mid, full]
    assert tried(weight_decay=0.1, coupling_prior="dense") == []


def test_stimuli_are_tried_last_in_the_long_past_where_spikes_are_not_few(make, world):
    def tried(y, n_segments=1000, n_spikes=10_000, **changes):
        est = make(**{**AUTO, **changes})
        config = _fitting.make_config(est, read_input(world.spikes, y, bin_width=0.05), 3)
        return alternatives(est, n_segments, n_spikes, config)

    enter = {"stimuli_in_context": True}
    assert tried(world.speed) == tried(world.both) == [enter]
    assert len(tried(world.speed, 20)) == 4 and tried(world.speed, 20)[-1] == enter
    assert tried(world.speed, n_spikes=9_999) == tried(world.speed, n_spikes=100_000) == []
    assert tried(world.video) == tried(None) == tried(world.speed, context=0) == []
    for told in (True, False, np.True_):
        est = make(**AUTO, stimuli_in_context=told)
        assert tried(world.speed, stimuli_in_context=told) == []
        assert usual(est, 10**6).stimuli_in_context == usual(est, 1, "dense").stimuli_in_context == told


@pytest.fixture
def few():
    rate = np.exp(1.5 * np.sin(np.arange(60) / 5))[:, None] * [0.2, 0.6, 0.3]
    return SpikeTrains.from_counts(np.random.default_rng(0).poisson(rate, (20, 60, 3)), bin_width=0.05)


HELD_OUT = {"early_stopping": True, "refit": False, "max_epochs": 4, "validation_fraction": 0.2, "d_model": 16}


def test_held_out_data_choose_what_scores_best_where_data_are_few(make, few, monkeypatch):
    """If by more than chance; each of the candidates is one that could be set."""
    monkeypatch.setattr(_search, "CHANCE", np.inf)
    first = make(**AUTO, **HELD_OUT).fit(few)
    assert (first.dropout_, first.unit_dropout_, first.coupling_prior_) == (0.4, 0.0, "sparse")
    law = first.weight_decay_
    assert law > 1
    told = [{"weight_decay": decay, "coupling_prior": "sparse"} for decay in (law, (0.5 * law) ** 0.5, 0.5)]
    told.append({"weight_decay": (0.5 * law) ** 0.5, "coupling_prior": "dense"})
    alone = [make(**{**AUTO, **one}, **HELD_OUT).fit(few) for one in told]
    assert first.best_validation_score_ == pytest.approx(alone[0].best_validation_score_, abs=1e-6)
    best = max(alone, key=lambda est: est.best_validation_score_)
    monkeypatch.setattr(_search, "CHANCE", 0.0)
    chosen = make(**AUTO, **HELD_OUT).fit(few)
    for name in ("best_validation_score_", "weight_decay_", "dropout_", "unit_dropout_"):
        assert getattr(chosen, name) == pytest.approx(getattr(best, name), abs=1e-6), name
    assert chosen.coupling_prior_ == best.coupling_prior_


def test_the_refit_is_regularised_as_was_chosen(make, few, monkeypatch):
    monkeypatch.setattr(_search, "CHANCE", -np.inf)  # the last one tried is taken
    chosen = make(**AUTO, **{**HELD_OUT, "refit": True}).fit(few)
    assert (chosen.dropout_, chosen.unit_dropout_, chosen.coupling_prior_) == (0.5, 0.1, "dense")
    config = chosen.model_.network.config
    assert (config.dropout, config.unit_dropout) == (0.5, 0.1)


def test_training_goes_on_as_it_was_chosen_to(make, few, monkeypatch, tmp_path):
    """With a warm start, and from a file; a dropout that is named anew would be another network."""
    monkeypatch.setattr(_search, "CHANCE", -np.inf)
    chosen = make(**AUTO, **HELD_OUT, warm_start=True).fit(few)
    chosen.save(tmp_path / "model")
    for est in (chosen, load(tmp_path / "model")):
        est.fit(few)
        assert (est.dropout_, est.unit_dropout_, est.coupling_prior_) == (0.5, 0.1, "dense")
        assert est.n_iter_ > HELD_OUT["max_epochs"]
    with pytest.raises(ValueError, match=r"dropout was 0\.5, is 0\.3"):
        chosen.set_params(dropout=0.3).fit(few)


def test_nothing_is_chosen_where_nothing_is_held_out(make, few):
    est = make(**AUTO, **{**HELD_OUT, "early_stopping": False}).fit(few)
    assert (est.dropout_, est.unit_dropout_, est.coupling_prior_) == (0.4, 0.0, "sparse")


@pytest.fixture
def placed(monkeypatch):
    """Units that fire at one end of a way, to and fro, and a position that says which."""
    monkeypatch.setattr(_choices, "FEW_SPIKES", 2_000)
    place = np.sin(np.arange(60) / 5 + np.arange(30)[:, None])[..., None]
    counts = np.random.default_rng(0).poisson(np.exp(place * [2.0, -2.0, 1.0]) * [0.2, 0.2, 0.3])
    return SpikeTrains.from_counts(counts, bin_width=0.05), TimeSeries.from_lists(list(place), rate=20.0)


DECIDED = {**HELD_OUT, "weight_decay": 0.5, "coupling_prior": "sparse", "d_model": 8, "max_epochs": 3}


def entered(est):
    assert est.model_.network.config.stimuli_in_context == tuple(est.stimuli_in_context_)
    return est.stimuli_in_context_


@pytest.mark.parametrize("refit", [False, True])
def test_held_out_data_choose_whether_stimuli_enter_the_long_past(make, placed, monkeypatch, refit):
    """If by more than chance; each choice is one that could be set."""
    told = {**DECIDED, "refit": refit}
    alone = {enter: make(**told, stimuli_in_context=enter).fit(*placed) for enter in (True, False)}
    assert entered(alone[True]) == ("stimulus",) and entered(alone[False]) == ()
    scores = {enter: est.best_validation_score_ for enter, est in alone.items()}
    assert scores[True] != scores[False]
    for chance, enter in ((np.inf, False), (-np.inf, True), (0.0, scores[True] > scores[False])):
        monkeypatch.setattr(_search, "CHANCE", chance)
        chosen = make(**told).fit(*placed)
        assert entered(chosen) == entered(alone[enter])
        assert chosen.best_validation_score_ == scores[enter]
        assert chosen.score(*placed) == alone[enter].score(*placed)


def test_where_nothing_is_held_out_no_stimulus_enters_the_long_past(make, placed):
    assert entered(make(**{**DECIDED, "early_stopping": False}).fit(*placed)) == ()
    assert entered(make(**DECIDED).partial_fit(*placed)) == ()


@pytest.mark.filterwarnings("ignore:partial_fit goes on")
def test_stimuli_enter_the_long_past_where_spikes_are_many(make, placed, monkeypatch):
    """Unless it is said; parts are trained on as the whole is, and held-out data, where there are any, not asked."""
    spikes, place = placed
    monkeypatch.setattr(_choices, "MANY_SPIKES", len(spikes.times))
    whole = {**DECIDED, "early_stopping": False}
    chosen = make(**whole).fit(spikes, place)
    assert entered(chosen) == ("stimulus",)
    in_parts = make(**whole)
    for _ in range(whole["max_epochs"]):
        in_parts.partial_fit(spikes, place)
    said = make(**whole, stimuli_in_context=True).fit(spikes, place)
    assert entered(in_parts) == entered(said) == ("stimulus",)
    assert chosen.score(spikes, place) == said.score(spikes, place)
    assert entered(make(**whole, stimuli_in_context=False).fit(spikes, place)) == ()
    assert entered(make(**whole, context=0).fit(spikes, place)) == entered(make(**whole).fit(spikes)) == ()
    few = make(**whole).fit(spikes[1:], place[1:])
    assert entered(few) == entered(few.partial_fit(spikes, place)) == ()
    monkeypatch.setattr(_search, "CHANCE", np.inf)
    assert entered(make(**DECIDED).fit(spikes, place)) == ("stimulus",)


def test_few_spikes_let_no_stimulus_enter_the_long_past(make, placed, monkeypatch):
    monkeypatch.setattr(_search, "CHANCE", -np.inf)
    assert entered(make(**DECIDED).fit(*placed)) == ("stimulus",)
    monkeypatch.setattr(_choices, "FEW_SPIKES", 3_000)
    assert entered(make(**DECIDED).fit(*placed)) == ()


@pytest.mark.filterwarnings("ignore:partial_fit goes on")
@pytest.mark.parametrize("chance", [np.inf, -np.inf])
def test_training_goes_on_with_what_entered(make, placed, monkeypatch, tmp_path, chance):
    """With a warm start and in parts, and from a file; another choice would be another network."""
    monkeypatch.setattr(_search, "CHANCE", chance)
    chosen = make(**DECIDED, warm_start=True).fit(*placed)
    before = entered(chosen)
    chosen.save(tmp_path / "model")
    loaded = load(tmp_path / "model")
    monkeypatch.setattr(_search, "CHANCE", -chance)
    for est in (chosen, loaded):
        assert entered(est.fit(*placed)) == entered(est.partial_fit(*placed)) == before
    with pytest.raises(ValueError, match="stimuli_in_context was"):
        chosen.set_params(stimuli_in_context=not before).fit(*placed)


@pytest.mark.parametrize("name", ["dropout", "unit_dropout", "coupling_prior", "stimuli_in_context", "max_cycles"])
def test_a_wrong_value_is_refused_by_name(few, name):
    with pytest.raises(ValueError, match=f"The '{name}' parameter of NeuroformerEstimator must be"):
        NeuroformerEstimator(**{name: "atuo"}).fit(few)


CYCLES = {**HELD_OUT, "weight_decay": 0.5, "coupling_prior": "sparse", "d_model": 8, "max_epochs": 3, "max_cycles": 3}


@pytest.mark.parametrize(("chance", "n_cycles"), [(np.inf, 1), (-np.inf, 3)])
def test_a_further_cycle_is_kept_if_held_out_data_gain_by_more_than_chance(make, few, monkeypatch, chance, n_cycles):
    """It goes on as a warm start would (with a head whose units are not fitted once more in between), and the refit on
    all data has as many."""
    monkeypatch.setattr(_search, "CHANCE", chance)
    told = {**CYCLES, "head": "chained"}
    est = make(**told).fit(few)
    assert (est.n_cycles_, est.n_iter_) == (n_cycles, 3 * n_cycles)
    assert len(est.validation_scores_) == len(est.loss_curve_) == est.n_iter_
    going_on = make(**{**told, "max_cycles": 1}, warm_start=True)
    for _ in range(n_cycles):
        going_on.fit(few)
    assert est.loss_curve_ == going_on.loss_curve_
    assert est.validation_scores_ == pytest.approx(going_on.validation_scores_, abs=1e-6)
    assert est.best_validation_score_ == max(est.validation_scores_)
    again = make(**{**told, "refit": True}).fit(few)
    assert again.n_cycles_ == n_cycles and again.validation_scores_ == est.validation_scores_
    best = int(np.argmax(est.validation_scores_)) + 1 - 3 * (n_cycles - 1)
    assert again.n_iter_ == 3 * (n_cycles - 1) + min(-(-4 * best // 3), 3)


def test_without_held_out_data_all_cycles_are_run(make, few):
    """As many fits with a warm start, but that units are fitted once more at the end; no cycle follows where it is
    said that training goes on, or where early stopping ended the one before."""
    told = {**CYCLES, "early_stopping": False, "max_cycles": 2, "head": "chained"}
    est = make(**told).fit(few)
    assert (est.n_cycles_, est.n_iter_, est.validation_scores_) == (2, 6, [])
    going_on = make(**{**told, "max_cycles": 1}, warm_start=True).fit(few)
    going_on.set_params(max_cycles=2).fit(few)
    assert (going_on.n_cycles_, going_on.n_iter_) == (1, 6)
    assert est.loss_curve_ == going_on.loss_curve_
    assert make(**told).partial_fit(few).n_iter_ == 1
    assert est.partial_fit(few).n_cycles_ == 2  # of the fit before
    stopped = make(**{**CYCLES, "max_epochs": 40, "n_iter_no_change": 1, "tol": 1e9}).fit(few)
    assert stopped.n_cycles_ == 1 and stopped.n_iter_ < 40


def test_many_spikes_are_held_out_from_where_cycles_are_to_be_chosen(make, few, monkeypatch):
    """Not where training goes on: that is one cycle."""
    monkeypatch.setattr(_choices, "MANY_SPIKES", 10)
    for n_cycles in (1, 2):
        est = make(**{**CYCLES, "early_stopping": "auto", "max_cycles": n_cycles}, warm_start=True).fit(few)
        n_scores = len(est.validation_scores_)
        assert bool(n_scores) == (n_cycles == 2)
        assert len(est.fit(few).validation_scores_) == n_scores


def test_spikes_that_are_only_a_past_do_not_make_a_recording_large(make, monkeypatch):
    counts = np.random.default_rng(0).poisson(0.5, (1, 400, 3))
    whole = SpikeTrains.from_counts(counts, bin_width=0.05)
    cut = whole.cut(1.0, context=4.0)
    monkeypatch.setattr(_choices, "MANY_SPIKES", len(whole.times) + 1)
    assert cut.bin(0.05).counts.sum() > _choices.MANY_SPIKES
    est = make(early_stopping="auto", context_width="auto", max_epochs=1)
    widths = [est.fit(spikes).model_.network.config.context_width for spikes in (whole, cut)]
    assert widths[0] == widths[1] and est.validation_scores_


def same(one, two):
    one, two = one.model_.arrays(), two.model_.arrays()
    return set(one) == set(two) and all(np.array_equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("refit", [False, True])
def test_a_cycle_that_is_not_kept_leaves_no_trace(make, few, monkeypatch, refit):
    monkeypatch.setattr(_search, "CHANCE", np.inf)
    one, more = (make(**{**CYCLES, "refit": refit, "max_cycles": n}).fit(few) for n in (1, 3))
    assert same(one, more) and one.loss_curve_ == more.loss_curve_


def test_patience_ends_the_first_cycle_alone(make, few, monkeypatch):
    """Scores fall when the rate is high again; but after a cycle that was best long before its end none follows."""
    monkeypatch.setattr(_search, "CHANCE", -np.inf)
    rising = iter(range(12))
    monkeypatch.setattr(_fitting.Validation, "__call__", lambda self, network: float(next(rising)))
    est = make(**{**CYCLES, "n_iter_no_change": 2, "max_epochs": 4}).fit(few)
    assert (est.n_cycles_, est.n_iter_) == (3, 12)
    scores = iter([1.0, 2.0, 3.0, 4.0, 9.0, 5.0, 4.0, 3.0])  # the second cycle begins with its best epoch
    monkeypatch.setattr(_fitting.Validation, "__call__", lambda self, network: next(scores))
    est = make(**{**CYCLES, "n_iter_no_change": 2, "max_epochs": 4}).fit(few)
    assert (est.n_cycles_, est.n_iter_) == (2, 8)


def test_the_refit_has_a_third_more_epochs_than_were_best_in_the_last_cycle(make, few, monkeypatch):
    """All of them in the cycles before, and never more than that."""
    monkeypatch.setattr(_search, "CHANCE", -np.inf)
    monkeypatch.setattr(_search.Attempt, "best_epochs", lambda self: [6] * (self.n_cycles - 1) + [3])
    epochs = []

    def counted(attempt, validate, n_epochs):
        epochs.append((validate is None, n_epochs))
        return IN_SILENCE(attempt, validate, n_epochs)

    monkeypatch.setattr(_search, "in_silence", counted)
    est = make(**{**CYCLES, "max_epochs": 6, "refit": True}).fit(few)
    assert epochs == [(False, 6), (False, 6), (True, 6), (True, 6), (True, 4)]
    assert (est.n_cycles_, est.n_iter_) == (3, 16)


def fails_from(number, error, monkeypatch):
    """Training that fails in its `number`-th run, the first attempt's included, after an epoch."""
    runs = []

    def failing(state, *more):
        runs.append(state)
        if len(runs) < number:
            return TRAIN(state, *more)
        *begin, n_epochs, origin, epoch_begins, epoch_ends = more
        TRAIN(state, *begin, 1, origin, epoch_begins, epoch_ends)
        if error is NonFiniteLossError:
            raise NonFiniteLossError("the loss became NaN")
        return "interrupted"

    for module in (_learner, _search):
        monkeypatch.setattr(module, "train", failing)


@pytest.mark.parametrize(("number", "refit", "n_cycles"), [(2, False, 1), (3, False, 2), (4, True, 3), (5, True, 3)])
def test_what_held_out_data_took_is_kept_when_a_loss_is_not_finite(make, few, monkeypatch, number, refit, n_cycles):
    """A cycle that fails is no gain; where the refit does, what was trained without the held-out data stays."""
    told = {**CYCLES, "head": "chained", "refit": refit}
    monkeypatch.setattr(_search, "CHANCE", -np.inf)
    kept = make(**{**told, "refit": False, "max_cycles": n_cycles}).fit(few)
    fails_from(number, NonFiniteLossError, monkeypatch)
    est = make(**told)
    if refit:
        with pytest.raises(NonFiniteLossError, match="holds the last good weights"):
            est.fit(few)
    else:
        est.fit(few)
    assert (est.n_cycles_, est.validation_scores_) == (n_cycles, kept.validation_scores_)
    assert same(est, kept)


@pytest.mark.parametrize(
    ("chance", "number", "refit", "n_cycles", "n_iter"),
    [(-np.inf, 2, False, 2, 4), (np.inf, 2, False, 1, 3), (-np.inf, 4, True, 3, 9), (-np.inf, 5, True, 3, 9)],
)
def test_what_held_out_data_took_is_kept_at_ctrl_c(make, few, monkeypatch, chance, number, refit, n_cycles, n_iter):
    """The epochs of an interrupted cycle, too; not those of a refit, which nothing tells."""
    monkeypatch.setattr(_search, "CHANCE", chance)
    fails_from(number, KeyboardInterrupt, monkeypatch)
    with pytest.warns(ConvergenceWarning, match=f"interrupted after {n_iter} epochs"):
        est = make(**{**CYCLES, "refit": refit}).fit(few)
    assert (est.n_cycles_, est.n_iter_, len(est.validation_scores_)) == (n_cycles, n_iter, n_iter)


@pytest.mark.parametrize("error", [NonFiniteLossError, KeyboardInterrupt])
def test_a_cycle_without_held_out_data_counts_when_it_is_whole(make, few, monkeypatch, error):
    fails_from(3, error, monkeypatch)
    est = make(**{**CYCLES, "early_stopping": False})
    if error is NonFiniteLossError:
        with pytest.raises(NonFiniteLossError, match="holds the last good weights"):
            est.fit(few)
    else:
        with pytest.warns(ConvergenceWarning, match="interrupted after 6 epochs"):
            est.fit(few)
    assert (est.n_cycles_, est.n_iter_) == (2, 6)


def test_the_dense_prior_adds_up_what_each_of_many_units_hardly_says(make):
    """Forty units wax and wane together for 40 s: what the past of one says of the rates could be chance, and is taken
    for it by the sparse prior; what the past of all says is not."""
    rng = np.random.default_rng(3)
    common = np.zeros((48, 100))
    for b in range(1, 100):
        common[:, b] = 0.9 * common[:, b - 1] + 0.2 * rng.standard_normal(48)
    counts = rng.poisson(0.3 * np.exp(common)[..., None], (48, 100, 40))
    spikes = SpikeTrains.from_counts(counts, bin_width=0.05)
    told = {"window_bins": 1, "context": 0.0, "recent_context": 0.0, "max_epochs": 20, "batch_size": 2}
    score = {}
    for prior in ("sparse", "dense"):
        score[prior] = make(**told, coupling_prior=prior).fit(spikes[40:]).score(spikes[:40])
    assert score["dense"] > score["sparse"] + 0.002
