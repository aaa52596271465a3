"""Whether a modality is of the form that a model was fitted with: its kind, its columns, the shape of a sample."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from skneuro.data.modality import Modality
from skneuro.data.video import Video
from skneuro.exceptions import IncompatibleModalityError


@dataclass(frozen=True)
class Form:
    """What must be the same in `fit` and later for numbers of a modality to mean the same.

    Parameters
    ----------
    kind : str
        Class of the modality.
    columns : tuple of str
        What the values of a sample are; empty where that is not known.
    shape : tuple of int
        Of a sample: (values,), or (height, width) or (height, width, channels) of a frame.
    """

    kind: str
    columns: tuple[str, ...]
    shape: tuple[int, ...]

    @classmethod
    def of(cls, modality: Modality) -> Self:
        """Form of a modality."""
        # The frames of a video stand behind its trials and their times.
        shape = tuple(modality.shape[2 if isinstance(modality, Video) else 1 :])
        return cls(type(modality).__name__, tuple(modality.names or ()), shape)

    def check(self, name: str, modality: Modality) -> None:
        """Compare a modality with this form.

        Raises
        ------
        IncompatibleModalityError
            If it is of another kind, or has other columns or samples of another shape.
        """
        found = Form.of(modality)
        problem: tuple[str, Any, Any] | None = None
        if found.kind != self.kind:
            problem = "be of the kind", self.kind, found.kind
        elif found.columns and self.columns and found.columns != self.columns:
            problem = "have the columns", list(self.columns), list(found.columns)
        elif found.shape != self.shape:
            problem = "have samples of shape", self.shape, found.shape
        if problem is not None:
            what, expected, got = problem
            raise IncompatibleModalityError(f"The modality {name!r} should {what} {expected}, as in fit. Got {got}.")
