"""The tables in docs/reference/images.md are the tables that the code makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from trap.images.headers.brightness import Kind, parse_brightness

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "reference" / "images.md").read_text(encoding="utf-8")


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(DOCS / "generators")
    import make_images  # noqa: PLC0415 (a script, not a package)

    return make_images


def test_tables_are_those_of_the_code(script):
    assert script.with_parts(PAGE) == PAGE, "run: .venv/bin/python docs/generators/make_images.py"


def test_spellings_of_units_in_the_table_are_read(script):
    rows = [row.split("|")[1:3] for row in script.units_table().splitlines()[2:]]
    assert [kind.strip() for kind, _ in rows] == [kind.value for kind in Kind]
    for kind, spellings in rows:
        for spelling in spellings.split("`")[1::2]:
            assert parse_brightness(spelling).kind.value == kind.strip(), spelling
