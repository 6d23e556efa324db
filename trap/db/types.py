"""Moments in time that are the same in every database.

SQLite knows no time zones: what was stored as UTC comes back without saying so, and a local time
slips in unnoticed. This type refuses a time that does not say its zone and always returns UTC.
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
    """Write a moment as SQLAlchemy stores it in SQLite.

    Raises
    ------
    ValueError
        If the time does not say its time zone.
    """
    return _in_utc(moment).replace(tzinfo=None).isoformat(" ", "microseconds")


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        msg = f"{moment!r} does not say its time zone"
        raise ValueError(msg)
    return moment.astimezone(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment in time: aware datetimes in, aware UTC datetimes out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    @property
    def python_type(self) -> type[datetime]:
        """What values are in Python."""
        return datetime

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC; without its zone where the database cannot store one.

        Raises
        ------
        ValueError
            If the time does not say its time zone.
        """
        if value is None:
            return None
        moment = _in_utc(value)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 (the interface)
        """Return the moment in UTC."""
        if value is None or value.tzinfo is UTC:
            return value
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
