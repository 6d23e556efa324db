"""Extras: each brings the library that the code imports on demand, and the message without it names the extra."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions, requires
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MODULES = {"casa": "casacore", "dask": "distributed", "hats": "hats", "pandas": "pandas", "parquet": "pyarrow"}
"""The module that each extra is for. pandas is imported by astropy on our behalf."""
COME_WITH = {
    "markupsafe": "jinja2",
    "pydantic-core": "pydantic",
    "pyerfa": "astropy",
    "httpx": "prefect",
    "starlette": "fastapi",
}
"""Distributions that are part of the interface of a dependency, whose version decides on theirs."""
SOURCES = [path for folder in ("trap", "flows") for path in sorted((ROOT / folder).rglob("*.py"))]
TREES = {path: ast.parse(path.read_text()) for path in SOURCES}
DISTRIBUTIONS = packages_distributions()


def normalised(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def distributions(requirements):
    return {normalised(re.match(r"[\w.-]+", requirement)[0]) for requirement in requirements}


CORE = distributions(PROJECT["dependencies"])
EXTRAS = {name: distributions(needed) for name, needed in PROJECT["optional-dependencies"].items() if name != "all"}


def imported(nodes):
    """Yield the distributions that statements import."""
    for node in nodes:
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module]
        for name in names:
            top = name.partition(".")[0]
            if top not in sys.stdlib_module_names | {"trap", "flows", "_typeshed"}:
                yield normalised(DISTRIBUTIONS[top][0])


def test_every_import_is_a_dependency_or_an_extra():
    known = CORE | set(COME_WITH) | set().union(*EXTRAS.values())
    unknown = {
        path.name: name for path, tree in TREES.items() for name in imported(ast.walk(tree)) if name not in known
    }
    assert unknown == {}


def test_distributions_that_come_with_a_dependency_are_required_by_it():
    assert set(COME_WITH.values()) <= CORE
    assert {child for child, parent in COME_WITH.items() if child not in distributions(requires(parent))} == set()


def test_libraries_of_extras_are_imported_on_demand_only():
    optional = set().union(*EXTRAS.values()) - CORE
    # A module of Dask's own is imported on demand as a whole.
    top = {path for path, tree in TREES.items() if set(imported(tree.body)) & optional}
    assert top == {ROOT / "trap/workers/dask_executor.py"}


def test_each_extra_brings_the_module_it_is_for():
    assert set(MODULES) == set(EXTRAS)
    for extra, module in MODULES.items():
        assert normalised(DISTRIBUTIONS[module][0]) in EXTRAS[extra]


def test_extra_of_all_extras_names_each():
    (words,) = PROJECT["optional-dependencies"]["all"]
    assert words == f"{PROJECT['name']}[{','.join(sorted(EXTRAS))}]"


def test_every_message_and_page_names_an_extra_that_exists():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deployments").rglob("*.md")]
    calls = [
        node.args[-1].value
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in {"install_command", "needs"}
        and isinstance(node.args[-1], ast.Constant)
    ]
    assert set(calls) == set(EXTRAS)
    written = [name for page in pages for name in re.findall(rf"{PROJECT['name']}\[([\w,]+)\]", page.read_text())]
    assert set(",".join(written).split(",")) <= {*EXTRAS, "all"}
    # The distribution is installed by its name: a stranger has no checkout.
    assert [str(path) for path in [*SOURCES, *pages] if re.search(r"pip install '?\.\[", path.read_text())] == []
