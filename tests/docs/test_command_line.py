"""docs/reference/command-line.md is the page that the parser of the program makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from trap.cli.parser import make_parser

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "reference" / "command-line.md").read_text(encoding="utf-8")


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(DOCS / "generators")
    import make_command_line  # noqa: PLC0415 (a script, not a package)

    return make_command_line


def test_page_is_current(script):
    assert script.command_line_page() == PAGE, "run: .venv/bin/python docs/generators/make_command_line.py"


def test_every_option_of_every_command_is_in_the_section_of_its_command(script):
    for command, _ in script._commands(make_parser()):
        section = PAGE.partition(f" `{command.prog}`\n\n")[2].partition("\n## ")[0]
        options = [option for action in command._actions for option in action.option_strings]
        assert [option for option in options if f"`{option}" not in section] == (
            ["-h", "--help"] if "--help" in options else []
        )


def test_guides_are_of_commands_that_exist(script):
    assert script.GUIDES.keys() <= {command.prog for command, _ in script._commands(make_parser())}
