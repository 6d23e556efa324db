"""The table of checks in docs/images.md is the table that the records of the checks make."""

from __future__ import annotations

from pathlib import Path

from trap.quality.checks import checks_table

PAGE = Path(__file__).parents[2] / "docs" / "images.md"


def test_checks_are_those_of_the_code():
    assert f"-->\n{checks_table()}<!-- end of checks -->" in PAGE.read_text(encoding="utf-8"), (
        "run: .venv/bin/python docs/make_images.py"
    )
