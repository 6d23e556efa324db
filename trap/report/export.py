"""Values and rows of columns as plain values, and as JSON."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import ArrayLike

__all__ = ["as_json", "as_rows"]


def as_rows(columns: Mapping[str, ArrayLike]) -> Iterator[dict[str, Any]]:
    """Yield the rows of columns as plain Python values.

    Times become ISO 8601 text in UTC. NaN, infinity and missing times become None.

    Parameters
    ----------
    columns
        (n,) values by name.
    """
    values = (np.asarray(column).tolist() if _is_plain(column) else _objects(column) for column in columns.values())
    for row in zip(*values, strict=True):
        yield dict(zip(columns, map(_plain, row), strict=True))


def as_json(value: Any) -> str:  # noqa: ANN401 (any value that JSON can hold)
    """Write a value as JSON in ASCII, for any terminal. NaN and infinity, which JSON does not have, become null."""
    return json.dumps(_plain(value), indent=2)


def _is_plain(column: ArrayLike) -> bool:
    return np.asarray(column).dtype.kind not in "MO"


def _objects(column: ArrayLike) -> list[Any]:
    """Return times as datetimes, to the microsecond, and other objects as they are."""
    array = np.asarray(column)
    return list(array.astype("M8[us]").tolist()) if array.dtype.kind == "M" else list(array)


def _plain(value: Any) -> Any:  # noqa: ANN401
    """Convert a value, and all values inside it, to types that JSON has."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, datetime):
        utc = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
        return f"{utc.isoformat()}Z"
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
