"""All that is known of the sources of one image, column by column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trap.tables import Column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trap.tables import ColumnTable

__all__ = ["SourceColumns", "source_columns"]

SourceColumns = dict[str, tuple[Column, "NDArray[Any]"]]
"""What each column is, and its values."""


def source_columns(tables: Sequence[ColumnTable], names: Sequence[str] = ()) -> SourceColumns:
    """Put tables of the same sources side by side.

    Parameters
    ----------
    tables
        Of equal length, without a column in common.
    names
        What the sources are called, if any of them has a name; the first column then.
    """
    columns: SourceColumns = {}
    if any(names):
        values = np.asarray([str(name) for name in names])
        columns["name"] = (Column(values.dtype, "", "Name that was given with the position."), values)
    for table in tables:
        columns |= {name: (column, getattr(table, name)) for name, column in table.columns().items()}
    return columns
