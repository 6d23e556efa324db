"""The claims of docs/method/extraction.md that code can check."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from trap.catalogues import Flag
from trap.cli.parser import make_parser
from trap.report.products import PRODUCTS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "method" / "extraction.md").read_text(encoding="utf-8")


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(DOCS / "generators")
    import make_extraction  # noqa: PLC0415 (a script, not a package)

    return make_extraction


def test_flags_agree_with_the_code(script):
    assert script.flags_table() in PAGE, "run: .venv/bin/python docs/generators/make_extraction.py"


def test_every_flag_has_its_sentence(script):
    assert list(script.flag_meanings()) == list(Flag)
    assert all(meaning.endswith(".") for meaning in script.flag_meanings().values())


def test_figure_is_small_and_shown():
    (figure,) = re.findall(r"!\[.*\]\((\.\./images/.*)\)", PAGE)
    assert (DOCS / "method" / figure).stat().st_size < 120_000


def test_figure_can_be_drawn(script, monkeypatch, tmp_path):
    monkeypatch.setattr(script, "SIZE", 128)
    monkeypatch.setattr(script, "RADIUS", 60)
    monkeypatch.setattr(script, "FIGURE", tmp_path / "figure.png")
    script.draw()
    assert (tmp_path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_noise_is_estimated_as_well_as_the_page_claims(script):
    data, true_rms = script.simulated_sky()
    ratio = script.estimated_noise(data).rms_map() / true_rms
    y, x = np.mgrid[0 : script.SIZE, 0 : script.SIZE]
    inside = np.hypot(x - script.SIZE / 2, y - script.SIZE / 2) < 0.7 * script.RADIUS
    assert ratio[inside].mean() == pytest.approx(1, abs=0.03)
    assert ratio[inside].std() < 0.05
    assert np.abs(ratio[np.isfinite(data)] - 1).max() < 0.25


def test_modules_on_the_page_exist():
    for name in set(re.findall(r"`(\w+\.py)`", PAGE)):
        assert find_file(name)


def test_numbers_that_are_reproduced_stand_in_their_tests():
    rows = re.findall(r"^\|[^|]*\|([^|]*)\| `(test_\w+\.py)` \|$", PAGE, flags=re.MULTILINE)
    assert len(rows) == 7
    for values, name in rows:
        text = find_file(name).read_text(encoding="utf-8")
        for value in re.findall(r"\d+\.\d{5,}", values):
            assert value in text, f"{value} in {name}"


def find_file(name):
    """The only file of a name in the rooms that the page is about, or in their tests."""
    rooms = ("trap/extraction", "trap/finder", "tests/extraction", "tests/finder")
    (file,) = (path for room in rooms if (path := DOCS.parent / room / name).is_file())
    return file


def test_options_in_the_text_are_options_of_the_command():
    known = set(re.findall(r"--[a-z-]+", make_help()))
    assert set(re.findall(r"--[a-z-]+[a-z]", PAGE)) <= known
    assert {f"--{product}" for product in PRODUCTS} <= known


def make_help():
    actions = make_parser()._subparsers._group_actions[0].choices["extract"]
    return actions.format_help()
