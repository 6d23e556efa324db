"""Times that are the same in every database.

SQLite has no time zones: a time stored as UTC is read without a zone, and a local time would be stored as if it were
UTC. This type refuses a time without a zone and always returns UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import DateTime
from sqlalchemy.types import TypeDecorator

if TYPE_CHECKING:
    from sqlalchemy import Dialect

__all__ = ["UtcDateTime", "as_sqlite_text"]


def as_sqlite_text(moment: datetime) -> str:
    """Write a time as SQLAlchemy stores it in SQLite.

    Raises
    ------
    ValueError
        If the time has no time zone.
    """
    return _in_utc(moment).replace(tzinfo=None).isoformat(" ", "microseconds")


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        msg = f"{moment!r} has no time zone"
        raise ValueError(msg)
    return moment.astimezone(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """A point in time: takes aware datetimes, returns aware datetimes in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        """Type of the values in Python."""
        return datetime

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert a time to UTC, without zone for a database that cannot store one.

        Parameters
        ----------
        value
            Aware time; None is NULL.
        dialect
            Dialect of the database.

        Raises
        ------
        ValueError
            If the time has no time zone.
        """
        if value is None:
            return None
        moment = _in_utc(value)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 (the interface)
        """Convert a stored time to UTC.

        Parameters
        ----------
        value
            Stored time; None for NULL.
        dialect
            Dialect of the database.
        """
        if value is None or value.tzinfo is UTC:
            return value
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
