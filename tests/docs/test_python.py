"""The page of the interface in Python names all of it, and the five lines of the README run on a simulated survey."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from processed_survey import process_survey

from trap.results import Dataset, Seasons

mpl.use("agg")

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "how-to" / "python.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_five_lines_of_the_readme_make_a_light_curve(tmp_path, monkeypatch, capsys):
    process_survey(tmp_path)
    monkeypatch.chdir(tmp_path)
    (block,) = BLOCK.findall(README)
    assert len([line for line in block.splitlines() if line]) == 5
    variables = {}
    exec(compile(block, "README", "exec"), variables)  # noqa: S102 (our own example)
    plt.close("all")
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
