"""Files and commands of the README exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from trap.cli.parser import make_parser

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^\$ transients (.*)$", README, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_of_the_readme_are_understood(command):
    assert make_parser().parse_args(shlex.split(command, comments=True)).handler


def test_readme_shows_commands():
    assert len(COMMANDS) >= 5
    assert "$ make demo\n$ make test\n" in README


@pytest.mark.parametrize("link", re.findall(r"\]\(((?!http)[^)]+)\)", README))
def test_links_of_the_readme_lead_somewhere(link):
    assert (ROOT / link).exists()


def test_figure_of_the_readme_is_small():
    assert (ROOT / "docs/images/lightcurves.png").stat().st_size < 150_000
