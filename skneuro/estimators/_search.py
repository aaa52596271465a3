"""What follows the first training of a fit: other ways that held-out data may prefer, further cycles, all data."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from skneuro._stimulus_range import StimulusRange
from skneuro.data import ModelInput
from skneuro.estimators._choices import Choices, alternatives, count_segments, count_spikes, usual
from skneuro.estimators._fitting import Validation
from skneuro.exceptions import NonFiniteLossError
from skneuro.training.loop import FINISHED, TrainingSettings, TrainingState, train
from skneuro.training.modality_table import Scale
from skneuro.training.segments import BatchBuilder
from skneuro.training.split import whole_trials
from skneuro.training.stretches import Segments

MORE_EPOCHS = 4 / 3  # of a refit on all data
# Nats of held-out likelihood: less is no reason for another choice. The best of some dozen epochs, in each of several
# ways, is better than another by several nats by chance: 2 and 5 misled fits of a few hundred held-out spikes.
CHANCE = 6.0


@dataclass
class Attempt:
    """A network in training, what it is trained on and how."""

    state: TrainingState
    scales: dict[str, Scale]
    builder: BatchBuilder
    training: Segments
    plan: TrainingSettings
    inp: ModelInput  # its stimuli held within those of the training stretches
    seen: StimulusRange | None = None  # of these, where they are not all there is
    least_ceiling: torch.Tensor | None = None  # that data before these have set, where training goes on
    n_scored: int = 0  # validation scores of earlier fits
    best_score: float | None = None  # of an earlier fit, where this one is of a single epoch and has none
    n_cycles: int = 1  # of the learning rate

    def best_epochs(self) -> list[int]:
        """Epochs of each cycle up to the best of the last; those before were trained to their end."""
        n_before = self.plan.max_epochs * (self.n_cycles - 1)
        best = int(np.argmax(self.state.validation_scores[n_before:])) + 1
        return [self.plan.max_epochs] * (self.n_cycles - 1) + [best]

    def next_cycle(self) -> Attempt:
        """A copy that goes on at the full learning rate, where scores fall at first: that must not end it."""
        plan = replace(self.plan, n_iter_no_change=self.plan.max_epochs)
        state = TrainingState.from_arrays(self.state.to_arrays(), copy.deepcopy(self.state.average), plan)
        return replace(self, state=state, plan=plan, n_cycles=self.n_cycles + 1)


class Search:
    """What is tried after the first attempt of a fit.

    Parameters
    ----------
    est : Learner
        For its parameters.
    make : callable
        ``make(inp, stretches, how)``: an untrained attempt.
    inp : ModelInput
        All data.
    validate : Validation or None
        None where nothing is held out.
    first : Attempt

    Attributes
    ----------
    found : Attempt
        The best that was trained to its end so far, or was interrupted later than it was best. It is what a fit keeps
        where Ctrl-C, or a loss that is not finite, ends the rest.
    """

    def __init__(
        self,
        est: Any,
        make: Callable[[ModelInput, Segments, Choices], Attempt],
        inp: ModelInput,
        validate: Validation | None,
        first: Attempt,
    ) -> None:
        self.est, self.make, self.inp, self.validate = est, make, inp, validate
        self.found = first

    def run(self, reason: str) -> str:
        """Try what held-out data may choose, then train on all data; how the last training ended.

        Parameters
        ----------
        reason : str
            How the first one did.
        """
        if self.validate is None:
            return self._cycles(reason)
        reason, how = self._alternatives(reason)
        reason = self._cycles(reason)
        return self._on_all_data(how) if self.est.refit and reason in FINISHED else reason

    def _alternatives(self, reason: str) -> tuple[str, Choices]:
        first, n_spikes = self.found, count_spikes(self.found.inp)
        best, config = usual(self.est, n_spikes), first.state.model.config
        for change in alternatives(self.est, count_segments(first.training, config), n_spikes, config):
            how = replace(best, **change)
            other = replace(self.make(first.inp, first.training, how), seen=first.seen)
            ended = self._try(other)
            if ended == "interrupted":
                return ended, best
            if self.found is other:
                best, reason = how, ended
        return reason, best

    def _cycles(self, reason: str) -> str:
        """Train on, under a learning rate that falls anew, while held-out data gain; to the end where there are none.

        Not where a cycle overfitted before its end.
        """
        while reason == "max_epochs" and self.found.n_cycles < self.est.max_cycles and self._rose_to_the_end():
            longer = self.found.next_cycle()
            if self._try(longer) == "interrupted":
                return "interrupted"
            if self.found is not longer:
                break
        return reason

    def _rose_to_the_end(self) -> bool:
        if self.validate is None:
            return True
        return self.found.best_epochs()[-1] > self.found.plan.max_epochs - self.est.n_iter_no_change

    def _try(self, other: Attempt) -> str:
        """Train another attempt, and keep it if held-out data gain; how it ended.

        A loss that is not finite is no gain. Where nothing is held out all is kept that comes to its end.
        """
        try:
            ended = in_silence(other, self.validate, self.est.max_epochs)
        except NonFiniteLossError:
            if self.validate is None:
                raise
            return "failed"
        if self._gains(other, ended):
            self.found = other
        return ended

    def _gains(self, other: Attempt, ended: str) -> bool:
        if self.validate is None:
            return ended != "interrupted"
        best = max(other.state.validation_scores, default=-math.inf)
        return (best - max(self.found.state.validation_scores)) * self.validate.n_spikes * math.log(2) > CHANCE

    def _on_all_data(self, how: Choices) -> str:
        """Train once more, on all data; more of them overfit later.

        Under the same schedule: a rate that fell to nothing by then gave lower scores.
        """
        again = self.make(self.inp, whole_trials(np.diff(self.inp.spikes.ptr)), how)
        ended = "max_epochs"
        for n_best in self.found.best_epochs():
            ended = in_silence(again, None, min(math.ceil(MORE_EPOCHS * n_best), self.est.max_epochs))
            if ended == "interrupted":
                return ended
        again.n_cycles = self.found.n_cycles
        again.state.validation_scores = list(self.found.state.validation_scores)
        self.found = again
        return ended


def in_silence(attempt: Attempt, validate: Validation | None, n_epochs: int) -> str:
    """Train without telling callbacks of it; how it ended."""
    ended = train(
        attempt.state, attempt.builder, attempt.training, attempt.plan,
        None if validate is None else validate.of(attempt.builder), n_epochs, attempt.state.n_epochs,
        lambda: None, lambda: False,
    )  # fmt: skip
    attempt.state.optimizer.zero_grad(set_to_none=True)  # no need to keep gradients beside the next attempt
    return ended
