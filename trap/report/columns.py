"""A table for other programs: columns with their units and meanings, and the properties that all rows share."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.escapes import plain_text
from trap.report.table_stream import TableStream
from trap.tables import Column

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from trap.tables import ColumnTable

__all__ = ["ExportTable", "TableColumns", "plain_array", "source_columns", "text_width"]

TableColumns = dict[str, tuple[Column, "NDArray[Any]"]]
"""Unit, meaning and values of each column, by name."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExportTable:
    """A table to be written in any of the formats of :mod:`trap.report.formats`.

    Parameters
    ----------
    name
        Plural noun for the rows: "sources".
    columns
        Unit, meaning and (n,) values of each column.
    about
        Properties that all rows share, such as the image; formats without a header leave them out.
    """

    name: str
    columns: TableColumns
    about: Mapping[str, str | float] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, NDArray[Any]]:
        """The (n,) values of each column, by name."""
        return {name: values for name, (_, values) in self.columns.items()}

    def stream(self) -> TableStream:
        """Return the table as one chunk for the writers of files."""
        plain = {name: plain_array(values) for name, values in self.values.items()}
        return TableStream(
            name=self.name,
            columns={name: replace(column, dtype=plain[name].dtype) for name, (column, _) in self.columns.items()},
            chunks=[plain],
            n_rows=len(next(iter(plain.values()), [])),
            about=self.about,
            widths={name: text_width(values) for name, values in plain.items() if values.dtype.kind in "OU"},
        )


def source_columns(tables: Sequence[ColumnTable], names: Sequence[str] = ()) -> TableColumns:
    """Put tables of the same sources side by side.

    Parameters
    ----------
    tables
        Tables of equal length without a common column.
    names
        Names of the sources, which become the first column; it is left out if all of them are empty.
    """
    columns: TableColumns = {}
    if any(names):
        values = np.asarray([str(name) for name in names])
        columns["name"] = (Column(values.dtype, "", "Name that was given with the position.", ucd="meta.id"), values)
    for table in tables:
        columns |= {name: (column, getattr(table, name)) for name, column in table.columns().items()}
    return columns


def plain_array(values: NDArray[Any]) -> NDArray[Any]:
    """Convert a column to numbers, booleans, times or text, which every table format can hold.

    Parameters
    ----------
    values
        (n,) — values of any type. Objects are text if they are text or all None, int64 if they are whole numbers,
        and otherwise float64. A missing value stays None in text, is masked among whole numbers, and becomes NaN.
    """
    if values.dtype != object:
        return values
    listed = values.tolist()
    if all(value is None or isinstance(value, str) for value in listed):
        return values
    if all(value is None or isinstance(value, int | np.integer) for value in listed):
        mask = [value is None for value in listed]
        return np.ma.MaskedArray(np.array([0 if value is None else value for value in listed], np.int64), mask)
    return np.array([np.nan if value is None else value for value in listed], float)


def text_width(values: NDArray[Any]) -> int:
    """Return the largest number of characters of texts on one line; at least 1.

    Parameters
    ----------
    values
        (n,) — texts.
    """
    return max((len(plain_text(text)) for text in set(values.tolist()) if text is not None), default=1) or 1
