"""Errors that end a command with one line instead of a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class CommandError(Exception):
    """What is wrong with what the user gave, and what to do about it."""


@contextmanager
def as_command_error(prefix: str) -> Iterator[None]:
    """Turn an error about the user's input into a `CommandError`; any other keeps its traceback."""
    try:
        yield
    except (ValueError, TypeError, OSError, KeyError, IndexError, ImportError) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        raise CommandError(f"{prefix}: {text}") from error
