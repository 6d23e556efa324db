"""Messages that docs/troubleshooting.md shows are those of the program."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from blocks import read_blocks

from trap.config import PipelineConfig
from trap.dataset.outcomes import ExitCode

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "troubleshooting.md"
TEXT = PAGE.read_text(encoding="utf-8")
FOREIGN = ("bash: ", "trap: usage", "ImportError: ", "RuntimeError: cannot cache")
"""Beginnings of messages of Python, numba and the shell."""
SHORTEST = 6
"""Length of a piece of text that stands for a message."""


def texts_of(tree: ast.AST) -> list[str]:
    """Return the texts of a module, with ``…`` for the values in them."""
    texts = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            texts.append(node.value)
        elif isinstance(node, ast.JoinedStr):
            parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
            texts.append("".join(str(part) for part in parts))
    return texts


@pytest.fixture(scope="module")
def texts():
    """All texts in the code of the program, in one."""
    files = sorted(path for part in ("trap", "flows") for path in (ROOT / part).rglob("*.py"))
    return "\n".join(text for path in files for text in texts_of(ast.parse(path.read_text(encoding="utf-8"))))


MESSAGES = [
    *(line for block in read_blocks(PAGE) if block.language == "text" for line in block.text.splitlines()),
    *(cell for cell in re.findall(r"^\| `(… [^`]+)` \|", TEXT, re.MULTILINE)),
]


@pytest.mark.parametrize("message", [message for message in MESSAGES if not message.startswith(FOREIGN)])
def test_message_is_one_of_the_program(message, texts):
    # A message is made of several texts and values, so that it is compared piece by piece.
    pieces = [piece.strip() for piece in re.split(r"…|'counts'|pip install \S+|\(|\)|: |; |\. ", message)]
    found = [piece for piece in pieces if len(piece) >= SHORTEST]
    assert found
    assert [piece for piece in found if piece not in texts] == []


def test_there_are_messages_of_all_parts():
    assert len(MESSAGES) >= 20


def test_all_exit_codes_are_explained():
    table = TEXT.split("### Exit codes")[1].split("###")[0]
    codes = {int(code) for row in re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE) for code in row.split(", ")}
    assert {*map(int, ExitCode), 2, 130} <= codes


def test_settings_exist():
    fields = {name: field.annotation for name, field in PipelineConfig.model_fields.items()}
    names = [name.split(".") for name in re.findall(r"`([a-z_]+\.[a-z_]+)(?: = [^`]*)?`", TEXT)]
    named = [(section, key) for section, key in names if section in fields]
    assert len(named) > 20
    assert [(section, key) for section, key in named if key not in fields[section].model_fields] == []
