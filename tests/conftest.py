"""What all tests share: one torch thread, and real recordings where they are."""

import os
import shutil
import sys
from pathlib import Path

import pytest

_BESIDE_CHECKOUT = Path(__file__).resolve().parents[2] / "shared" / "data"


def pytest_runtest_setup(item):
    # A hook and not an autouse fixture: Hypothesis objects to fixtures that are made anew for every test.
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != 1:
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def recordings(tmp_path_factory):
    """A function from a recording's folder name to a data home that holds its files.

    ``fetch_s1_reaching(data_home=recordings("s1_area2_reaching"), download_if_missing=False)``. The files
    come from the directory in ``SKNEURO_SHARED_DATA``, or from ``../shared/data`` beside the checkout. A test
    skips where they are absent, and fails instead where ``SKNEURO_REQUIRE_DATA=1``.
    """
    source = Path(os.environ.get("SKNEURO_SHARED_DATA") or _BESIDE_CHECKOUT)
    home = tmp_path_factory.mktemp("skneuro_data")

    def provide(folder):
        if not (source / folder).is_dir():
            reason = f"{folder} is not in {source}; set SKNEURO_SHARED_DATA to the directory that has it"
            if os.environ.get("SKNEURO_REQUIRE_DATA") == "1":
                pytest.fail(f"SKNEURO_REQUIRE_DATA=1, but {reason}")
            pytest.skip(reason)
        if not (home / folder).exists():
            shutil.copytree(source / folder, home / folder)
        return home

    return provide


class CountingBackend:
    """Stands in for what makes machine code: graphs are differentiated and run as they are. Counts both."""

    def __init__(self, run_as_is):
        self.run_as_is, self.graphs, self.runs = run_as_is, 0, 0

    def __call__(self, graph, inputs):
        function = self.run_as_is(graph, inputs)  # stops at first where a graph has a float, and is asked again
        self.graphs += 1

        def run(*given):
            self.runs += 1
            return function(*given)

        return run


@pytest.fixture
def counting_backend(monkeypatch):
    """Compile with a :class:`CountingBackend`, as if nothing had been compiled before."""
    import torch

    from skneuro.nn import compiled

    torch.compiler.reset()
    backend = CountingBackend(torch._dynamo.lookup_backend("aot_eager"))
    monkeypatch.setattr(compiled, "BACKEND", backend)
    yield backend
    torch.compiler.reset()
