"""Facts about the closed loop: its draws have the model's probabilities, row by row, whatever else is drawn."""

from itertools import combinations_with_replacement

import numpy as np
import pytest
import torch
from scipy import stats

from skneuro.nn.sampling import ClosedLoop, Streams, draw
from skneuro.training.stretches import Segments

N_UNITS = 2


def loop_of(tiny, model, histories, streams, **settings):
    """A closed loop of rows that go on from `histories`, a list of (n_bins, n_units) counts, without modalities."""
    batches = tiny.builder(model, histories)
    n_rows, width = len(histories), max(model.config.history_bins, 1)
    whole = Segments(np.arange(n_rows), np.zeros(n_rows, dtype=int), batches.n_bins)
    batch = batches.build(whole, 0)
    states = model.past_states(batch)
    hidden = None if states is None else states[torch.arange(n_rows), torch.from_numpy(batches.n_bins)]
    index = torch.from_numpy(batches.n_bins)[:, None] - torch.arange(width, 0, -1)
    there = (index >= 0)[..., None]
    rows = torch.arange(n_rows)[:, None]
    counts = batch.counts[rows, index.clamp_min(0)] * there
    observed = batch.observed[rows, index.clamp_min(0)] & there
    n_bins = torch.full((n_rows,), 10**6)
    return ClosedLoop(model, counts, observed, hidden, lambda step, rows: (step, {}, {}), streams, n_bins, **settings)


def seeds(n, start=0):
    return np.random.SeedSequence(start).spawn(n)


def history_of(window_bins, seed=3, n_windows=2):
    return np.random.default_rng(seed).poisson(0.6, (n_windows * window_bins, N_UNITS))


def drawn_windows(tiny, model, history, n, **settings):
    with torch.inference_mode():
        return loop_of(tiny, model, [history] * n, Streams(seeds(n)), **settings).window()


@pytest.mark.parametrize("coupling_rank", [0, 1])
def test_drawn_patterns_have_their_probabilities(tiny, head, window_bins, coupling_rank):
    model, history = tiny.model(head, window_bins, coupling_rank=coupling_rank), history_of(window_bins)
    n, most = 3000, 3 if window_bins == 1 else 2
    counts, _ = drawn_windows(tiny, model, history, n)
    oracle = tiny.Oracle(model, history, most=most)
    expected = {p: np.exp(c.sum()) for p, c in oracle.cells.items() if sum(p) <= most}
    rows = [tuple(row) for row in counts.numpy().astype(int).reshape(n, -1).tolist()]
    likely = [pattern for pattern, p in expected.items() if n * p >= 5]
    seen = np.array([rows.count(pattern) for pattern in likely])
    wanted = np.array([n * expected[pattern] for pattern in likely])
    assert wanted.sum() > 0.3 * n  # enough mass on the patterns that are compared
    seen, wanted = np.append(seen, n - seen.sum()), np.append(wanted, n - wanted.sum())
    assert stats.chisquare(seen, wanted).pvalue > 1e-3


def test_draws_do_not_depend_on_whether_expectations_are_wanted(tiny, head, window_bins):
    model, history = tiny.model(head, window_bins), history_of(window_bins)
    with torch.inference_mode():
        drawn = [
            loop_of(tiny, model, [history] * 5, Streams(seeds(5))).window(expectations=wanted)[0]
            for wanted in (True, False)
        ]
    assert torch.equal(*drawn)
    assert float(drawn[0].sum()) > 0


def all_patterns(n_cells, most):
    tokens = (t for k in range(most + 1) for t in combinations_with_replacement(range(n_cells), k))
    return np.array([np.bincount(np.array(t, dtype=int), minlength=n_cells) for t in tokens])


def test_expected_counts_are_the_mean_of_the_distribution(tiny, head, window_bins):
    """Of all patterns; the loop's expectation averages to it with less noise than the draws themselves."""
    model = tiny.model(head, window_bins, seed=1, noise=0.1, rate=0.25 if window_bins == 1 else 0.1)
    history = history_of(window_bins)
    n_cells, n = N_UNITS * window_bins, 1500
    patterns = all_patterns(n_cells, 30 if window_bins == 1 else 7)
    scored = tiny.last_window(model, patterns.reshape(-1, window_bins, N_UNITS), history).cells[:, :window_bins]
    p = np.exp(scored.reshape(len(patterns), -1).sum(1).numpy())
    assert p.sum() == pytest.approx(1.0, abs=1e-3)
    exact = p @ patterns
    sd = np.sqrt(p @ patterns**2 - exact**2)
    counts, expected = (part.reshape(n, -1).numpy() for part in drawn_windows(tiny, model, history, n))
    assert (np.abs(counts.mean(0) - exact) < 4.5 * sd / np.sqrt(n)).all()
    assert (np.abs(expected.mean(0) - exact) < 4.5 * expected.std(0) / np.sqrt(n) + 5e-3).all()
    assert (expected.std(0) < 0.8 * sd).all()
    if head == "hazard":  # the first unit is asked first: nothing of its expectation is left to chance
        np.testing.assert_allclose(expected[:, 0], exact[0], atol=1e-6 if window_bins == 1 else 5e-3)


def test_a_row_does_not_depend_on_the_rows_beside_it(tiny, head, window_bins):
    model = tiny.model(head, window_bins, seed=2, noise=0.1)
    rng = np.random.default_rng(0)
    histories = [rng.poisson(0.7, (n, N_UNITS)) for n in (3, 11, 6, 1)]
    with torch.inference_mode():
        together = loop_of(tiny, model, histories, Streams(seeds(4)))
        windows = torch.cat([together.window()[0] for _ in range(5)], dim=1)
        for row in range(4):
            alone = loop_of(tiny, model, histories[row : row + 1], Streams(seeds(4)[row : row + 1]))
            windows_alone = torch.cat([alone.window()[0] for _ in range(5)], dim=1)
            assert torch.equal(windows_alone[0], windows[row])
    assert windows.sum() > 0


def test_a_row_goes_on_when_others_have_finished(tiny, head):
    model, history = tiny.model(head, 3), history_of(3)
    with torch.inference_mode():
        whole = loop_of(tiny, model, [history] * 3, Streams(seeds(3)))
        expected = torch.cat([whole.window()[0] for _ in range(4)], dim=1)
        loop = loop_of(tiny, model, [history] * 3, Streams(seeds(3)))
        first = torch.cat([loop.window()[0] for _ in range(2)], dim=1)
        loop.keep(torch.tensor([False, True, True]))
        assert loop.rows.tolist() == [1, 2]
        second = torch.cat([loop.window()[0] for _ in range(2)], dim=1)
    assert torch.equal(torch.cat([first[1:], second], dim=1), expected[1:])


def test_rows_that_share_a_stream_and_a_past_draw_the_same(tiny, head):
    """Common random numbers: what `predict` uses for every window."""
    model, history = tiny.model(head, 3), history_of(3)
    streams = Streams(seeds(5), np.tile(np.arange(5), 2))
    with torch.inference_mode():
        counts, _ = loop_of(tiny, model, [history] * 10, streams).window()
    assert torch.equal(counts[:5], counts[5:])
    assert len(torch.unique(counts[:5], dim=0)) > 1


def test_the_generated_past_is_a_past_like_any_other(tiny, head, window_bins):
    """Going on from what was generated, handed over as a recording, draws what the loop draws itself."""
    model, history = tiny.model(head, window_bins, noise=0.1), history_of(window_bins)
    with torch.inference_mode():
        loop = loop_of(tiny, model, [history] * 20, Streams(seeds(20)))
        generated = torch.cat([loop.window()[0] for _ in range(3)], dim=1).numpy().astype(int)
        loop.streams = Streams(seeds(20, 1))
        following, expected = loop.window()
        handed = [np.concatenate([history, row]) for row in generated]
        again, expected_again = loop_of(tiny, model, handed, Streams(seeds(20, 1))).window()
    assert torch.equal(following, again)
    torch.testing.assert_close(expected, expected_again, rtol=0, atol=1e-10)


def test_cold_draws_are_surer_than_hot_ones(tiny, head):
    model, history = tiny.model(head, 3), history_of(3)

    def n_patterns(**settings):
        return len(torch.unique(drawn_windows(tiny, model, history, 200, **settings)[0], dim=0))

    exact = n_patterns()
    assert n_patterns(temperature=0.3) < exact < n_patterns(temperature=3.0)
    assert n_patterns(top_p=0.7) < exact
    assert n_patterns(top_p=1e-6) == 1
    assert n_patterns(temperature=1e-3) == 1


@pytest.mark.parametrize(("temperature", "top_p"), [(0.5, 1.0), (2.0, 1.0), (1.0, 0.7), (1.0, 0.95)])
def test_equal_units_fire_alike_wherever_they_stand(tiny, temperature, top_p):
    """40 units that do not know of each other: nothing of a neighbour or of a place enters a tempered draw."""
    model = tiny.model("hazard", 1, 40, noise=0.0, coupling_bins=0, context_bins=0, recent_bins=0)
    with torch.no_grad():
        model.session.embedding.zero_()
        model.session.bias.fill_(-2.0)
    counts, _ = drawn_windows(tiny, model, np.zeros((1, 40), dtype=int), 2000, temperature=temperature, top_p=top_p)
    p = 1 - np.exp(-np.exp(-2.0))
    expected = p ** (1 / temperature) / (p ** (1 / temperature) + (1 - p) ** (1 / temperature))
    expected = 0.0 if 1 - p >= top_p else expected
    np.testing.assert_allclose((counts > 0).double().mean((0, 1)), expected, atol=0.04)


@pytest.mark.parametrize("settings", [{"top_p": 1e-9}, {"temperature": 1e-4}])
def test_the_surest_draw_takes_the_likeliest_choice_every_time(tiny, head, settings):
    """One unit: in each bin it stays silent or fires again, whichever is likelier given the bins before."""
    model = tiny.model(head, 1, 1, rate=1.4, seed=5, noise=0.12)
    history = np.array([[0], [2], [1], [0]])
    with torch.inference_mode():
        loop = loop_of(tiny, model, [history], Streams(seeds(1)), **settings)
        for _ in range(12):
            found = int(loop.window()[0])
            counts = np.arange(30)
            p = np.exp(tiny.last_window(model, counts[:, None, None], history).cells[:, 0, 0].numpy())
            alive = p[::-1].cumsum()[::-1]  # P(N >= k)
            k = 0
            while k < 28 and alive[k + 1] / alive[k] > 0.5:
                k += 1
            assert found == k
            history = np.append(history, [[found]], axis=0)
    assert 0 < history[4:].sum() < 60


def test_drawing_inverts_the_cumulative_distribution():
    p = torch.tensor([[0.0, 0.2, 0.5, 0.0, 0.3]], dtype=torch.float64)
    uniform = torch.tensor([0.0, 0.1, 0.19, 0.21, 0.69, 0.71, 0.999], dtype=torch.float64)
    found = draw(p.log().expand(7, -1), uniform, 1.0, 1.0)
    assert found.tolist() == [1, 1, 1, 2, 2, 4, 4]
    assert set(draw(p.log().expand(7, -1), uniform, 1.0, 0.5).tolist()) == {2}
    assert set(draw(p.log().expand(7, -1), uniform, 1.0, 0.6).tolist()) == {2, 4}
    hot = draw(p.log().expand(7, -1), torch.linspace(0, 0.999, 7, dtype=torch.float64), 100.0, 1.0)
    assert sorted(set(hot.tolist())) == [1, 2, 4]  # what is impossible stays so
