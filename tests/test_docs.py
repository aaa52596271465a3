"""What is written is true: code blocks run, links lead somewhere, docstrings describe what is there."""

import configparser
import doctest
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import skneuro

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


def page_name(page):
    return str(page.relative_to(ROOT))


def blocks(page, language):
    """Code, number of its first line, and fence info of every block of a language."""
    text = page.read_text(encoding="utf-8")
    for fence in FENCE.finditer(text):
        info = fence["info"].split()
        if info[:1] == [language]:
            yield fence["code"], text[: fence.start("code")].count("\n") + 1, info[1:]


# ---------------------------------------------------------------------------------------- the pages


@pytest.mark.parametrize("page", [p for p in PAGES if any(blocks(p, "python"))], ids=page_name)
def test_the_code_blocks_of_a_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # pages write files
    namespace = {"__name__": "__main__"}
    for code, line, options in blocks(page, "python"):
        if "no-run" in options:
            compile(code, str(page), "exec")
        elif code.lstrip().startswith(">>>"):
            run_doctest(code, line, page, namespace)
        else:
            exec(compile("\n" * (line - 1) + code, str(page), "exec"), namespace)


def run_doctest(code, line, page, namespace):
    test = doctest.DocTestParser().get_doctest(code, namespace, page_name(page), str(page), line - 1)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS, verbose=False)
    report = []
    result = runner.run(test, out=report.append, clear_globs=False)
    namespace.update(test.globs)  # the parser works on a copy
    assert result.failed == 0, "".join(report)


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_of_a_page_lead_to_files_and_headings(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        path, _, heading = target.partition("#")
        file = page.parent / path if path else page
        assert file.exists(), f"{page_name(page)} links to {target}, which does not exist"
        if heading:
            headings = re.findall(r"^#+ (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in [re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings]


def test_every_page_is_linked_from_the_index():
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").rglob("*.md"):
        if page.name != "README.md":
            assert f"({page.relative_to(ROOT / 'docs').as_posix()})" in index


def test_the_readme_has_exactly_two_setup_commands_of_one_line():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## ([^\n]+)\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL))
    commands = [fence["code"] for fence in FENCE.finditer(text) if not fence["info"].startswith("python")]
    assert [fence["code"] for title in ("Run it", "Test it") for fence in FENCE.finditer(sections[title])] == commands
    assert len(commands) == 2
    for command in commands:
        assert command.count("\n") == 1 and command.startswith("pip install -c constraints.txt ")
    assert commands[0].rstrip().endswith("skneuro demo")


def test_the_api_page_lists_every_public_name():
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([\w.]+)", page, re.MULTILINE))
    assert listed == {f"{module.__name__}.{name}" for module, name, _ in PUBLIC}


# ---------------------------------------------------------------------------------------- the packaging


def requirements():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options"]["install_requires"].split("\n")
    for extra in setup["options.extras_require"].values():
        lines += extra.split("\n")
    return {re.split(r"[<>=\[ ]", line)[0] for line in lines if line}


def test_every_dependency_is_pinned():
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    pins = dict(line.lower().split("==") for line in text.splitlines() if "==" in line and not line.startswith("#"))
    assert requirements() - {"skneuro"} <= set(pins)
    assert pins["torch"] == "2.13.0"


# ---------------------------------------------------------------------------------------- the docstrings


def public_names():
    """Every (module, name, object) that a user may import: the `__all__` of public modules, once each."""
    found = {}
    for module_name in ["skneuro", *sorted(submodules("skneuro"))]:
        module = importlib.import_module(module_name)
        for name in getattr(module, "__all__", []):
            value = getattr(module, name, None)  # test_import says which are missing
            if inspect.isclass(value) or inspect.isfunction(value):
                found.setdefault(value, (module, name))  # the shortest path to it comes first
    return [(module, name, value) for value, (module, name) in found.items()]


def submodules(package):
    """Public subpackages, and public modules of those that export nothing themselves."""
    hidden = {"cli", "nn", "training"}  # not for import: the command line and the insides of the model
    for info in pkgutil.iter_modules(importlib.import_module(package).__path__, f"{package}."):
        if info.name.rpartition(".")[2].startswith("_") or info.name.split(".")[1] in hidden:
            continue
        yield info.name
        if info.ispkg and not getattr(importlib.import_module(info.name), "__all__", []):
            yield from submodules(info.name)


PUBLIC = public_names()
each_public_name = pytest.mark.parametrize(
    ("module", "name", "value"), PUBLIC, ids=[f"{module.__name__}.{name}" for module, name, _ in PUBLIC]
)


def methods(cls):
    """Public functions and properties of a class that skneuro defines, by name."""
    for name in dir(cls):
        owner = next((base for base in cls.__mro__ if name in vars(base)), object)
        member = vars(owner).get(name)
        function = getattr(member, "__func__", member)  # of classmethods and staticmethods
        ours = owner.__module__.startswith("skneuro") and not name.startswith("_")
        if ours and (inspect.isfunction(function) or isinstance(member, property)):
            yield f"{cls.__name__}.{name}", function


def documented_parameters(docstring):
    """Names in the Parameters section of a numpydoc docstring."""
    match = re.search(
        r"^Parameters\n-+\n(.*?)(?=^[A-Z][\w ]+\n-+\n|\Z)",
        inspect.cleandoc(docstring),
        re.MULTILINE | re.DOTALL,
    )
    if not match:
        return None
    names = re.findall(r"^(\S[^:\n]*?)(?: : .*)?$", match[1], re.MULTILINE)
    return [name.strip().lstrip("*") for line in names for name in line.split(",")]


def signature_parameters(function):
    # A lone *args is there to say what is wrong with a call, not to be used.
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.name not in ("self", "cls", "args")]


@each_public_name
def test_a_public_name_has_a_docstring_with_an_example(module, name, value):
    assert inspect.getdoc(value), f"{module.__name__}.{name} has no docstring"
    assert ">>> " in value.__doc__, f"{module.__name__}.{name} has no example"
    if inspect.isclass(value):
        for method, function in methods(value):
            assert function.__doc__, f"{method} has no docstring"


@each_public_name
def test_documented_parameters_are_those_that_exist(module, name, value):
    functions = [(name, value)]
    if inspect.isclass(value):
        functions += [(method, f) for method, f in methods(value) if inspect.isfunction(f)]
    for label, function in functions:
        documented = documented_parameters(function.__doc__ or "")
        if inspect.isclass(function) and issubclass(function, Exception) and documented is None:
            continue
        expected = signature_parameters(function)
        assert (documented or []) == expected, f"{label} documents {documented}, takes {expected}"


@each_public_name
def test_the_public_interface_has_type_hints(module, name, value):
    functions = [f for _, f in methods(value) if inspect.isfunction(f)] if inspect.isclass(value) else [value]
    for function in functions:
        signature = inspect.signature(function)
        unhinted = [n for n, p in signature.parameters.items() if p.annotation is p.empty and n not in ("self", "cls")]
        assert not unhinted, f"{function.__qualname__}: {unhinted} without type hints"
        assert signature.return_annotation is not signature.empty, f"{function.__qualname__} returns what?"


def test_the_version_is_the_one_in_the_changelog():
    assert f"## {skneuro.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
