"""Freed memory goes back to the system when the resident size has grown, and not otherwise."""

import mmap
import sys

import pytest

from skneuro import _memory
from skneuro._memory import SELDOM, Holes


@pytest.fixture
def trims(monkeypatch):
    """Calls of the C library, and the resident size that the next look sees."""
    seen = {"pages": 100, "trims": 0}

    def trim(_):
        seen["trims"] += 1

    monkeypatch.setattr(_memory, "_trim", lambda: trim)
    monkeypatch.setattr(_memory, "resident_pages", lambda: seen["pages"])
    return seen


def test_nothing_is_given_back_while_the_size_stays(trims):
    holes = Holes()
    for pages in (100, 104, 90, 105):
        trims["pages"] = pages
        holes.after_batch()
    assert trims["trims"] == 0


def test_growth_is_given_back_once_and_then_seldom(trims):
    holes = Holes()
    holes.after_batch()
    trims["pages"] = 106
    for _ in range(SELDOM):
        holes.after_batch()
    assert trims["trims"] == 1
    holes.after_batch()
    assert trims["trims"] == 2


def test_another_c_library_is_left_alone(monkeypatch):
    monkeypatch.setattr(_memory, "_trim", lambda: None)
    holes = Holes()
    holes.after_batch()
    assert holes.first is None


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells the resident size")
def test_resident_size_follows_what_is_held():
    before = _memory.resident_pages()
    held = mmap.mmap(-1, 64 * 2**20)  # fresh pages: an allocator may hand out what it kept
    held[:: 2**12] = b"x" * len(held[:: 2**12])
    grown = _memory.resident_pages() - before
    assert 64 * 2**20 * 0.9 < grown * 4096 < 64 * 2**20 * 1.2
