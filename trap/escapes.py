"""Text of files, headers and users in output: one function for each kind of output.

The name of a file, a telescope or a source may hold anything: escape codes that a terminal obeys, line breaks that
forge a line of a log, marks that reverse the direction of writing, links of Markdown, formulas of a spreadsheet. Data
for programs (JSON, events, the database) keep the text as it is.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["csv_text", "markdown_text", "plain_lines", "plain_page", "plain_text"]

# Some languages' spreadsheets also take the full-width forms.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")  # noqa: RUF001
"""Characters at the beginning of a cell that make a spreadsheet compute it."""
_MARKDOWN = re.compile(
    r"""[\\`*\[\]<>|~&@]          # marks of Markdown and of HTML, and addresses of mail
    | (?<![^\W_])_ | _(?![^\W_])  # a line below a letter is no mark within a word
    | (?<=[A-Za-z]):(?=\S)        # javascript:, https:
    | (?<=www)\.                  # www.example.org
    """,
    re.VERBOSE,
)
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def plain_text(value: object) -> str:
    r"""Write a value on one line, for a terminal, a log or a figure.

    Characters without a picture of their own are written as in Python: ``\x1b`` for escape, ``\n`` for a line break,
    ``\u202e`` for a mark of direction, ``\xff`` for a byte of a file name that is not UTF-8.
    """
    text = str(value)
    return text if text.isprintable() else "".join(map(_visible, text))


def plain_lines(lines: Iterable[object]) -> str:
    """Write lines for a terminal, each as :func:`plain_text` does."""
    return "\n".join(map(plain_text, lines))


def plain_page(text: str) -> str:
    """Write a text whose line breaks are its own, such as a traceback, for a terminal."""
    return plain_lines(text.split("\n"))


def markdown_text(value: object) -> str:
    """Write a value as text of Markdown, on one line: without marks, HTML and links, also within a cell of a table."""
    return _MARKDOWN.sub(r"\\\g<0>", plain_text(" ".join(str(value).split())))


def csv_text(value: str) -> str:
    """Write the text of a cell: on one line, and with an apostrophe before the beginning of a formula.

    Numbers remain as they are, also negative ones.
    """
    text = plain_text(value)
    return f"'{text}" if value.startswith(FORMULA) and not _is_number(text) else text


def _visible(character: str) -> str:
    """Return a character as it is, or as an escape sequence if it is not printed, or changes the text around it."""
    if character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    number = ord(character)
    if 0xDC80 <= number <= 0xDCFF:  # a byte that is not UTF-8, as Python reads it
        number -= 0xDC00
    if number < 0x100:
        return _SHORT.get(character) or f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
