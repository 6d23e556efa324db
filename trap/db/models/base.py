"""What all tables share: how columns are described, how rows refer to rows, how constraints are called."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Boolean, Double, ForeignKey, Integer, LargeBinary, MetaData, Text, false, text
from sqlalchemy.orm import DeclarativeBase, MappedColumn, mapped_column

from trap.db.types import UtcDateTime

__all__ = ["IDENTIFIER", "Base", "described", "identifier", "reference"]

# SQLite numbers rows by itself only where the key is called INTEGER; it is 64 bits wide there anyhow.
IDENTIFIER = BigInteger().with_variant(Integer, "sqlite")


class Base(DeclarativeBase):
    """Root of all tables."""

    # A constraint can only be changed by a later migration if it has a name that is known.
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
    """Make the number of a row, by which other rows refer to it."""
    return mapped_column(IDENTIFIER, primary_key=True, doc="Number of the row.")


def described(doc: str, unit: str = "", *, default: str | float | bool | None = None) -> MappedColumn[Any]:
    """Make a column.

    Parameters
    ----------
    doc
        One sentence: what a value means, and what NULL does.
    unit
        As astropy writes it; empty where dimensionless.
    default
        What the database fills in where no value is given.
    """
    server_default = None if default is None else false() if default is False else text(str(default))
    return mapped_column(doc=doc, info={"unit": unit}, server_default=server_default)


def reference(
    target: str, doc: str, *, on_delete: str = "CASCADE", index: bool = True, unique: bool = False
) -> MappedColumn[Any]:
    """Make a column that refers to a row of another table.

    Parameters
    ----------
    target
        Name of that table.
    doc
        One sentence.
    on_delete
        What happens to this row when that one is deleted: CASCADE or SET NULL.
    index
        Without an index every deletion there searches all of this table; leave it out only where
        another index begins with this column, or where next to nothing is ever deleted there.
    unique
        At most one row refers to each row there.
    """
    # Measurements and catalogue entries refer to each other: the tables are made first, then these links.
    is_mutual = on_delete == "SET NULL"
    key = ForeignKey(f"{target}.id", ondelete=on_delete, use_alter=is_mutual)
    return mapped_column(IDENTIFIER, key, doc=doc, index=(index and not unique) or None, unique=unique or None)
