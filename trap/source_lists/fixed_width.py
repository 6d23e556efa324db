"""Tables of text with columns of fixed width, as Selavy writes them, read as one array of characters.

This is two to three times as fast as splitting lines. The numbers are the same to the last bit: a number with a fixed
number of decimals is a whole number over a power of ten, both exact, and a division is rounded correctly. Whatever does
not fit (lines of different lengths, blanks within a column, exponents) is left to :mod:`trap.source_lists.text`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trap.source_lists.tables import Numbers, Place, decimals_of, numbers_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trap.typing import Array

__all__ = ["FixedCells", "fixed_columns"]

BLANK, MINUS, POINT, ZERO, NEWLINE = (ord(character) for character in " -.0\n")
FIRST_PRINTABLE, LAST_PRINTABLE = 32, 126
CHUNK = 10_000
"""Number of rows that are compared at once, since the comparison takes as much memory as the rows."""
MAX_DIGITS = 15
"""Largest number of digits of a whole number that is exact in double precision."""


@dataclass(frozen=True, slots=True, eq=False)
class FixedCells:
    """The cells of a table with columns of fixed width.

    Parameters
    ----------
    characters
        (n, width) — characters of the rows.
    spans
        First character of each column and the one after its last, by name.
    place
        Lines of the rows.
    """

    characters: NDArray[np.uint8]
    spans: dict[str, tuple[int, int]]
    place: Place

    def read(self, numbers: Sequence[str], labels: Sequence[str]) -> tuple[dict[str, Numbers], dict[str, list[str]]]:
        """Read some columns, with the decimals of columns that have zeros.

        Parameters
        ----------
        numbers, labels
            As for :meth:`trap.source_lists.tables.Cells.read`.
        """
        return {name: self._numbers(name) for name in numbers}, {name: self._texts(name) for name in labels}

    def _numbers(self, name: str) -> Numbers:
        found = _decimal_numbers(self._block(name))
        if found is not None:
            return found
        texts = self._texts(name)
        values = numbers_of(texts, name, self.place)
        return Numbers(values, decimals_of(texts) if (values == 0).any() else None)

    def _texts(self, name: str) -> list[str]:
        """Return the cells of a column."""
        first, end = self.spans[name]
        if first == end:
            return [""] * len(self.characters)
        # The blank before a column separates the cells.
        cells = self.characters[:, first - 1 : end].tobytes().decode("ascii").split() if first else []
        if len(cells) == len(self.characters):
            return cells
        block = np.ascontiguousarray(self._block(name))
        return [cell.decode("ascii").strip() for cell in block.view(f"S{block.shape[1]}").ravel().tolist()]

    def _block(self, name: str) -> NDArray[np.uint8]:
        first, end = self.spans[name]
        return self.characters[:, first:end]


def fixed_columns(content: bytes, start: int) -> tuple[NDArray[np.uint8], list[tuple[int, int]]] | None:
    """Find the columns of fixed width in rows of text, which blanks separate in all rows.

    Parameters
    ----------
    content
        Content of the file.
    start
        Place of the first row.

    Returns
    -------
    (n, width) characters of the rows, and the columns as first character and the one after the last; None if the rows
    differ in length, have other characters than printable ASCII, or differ in their number of fields.
    """
    width = content.find(b"\n", start) + 1 - start
    if width <= 1 or (len(content) - start) % width:
        return None
    lines = np.frombuffer(content, np.uint8, offset=start).reshape(-1, width)
    rows = lines[:, :-1]
    is_text = (lines[:, -1] == NEWLINE).all() and rows.min() >= FIRST_PRINTABLE and rows.max() <= LAST_PRINTABLE
    if not is_text or (rows[:, 0] == ord("#")).any():
        return None
    is_used = np.zeros(width + 1, np.int8)
    n_fields: set[int] = set()
    for first in range(0, len(rows), CHUNK):
        part = rows[first : first + CHUNK]
        is_full = np.zeros((len(part), width), bool)
        np.not_equal(part, BLANK, out=is_full[:, 1:])
        n_fields.update(np.count_nonzero(is_full[:, 1:] > is_full[:, :-1], axis=1).tolist())
        is_used[:-1] |= is_full.any(axis=0)
    edges = np.flatnonzero(np.diff(is_used))
    spans = [(int(first), int(end)) for first, end in edges.reshape(-1, 2)]
    return (rows, spans) if n_fields == {len(spans)} else None


def _decimal_numbers(block: NDArray[np.uint8]) -> Numbers | None:
    """Convert a column of numbers with the decimal point at one place; None if a cell has another form."""
    is_point, is_blank, is_minus = block == POINT, block == BLANK, block == MINUS
    digits = block - ZERO  # of unsigned numbers: all characters but digits are above 9
    is_digit = digits <= 9
    points = np.flatnonzero(is_point.all(axis=0))
    n_characters = sum(map(np.count_nonzero, (is_digit, is_blank, is_minus))) + len(points) * len(block)
    # Blanks stand before the number only, and a minus after a blank or first.
    is_misplaced = (is_blank[:, 1:] & ~is_blank[:, :-1]).any() or (is_minus[:, 1:] & ~is_blank[:, :-1]).any()
    if n_characters != block.size or len(points) > 1 or is_misplaced or not is_digit[:, -1].all():
        return None
    places = is_digit.any(axis=0)
    if places.sum() > MAX_DIGITS:
        return None
    decimals = block.shape[1] - 1 - int(points[0]) if len(points) else 0
    powers = np.zeros(block.shape[1])
    order = np.flatnonzero(places)[::-1]
    powers[order] = 10.0 ** np.arange(len(order))
    whole: Array = (digits * is_digit).astype(float) @ powers
    values = np.where(is_minus.any(axis=1), -whole, whole) / 10.0**decimals
    return Numbers(values, decimals if decimals and (values == 0).any() else None)
