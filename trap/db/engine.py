"""How the pipeline talks to its database: one way in, one kind of transaction, one kind of error.

A transaction here is one: on SQLite, Python's driver would otherwise begin it late and leave
reads and table changes outside. Errors of the driver become :class:`~trap.errors.TransientError`
where trying again may help and :class:`~trap.errors.DatabaseError` where it will not; neither ever
shows a password.
"""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from trap.errors import DatabaseError, TransientError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

__all__ = [
    "Connection",
    "Engine",
    "absolute_url",
    "database_errors",
    "is_transient",
    "make_engine",
    "reading",
    "show_url",
    "transaction",
]

BUSY_TIMEOUT_SECONDS = 30
"""How long a writer on SQLite waits for another one; a timestep is stored in well under a second."""

TRANSIENT_SQLITE_ERRORS = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR")
TRANSIENT_SQLSTATES = ("08", "40", "53", "57", "55P03")
"""Beginnings of PostgreSQL's codes (Appendix A of its manual) of lost connections, deadlocks, exhausted
resources, shutdowns and locks that could not be had."""

REFUSALS = ("authentication failed", "no password supplied", "does not exist", "pg_hba.conf", "permission denied")
CONNECT_TIMEOUT_SECONDS = 10
NOT_A_URL = "cannot understand the database URL; write sqlite:///file.db or postgresql://user@host/name"


def make_engine(url: str | URL) -> Engine:
    """Make the engine of a database and see that it answers.

    Parameters
    ----------
    url
        ``sqlite:///file.db`` or ``postgresql://user:password@host:port/name``. An SQLite file is
        made if it does not exist; its folder is not.

    Raises
    ------
    DatabaseError
        If the URL cannot be understood, or the database cannot be reached.
    """
    parsed = _parse(url)
    engine = _sqlite_engine(parsed) if parsed.get_backend_name() == "sqlite" else _postgresql_engine(parsed)
    try:
        with engine.connect():
            pass
    except SQLAlchemyError as error:
        engine.dispose()
        msg = f"cannot open the database {show_url(parsed)}: {_reason(error)}"
        raise DatabaseError(msg) from error
    return engine


def absolute_url(url: str) -> str:
    """Name an SQLite file by its absolute path, for programs that work in another folder."""
    parsed = _parse(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return url
    return parsed.set(database=str(Path(parsed.database).absolute())).render_as_string(hide_password=False)


def show_url(url: URL) -> str:
    """Write a database URL for people: no password, nor any options, which may hold one too."""
    return url.set(query={}).render_as_string(hide_password=True)


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """Write: all that is done in the block is stored together, or nothing of it.

    On SQLite the write lock is taken at the start, so that what is read in the block stays true.

    Raises
    ------
    TransientError, DatabaseError
        See :func:`database_errors`.
    """
    with database_errors(), engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Read one state of the database, without ever waiting for a writer; writing fails.

    Raises
    ------
    TransientError, DatabaseError
        See :func:`database_errors`.
    """
    with database_errors(), engine.connect() as connection:
        options: dict[str, Any] = {"trap_reading": True}
        if engine.dialect.name == "postgresql":
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        reader = connection.execution_options(**options)
        with reader.begin():
            yield reader


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn errors of the database driver into those of the pipeline.

    Raises
    ------
    TransientError
        If trying again may help: a lost connection, a deadlock, a locked file, a full disk.
    DatabaseError
        If it will not.
    """
    try:
        yield
    except (StatementError, PoolTimeoutError) as error:
        kind = TransientError if is_transient(error) else DatabaseError
        raise kind(_reason(error)) from error


def is_transient(error: BaseException) -> bool:
    """Whether the same statement may work when tried again."""
    if isinstance(error, PoolTimeoutError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    name = getattr(error.orig, "sqlite_errorname", None)
    if name is not None:
        return str(name).startswith(TRANSIENT_SQLITE_ERRORS)
    sqlstate = getattr(error.orig, "pgcode", None)
    if sqlstate is not None:
        return str(sqlstate).startswith(TRANSIENT_SQLSTATES)
    return _is_lost_connection(error)


def _is_lost_connection(error: DBAPIError) -> bool:
    """Tell a server that is away from one that refuses: psycopg2 gives neither a code on connecting."""
    if type(error.orig).__name__ not in {"OperationalError", "InterfaceError"}:
        return False
    return not any(refusal in str(error.orig) for refusal in REFUSALS)


def _parse(url: str | URL) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # Nothing of the URL is repeated, nor the error that does: it may hold a password.
        raise DatabaseError(NOT_A_URL) from None
    if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
        msg = f"the database is {parsed.get_backend_name()!r}; it must be sqlite or postgresql"
        raise DatabaseError(msg)
    if "@" in (parsed.host or ""):
        msg = "the database URL has more than one @: write %40 for one in the password"
        raise DatabaseError(msg)
    if parsed.get_backend_name() == "sqlite" and (parsed.host or parsed.username):
        raise DatabaseError(NOT_A_URL)
    return parsed


def _sqlite_engine(url: URL) -> Engine:
    if url.database in {None, "", ":memory:"}:
        msg = "an SQLite database in memory is lost with the run: name a file, as in sqlite:///trap.db"
        raise DatabaseError(msg)
    folder = Path(str(url.database)).parent
    if not folder.is_dir():
        msg = f"cannot open the database {url.database}: there is no folder {folder}"
        raise DatabaseError(msg)
    engine = create_engine(url.set(drivername="sqlite"), connect_args={"timeout": BUSY_TIMEOUT_SECONDS})
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    # The driver's own late BEGIN is switched off; _begin_sqlite says it instead.
    connection.isolation_level = None
    # NORMAL survives a killed process; a power cut may take the last timesteps, which are then done again.
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    is_reading = connection.get_execution_options().get("trap_reading", False)
    # A transaction that reads first and asks for the write lock later fails at once if another has it.
    connection.exec_driver_sql(f"PRAGMA query_only = {int(is_reading)}")
    connection.exec_driver_sql("BEGIN" if is_reading else "BEGIN IMMEDIATE")


def _postgresql_engine(url: URL) -> Engine:
    defaults = {
        "application_name": "trap",
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "options": "-c timezone=utc",  # for those who look at the times in SQL
    }
    chosen = {name: value for name, value in defaults.items() if name not in url.query}
    chosen["client_encoding"] = "utf8"  # in which texts are copied, whatever the URL or the environment say
    # The ping costs 0.1 ms and spares a timestep that would start on a connection lost meanwhile.
    engine = create_engine(url.set(drivername="postgresql+psycopg2"), pool_pre_ping=True, connect_args=chosen)
    event.listen(engine, "do_execute", _execute_copy)
    return engine


def _execute_copy(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:  # noqa: ANN401 (psycopg2's)
    """Execute what moves rows by COPY, which psycopg2 does by a call of its own; SQLAlchemy sees to errors as ever."""
    options = context.execution_options
    if "trap_copy_from" in options:
        cursor.copy_expert(statement, options["trap_copy_from"])
        return True
    if "trap_copy_to" in options:
        query = cursor.mogrify(statement, parameters)
        cursor.copy_expert(b"COPY (" + query + b") TO STDOUT (FORMAT binary)", options["trap_copy_to"])
        return True
    return False


def _reason(error: SQLAlchemyError) -> str:
    """Return what the driver says, without the statement and its thousands of parameters."""
    original = getattr(error, "orig", None)
    return " ".join(str(error if original is None else original).split())
