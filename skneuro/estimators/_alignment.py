"""Which modalities the neural side is aligned with, and whether there is anything to tell apart."""

from __future__ import annotations

from typing import Any

import numpy as np

from skneuro.data import Modality, ModelInput, Video

SPIKES = "spikes"


def aligned_modalities(est: Any, inp: ModelInput) -> tuple[str, ...]:
    """Names of the modalities that are aligned with the spikes and with each other; empty for no contrastive term.

    Raises
    ------
    ValueError
        If `align` names what is not there, the same twice, or what shows a single segment only; or if every part of a
        batch holds a single window.
    """
    modalities = {} if inp.modalities is None else dict(inp.modalities.items())
    names = _asked(est.align, modalities)
    if est.gamma == 0.0 or est.align is None or not modalities:
        return ()
    n_windows = -(-np.diff(inp.spikes.ptr) // est.window_bins)
    alone = -(-est.batch_size // est.accumulation_steps) == 1  # a part of a batch holds windows of one trial
    if est.align == "auto":
        videos = [name for name, modality in modalities.items() if isinstance(modality, Video)]
        fit = [name for name in [*videos, *modalities] if _problem(modalities[name], n_windows, alone) is None]
        return tuple(fit[:1])
    for name in names:
        problem = _problem(modalities[name], n_windows, alone)
        if problem is not None:
            raise ValueError(f"Cannot align the spikes with {name!r}: {problem}; or leave it out, or set gamma=0.")
    return names


def _asked(align: Any, modalities: dict[str, Modality]) -> tuple[str, ...]:
    """The modalities that `align` names, checked."""
    if align is None or align == "auto":
        return ()
    given = (SPIKES, align) if isinstance(align, str) else tuple(align)
    unknown = [name for name in given if name != SPIKES and name not in modalities]
    if unknown or SPIKES not in given or len(set(given)) != len(given) or len(given) < 2:
        raise ValueError(
            f"The 'align' parameter must be 'auto', None, one of the modalities {list(modalities)}, or a sequence of "
            f"{SPIKES!r} and some of them, each once. Got {align!r:.80} instead."
        )
    return tuple(name for name in given if name != SPIKES)


def _problem(modality: Modality, n_windows: np.ndarray, alone: bool) -> str | None:
    """Why there is nothing to tell apart, and what to do; None where there is."""
    shown = modality._identity()[n_windows > 0]
    longest = 1 if modality._static else int(n_windows.max(initial=0))
    if longest < 2 and len(np.unique(shown)) < 2:
        return "all windows show the same segment, and alignment tells segments apart. Give trials that show others"
    if longest < 2 and alone:
        return (
            "alignment compares the windows of a batch with each other, and every batch (or part of one) shows a "
            "single segment. Raise batch_size, or lower accumulation_steps"
        )
    return None
