"""After training: rates and count shapes of the single units once more, to the end, under the network as it is."""

from __future__ import annotations

from functools import reduce
from operator import add

import torch
from torch import Tensor

from skneuro.nn import Neuroformer
from skneuro.training.evaluation import stretch_outputs
from skneuro.training.segments import BatchBuilder
from skneuro.training.stretches import Segments

ROUNDS = 2  # Newton's steps; training ends so near that a third changes nothing
LARGEST_STEP = 1.0  # of a log intensity, or of log odds
MANY_A_BIN = 100.0  # mean count


@torch.no_grad()
def refit_units(model: Neuroformer, builder: BatchBuilder, stretches: Segments) -> tuple[Tensor, Tensor]:
    """Newton's method on the training log-likelihood in each unit's bias and count shape, all else fixed.

    Dropout and averaged weights leave rates a percent or two off, and count shapes start as dispersed as the rates
    vary and are still on their way when training ends: simulations show it. Given the rest of the network the
    problem is concave, and every number is on its own. The ceilings are in place, and intensities that they cut leave
    more to the count shapes. These have the prior of training (:meth:`SessionUnits.shape_change`); steps of biases are
    damped, as if by one spike more, so that units that hardly fired stay about where they are. Units of more than
    `MANY_A_BIN` spikes a bin keep what training gave them: each of hundreds of odds would make up for the same error.

    Returns
    -------
    bias, table : Tensor of shape (N,) and (N, max_count)
        What was added.
    """
    session = model.session
    before = session.bias.clone(), session.repeat_table.clone()
    moved = (session.mean <= MANY_A_BIN).to(session.bias)
    for _ in range(ROUNDS):
        outputs = stretch_outputs(model, builder, stretches, slopes=True)
        slopes = reduce(add, (o.slopes.to_host() for o in outputs if o.slopes is not None))
        held = (session.repeat_start - session.repeat_table).cpu().double()
        for parameter, (slope, curvature) in (
            (session.bias, slopes.rate),
            (session.repeat_table, slopes.shape + torch.stack([held, torch.zeros_like(held)])),
        ):
            step = (slope / (curvature + 1.0)).clamp(-LARGEST_STEP, LARGEST_STEP).to(parameter)
            parameter += step * (moved if step.dim() == 1 else moved[:, None])
    return session.bias - before[0], session.repeat_table - before[1]
