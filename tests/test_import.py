"""`import skneuro` is quick: what is heavy is loaded when it is first used."""

import json
import subprocess
import sys

import pytest

import skneuro

HEAVY = ["torch", "sklearn", "pandas", "scipy", "matplotlib", "pynapple", "neo", "pynwb"]


def modules_after(statement):
    """The modules that a fresh interpreter has loaded after a statement."""
    code = f"import sys, json\n{statement}\nprint(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(run.stdout))


def test_importing_skneuro_loads_nothing_heavy():
    assert modules_after("import skneuro; dir(skneuro); skneuro.__version__").isdisjoint(HEAVY)


@pytest.mark.parametrize("module", ["data", "exceptions", "metrics", "model_selection", "persistence"])
def test_what_needs_no_network_does_not_load_torch(module):
    loaded = modules_after(f"import skneuro; skneuro.{module}")
    assert f"skneuro.{module}" in loaded
    assert loaded.isdisjoint(["torch", "matplotlib", "pynapple", "neo", "pynwb"])


@pytest.mark.parametrize("name", skneuro.__all__)
def test_every_public_name_is_there(name):
    assert getattr(skneuro, name) is not None
    assert name in dir(skneuro)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'skneuro' has no attribute 'Neuroformer'"):
        skneuro.Neuroformer  # noqa: B018
    assert not hasattr(skneuro, "Neuroformer")


def test_a_star_import_gives_the_public_names():
    namespace = {}
    exec("from skneuro import *", namespace)
    assert set(skneuro.__all__) <= set(namespace)
