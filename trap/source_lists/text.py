"""Tables of text: columns of fixed width, CSV and ECSV, with headings in comments or in a line of their own."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from astropy.table import Table

from trap.errors import SourceListError
from trap.source_lists.fixed_width import FixedCells, fixed_columns
from trap.source_lists.tables import MISSING, ListTable, Numbers, Place, damage, decimals_of, numbers_of, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["open_text"]

DELIMITERS = (",", "\t", ";", "|")
BRACKETS = re.compile(r"\s*(.*?)\s*(?:[\[(]([^\])]*)[\])])?\s*")
"""Heading of a column: its name, and its unit in brackets if it has one."""
TOKEN = re.compile(r"\S+")
NOTE = re.compile(r"#\s*([A-Za-z][A-Za-z ]*?)\s*:\s*(.*?)\s*")
CHUNK = 50_000
"""Number of lines that are split at once: their fields take ten times the memory of the numbers."""
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
BARE_RETURN = re.compile(r"\r(?!\n)")
ECSV = "# %ECSV"


class Heading(NamedTuple):
    """Names and units of the columns, and the mark between the columns; a blank for columns of fixed width."""

    names: tuple[str, ...]
    units: dict[str, str]
    delimiter: str
    is_quoted: bool = True
    """Whether cells may stand in quotation marks; columns of fixed width have none."""


@dataclass(frozen=True, slots=True, eq=False)
class TextCells:
    """The cells of a table of text, which are split and converted when they are needed.

    Parameters
    ----------
    lines
        Lines of the rows.
    heading
        Names of the columns, and the mark between them.
    place
        Numbers of the lines.
    """

    lines: Sequence[str]
    heading: Heading
    place: Place

    def read(self, numbers: Sequence[str], labels: Sequence[str]) -> tuple[dict[str, Numbers], dict[str, list[str]]]:
        """Read some columns, with the decimals of printed columns that have zeros.

        Parameters
        ----------
        numbers, labels
            As for :meth:`trap.source_lists.tables.Cells.read`.
        """
        index = {name: number for number, name in enumerate(self.heading.names)}
        values: dict[str, list[np.ndarray]] = {name: [np.empty(0)] for name in numbers}
        decimals: dict[str, list[int | None]] = {name: [] for name in numbers}
        texts: dict[str, list[str]] = {name: [] for name in labels}
        for first in range(0, len(self.lines), CHUNK):
            rows = self._split(first)
            for name in numbers:
                cells = [row[index[name]] for row in rows]
                values[name].append(numbers_of(cells, name, self.place, first_row=first))
                if (values[name][-1] == 0).any():
                    decimals[name].append(decimals_of(cells))
            for name in labels:
                texts[name] += [row[index[name]].strip() for row in rows]
        return {name: Numbers(np.concatenate(values[name]), _common(decimals[name])) for name in numbers}, texts

    def _split(self, first: int) -> list[list[str]]:
        """Split some lines into their fields.

        Raises
        ------
        SourceListError
            If a line has more or fewer fields than the heading.
        """
        lines, n_columns = self.lines[first : first + CHUNK], len(self.heading.names)
        delimiter = self.heading.delimiter
        if self.heading.is_quoted and any('"' in line for line in lines):
            rows = _quoted(lines, delimiter, lambda row: self.place.of(first + row))
        elif delimiter == " ":
            # The last column of a selavy list is a comment, which is empty or has blanks.
            rows = [line.split(None, n_columns - 1) for line in lines]
            rows = [[*row, ""] if len(row) == n_columns - 1 else row for row in rows]
        else:
            rows = [line.split(delimiter) for line in lines]
        for i, row in enumerate(rows):
            if len(row) != n_columns:
                msg = f"{self.place.of(first + i)} has {len(row)} fields, and there are {n_columns} columns"
                raise SourceListError(f"{msg}; the file may be cut short")
        return rows


def open_text(content: bytes) -> ListTable:
    """Open a table of text.

    Parameters
    ----------
    content
        Content of the file, in UTF-8.

    Raises
    ------
    SourceListError
        If the content is no text in UTF-8, or has no heading.
    """
    fixed = _open_fixed(content)
    if fixed is not None:
        return fixed
    text = _decoded(content)
    _refuse_bare_returns(text)
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    data = [i for i, line in enumerate(lines) if line and line[0] != "#" and not line.isspace()]
    comments = [line for line in lines[: data[0] if data else None] if line.startswith("#")]
    if comments and comments[0].startswith(ECSV):
        if not data:
            raise SourceListError("an ECSV file without a line of headings")
        heading, first = _ecsv_heading(lines[: data[0] + 1]), 1
    elif data and (own := _own_heading(lines[data[0]])) is not None:
        heading, first = own, 1
    else:
        heading, first = _comment_heading(comments, lines[data[0]] if data else ""), 0
    rows = data[first:]
    is_whole = bool(rows) and rows[-1] - rows[0] == len(rows) - 1
    place = Place(rows[0] + 1 if rows else 1, () if is_whole else [row + 1 for row in rows])
    texts = lines[rows[0] : rows[-1] + 1] if is_whole else [lines[row] for row in rows]
    return ListTable(
        names=heading.names,
        units=heading.units,
        n_rows=len(rows),
        cells=TextCells(texts, heading, place),
        place=place,
        notes=_notes(comments),
    )


def _open_fixed(content: bytes) -> ListTable | None:
    """Open a table with columns of fixed width below comments; None if it is of another kind."""
    start, n_comments = 0, 0
    while content[start : start + 1] == b"#":
        start, n_comments = content.find(b"\n", start) + 1, n_comments + 1
        if not start:
            return None
    found = fixed_columns(content, start) if n_comments and not content.startswith(ECSV.encode()) else None
    if found is None:
        return None
    rows, spans = found
    comments, first_row = content[:start].decode(errors="replace").split("\n")[:-1], rows[0].tobytes().decode()
    if _own_heading(first_row) is not None or "," in first_row:
        return None
    heading = _comment_heading(comments, first_row)
    # The last column of a selavy list is a comment, which may be empty in all rows.
    spans += [(0, 0)] * (len(heading.names) - len(spans))
    if len(spans) != len(heading.names):
        return None
    place = Place(n_comments + 1)
    return ListTable(
        names=heading.names,
        units=heading.units,
        n_rows=len(rows),
        cells=FixedCells(rows, dict(zip(heading.names, spans, strict=True)), place),
        place=place,
        notes=_notes(comments),
    )


def _decoded(content: bytes) -> str:
    """Decode a text in UTF-8, with or without a byte order mark."""
    if content.startswith(UTF_16) or b"\0" in content[:4]:
        raise SourceListError("the text is in UTF-16 or UTF-32; a list must be in UTF-8")
    if (zero := content.find(b"\0")) >= 0:
        raise SourceListError(f"byte {zero} is zero: the file is neither text nor a table of a known format")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        msg = f"line {line} has the byte 0x{content[error.start]:02x}, which is not UTF-8"
        raise SourceListError(f"{msg}; convert the list from its encoding, such as Latin-1") from error


def _own_heading(line: str) -> Heading | None:
    """Return the heading in the first line that is no comment; None if the line has numbers, as rows do."""
    delimiter = next((mark for mark in DELIMITERS if mark in line), " ")
    cells = _quoted([line], delimiter, lambda _: "the line of headings")[0]
    if any(map(_is_number, cells)) or any(cell and cell.lower() in MISSING for cell in cells):
        return None
    found = [BRACKETS.fullmatch(cell) for cell in cells]
    names = tuple(match[1] if match is not None else "" for match in found)
    units = {match[1]: match[2].strip() for match in found if match is not None and match[2]}
    return Heading(_distinct(names), units, delimiter)


def _quoted(lines: Sequence[str], delimiter: str, where: Callable[[int], str]) -> list[list[str]]:
    """Split lines whose cells may stand in quotation marks; a function names a line for messages."""
    rows: list[list[str]] = []
    reader = csv.reader(map(str.strip, lines), delimiter=delimiter, skipinitialspace=True)
    try:
        for row in reader:
            if reader.line_num != len(rows) + 1:
                column = (
                    f"column {len(next(csv.reader([lines[len(rows)]], delimiter=delimiter, skipinitialspace=True)))}"
                )
                msg = f"{where(len(rows))}, {column}: a quotation mark is not closed in its line"
                raise SourceListError(f"{msg}; a cell in quotation marks goes over several lines")
            rows.append(row)
    except csv.Error as error:
        raise SourceListError(f"{where(len(rows))}: the file is damaged: {shown(error)}") from error
    return rows


def _refuse_bare_returns(text: str) -> None:
    """Refuse lines that end by a carriage return alone, which would be one line."""
    found = BARE_RETURN.search(text) if "\r" in text and '"' not in text else None
    if found is not None:
        line = text.count("\n", 0, found.start()) + 1
        msg = f"line {line} has a carriage return without a line feed, as old Macintosh files have"
        raise SourceListError(f"{msg}; convert the line ends, such as by: tr '\\r' '\\n' < old > new")


def _comment_heading(comments: Sequence[str], row: str) -> Heading:
    """Return the heading in comments: the last line with a name for each column, and a line of units below it."""
    delimiter = "," if "," in (row or (comments[-1] if comments else "")) else " "
    n_fields = len(row.split(delimiter if delimiter == "," else None))
    for i in range(len(comments) - 1, -1, -1):
        line = comments[i].removeprefix("#")
        names = [name.strip() for name in line.split(delimiter if delimiter == "," else None)]
        if names[:1] and (not row or n_fields <= len(names) <= n_fields + 1) and not _is_units(names):
            if not row and len(names) < MIN_COLUMNS:
                continue
            below = comments[i + 1] if i + 1 < len(comments) else ""
            units = _aligned_units(comments[i], below)
            return Heading(_distinct(tuple(names)), units, delimiter, is_quoted=delimiter != " ")
    if row:
        raise SourceListError(f"the first row has {n_fields} fields, and no line above has as many names of columns")
    return Heading((), {}, " ")


MIN_COLUMNS = 4
"""Least number of names in a heading of a list without rows: sentences of comments have as many words, or fewer."""


def _is_units(cells: Sequence[str]) -> bool:
    """Return whether a line below the names of columns has their units."""
    return all(cell.startswith("[") or not cell.strip("-") for cell in cells)


def _aligned_units(names: str, units: str) -> dict[str, str]:
    """Return the units in the line below the names; columns of fixed width end at the same character in both."""
    ends = {match.end(): match[0] for match in TOKEN.finditer(names)}
    found = {match.end(): match[0] for match in TOKEN.finditer(units.replace("#", " ", 1))}
    return {
        ends[end]: text[1:-1]
        for end, text in found.items()
        if end in ends and text.startswith("[") and text.endswith("]")
    }


def _ecsv_heading(lines: Sequence[str]) -> Heading:
    """Return the heading of an ECSV file, whose comments describe the columns."""
    with damage():
        table = Table.read(list(lines), format="ascii.ecsv")
    units = {name: str(table[name].unit) for name in table.colnames if table[name].unit}
    delimiter = "," if any(line.startswith("# delimiter:") and "," in line for line in lines) else " "
    return Heading(tuple(table.colnames), units, delimiter)


def _distinct(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of columns; refuse a name that two columns have."""
    if len(set(names)) < len(names):
        twice = next(name for name, count in Counter(names).items() if count > 1)
        raise SourceListError(f"two columns have the name '{shown(twice)}'")
    return names


def _notes(comments: Sequence[str]) -> dict[str, str]:
    """Return the comments of a file as one text, and those of the form ``name: value``."""
    found = [NOTE.fullmatch(line.strip()) for line in comments]
    return {"comments": "\n".join(comments)} | {match[1].lower(): match[2] for match in found if match is not None}


def _common(decimals: Sequence[int | None]) -> int | None:
    """Return the largest number of decimals, or None if a part of the column has no fixed number."""
    known = [number for number in decimals if number is not None]
    return max(known) if known and len(known) == len(decimals) else None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.strip().lower() not in {"nan", "inf", "infinity"}
