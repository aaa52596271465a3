"""Freed memory back to the system, where the C library keeps it in holes."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from functools import cache

ALLOWED = 0.05  # growth of the resident size that is left alone
SELDOM = 8  # batches from one time to the next: what was given back must be asked for again, which costs time


class Holes:
    """Watches the resident size from batch to batch, and gives the holes back when it has grown.

    Batches differ in size, so what one frees rarely fits the next: glibc keeps the holes, and in a long recording they
    outgrow what the model holds. Nothing else changes, no setting of the process and no number. Where there is no glibc
    it does nothing.
    """

    def __init__(self) -> None:
        self.first: int | None = None
        self.wait = 0

    def after_batch(self) -> None:
        """Call when a batch's tensors are gone."""
        self.wait -= 1
        trim = _trim()
        if self.wait > 0 or trim is None:
            return
        now = resident_pages()
        if self.first is None:
            self.first = now
        if now > (1 + ALLOWED) * self.first:
            trim(0)
            self.wait = SELDOM


def resident_pages() -> int:
    """Pages of this process in memory, 0 where the system does not say."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1])
    except (OSError, IndexError, ValueError):
        return 0


@cache
def _trim() -> Callable[[int], int] | None:
    """The C library's ``malloc_trim``, None where it is not glibc."""
    if os.name != "posix":
        return None
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return None
