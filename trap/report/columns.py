"""A table for other programs: columns with their units and meanings, and the properties that all rows share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.report.export import as_rows
from trap.tables import Column

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from trap.tables import ColumnTable

__all__ = ["ExportTable", "TableColumns", "plain_array", "source_columns"]

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
    """Convert a column to numbers, booleans or text, which every table format can hold.

    Parameters
    ----------
    values
        (n,) — values of any type. Times become ISO 8601 text in UTC. Objects become text if they are text or all None,
        and otherwise float64. A missing value becomes empty text or NaN.
    """
    if values.dtype.kind not in "MO":
        return values
    objects = [row["value"] for row in as_rows({"value": values})]
    if all(value is None or isinstance(value, str) for value in objects):
        return np.array(["" if value is None else value for value in objects], str)
    return np.array([np.nan if value is None else value for value in objects], float)
