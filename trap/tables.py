"""Typed tables of equal-length columns: what the stages hand to each other.

A :class:`ColumnTable` is a frozen dataclass whose fields are read-only one-dimensional numpy
columns, each with one dtype, one unit and one sentence of meaning, stated once and used for the
documentation, the database and the exports alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any, NoReturn, Self

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, DTypeLike, NDArray

__all__ = ["Column", "ColumnTable", "column"]


@dataclass(frozen=True, slots=True)
class Column:
    """What one column of a table holds.

    Parameters
    ----------
    dtype
        Numpy dtype of the column.
    unit
        Unit as astropy writes it; empty where dimensionless.
    doc
        One sentence: the meaning of a value, and of NaN where it can occur.
    """

    dtype: np.dtype[Any]
    unit: str
    doc: str


def column(dtype: DTypeLike, unit: str, doc: str, *, default: float | None = None) -> Any:  # noqa: ANN401 (a dataclass field)
    """Declare a column of a :class:`ColumnTable`.

    Parameters
    ----------
    dtype, unit, doc
        See :class:`Column`.
    default
        Value of every row when the column is not given; None makes the column required.
    """
    metadata = {"column": Column(np.dtype(dtype), unit, doc)}
    if default is None:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ColumnTable:
    """Base of all tables: equal-length, read-only columns.

    Any array-like is accepted on construction and converted to the declared dtype; a scalar fills
    the whole column.

    Raises
    ------
    ValueError
        If a column is not one-dimensional, or the lengths differ.
    """

    def __post_init__(self) -> None:
        values = {name: np.asarray(getattr(self, name), spec.dtype) for name, spec in _columns(type(self)).items()}
        lengths = {value.size for value in values.values() if value.ndim == 1}
        if len(lengths) > 1 or any(value.ndim > 1 for value in values.values()):
            self._refuse(values)
        n_rows = next(iter(lengths), 1)
        # Views, so that freezing a column does not freeze the caller's own array.
        self._hold(
            {name: value.view() if value.ndim else np.full(n_rows, value) for name, value in values.items()},
        )

    def _refuse(self, values: Mapping[str, NDArray[Any]]) -> NoReturn:
        shapes = {name: value.shape for name, value in values.items() if value.ndim > 1}
        msg = f"{type(self).__name__}: columns must be one-dimensional, got {shapes}"
        if not shapes:
            lengths = {name: value.size for name, value in values.items() if value.ndim == 1}
            msg = f"{type(self).__name__}: columns differ in length: {lengths}"
        raise ValueError(msg)

    def _hold(self, columns: Mapping[str, NDArray[Any]]) -> None:
        for name, values in columns.items():
            values.flags.writeable = False
            object.__setattr__(self, name, values)

    def __reduce__(self) -> tuple[Any, ...]:
        # Through the constructor: arrays come out of a pickle writable.
        return _rebuild, (type(self), dict(self.as_dict()))

    def __len__(self) -> int:
        return len(getattr(self, next(iter(_columns(type(self))))))

    @classmethod
    def columns(cls) -> dict[str, Column]:
        """Name and :class:`Column` of every column, in order."""
        return dict(_columns(cls))

    @classmethod
    def of(cls, **columns: Any) -> Self:  # noqa: ANN401 (anything array-like; dtypes are checked on construction)
        """Make a table of anything array-like; a scalar fills its column."""
        return cls(**columns)

    @classmethod
    def empty(cls) -> Self:
        """Make a table without rows."""
        return cls(**{name: np.empty(0, spec.dtype) for name, spec in cls.columns().items()})

    @classmethod
    def concatenate(cls, tables: Sequence[Self]) -> Self:
        """Stack the rows of ``tables`` in the order given; none gives an empty table."""
        if not tables:
            return cls.empty()
        return cls._made_of({name: np.concatenate([getattr(t, name) for t in tables]) for name in _columns(cls)})

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Self:
        """Return the rows picked by an index array, a boolean mask or a slice."""
        return self._made_of({name: getattr(self, name)[rows] for name in _columns(type(self))})

    @classmethod
    def _made_of(cls, columns: Mapping[str, NDArray[Any]]) -> Self:
        """Make a table of columns that are known to be right, and are nobody else's: rows of tables, checked once."""
        table = object.__new__(cls)
        table._hold(columns)
        return table

    def with_columns(self, **values: ArrayLike) -> Self:
        """Return a copy with some columns replaced."""
        return replace(self, **values)

    def as_dict(self) -> Mapping[str, NDArray[Any]]:
        """Return the columns by name, in order; no copy."""
        return {name: getattr(self, name) for name in _columns(type(self))}


def _columns(table: type[ColumnTable]) -> Mapping[str, Column]:
    # Asked for at every table that is made, tens of times a timestep.
    if table not in _known_columns:
        _known_columns[table] = {item.name: item.metadata["column"] for item in fields(table)}
    return _known_columns[table]


_known_columns: dict[type[ColumnTable], Mapping[str, Column]] = {}


def _rebuild(table: type[ColumnTable], columns: dict[str, NDArray[Any]]) -> ColumnTable:
    return table(**columns)
