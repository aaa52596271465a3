"""Contrastive alignment of the neural side with a modality: the poster's equations 1 to 3."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class Projection(nn.Module):
    """The projections g_f and g_i of equations 1 and 2, to vectors of unit norm."""

    def __init__(self, n_neural: int, d_model: int) -> None:
        super().__init__()
        self.neural = nn.Linear(n_neural, d_model)
        self.modality = nn.Linear(d_model, d_model)

    def forward(self, neural: Tensor, modality: Tensor) -> tuple[Tensor, Tensor]:
        return F.normalize(self.neural(neural), dim=-1), F.normalize(self.modality(modality), dim=-1)


def contrastive_loss(
    neural: Tensor, modality: Tensor, clip: Tensor, start: Tensor, duration: float, temperature: float
) -> Tensor:
    """Symmetric cross-entropy L_vnc of equation 3 over the pairs of a batch.

    Repeats of the same segment (same clip, same time in it) are positives of each other; segments that merely
    overlap in stimulus time are left out of the negatives.

    Parameters
    ----------
    neural, modality : Tensor of shape (P, D), unit norm
    clip : Tensor of shape (P,)
    start : Tensor of shape (P,), seconds in the clip
    duration : float
        Length of a segment, seconds.

    Returns
    -------
    Tensor, scalar, nats
    """
    logits = neural @ modality.T / temperature  # (P, P)
    distance = (start[:, None] - start[None, :]).abs()
    same_clip = clip[:, None] == clip[None, :]
    positive = same_clip & (distance < 1e-3 * duration)
    masked = same_clip & (distance < duration * (1 - 1e-3)) & ~positive
    logits = logits.masked_fill(masked, float("-inf"))
    target = positive.to(logits.dtype)
    target = target / target.sum(1, keepdim=True)
    forward = -(target * logits.log_softmax(1).masked_fill(~positive, 0.0)).sum(1).mean()
    backward = -(target * logits.T.log_softmax(1).masked_fill(~positive, 0.0)).sum(1).mean()
    return 0.5 * (forward + backward)
