"""The two ways to compute the released architecture are one function: logits, gradients, tokens, sampling."""

import numpy as np
import pytest
import torch

from benchmarks.released.choosing import Forced, RejectionNucleus, SortedNucleus, greedy, nucleus
from benchmarks.released.fast import FastNetwork
from benchmarks.released.fast_sampling import FastSampler
from benchmarks.released.network import ReleasedConfig, needed_flops
from benchmarks.released.plain import PlainNetwork
from benchmarks.released.windows import SimulatedRecording, fast_batch, plain_batch

FRAME = (20, 24)
SIZES = {"n_units": 12, "block": 16, "past_block": 20, "d_model": 16, "n_heads": 2, "n_layers": 2}


@pytest.fixture(scope="module", params=[False, True], ids=["no video", "video"])
def config(request):
    return ReleasedConfig(**SIZES, video=request.param, frame_shape=FRAME)


@pytest.fixture(scope="module")
def recording():
    return SimulatedRecording.make(12, 15.0, seed=0, n_trials=6, duration=4.0, n_clips=2, frame_shape=FRAME)


def networks(config, dtype=torch.float64):
    plain = PlainNetwork(config).draw(0, sd=0.2).to(dtype)
    fast = FastNetwork(config).to(dtype)
    fast.load_state_dict(plain.state_dict())
    return plain, fast


def batches(recording, config, n_windows=13, sharing=3, dtype=torch.float64):
    """The same windows in both forms, in the order of the packed one."""
    trial, end = recording.draw_windows(config, n_windows, 1, sharing)
    packed = fast_batch(recording, config, trial, end)
    padded = plain_batch(recording, config, trial[packed.order], end[packed.order])
    if padded.frames is not None:
        padded.frames.data = padded.frames.to(dtype)
    return padded, packed


def real(padded):
    return torch.arange(padded.unit.shape[1]) < padded.length[:, None]


def test_both_ways_cut_the_same_tokens(recording, config):
    padded, packed = batches(recording, config)
    for name in ("unit", "dt", "next_unit", "next_dt"):
        assert torch.equal(getattr(padded, name)[real(padded)], getattr(packed, name))
    past = torch.arange(padded.past_unit.shape[1]) < padded.past_length[:, None]
    assert torch.equal(padded.past_unit[past], packed.past_unit)
    assert torch.equal(padded.past_dt[past], packed.past_dt)
    assert padded.length.max() == config.block - 1  # some windows were cut off, as the released system does
    assert len(set(padded.length.tolist())) > 2
    if config.video:
        assert torch.equal(packed.stimulus_frames()[packed.stimulus].double(), padded.frames)
        assert packed.n_stimuli < len(padded.frames)
        assert packed.frames.data_ptr() == recording.frames.ctypes.data  # nothing was copied


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_logits_are_equal(recording, config, dtype, tolerance):
    plain, fast = networks(config, dtype)
    padded, packed = batches(recording, config, dtype=dtype)
    scale = 1.0
    for there, here in zip(plain(padded), fast(packed), strict=True):
        scale = max(scale, float(there.detach().abs().max()))
        assert (there[real(padded)] - here).abs().max() < tolerance * scale


def test_gradients_are_equal(recording, config):
    plain, fast = networks(config)
    padded, packed = batches(recording, config)
    plain.loss(padded).backward()
    fast.loss(packed).backward()
    there = dict(plain.named_parameters())
    for name, parameter in fast.named_parameters():
        # A key's bias moves all scores of a query alike: its gradient is zero but for rounding.
        assert torch.allclose(parameter.grad, there[name].grad, rtol=1e-8, atol=1e-12), name


def test_a_window_does_not_depend_on_the_batch_it_lands_in(recording, config):
    _, fast = networks(config)
    trial, end = recording.draw_windows(config, 9, 1, 3)
    packed = fast_batch(recording, config, trial, end)
    together = torch.split(fast(packed)[0], packed.length.tolist())
    for number, window in enumerate(packed.order):
        alone = fast(fast_batch(recording, config, trial[[window]], end[[window]]))[0]
        assert (alone - together[number]).abs().max() < 1e-10


def same_sequences(there, here):
    assert any(len(units) for units, _ in there)
    for (units, dts), (other_units, other_dts) in zip(there, here, strict=True):
        assert torch.equal(units, other_units) and torch.equal(dts, other_dts)


@pytest.mark.parametrize("sharing", [1, 3])
def test_cached_sampling_is_greedy_identical(recording, config, sharing):
    plain, fast = networks(config)
    padded, packed = batches(recording, config, 7, sharing)
    choose = Forced(greedy, torch.tensor([9, 0, 4, 14, 12, 1, 7]), config.end)
    same_sequences(plain.generate(padded, choose), FastSampler(fast).generate(packed, choose))


def test_cached_sampling_draws_the_same_and_rows_leave_when_they_end(recording, config):
    plain, fast = networks(config)
    padded, packed = batches(recording, config, 9)
    choose = RejectionNucleus(0.95, list(range(9)), config.block)
    here = FastSampler(fast).generate(packed, choose)
    same_sequences(plain.generate(padded, choose), here)
    assert len({len(units) for units, _ in here}) > 3


def test_a_change_of_the_weights_between_two_calls_counts(recording, config):
    plain, fast = networks(config)
    padded, packed = batches(recording, config, 3)
    sampler, choose = FastSampler(fast), Forced(greedy, torch.tensor([5, 9, 12]), config.end)
    before = sampler.generate(packed, choose)
    for network in (plain, fast):
        for parameter in network.parameters():  # `data` leaves autograd's version counter alone
            parameter.data.mul_(-0.7)
    after = sampler.generate(packed, choose)
    same_sequences(plain.generate(padded, choose), after)
    assert any(not torch.equal(a[0], b[0]) for a, b in zip(before, after, strict=True))


def test_forced_rows_have_the_asked_number_of_spikes(recording, config):
    _, fast = networks(config)
    packed = fast_batch(recording, config, *recording.draw_windows(config, 4, 1, 2))
    wanted = torch.tensor([0, 3, 14, 7])
    drawn = FastSampler(fast).generate(packed, Forced(greedy, wanted, config.end))
    assert [len(units) for units, _ in drawn] == wanted.tolist()


def test_drawing_by_rejection_and_by_sorting_have_one_distribution():
    rng = np.random.default_rng(0)
    logits = torch.from_numpy(rng.normal(0, 1.5, 9))
    n = 20_000
    expected = nucleus(logits.softmax(-1)[None], 0.8)[0]
    assert (expected == 0).sum() >= 2
    rows = torch.arange(n)
    many = logits.expand(n, -1)
    by_sorting = SortedNucleus(0.8, torch.Generator().manual_seed(0))(many, many, rows, 0)[0]
    choose = RejectionNucleus.__new__(RejectionNucleus)
    choose.top_p = 0.8
    by_rejection = choose._draw(many, torch.from_numpy(rng.random((n, 12))))
    for drawn in (by_sorting, by_rejection):
        frequency = torch.bincount(drawn, minlength=9) / n
        assert (frequency[expected == 0] == 0).all()
        assert ((frequency - expected).abs() <= 5 * (expected * (1 - expected) / n).sqrt()).all()


def test_sizes_are_those_of_the_description():
    config = ReleasedConfig(n_units=386, video=True)
    network = PlainNetwork(config)
    assert network.n_block_parameters() == 790_272
    n_parameters = sum(p.numel() for p in network.parameters())
    assert 24e6 < n_parameters < 25e6
    assert config.n_dt_tokens == 19
    assert config.n_unit_tokens == 389
    assert config.n_stimulus_tokens == 406


def test_needed_operations_agree_with_torchs_count_where_nothing_is_padded():
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    config = ReleasedConfig.small(n_units=30, block=34, past_block=34, video=True, frame_shape=FRAME)
    recording = SimulatedRecording.make(30, 60.0, seed=0, n_trials=2, duration=2.0, frame_shape=FRAME)
    packed = fast_batch(recording, config, *recording.draw_windows(config, 4, 0))
    assert (packed.length == 33).all() and (packed.past_length == 34).all()
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        FastNetwork(config)(packed)
    needed = needed_flops(config, packed.length, packed.past_length, packed.n_stimuli)
    # torch counts both halves of causal attention and the vectors of the dt tokens, too
    d, layers = config.d_model, 2 * config.n_layers
    causal = layers * 4 * d * sum(n * n - n * (n + 1) / 2 for n in packed.length)
    vectors = 2 * 2 * config.n_dt_tokens * (d // 2 + d * d // 2)
    assert counter.get_total_flops() == pytest.approx(needed + causal + vectors, rel=1e-6)
