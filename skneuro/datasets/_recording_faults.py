"""What recordings do to a population: cells sorted together, cells sorted apart, spikes lost behind others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Sorting:
    """Which cells a unit holds, and which of their spikes.

    Parameters
    ----------
    members : list of ndarray of int
        Cells of each unit; a cell that was split is a member of two.
    split : int ndarray of shape (n_split, 2)
        Pairs of units that share one cell.
    """

    members: list[np.ndarray]
    split: np.ndarray


def sort_cells(n_units: int, n_merged: int, n_split: int, rng: np.random.Generator) -> Sorting:
    """Draw which of `n_units` units hold two cells, and which pairs of units hold one.

    Parameters
    ----------
    n_units : int
        Number of units; of cells there are ``n_units + n_merged - n_split``.
    n_merged : int
        Units that hold two cells.
    n_split : int
        Cells that are held by two units.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    Sorting
    """
    kinds = np.repeat([0, 1, 2], [n_units - n_merged - 2 * n_split, n_merged, n_split])
    members: list[np.ndarray] = []
    pairs, cell = [], 0
    for kind in rng.permutation(kinds):
        if kind == 1:
            members.append(np.array([cell, cell + 1]))
        else:
            members.append(np.array([cell]))
        if kind == 2:
            pairs.append((len(members) - 1, len(members)))
            members.append(np.array([cell]))
        cell += len(members[-1])
    return Sorting(members, np.array(pairs, dtype=np.int64).reshape(-1, 2))


def units_of_spikes(cells: np.ndarray, sorting: Sorting, rng: np.random.Generator) -> np.ndarray:
    """Return the unit of each spike; a spike of a split cell goes to either of its units by chance.

    Parameters
    ----------
    cells : int ndarray of shape (n_spikes,)
        Cell of each spike.
    sorting : Sorting
        What units hold.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    int ndarray of shape (n_spikes,)
    """
    n_cells = 1 + max(int(member.max()) for member in sorting.members)
    unit = np.full(n_cells, -1)
    for number in range(len(sorting.members) - 1, -1, -1):  # of a split cell's two units the first stays
        unit[sorting.members[number]] = number
    result = unit[cells]
    second = rng.random(len(result)) < 0.5  # one draw a spike: further spikes leave those before as they are
    for one, other in sorting.split:
        result[(result == one) & second] = other
    return result


def pool(values: np.ndarray, sorting: Sorting, weights: np.ndarray, axis: int) -> np.ndarray:
    """Average over the cells of each unit, weighted by `weights`.

    Parameters
    ----------
    values : ndarray
        One entry for each cell along `axis`.
    sorting : Sorting
        What units hold.
    weights : ndarray of shape (n_cells,)
        Rates of the cells: of the spikes of a merged unit so many are each cell's.
    axis : int
        Axis of the cells.

    Returns
    -------
    ndarray
        One entry for each unit along `axis`.
    """
    parts = []
    for member in sorting.members:
        part = np.take(values, member, axis=axis)
        parts.append(part.take(0, axis) if len(member) == 1 else np.average(part, axis=axis, weights=weights[member]))
    return np.stack(parts, axis=axis)


def heard(times: np.ndarray, dead_time: float) -> np.ndarray:
    """Return which spikes were detected when each one hides those that follow it within `dead_time`.

    Parameters
    ----------
    times : ndarray of shape (n_spikes,), in seconds
        Ascending times of all units. Of spikes at one time the first is detected.
    dead_time : float, in seconds
        For so long after a detected spike no other is.

    Returns
    -------
    bool ndarray of shape (n_spikes,)
    """
    kept = np.zeros(len(times), dtype=bool)
    last = -np.inf
    for k, time in enumerate(times.tolist()):
        if time - last > dead_time:
            kept[k] = True
            last = time
    return kept
