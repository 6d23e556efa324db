"""docs/reference/python-api.md documents every public name."""

from __future__ import annotations

from pathlib import Path

import pytest

import trap.errors
import trap.results

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "python-api.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("module", [trap.results, trap.errors], ids=lambda module: module.__name__)
def test_every_public_name_is_on_the_page(module):
    functions = {"out_of_memory"}  # for the pipeline itself
    names = set(module.__all__) - functions
    assert [name for name in sorted(names) if f":: {module.__name__}.{name}" not in PAGE] == []


def test_tree_of_errors_in_the_docstring_has_every_error_below_its_base():
    lines = trap.errors.__doc__.splitlines()
    depth = {
        line[: line.index("Error")].split()[-1] + "Error": line.index(line.strip(" │├└─"))
        for line in lines
        if "Error" in line
    }
    for name in trap.errors.__all__:
        error = getattr(trap.errors, name)
        if isinstance(error, type):
            (base, *_) = error.__bases__
            assert name == "TrapError" or depth[base.__name__] < depth[name]
