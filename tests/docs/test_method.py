"""The pages of the method name code that exists, number their equations in order, and are listed on the first one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "method"
PAGES = sorted(FOLDER.glob("*.md"))
STEPS = [page for page in PAGES if page.name not in ("index.md", "accuracy.md")]


def text_of(page):
    return page.read_text(encoding="utf-8")


def names_defined_in(path):
    """Names of the functions and classes of a module, and of the methods as ``Class.method``."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    named = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    methods = [
        f"{owner.name}.{node.name}"
        for owner in named
        if isinstance(owner, ast.ClassDef)
        for node in owner.body
        if isinstance(node, ast.FunctionDef)
    ]
    return {node.name for node in named} | set(methods)


@pytest.mark.parametrize("page", STEPS, ids=lambda page: page.stem)
def test_code_that_a_page_names_exists(page):
    named = re.findall(r"`(trap/[\w/]+\.py)`(?:\s+\(([^)]*)\))?", text_of(page))
    assert named
    for name, words in named:
        assert (ROOT / name).is_file(), name
        wanted = set(re.findall(r"`([\w.]+)`", words))
        assert wanted <= names_defined_in(ROOT / name), name


@pytest.mark.parametrize("page", STEPS, ids=lambda page: page.stem)
def test_equations_are_numbered_in_order(page):
    displayed = re.findall(r"\$\$\n(.*?)\$\$", text_of(page), re.DOTALL)
    numbers = [int(number) for equation in displayed for number in re.findall(r"\\tag\{(\d+)\}", equation)]
    assert numbers == list(range(1, len(displayed) + 1))


def test_first_page_lists_every_page():
    (listed,) = re.findall(r"```\{toctree\}\n(.*?)```", text_of(FOLDER / "index.md"), re.DOTALL)
    pages = [line for line in listed.splitlines() if line and not line.startswith(":")]
    assert sorted(pages) == [page.stem for page in PAGES if page.stem != "index"]


def test_table_of_quantities_names_equations_that_exist():
    rows = re.findall(r"^\| .* \| (\(.*) of \[.*\]\((\S+)\.md#\S+\) \|$", text_of(FOLDER / "index.md"), re.MULTILINE)
    assert len(rows) > 20
    for numbers, page in rows:
        for number in re.findall(r"\d+", numbers):
            assert rf"\tag{{{number}}}" in text_of(FOLDER / f"{page}.md"), (page, number)


def test_measurements_of_the_accuracy_exist():
    programs = re.findall(r"^\$ (?:pytest -s|python) (\S+)", text_of(FOLDER / "accuracy.md"), re.MULTILINE)
    assert len(programs) > 8
    assert [name for name in programs if not (ROOT / name).is_file()] == []


def test_references_are_cited():
    for page in STEPS:
        text, _, references = text_of(page).partition("## References\n")
        for line in re.findall(r"^- ([^\d,&]+?)(?:,| et al\.| &| \d)", references, re.MULTILINE):
            assert line.split()[-1] in text, (page.name, line)
