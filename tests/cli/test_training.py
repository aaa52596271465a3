import io
import warnings

import numpy as np
import pytest

from skneuro.baselines import HomogeneousPoisson
from skneuro.cli.recordings import Loaded
from skneuro.cli.split import split_recording
from skneuro.cli.training import Background, fit_and_score, watch
from skneuro.data import SpikeTrains


@pytest.fixture(scope="module")
def split():
    times = np.sort(np.random.default_rng(0).uniform(0, 100, 3000))
    return split_recording(Loaded("rat", SpikeTrains.from_unit_times({0: times, 1: times[::2]}, epochs=[[0, 100]])))


class Grumbler(HomogeneousPoisson):
    """Constant rates, with a warning."""

    def fit(self, X, y=None):
        warnings.warn("rates are\nconstant", UserWarning, stacklevel=2)
        warnings.warn("nobody needs this", DeprecationWarning, stacklevel=2)
        return super().fit(X, y)


def test_every_held_out_cell_has_a_likelihood_and_warnings_are_kept(split):
    fitted = fit_and_score("constant", Grumbler(bin_width=0.05), split)
    assert fitted.test.shape == (split.test.spikes.bin(0.05).n_bins, 2)
    assert fitted.validation.shape == (split.validation.spikes.bin(0.05).n_bins, 2)
    assert fitted.warnings == ("rates are constant",)
    assert fitted.seconds > 0


def test_a_model_trains_in_a_process_of_its_own(split, tmp_path):
    background = Background(tmp_path, n_processes=1)
    try:
        background.submit("constant", HomogeneousPoisson(bin_width=0.05), split)
        elsewhere = background.result("constant")
    finally:
        background.close()
    here = fit_and_score("constant", HomogeneousPoisson(bin_width=0.05), split)
    np.testing.assert_array_equal(elsewhere.test, here.test)
    assert background.wait(0.0)


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Trainers:
    """Stands for processes: done after three looks, interrupted at the second where asked for."""

    def __init__(self, interrupt_at=()):
        self.looks, self.interrupt_at = 0, interrupt_at

    def wait(self, seconds):
        self.looks += 1
        if self.looks in self.interrupt_at:
            raise KeyboardInterrupt
        return self.looks >= 3

    def states(self):
        yield "Neuroformer", f"epoch {self.looks}/3"


def test_on_a_terminal_one_line_is_rewritten_and_then_cleared():
    stream = Terminal()
    watch(Trainers(), stream)
    text = stream.getvalue()
    assert "Neuroformer: epoch 1/3" in text
    assert "\n" not in text
    assert text.endswith("\r\x1b[2K")


def test_in_a_file_there_is_no_control_character():
    stream = io.StringIO()
    watch(Trainers(), stream)
    assert "\x1b" not in stream.getvalue()


def test_the_first_ctrl_c_asks_to_end_and_the_second_quits():
    stream = io.StringIO()
    watch(Trainers(interrupt_at=[2]), stream)
    assert "press Ctrl-C again" in stream.getvalue()
    with pytest.raises(KeyboardInterrupt):
        watch(Trainers(interrupt_at=[1, 2]), io.StringIO())
