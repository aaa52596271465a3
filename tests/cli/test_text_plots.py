import numpy as np
import pytest

from skneuro.cli.text_plots import text_histogram, text_raster
from skneuro.data import SpikeTrains


def dots(text):
    """Positions (row, column) of the raised dots of a picture in braille."""
    places = {0: (0, 0), 1: (1, 0), 2: (2, 0), 6: (3, 0), 3: (0, 1), 4: (1, 1), 5: (2, 1), 7: (3, 1)}
    return {
        (4 * line + places[bit][0], 2 * column + places[bit][1])
        for line, row in enumerate(text.splitlines())
        for column, character in enumerate(row)
        for bit in range(8)
        if (ord(character) - 0x2800) >> bit & 1
    }


def test_every_spike_is_a_dot_in_the_row_of_its_unit():
    rng = np.random.default_rng(0)
    steps = {unit: np.unique(rng.integers(0, 40, 5)) for unit in range(9)}
    spikes = SpikeTrains.from_unit_times({u: (k + 0.5) / 40 for u, k in steps.items()}, epochs=[[0.0, 1.0]])
    assert dots(text_raster(spikes, width=20)) == {(u, k) for u, ks in steps.items() for k in ks.tolist()}


def test_further_units_are_left_out():
    spikes = SpikeTrains.from_unit_times({u: [0.5] for u in range(9)}, epochs=[[0.0, 1.0]])
    assert len(text_raster(spikes, max_units=4).splitlines()) == 1


@pytest.mark.parametrize(("values", "text"), [([0, 4, 8], " ▄█"), ([0, 0], "  "), ([3, 3], "██"), ([], "")])
def test_bars_are_in_proportion(values, text):
    assert text_histogram(values) == text
