"""Everything that belongs to the units of one recording session; a new session needs only this module anew."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skneuro.nn.config import N_COMPONENTS, NeuroformerConfig
from skneuro.nn.count_shape import marginal_start
from skneuro.nn.counts import CLAMP
from skneuro.nn.layers import RandomSource

SAME_BIN_WIDTH = 24
N_BASIS = 5
SMALL_DRIVE = 0.2  # log intensity: from about here on a drive is taken for real
MANY_LAGS = 16  # from here on a banded product is faster than gathering every lag


def lag_basis(n_bins: int) -> Tensor:
    """Raised cosines on a logarithmic lag axis, (n_basis, n_bins); each would peak at 1 at its own centre.

    At most `N_BASIS` of them, and one a bin where the lags are few. The form is the one of Pillow et al.
    (2008), Nature 454:995.
    """
    lags = torch.arange(1, n_bins + 1, dtype=torch.float64)
    n_basis = min(N_BASIS, n_bins)
    if n_basis == n_bins:
        return torch.eye(n_bins, dtype=torch.float64)
    position = (n_basis - 1) * lags.log() / math.log(n_bins)  # 0 .. n_basis - 1
    distance = (position[None, :] - torch.arange(n_basis, dtype=torch.float64)[:, None]).clamp(-1, 1)
    return 0.5 * (1 + torch.cos(torch.pi * distance))


class _SumBefore(torch.autograd.Function):
    """Sum of what stands before each entry along the last dimension but one; its gradient needs no flips."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        return x.cumsum(-2).sub_(x)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        return grad.sum(-2, keepdim=True) - grad.cumsum(-2)


def nonlinear_same_bin(start: Tensor, standardised: Tensor, embedding: Tensor, readout: Tensor) -> Tensor:
    """What units (..., n) hear of each other through `embedding` and `readout` (n, S); all hear `start` (..., S)."""
    terms = standardised[..., None] * embedding  # (..., n, S)
    return (F.gelu(start[..., None, :] + _SumBefore.apply(terms)) * readout).sum(-1)


class SessionUnits(nn.Module):
    """Embeddings, biases and couplings of the units of a session.

    Parameters
    ----------
    config : NeuroformerConfig
    source : RandomSource
    mean, sd : Tensor of shape (N,)
        Mean and standard deviation of the training counts in a bin.
    histogram : Tensor of shape (N, max_count + 1), optional
        Bins with 0, 1, ... spikes: the counts of an untrained model are distributed like that. Poisson's around the
        mean by default.
    """

    def __init__(
        self,
        config: NeuroformerConfig,
        source: RandomSource,
        mean: Tensor,
        sd: Tensor,
        histogram: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.source = source
        n_units, d_model = config.n_units, config.d_model
        self.register_buffer("mean", mean)
        self.register_buffer("sd", sd)
        self.embedding = nn.Parameter(torch.randn(n_units, d_model) * d_model**-0.5)  # tied to the ID head
        bias, table = mean.clamp_min(1e-6).log(), torch.zeros(n_units, max(config.max_count, 1))
        if histogram is not None:
            bias, table = marginal_start(histogram)
        self.bias = nn.Parameter(bias.to(self.embedding.dtype))
        self.repeat_table = nn.Parameter(table.to(self.embedding.dtype))
        self.register_buffer("repeat_start", self.repeat_table.detach().clone())
        # What training never saw is not trusted: a closed loop must not be able to feed itself ever more spikes.
        # The counts of the past are cut at the largest of training, the intensities at a ceiling that training sets.
        most = torch.full((n_units,), float(max(config.max_count, 1)))
        if histogram is not None:
            most = ((histogram > 0) * torch.arange(histogram.shape[1])).amax(1).clamp_min(1).to(most.dtype)
        self.register_buffer("most", most)
        self.register_buffer("ceiling", torch.empty_like(most))
        self.loosen()
        self.repeat_state = nn.Parameter(torch.zeros(n_units, d_model))
        if config.context_bins:
            self.input = nn.Parameter(torch.randn(n_units, config.context_width) * n_units**-0.5)
            self.output = nn.Parameter(torch.zeros(config.context_width, n_units))  # read out by each unit
        self.filters = nn.ParameterList(torch.zeros(N_COMPONENTS, n_units) for _ in config.modalities)
        self.coupled = config.coupling_bins > 0
        if self.coupled:
            self.register_buffer("basis", lag_basis(config.coupling_bins).to(self.embedding.dtype))
        self.pairwise = self.coupled and config.coupling_rank == 0
        if self.pairwise:
            self.coupling = nn.Parameter(torch.zeros(len(self.basis), n_units, n_units))  # (basis, source, target)
            self.same_bin = nn.Parameter(torch.zeros(n_units, n_units))  # (source, target)
            self.register_buffer("lower", torch.ones(n_units, n_units).triu(1))  # source id below target id
        elif self.coupled:
            self.coupling_source = nn.Parameter(torch.randn(n_units, config.coupling_rank) * n_units**-0.5)
            self.coupling_target = nn.Parameter(torch.zeros(len(self.basis), config.coupling_rank, n_units))
        if self.coupled and config.bin_clock:  # the softmax heads have the linear same-bin term only
            self.same_bin_embedding = nn.Parameter(torch.randn(n_units, SAME_BIN_WIDTH) * n_units**-0.5)
            self.same_bin_state = nn.Linear(d_model, SAME_BIN_WIDTH)
            self.same_bin_readout = nn.Parameter(torch.zeros(n_units, SAME_BIN_WIDTH))

    def standardise(self, counts: Tensor, observed: Tensor, units: slice | Tensor = slice(None)) -> Tensor:
        """Counts in standard deviations from the mean, at most the largest of training; 0 where not observed."""
        return (torch.minimum(counts, self.most[units]) - self.mean[units]) / self.sd[units] * observed

    def go_on_with(self, counts: np.ndarray) -> None:
        """Trust the largest counts (n_units,) of data that training goes on with."""
        self.most.copy_(torch.maximum(self.most, torch.from_numpy(counts.ravel()).to(self.most)))

    def loosen(self) -> None:
        """Put the ceiling where it hardly binds: at twice one more than the largest count of training."""
        self.ceiling.copy_(torch.log(2 * (self.most + 1)))

    def bounded(self, log_intensity: Tensor, units: slice = slice(None)) -> Tensor:
        """Log intensities (..., n) of some consecutive units, cut at their ceiling."""
        return torch.minimum(log_intensity, self.ceiling[units])

    def lagged_drive(self, counts: Tensor, observed: Tensor, index: Tensor, known: Tensor | None = None) -> Tensor:
        """Coupling attention: what the spikes of the past bins add to every unit's log intensity.

        ``u[b, i] = sum over lags l >= 1 and units j of A_k[i, j] phi_k(l) (n_j[b - l] - mean_j) / sd_j``, one query
        per candidate target, ids as keys, signed, without a softmax. With a `coupling_rank` the matrices A_k are
        products of a matrix of sources, common to all k, and one of targets.

        Parameters
        ----------
        counts, observed : Tensor of shape (C, T, N)
        index : Tensor of shape (C, L)
            Bins of the segment for which the drive is wanted.
        known : Tensor of shape (C, L), optional
            First bin that is not known yet, where that is not the bin itself; it is left out.

        Returns
        -------
        Tensor of shape (C, L, N)
        """
        excess = self.standardise(counts, observed)  # (C, T, N)
        if not self.pairwise:
            excess = excess @ self.coupling_source  # (C, T, rank)
        rows = torch.arange(len(index), device=index.device)[:, None]
        weights = self.coupling if self.pairwise else self.coupling_target
        if known is None and self.basis.shape[1] >= MANY_LAGS and 4 * index.shape[1] >= excess.shape[1]:
            filtered = self._filtered(excess)[rows, index]
        else:
            n_lags = self.basis.shape[1]
            padded = F.pad(excess, (0, 0, n_lags, 0))  # bin b of the segment stands at b + n_lags
            source = index[:, :, None] - torch.arange(1, n_lags + 1, device=index.device)  # (C, L, lags)
            past = padded[rows[..., None], source + n_lags]  # (C, L, lags, N)
            if known is not None:
                past = past * (source < known[:, :, None])[..., None]
            filtered = torch.einsum("kl,cbln->cbkn", self.basis, past)
        return torch.einsum("cbkj,kji->cbi", filtered, weights)

    def _filtered(self, excess: Tensor) -> Tensor:
        """Past of every bin through the lag basis, (C, T, N) to (C, T + 1, basis, N), by a banded matrix."""
        n_bins, n_lags = excess.shape[1], self.basis.shape[1]
        lag = torch.arange(n_bins + 1, device=excess.device)[:, None] - torch.arange(n_bins, device=excess.device)
        inside = (lag >= 1) & (lag <= n_lags)
        banded = torch.where(inside, self.basis[:, (lag - 1).clamp(0, n_lags - 1)], 0.0)  # (basis, T + 1, T)
        return torch.einsum("kts,csn->ctkn", banded, excess)

    def shape_change(self) -> Tensor:
        """How far the count shapes are from where they started, in nats of a normal prior worth about one spike.

        It keeps odds about which the training data hardly say anything near those of the population.
        """
        return 0.5 * (self.repeat_table - self.repeat_start).square().sum()

    def coupling_size(self) -> Tensor:
        """Absolute couplings, each in units of the slope that one spike more or less would give it.

        The log-likelihood of a target with mean count m has a curvature of about m a bin in the weight of a
        standardised source, so ``sqrt(m)`` is what the noise of one bin pulls with.
        """
        absolute = self.coupling.abs().sum((0, 1)) + (self.same_bin * self.lower).abs().sum(0)  # (target,)
        return (absolute * self.mean.sqrt()).sum()

    def coupling_square(self) -> Tensor:
        """Squared couplings, in units of the curvature that one bin gives them; a spike of any unit is worth the same.

        A filter of the past counts by what a spike in each of its bins adds, so that wide ones are not favoured, and
        sources in one scale, the mean deviation of the units' counts: what a unit that hardly fires could add by its
        few spikes is not worth more than what others do. Of the same bin sources are standardised.
        """
        worth = self.basis.sum(1)[:, None] * (self.sd.mean() / self.sd)  # (basis, source)
        square = (self.coupling * worth[..., None]).square().sum() + (self.same_bin * self.lower).square().sum()
        return square * self.mean.mean()

    def drive_size(self, driven: Tensor, scored: Tensor) -> Tensor:
        """How much a modality's linear filters move the units, in units of what the noise of one bin would let them.

        Of a unit with mean count m and a drive of root mean square r in a segment, ``sqrt(m) s log(1 + r / s)`` with
        `SMALL_DRIVE` for s, times the segment's bins: as a sparse prior it holds small drives at zero and hardly
        pulls on large ones.

        Parameters
        ----------
        driven : Tensor of shape (C, L, N)
            What the filters add to the log intensities.
        scored : Tensor of shape (C, L), bool

        Returns
        -------
        Tensor, scalar
            Summed over segments and units.
        """
        n_bins = scored.sum(1, keepdim=True).to(driven.dtype)  # (C, 1)
        square = (driven**2 * scored[..., None]).sum(1) / n_bins.clamp_min(1)
        size = torch.log1p((square + 1e-8).sqrt() / SMALL_DRIVE) * SMALL_DRIVE
        return (n_bins * size * self.mean.clamp_min(0).sqrt()).sum()

    def kernels(self) -> Tensor:
        """Coupling in log intensity per spike, (target, source, lag) for lags of 1, 2, ... bins."""
        coupling = self.coupling if self.pairwise else self.coupling_source @ self.coupling_target
        return torch.einsum("kji,kl->ijl", coupling / self.sd[:, None], self.basis)

    def kernel_factors(self) -> tuple[Tensor, Tensor]:
        """Low-rank coupling in log intensity per spike: sources (N, rank), and targets (lag, rank, N)."""
        return self.coupling_source / self.sd[:, None], torch.einsum("krn,kl->lrn", self.coupling_target, self.basis)

    def same_bin_drive(self, standardised: Tensor, state: Tensor, units: slice = slice(None)) -> Tensor:
        """What the lower ids of the same bin add: a linear part and a nonlinear one that depends on the state.

        The linear part is there for pairwise coupling only.

        Parameters
        ----------
        standardised : Tensor of shape (..., N)
            Standardised counts of the bin; only entries below a unit's id enter its result.
        state : Tensor of shape (..., D)
        units : slice, default=all
            Consecutive units for which it is wanted.

        Returns
        -------
        Tensor of shape (..., n) for the n units, clamped to +-5 so that a bin's events end
        """
        before = standardised[..., : units.start or 0] @ self.same_bin_embedding[: units.start or 0]  # (..., S)
        rows = [before + self.same_bin_state(state), standardised[..., units]]
        weights = self.same_bin_embedding[units], self.same_bin_readout[units]
        nonlinear = self.source.at_places(nonlinear_same_bin, rows, *weights)
        if self.pairwise:
            nonlinear = nonlinear + standardised @ (self.same_bin * self.lower)[:, units]
        return nonlinear.clamp(-CLAMP, CLAMP)

    def repeat_shift(self, state: Tensor) -> Tensor:
        """State-dependent shift of the log odds of one more spike in a bin, (..., N)."""
        return state @ self.repeat_state.T
