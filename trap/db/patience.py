"""Queries that may take too long: they end at a limit of time, and their transaction goes on.

A page must not wait for a count of millions of rows, nor a server for a reader who has left. SQLite looks at the clock
while it works; PostgreSQL has a limit of its own, which leaves the transaction usable within a savepoint.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from trap.errors import TooSlowError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

__all__ = ["limited_time"]

STEPS = 20_000
"""Instructions of SQLite between two looks at the clock: about a millisecond."""
QUERY_CANCELED = "57014"
"""Code of PostgreSQL for a statement that exceeded its time."""


@contextmanager
def limited_time(connection: Connection, seconds: float) -> Iterator[None]:
    """End the queries of a block when its time is over.

    Parameters
    ----------
    connection
        Connection in a transaction of the caller, which remains usable.
    seconds
        s — time of all queries of the block on SQLite, and of each of them on PostgreSQL.

    Raises
    ------
    TooSlowError
        If a query was ended.
    """
    is_sqlite = connection.dialect.name == "sqlite"
    limit = _sqlite_limit if is_sqlite else _postgresql_limit
    try:
        with limit(connection, seconds):
            yield
    except OperationalError as error:
        if not _is_ended(error.orig):
            raise
        msg = f"the query was ended after {seconds:g} s: the selection has too many rows to look at; narrow it"
        raise TooSlowError(msg) from error


def _is_ended(error: Any) -> bool:  # noqa: ANN401 (an error of either driver)
    name = getattr(error, "sqlite_errorname", None)
    return bool(name == "SQLITE_INTERRUPT" or getattr(error, "pgcode", None) == QUERY_CANCELED)


@contextmanager
def _sqlite_limit(connection: Connection, seconds: float) -> Iterator[None]:
    raw: Any = connection.connection.driver_connection
    end = time.monotonic() + seconds
    raw.set_progress_handler(lambda: time.monotonic() > end, STEPS)
    try:
        yield
    finally:
        raw.set_progress_handler(None, 0)


@contextmanager
def _postgresql_limit(connection: Connection, seconds: float) -> Iterator[None]:
    with connection.begin_nested():
        # The savepoint takes the setting back if a query is ended, the last statement otherwise.
        connection.execute(text(f"SET LOCAL statement_timeout = {max(int(1000 * seconds), 1)}"))
        yield
        connection.execute(text("SET LOCAL statement_timeout = 0"))
