"""Typed tables of equal-length columns, which the stages pass to each other.

A :class:`ColumnTable` is a frozen dataclass whose fields are read-only numpy columns. Each column has
one dtype, one unit, one sentence of meaning and, if it has one, one UCD. They are stated once, in the
table: the models of the database, its documentation and the exported files take them from there.
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
    """Type, unit and meaning of one column of a table.

    Parameters
    ----------
    dtype
        Numpy dtype of the column.
    unit
        Unit as astropy writes it; empty if dimensionless.
    doc
        One sentence: the meaning of a value, and of NaN if it can occur.
    shape
        Shape of the value of one row: ``()`` for a number, ``(k,)`` for a column of shape (n, k).
    ucd
        Name of the quantity in the Virtual Observatory (UCD1+); empty for the quantities without one.
    """

    dtype: np.dtype[Any]
    unit: str
    doc: str
    shape: tuple[int, ...] = ()
    ucd: str = ""


def column(
    dtype: DTypeLike,
    unit: str,
    doc: str,
    *,
    default: float | None = None,
    shape: tuple[int, ...] = (),
    ucd: str = "",
) -> Any:  # noqa: ANN401 (a dataclass field)
    """Declare a column of a :class:`ColumnTable`.

    Parameters
    ----------
    dtype, unit, doc, shape, ucd
        See :class:`Column`.
    default
        Value of every row if the column is not given; None makes the column required.
    """
    metadata = {"column": Column(np.dtype(dtype), unit, doc, shape, ucd)}
    if default is None:
        return field(metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ColumnTable:
    """Base of all tables: equal-length, read-only columns.

    The constructor accepts any array-like and converts it to the declared dtype; a scalar fills
    the whole column.

    Raises
    ------
    ValueError
        If the rows of a column do not have the declared shape, or the lengths differ.
    """

    def __post_init__(self) -> None:
        specs = _columns(type(self))
        values = {name: np.asarray(getattr(self, name), spec.dtype) for name, spec in specs.items()}
        arrays = {name: value for name, value in values.items() if value.ndim}
        lengths = {len(value) for value in arrays.values()}
        if len(lengths) > 1 or any(value.shape[1:] != specs[name].shape for name, value in arrays.items()):
            self._refuse(arrays)
        n_rows = next(iter(lengths), 1)
        # Views, so that freezing a column does not freeze the caller's own array.
        self._freeze(
            {
                name: value.view() if value.ndim else np.full((n_rows, *specs[name].shape), value)
                for name, value in values.items()
            },
        )

    def _refuse(self, arrays: Mapping[str, NDArray[Any]]) -> NoReturn:
        """Raise the error for columns of wrong shapes, or else of different lengths."""
        specs = _columns(type(self))
        wrong = {name: value.shape for name, value in arrays.items() if value.shape[1:] != specs[name].shape}
        declared = {name: ("n", *specs[name].shape) for name in wrong if specs[name].shape}
        if declared:
            msg = f"columns must have the shapes {declared}, got {wrong}".replace("'n'", "n")
        elif wrong:
            msg = f"columns must be one-dimensional, got {wrong}"
        else:
            msg = f"columns differ in length: { {name: len(value) for name, value in arrays.items()} }"
        error = f"{type(self).__name__}: {msg}"
        raise ValueError(error)

    def _freeze(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Make the columns read-only and set them as the table's."""
        for name, values in columns.items():
            values.flags.writeable = False
            object.__setattr__(self, name, values)

    def __reduce__(self) -> tuple[Any, ...]:
        # Through the constructor: unpickled arrays are writable.
        return _rebuild, (type(self), dict(self.as_dict()))

    def __len__(self) -> int:
        return len(getattr(self, next(iter(_columns(type(self))))))

    @classmethod
    def columns(cls) -> dict[str, Column]:
        """Return the name and the :class:`Column` of every column, in order."""
        return dict(_columns(cls))

    @classmethod
    def of(cls, **columns: Any) -> Self:  # noqa: ANN401 (anything array-like; dtypes are checked on construction)
        """Make a table of anything array-like; a scalar fills its column."""
        return cls(**columns)

    @classmethod
    def of_checked(cls, **columns: NDArray[Any]) -> Self:
        """Make a table of arrays without checking them, for code that makes many small tables.

        Parameters
        ----------
        columns
            Every column, in the declared dtype and shape, all of one length. The arrays become read-only.
        """
        table = object.__new__(cls)
        table._freeze(columns)
        return table

    @classmethod
    def empty(cls) -> Self:
        """Make a table without rows."""
        return cls(**{name: np.empty((0, *spec.shape), spec.dtype) for name, spec in _columns(cls).items()})

    @classmethod
    def concatenate(cls, tables: Sequence[Self]) -> Self:
        """Stack the rows of ``tables`` in the given order; no tables give an empty table."""
        if not tables:
            return cls.empty()
        return cls.of_checked(**{name: np.concatenate([getattr(t, name) for t in tables]) for name in _columns(cls)})

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Self:
        """Return the rows that an index array, a boolean mask or a slice selects."""
        return self.of_checked(**{name: getattr(self, name)[rows] for name in _columns(type(self))})

    def where(self, condition: NDArray[np.bool_], other: Self) -> Self:
        """Return a table with these rows where a condition is true, and the rows of another table elsewhere.

        Parameters
        ----------
        condition
            (n,) — whether a row comes from this table.
        other
            (n,) — a table of the same type.
        """
        return self.of_checked(
            **{
                name: np.where(
                    condition.reshape(-1, *(1 for _ in spec.shape)), getattr(self, name), getattr(other, name)
                )
                for name, spec in _columns(type(self)).items()
            }
        )

    def with_columns(self, **values: ArrayLike) -> Self:
        """Return a copy with some columns replaced."""
        return replace(self, **values)

    def as_dict(self) -> Mapping[str, NDArray[Any]]:
        """Return the columns by name, in order, without copying them."""
        return {name: getattr(self, name) for name in _columns(type(self))}


def _columns(table: type[ColumnTable]) -> Mapping[str, Column]:
    # Cached: every new table needs them, and a timestep makes tens of tables.
    if table not in _columns_of:
        _columns_of[table] = {item.name: item.metadata["column"] for item in fields(table)}
    return _columns_of[table]


_columns_of: dict[type[ColumnTable], Mapping[str, Column]] = {}


def _rebuild(table: type[ColumnTable], columns: dict[str, NDArray[Any]]) -> ColumnTable:
    return table(**columns)
