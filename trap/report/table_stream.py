"""Tables on their way into files: columns with their meanings, and rows in chunks.

A writer reads the chunks one after the other and keeps none of them, so that its memory does not grow with the number
of rows. Cells of text are made column by column, which is several times faster than row by row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from numpy.typing import NDArray

    from trap.tables import Column
    from trap.typing import Columns

__all__ = ["CellStyle", "TableStream", "is_text", "parts", "rows_of_cells", "time_text"]

ROWS_AT_ONCE = 5_000
"""Number of rows whose cells are in memory as text."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TableStream:
    """A table to be written.

    Parameters
    ----------
    name
        Plural noun for the rows: "sources".
    columns
        Unit, meaning and UCD of each column. The dtype is that of the values of all chunks; object stands for text.
    chunks
        (n,) values of each column: numbers, booleans, ``datetime64``, and text as objects or as numpy text. Masked
        whole numbers, NaN, NaT and None are missing.
    n_rows
        Number of rows of all chunks together.
    about
        Properties that all rows share, such as the dataset; formats without a header leave them out.
    widths
        Largest number of characters of each column of text, as :func:`trap.escapes.plain_text` writes it.
    """

    name: str
    columns: Mapping[str, Column]
    chunks: Iterable[Columns]
    n_rows: int
    about: Mapping[str, str | float] = field(default_factory=dict)
    widths: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellStyle:
    """How a format writes values as text.

    Parameters
    ----------
    text
        Function that escapes text.
    time
        Function that encloses a time in ISO 8601.
    missing
        Cell of a missing whole number, time or text.
    not_finite
        Function that writes NaN and infinity.
    booleans
        Cells of False and True.
    """

    text: Callable[[str], str]
    time: Callable[[str], str] = str
    missing: str = ""
    not_finite: Callable[[float], str] = lambda _: ""
    booleans: tuple[str, str] = ("False", "True")


def is_text(column: Column) -> bool:
    """Return whether the values of a column are text."""
    return column.dtype.kind in "OU"


def parts(chunks: Iterable[Columns], n: int = ROWS_AT_ONCE) -> Iterator[Columns]:
    """Divide chunks into parts of at most n rows.

    Parameters
    ----------
    chunks
        Columns of one length each.
    n
        Largest number of rows.
    """
    for chunk in chunks:
        length = len(next(iter(chunk.values())))
        for start in range(0, length, n):
            yield {name: values[start : start + n] for name, values in chunk.items()}


def rows_of_cells(columns: Columns, style: CellStyle) -> Iterator[tuple[str, ...]]:
    """Yield the cells of each row as text.

    Parameters
    ----------
    columns
        (n,) values by name.
    style
        How values are written.
    """
    return zip(*(_cells(values, style) for values in columns.values()), strict=True)


def time_text(values: NDArray[np.datetime64]) -> list[str]:
    """Write times in ISO 8601, in UTC, to the microsecond; NaT becomes empty text.

    Parameters
    ----------
    values
        (n,) — times.
    """
    distinct, inverse = np.unique(values.astype("M8[us]"), return_inverse=True)
    texts = ["" if moment is None else f"{moment.isoformat()}Z" for moment in distinct.tolist()]
    return [texts[i] for i in inverse.tolist()]


def _cells(values: NDArray[Any], style: CellStyle) -> list[str]:
    """Write the values of a column as text."""
    kind = values.dtype.kind
    if kind == "f":
        cells = list(map(repr, values.tolist()))
        for i in np.flatnonzero(~np.isfinite(values)).tolist():
            cells[i] = style.not_finite(float(values[i]))
        return cells
    if kind == "b":
        return [style.booleans[value] for value in values.tolist()]
    if kind == "M":
        return [style.time(text) if text else style.missing for text in time_text(values)]
    listed = values.tolist()
    if kind in "iu":
        return [style.missing if value is None else str(value) for value in listed]
    texts = {value: style.missing if value is None else style.text(value) for value in set(listed)}
    return [texts[value] for value in listed]
