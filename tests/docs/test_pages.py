"""Every block of code in the documentation runs as a reader would paste it, and prints what its page shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from blocks import read_blocks, read_commands
from pages import run_page

from trap.cli.parser import make_parser

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if "_build" not in page.parts]
IDS = [str(page.relative_to(DOCS)) for page in PAGES]
EXECUTED = {"console", "python"}


def runs(page):
    return any(block.language in EXECUTED and "not run" not in block.directives for block in read_blocks(page))


@pytest.mark.own_workers
@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=name)
        for page, name in zip(PAGES, IDS, strict=True)
        if runs(page) and page.parent.name != "tutorial"  # test_tutorial.py follows the lessons, which share a folder
    ],
)
def test_blocks_run_and_print_what_the_page_shows(page, prepared, reader, tmp_path):
    run_page(page, prepared, reader, tmp_path / "page")


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=[*IDS, "README", "CONTRIBUTING"]
)
def test_every_command_is_understood(page):
    commands = [
        command
        for block in read_blocks(page)
        if block.language == "console"
        for command in read_commands(block)
        if command.text.startswith("transients ")
    ]
    for command in commands:
        # The rest is for the shell: a pipe, another command, a file.
        text, *_ = re.split(r" [|&;<>]", command.text.replace("\\\n", " "))
        try:
            make_parser().parse_args(shlex.split(text, comments=True)[1:])
        except SystemExit as stopped:
            if stopped.code:  # --version and --help print, and stop
                pytest.fail(command.text)
