"""Parts that all models share: columns with units and meanings, references, and names of constraints."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Double,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    false,
    inspect,
    text,
)
from sqlalchemy.orm import DeclarativeBase, MappedColumn, mapped_column

from trap.db.types import UtcDateTime
from trap.tables import ColumnTable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from trap.tables import Column

    Columns = type[ColumnTable] | Mapping[str, Column]
    """A table in memory: its class, or its columns by name."""

__all__ = ["IDENTIFIER", "Base", "described", "identifier", "reference", "stored", "stored_names", "stores"]

IDENTIFIER = BigInteger().with_variant(Integer, "sqlite")
"""Type of row numbers. SQLite numbers rows by itself only if the key is of type INTEGER, which has 64 bits there."""

_SQL_TYPES = {"f8": Double, "i2": Integer, "i4": Integer, "i8": BigInteger, "b1": Boolean}
"""Types of columns that a model takes from a table without declaring them, by numpy dtype."""


class Base(DeclarativeBase):
    """Root of all tables."""

    # Named constraints, so that later migrations can change them.
    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 (SQLAlchemy reads it so)
        bool: Boolean,
        bytes: LargeBinary,
        datetime: UtcDateTime,
        float: Double,
        int: Integer,
        str: Text,
    }


def identifier() -> MappedColumn[int]:
    """Make the column of row numbers, which other rows refer to."""
    return mapped_column(IDENTIFIER, primary_key=True, doc="Number of the row.")


def described(
    doc: str, unit: str = "", *, default: str | float | bool | None = None, ucd: str = ""
) -> MappedColumn[Any]:
    """Make a column that only the database has.

    Parameters
    ----------
    doc
        One sentence: the meaning of a value, and of NULL if it can occur.
    unit
        Unit as astropy writes it; empty if dimensionless.
    default
        Value that the database fills in if none is given; None makes the column required or NULL.
    ucd
        Name of the quantity in the Virtual Observatory (UCD1+); empty for the quantities without one.
    """
    return mapped_column(doc=doc, info={"unit": unit, "ucd": ucd}, server_default=_server_default(default))


def stored(
    table: Columns, name: str, note: str = "", *, default: str | float | bool | None = None
) -> MappedColumn[Any]:
    """Make a column that stores a column of a table in memory, with its unit, its meaning and its UCD.

    Parameters
    ----------
    table
        The table in memory.
    name
        Name of the column there.
    note
        Further sentence: facts that hold only in the database, such as the meaning of NULL.
    default
        As for :func:`described`.
    """
    spec = _columns(table)[name]
    doc = f"{spec.doc} {note}".rstrip()
    info = {"unit": spec.unit, "ucd": spec.ucd, "stores": (table, name)}
    return mapped_column(doc=doc, info=info, server_default=_server_default(default))


def stores(
    table: Columns, *, besides: Collection[str] = (), default: float | None = None
) -> Callable[[type[Base]], type[Base]]:
    """Decorate a model: append all columns of a table in memory that the model does not declare.

    The model declares the columns that queries name. A column that is added to the table in memory
    then needs a migration only.

    Parameters
    ----------
    table
        The table in memory.
    besides
        Columns that are not stored, or stored as references.
    default
        Default of the appended columns, as for :func:`described`; None makes them nullable.
    """

    def append(model: type[Base]) -> type[Base]:
        missing = [name for name in _columns(table) if name not in {*stored_names(model, table), *besides}]
        for name in missing:
            column = stored(table, name, default=default).column
            column.type, column.nullable = _SQL_TYPES[_columns(table)[name].dtype.str[1:]](), default is None
            setattr(model, name, column)
        return model

    return append


def stored_names(model: type[Base], table: Columns) -> dict[str, str]:
    """Return the names in the database of the columns of a table in memory.

    Parameters
    ----------
    model
        Model of the table in the database.
    table
        The table in memory.

    Returns
    -------
    Names in the database by names in memory, in the order of the model.
    """
    links = [(column.info["stores"], column.name) for column in inspect(model).columns if "stores" in column.info]
    return {name: stored_name for (source, name), stored_name in links if source is table}


def reference(
    target: str, doc: str, *, on_delete: str = "CASCADE", index: bool = True, unique: bool = False
) -> MappedColumn[Any]:
    """Make a column that refers to a row of another table.

    Parameters
    ----------
    target
        Name of the other table.
    doc
        One sentence.
    on_delete
        Effect on this row if the other is deleted: CASCADE or SET NULL.
    index
        Whether the column has an index. Without one, every deletion there searches all of this table;
        leave it out only if another index begins with this column, or if rows are hardly ever deleted there.
    unique
        Whether at most one row refers to each row there.
    """
    # Measurements and catalogue entries refer to each other: the tables are made first, then these links.
    is_mutual = on_delete == "SET NULL"
    key = ForeignKey(f"{target}.id", ondelete=on_delete, use_alter=is_mutual)
    return mapped_column(IDENTIFIER, key, doc=doc, index=(index and not unique) or None, unique=unique or None)


def _columns(table: Columns) -> Mapping[str, Column]:
    return table.columns() if isinstance(table, type) else table


def _server_default(default: str | float | bool | None) -> Any:  # noqa: ANN401, FBT001 (a clause of SQLAlchemy; a value)
    """Write a default as SQL; None stays None."""
    if default is None:
        return None
    return false() if default is False else text(str(default))
