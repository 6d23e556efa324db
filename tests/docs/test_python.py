"""The examples of docs/how-to/python.md, and the five lines of the README, run as they are on a simulated survey."""

from __future__ import annotations

import inspect
import re
import textwrap
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt
from processed_survey import process_seasons, process_survey

from trap.results import Dataset, Seasons

mpl.use("agg")

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "python.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with the survey, its database trap.db, and seasons.db with two datasets."""
    path = tmp_path_factory.mktemp("notebook")
    process_survey(path)
    process_seasons(path)
    return path


def run(blocks, folder, monkeypatch):
    """Run blocks of code in a folder, one after the other; return their variables."""
    monkeypatch.chdir(folder)
    variables = {}
    try:
        for block in blocks:
            exec(compile(textwrap.dedent(block), "example", "exec"), variables)  # noqa: S102 (examples of ours)
    finally:
        plt.close("all")
    return variables


def test_examples_of_the_page_run(folder, monkeypatch, capsys):
    variables = run(BLOCK.findall(PAGE), folder, monkeypatch)
    assert variables["histogram"].sum() > 10
    assert len(variables["curve"]) == len(variables["limits"]) == 4
    assert len(variables["monitored"].limits) > 0
    assert variables["blank"]["reason"].tolist() == [""] * 4
    assert variables["cutout"].data.shape == (51, 51)
    assert len(variables["cutouts"]) == 4
    assert (folder / "figure.png").exists()
    assert variables["season_curve"]["dataset"].tolist() == [1, 1, 2, 2]
    assert len(variables["both"]) > 5
    assert "the nearest is entry" in capsys.readouterr().out


def test_five_lines_of_the_readme_make_a_light_curve(folder, monkeypatch, capsys):
    (block,) = BLOCK.findall(README)
    assert len([line for line in block.splitlines() if line]) == 5
    variables = run([block], folder, monkeypatch)
    assert len(variables["curve"]) == 4
    assert variables["ax"].lines
    assert "Jy" in capsys.readouterr().out


def test_every_method_has_a_place_on_the_page_and_an_example():
    methods = {name: member for name, member in vars_of(Dataset).items() if not name.startswith("_")}
    assert len(methods) >= 15
    assert [name for name in methods if f"{name}(" not in PAGE and f".{name}" not in PAGE] == []
    # These two have their examples where the dataset is opened.
    shown = {name: inspect.getdoc(member) for name, member in methods.items() if name not in ("close", "database")}
    assert [name for name, doc in shown.items() if ">>>" not in doc and "``dataset." not in doc] == []
    several = [name for name, member in vars(Seasons).items() if not name.startswith("_") and callable(member)]
    assert [name for name in several if f"seasons.{name}(" not in PAGE] == []


def vars_of(kind):
    """Return the members of a class and of its bases."""
    return {name: member for one in reversed(kind.__mro__[:-1]) for name, member in vars(one).items()}
