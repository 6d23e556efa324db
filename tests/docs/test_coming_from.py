"""The pages for users of TraP and VAST name settings, columns, options and steps that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trap.cli.parser import make_parser
from trap.config import PipelineConfig
from trap.config.parset import TRAP_DEFAULTS
from trap.db.models import Base

DOCS = Path(__file__).parents[2] / "docs"
FOLDER = DOCS / "coming-from"
PAGES = sorted(FOLDER.glob("*.md"))
CODE = re.compile(r"`([^`\n]+)`")
NAMES = re.compile(r"[a-z_]+\.[a-z_0-9]+")
TABLES = {name: set(table.columns.keys()) for name, table in Base.metadata.tables.items()}


SETTINGS = {
    section: set(getattr(field.annotation, "model_fields", {}))
    for section, field in PipelineConfig.model_fields.items()
}


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(DOCS / "generators")
    import make_coming_from  # noqa: PLC0415 (a script, not a package)

    return make_coming_from


def cells(page: Path, column: int) -> list[str]:
    """Return the code in a column of all tables of a page, from 0."""
    rows = [
        line.strip().strip("|").split(" | ") for line in page.read_text("utf-8").splitlines() if line.startswith("|")
    ]
    return [code for row in rows if len(row) > column for code in CODE.findall(row[column])]


def exists(first: str, last: str) -> bool:
    """Whether there is a setting, or a column of a table, of this name."""
    return last in SETTINGS.get(first, ()) or last in TABLES.get(first, ())


def test_tables_are_those_of_the_code(script):
    page = script.PAGE.read_text("utf-8")
    assert script.with_parts(page) == page, "run: .venv/bin/python docs/generators/make_coming_from.py"


def test_every_setting_of_trap_is_imported_or_has_a_replacement(script):
    for settings in (script.JOB_PARAMS, script.PIPELINE):
        for (section, key), default in settings.items():
            place, replacement = script.place_of(section, key, default)
            assert place or replacement or script.REMARKS[section, key], key
            assert "there is no such setting" not in replacement, key


def test_defaults_of_trap_are_those_of_an_import(script):
    for (section, key), default in script.JOB_PARAMS.items():
        if key in TRAP_DEFAULTS.get(section, {}):
            assert TRAP_DEFAULTS[section][key] == script._literal(default), key


def test_place_of_a_setting_is_where_an_import_puts_it(script):
    assert script.place_of("quality", "elliptical_x", "2.0") == ("quality.elliptical_x", "")
    assert script.place_of("parallelise", "cores", "0") == ("execution.n_workers", "")
    assert script.place_of("database", "host", "''") == ("execution.database", "")
    assert script.place_of("persistence", "dataset_id", "-1")[0] == ""


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_settings_and_columns_exist(page):
    names = [code for column in (1, 2, 3, 4) for code in cells(page, column) if NAMES.fullmatch(code)]
    # The names of the other pipeline are in the first column; those here are in the others.
    ours = [name for name in names if name.split(".")[0] in {*SETTINGS, *TABLES} and not name.startswith("config.")]
    assert [name for name in ours if not exists(*name.split("."))] == []
    assert ours or page.stem == "index"


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_commands_exist(page):
    commands = {command.split()[0] for command in re.findall(r"`transients ([a-z][^`]*)`", page.read_text("utf-8"))}
    *_, subparsers = make_parser()._actions
    assert commands <= set(subparsers.choices)


def test_short_names_of_settings_exist():
    section, names = "", []
    for line in (FOLDER / "trap-r7.md").read_text("utf-8").splitlines():
        if heading := re.fullmatch(r"\*\*`\[(\w+)\]`\*\*", line):
            section = heading[1]
        elif not line.startswith(("|", "**")) and line:
            section = ""
        elif section and line.startswith("| `"):
            names += [(section, name) for name in re.findall(r"`([a-z_]+)`", line.split(" | ")[1])]
    assert len(names) > 10
    assert [name for name in names if not exists(*name)] == []
