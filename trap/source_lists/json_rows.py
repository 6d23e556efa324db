"""Tables in JSON: a list of objects, or an object that holds one under ``sources``, as our own finder prints it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.errors import SourceListError
from trap.source_lists.binary import ArrayCells
from trap.source_lists.tables import ListTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["open_json"]

ROWS = ("sources", "measurements")
"""Keys of the rows in an object."""


def open_json(content: bytes) -> ListTable:
    """Open a table in JSON.

    Parameters
    ----------
    content
        Bytes of the file, in UTF-8.

    Raises
    ------
    SourceListError
        If the content is no JSON, or no list of objects.
    """
    try:
        rows = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise SourceListError(f"the file begins like JSON, but is none: {error}") from error
    if isinstance(rows, list) and len(rows) == 1 and _rows_of(rows[0]) is not None:
        rows = rows[0]  # the description of one image
    inner = _rows_of(rows)
    rows = inner if inner is not None else rows
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        msg = f"JSON without rows; a list holds an object for each source, or has them under {' or '.join(ROWS)}"
        raise SourceListError(msg)
    names = list(dict.fromkeys(name for row in rows for name in row))
    columns = {name: _column([row.get(name) for row in rows]) for name in names}
    return ListTable(
        names=tuple(columns),
        units={},
        n_rows=len(rows),
        cells=ArrayCells(columns.__getitem__, {}),
        notes={"is_json": "yes"},
    )


def _rows_of(value: Any) -> Any:  # noqa: ANN401 (JSON)
    """Return the rows within an object; None if it has none."""
    if not isinstance(value, dict):
        return None
    return next((value[key] for key in ROWS if key in value), None)


def _column(cells: list[Any]) -> NDArray[Any]:
    """Return a column; null becomes NaN in numbers, and empty text in texts."""
    if all(cell is None or (isinstance(cell, int | float) and not isinstance(cell, bool)) for cell in cells):
        try:
            return np.array([np.nan if cell is None else float(cell) for cell in cells], float)
        except OverflowError:
            return np.array([str(cell) for cell in cells], object)
    return np.array([None if cell is None else str(cell) for cell in cells], object)
