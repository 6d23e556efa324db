"""The page of source lists: its commands, its table and its messages are true."""

from __future__ import annotations

import csv
import re
import shlex
from pathlib import Path

import pytest

from trap.cli.parser import make_parser
from trap.config import PipelineConfig
from trap.run import pairing, pairing_table
from trap.run.pairing import check_pattern, pair_images

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "source-lists.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^\$ (transients .*--catalogues.*)$", PAGE, re.MULTILINE)


def test_commands_on_the_page_are_understood():
    assert len(COMMANDS) == 3
    for command in COMMANDS:
        check_pattern(make_parser().parse_args(shlex.split(command)[1:]).catalogues)


def test_the_table_on_the_page_is_read(tmp_path):
    (text,) = re.findall(r"```text\n(catalogue,.*?)```", PAGE, re.DOTALL)
    (tmp_path / "lists.csv").write_text(text)
    config = PipelineConfig().with_options(reading={"catalogues": str(tmp_path / "lists.csv")})
    lists = pair_images(config).lists
    assert [one.given.taustart_ts.day for one in lists.values()] == [1, 15]
    assert all(not one.problem and one.circle.radius == 3.3 for one in lists.values())
    assert len(list(csv.reader(text.splitlines()))) == 3


def test_every_column_of_a_table_is_described():
    described = set(re.findall(r"`([a-z_]+)`", PAGE))
    assert {*pairing_table.PATHS, *pairing_table.VALUES, *pairing_table.NUMBERS} <= described
    assert {f"{{{name}}}" for name in pairing.PLACEHOLDERS} <= set(re.findall(r"`(\{[a-z]+\})`", PAGE))


@pytest.mark.parametrize("words", ["it has no source list (", "is paired with 2 images", "no image has a source list"])
def test_messages_on_the_page_are_messages_of_the_code(words):
    code = Path(pairing.__file__).read_text(encoding="utf-8").replace("{len(urls)}", "2")
    assert words in PAGE
    assert words in code
