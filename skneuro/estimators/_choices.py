"""What held-out data choose: how strongly few training data hold a model back, and what enters its long past."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from skneuro.data import ModelInput
from skneuro.nn import NeuroformerConfig
from skneuro.nn.config import seen_in_bins
from skneuro.training.segments import cut_segments, segment_bins
from skneuro.training.stretches import Segments

MANY_SEGMENTS, USUAL_DECAY = 270, 0.5  # from so many training segments on the usual decay is best
MOST_DECAY = 0.03  # of a weight in one step
WORTH_TRYING = 2.0  # times the usual decay: where few segments ask for more, held-out data choose
SHARES = (0.0, 0.5, 1.0)  # of the way to the usual decay
DROPOUT, UNIT_DROPOUT = {"sparse": 0.4, "dense": 0.5}, {"sparse": 0.0, "dense": 0.1}
FIRST_SHARE = {"sparse": 0.0, "dense": 0.5}
FEW_SPIKES = 10_000  # below, a wide long past, or one that stimuli enter, overfits, and too few are held out to tell
MANY_SPIKES = 100_000  # from here on all epochs on all data score highest, with stimuli in the long past


@dataclass(frozen=True)
class Choices:
    """What stands for the parameters that are "auto".

    Attributes
    ----------
    towards_usual : float
        Of the way, on a logarithmic scale, from the weight decay that few segments ask for to the usual one.
    dropout, unit_dropout : float
    coupling_prior : str
    stimuli_in_context : bool
    """

    towards_usual: float
    dropout: float
    unit_dropout: float
    coupling_prior: str
    stimuli_in_context: bool

    def weight_decay(self, est: Any, n_segments: int) -> float:
        """What AdamW may subtract, with so many training segments."""
        if est.weight_decay != "auto":
            return float(est.weight_decay)
        return most_decay(est, n_segments) ** (1 - self.towards_usual) * USUAL_DECAY**self.towards_usual


def count_spikes(inp: ModelInput) -> int:
    """Spikes that are scored: neither those that are only the past of others, nor those of unobserved bins."""
    return int(inp.spikes.unit_counts().sum())


def usual(est: Any, n_spikes: int, prior: str = "sparse") -> Choices:
    """What is tried first, and all there is where nothing is held out; `prior` holds where the user names none.

    Recordings that gained by the dense prior gained by more dropout with it, and by less decay.
    """
    prior = prior if est.coupling_prior == "auto" else est.coupling_prior
    entering = n_spikes >= MANY_SPIKES if est.stimuli_in_context == "auto" else bool(est.stimuli_in_context)
    return Choices(
        towards_usual=FIRST_SHARE[prior],
        dropout=DROPOUT[prior] if est.dropout == "auto" else float(est.dropout),
        unit_dropout=UNIT_DROPOUT[prior] if est.unit_dropout == "auto" else float(est.unit_dropout),
        coupling_prior=prior,
        stimuli_in_context=entering,
    )


def alternatives(est: Any, n_segments: int, n_spikes: int, config: NeuroformerConfig) -> list[dict[str, Any]]:
    """Changes of what was best so far, one after the other, that held-out data may choose.

    How much few segments can be trusted, and whether stimuli tell more in the long past than they let it overfit,
    depends on the recording.
    """
    found = _regularised(est, n_segments, n_spikes, config)
    may_enter = config.context_bins > 0 and bool(seen_in_bins(config.modalities))
    if est.stimuli_in_context == "auto" and may_enter and FEW_SPIKES <= n_spikes < MANY_SPIKES:
        found.append({"stimuli_in_context": True})
    return found


def _regularised(est: Any, n_segments: int, n_spikes: int, config: NeuroformerConfig) -> list[dict[str, Any]]:
    if (MANY_SEGMENTS / n_segments) ** 2 <= WORTH_TRYING:
        return []
    first = usual(est, n_spikes).towards_usual
    found: list[dict[str, Any]] = []
    if est.weight_decay == "auto" and most_decay(est, n_segments) > WORTH_TRYING * USUAL_DECAY:
        found += [{"towards_usual": share} for share in SHARES if share != first]
    pairwise = config.coupling_bins > 0 and config.coupling_rank == 0
    if est.coupling_prior == "auto" and est.coupling_penalty and pairwise:
        found.append(asdict(usual(est, n_spikes, "dense")))
    return found


def most_decay(est: Any, n_segments: int) -> float:
    """The weight decay that makes up for the few steps that few segments give it."""
    few = max((MANY_SEGMENTS / n_segments) ** 2, 1.0)
    return min(few * USUAL_DECAY, MOST_DECAY / est.learning_rate)


def count_segments(training: Segments, config: NeuroformerConfig) -> int:
    """Segments of about 100 bins into which the training stretches are cut."""
    return len(cut_segments(training, segment_bins(config)))
