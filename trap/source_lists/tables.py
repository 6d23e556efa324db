"""Tables of source lists before their columns have a meaning: names, units, and cells that are read on demand."""

from __future__ import annotations

import re
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from trap.errors import SourceListError
from trap.escapes import plain_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from trap.typing import Array

__all__ = ["MISSING", "Cells", "ListTable", "Numbers", "Place", "damage", "decimals_of", "numbers_of", "shown"]

MISSING = frozenset({"", "-", "--", "---", "n/a", "na", "nan", "none", "null", "masked"})
"""Texts of cells without a value, in lower case."""
DECIMAL = re.compile(r"[+-]?\d*\.(\d+)")
"""A number that is printed with a fixed number of decimals."""
MAX_SHOWN = 60
"""Largest number of characters of a cell or a name in a message."""


class Numbers(NamedTuple):
    """The numbers of a column.

    Parameters
    ----------
    values
        (n,) — numbers; NaN if a cell has no value.
    decimals
        Number of decimals of the column, if it is printed with a fixed number; otherwise None.
    """

    values: Array
    decimals: int | None = None


class Cells(Protocol):
    """The cells of a table."""

    def read(self, numbers: Sequence[str], labels: Sequence[str]) -> tuple[dict[str, Numbers], dict[str, list[str]]]:
        """Read some columns of a table.

        Parameters
        ----------
        numbers
            Names of columns of numbers.
        labels
            Names of columns of names or of whole numbers, which are read as text.

        Raises
        ------
        SourceListError
            If a cell of a column of numbers is no number.
        """


class Place(NamedTuple):
    """The lines of a text file that hold the rows of a table.

    Parameters
    ----------
    first
        Number of the line of the first row.
    lines
        Numbers of the lines of all rows, if other lines stand between them.
    """

    first: int = 0
    lines: Sequence[int] = ()

    def of(self, row: int) -> str:
        """Name a row for messages, such as ``row 3 (line 5)``.

        Parameters
        ----------
        row
            Number of the row, counted from 0.
        """
        line = self.lines[row] if self.lines else self.first + row
        return f"row {row + 1} (line {line})" if self.first else f"row {row + 1}"


NO_LINES = Place()
"""The rows of a file without lines, which are counted only."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ListTable:
    """A table of a source list.

    Parameters
    ----------
    names
        Names of the columns.
    units
        Units of the columns that have one in the file.
    n_rows
        Number of rows.
    cells
        The cells.
    place
        Lines of the rows, if the file is text.
    notes
        Comments and keywords of the file, which may name its finder.
    """

    names: tuple[str, ...]
    units: Mapping[str, str]
    n_rows: int
    cells: Cells
    place: Place = NO_LINES
    notes: Mapping[str, str] = field(default_factory=dict)

    def find(self, name: str) -> str | None:
        """Find a column.

        Parameters
        ----------
        name
            Name of the column; its letters may differ in case.

        Returns
        -------
        Its name in the file, or None if there is no such column.
        """
        if name in self.names:
            return name
        return next((own for own in self.names if own.casefold() == name.casefold()), None)

    def has(self, names: Sequence[str]) -> bool:
        """Return whether the table has all of some columns.

        Parameters
        ----------
        names
            Names of the columns; their letters may differ in case.
        """
        return all(self.find(name) is not None for name in names)


def numbers_of(texts: Sequence[str], name: str, place: Place, *, first_row: int = 0) -> Array:
    """Convert the cells of a column of text.

    Parameters
    ----------
    texts
        (n,) — the cells.
    name
        Name of the column, for messages.
    place, first_row
        Lines of the rows, and the row of the first cell.

    Raises
    ------
    SourceListError
        If a cell is neither a number nor a mark of a missing value.
    """
    joined = "".join(texts)
    try:
        if _is_plain(joined):
            return np.fromiter(map(float, texts), float, len(texts))
    except ValueError:
        # A cell without a value, or a damaged one: the slower way names it.
        pass
    return np.array([_number(text, name, place, first_row + i) for i, text in enumerate(texts)], float)


def decimals_of(texts: Sequence[str]) -> int | None:
    """Return the largest number of decimals of the cells of a column; None if any has no decimals, or an exponent.

    Parameters
    ----------
    texts
        (n,) — the cells; cells without a value are left out.
    """
    found = [DECIMAL.fullmatch(text.strip()) for text in texts if text.strip().lower() not in MISSING]
    if not found or any(match is None for match in found):
        return None
    return max(len(match[1]) for match in found if match is not None)


def shown(text: object) -> str:
    """Write a cell or a name for a message: on one line, without control characters, and short.

    Parameters
    ----------
    text
        The cell or the name.
    """
    plain = plain_text(text)
    return plain if len(plain) <= MAX_SHOWN else f"{plain[:MAX_SHOWN]}…"


@contextmanager
def damage() -> Iterator[None]:
    """Convert the errors that libraries raise for damaged files, and suppress their warnings.

    Raises
    ------
    SourceListError
        If the library raised any error but one of memory.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except (SourceListError, MemoryError):
        raise
    except Exception as error:
        # Libraries raise any exception for a file that violates its format.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise SourceListError(f"the file is damaged: {shown(reason)}") from error


def _number(text: str, name: str, place: Place, row: int) -> float:
    """Convert a cell; NaN if it has no value."""
    if text.strip().lower() in MISSING:
        return np.nan
    try:
        if _is_plain(text):
            return float(text)
    except ValueError:
        pass
    raise SourceListError(f"column {shown(name)}, {place.of(row)}: '{shown(text)}' is no number")


def _is_plain(text: str) -> bool:
    """Return whether a text has neither the underscores nor the digits of other scripts that Python takes."""
    return text.isascii() and "_" not in text
