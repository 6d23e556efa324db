"""docs/reference/exit-codes.md lists the exit codes of the code."""

from __future__ import annotations

from pathlib import Path

from trap.cli.parser import make_parser
from trap.cli.terminal import INTERRUPTED
from trap.dataset.outcomes import ExitCode

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "exit-codes.md").read_text(encoding="utf-8")


def test_every_code_is_on_the_page():
    assert [code for code in (*ExitCode, 2, INTERRUPTED) if f"| {int(code)} |" not in PAGE] == []


def test_commands_on_the_page_exist():
    rows = PAGE.partition("## What a command reports")[2].partition("## ")[0].splitlines()
    named = [words for row in rows if row.startswith("| `") for words in row.split("|")[1].split("`")[1::2]]
    assert len(named) > 10
    help_ = {}
    for action in make_parser()._actions:
        help_ |= action.choices or {}
    for words in named:
        command, *member = words.split()
        assert command in help_
        assert not member or member[0] in help_[command].format_help()
