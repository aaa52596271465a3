"""`Segments`: stretches of trials that are trained on, held out or scored. Nothing here needs torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Segments:
    """Scored stretches of trials: bins ``start`` to ``stop`` of ``trial``, counted from the trial's first bin."""

    trial: np.ndarray
    start: np.ndarray
    stop: np.ndarray

    def __len__(self) -> int:
        return len(self.trial)

    def take(self, index: np.ndarray) -> Segments:
        """Some of them."""
        return Segments(self.trial[index], self.start[index], self.stop[index])
