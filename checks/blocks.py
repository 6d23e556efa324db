"""Blocks of code in a page of the documentation, with the directives that comments before them give."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

COMMENT = re.compile(r"<!--\s*([a-z ]+?)\s*(?::\s*(.*?)\s*)?-->", re.DOTALL)
DIRECTIVES = {"prepared", "continues", "file", "not run", "fails", "until"}
"""Comments that are directives: see :mod:`pages`. Any other comment belongs to the authors of a page."""
AT_THE_TOP = {"prepared", "continues"}
"""Directives for the whole page, which need not stand before a block."""


class Block(NamedTuple):
    """A fenced block."""

    line: int
    """Line of the fence in the page, from 1."""
    language: str
    text: str
    directives: dict[str, str]
    output: str | None
    """Expected output of a block of Python: the text block that follows it, if one does."""


class Command(NamedTuple):
    """A command of a console block, which may have several lines, with the output below it."""

    line: int
    text: str
    output: str | None


def read_blocks(page: Path) -> list[Block]:
    """Read the blocks of a page in order.

    Raises
    ------
    ValueError
        If a directive is not before a block.
    """
    return list(_blocks(MarkdownIt().parse(page.read_text(encoding="utf-8"))))


def read_commands(block: Block) -> list[Command]:
    """Split a console block into its commands, each after a prompt, and their outputs."""
    commands: list[Command] = []
    has_more = False
    for line, text in enumerate(block.text.splitlines(), block.line + 1):
        if text.startswith("$ "):
            commands.append(Command(line, text[2:], None))
        elif not commands:
            raise ValueError(f"line {line}: a console block begins with a prompt, not with {text!r}")
        elif has_more:
            commands[-1] = commands[-1]._replace(text=f"{commands[-1].text}\n{text}")
        else:
            commands[-1] = commands[-1]._replace(output=f"{commands[-1].output or ''}{text}\n")
        has_more = text.endswith("\\") and commands[-1].output is None
    return commands


def _blocks(tokens: list[Token]) -> Iterator[Block]:
    """Yield the fenced blocks among the tokens of a page, each with the directives before it."""
    directives: dict[str, str] = {}
    is_output = False
    for token, follower in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "html_block":
            found = {name: text for name, text in COMMENT.findall(token.content) if name in DIRECTIVES}
            directives.update(found)
        elif token.type == "fence" and token.map is not None:
            if not is_output:
                language = token.info.split()[0] if token.info else ""
                is_output = language == "python" and _is_output(follower)
                output = follower.content if is_output and follower is not None else None
                yield Block(token.map[0] + 1, language, token.content, directives, output)
            else:
                is_output = False
            directives = {}
        elif directives.keys() - AT_THE_TOP and token.type not in ("inline", "paragraph_open", "paragraph_close"):
            raise ValueError(f"the directives {sorted(directives)} are not before a block of code")


def _is_output(token: Token | None) -> bool:
    return token is not None and token.type == "fence" and token.info == "text"
