"""Connections to the database, with one kind of transaction and one kind of error.

A transaction covers all its statements. On SQLite, Python's driver would otherwise begin it late, and leave reads and
changes of tables outside. Errors of the driver become :class:`~trap.errors.TransientError` if a retry may help and
:class:`~trap.errors.DatabaseError` if not; neither shows a password.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, Connection, Engine, NullPool, create_engine, event
from sqlalchemy.exc import DBAPIError, SQLAlchemyError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from trap.db.sqlite_files import ReadOnlyFile, obstacle
from trap.db.urls import parse_url, show_url
from trap.errors import DatabaseError, TransientError
from trap.images.patterns import path_text

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from sqlalchemy import Pool

__all__ = [
    "Connection",
    "Engine",
    "absolute_url",
    "database_errors",
    "is_transient",
    "make_engine",
    "reading",
    "transaction",
]

BUSY_TIMEOUT_SECONDS = 30
"""Longest wait of a writer on SQLite for another writer; storing a timestep takes well under a second."""

CACHE_KIB = 65_536
"""Largest cache of an SQLite connection; it grows with the pages that are used."""
READER_CACHE_KIB = 4_096
"""The same for a connection that is closed after one read, of which a server may have dozens at once. The operating
system caches the file for all of them."""
CHECKPOINT_PAGES = 4_000
"""Number of pages in the write-ahead log (16 MB) from which a commit moves them to the file: an image of a large survey
changes a thousand, some of them the same as the image before."""

TRANSIENT_SQLITE_ERRORS = ("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_FULL", "SQLITE_IOERR")
TRANSIENT_SQLSTATES = ("08", "40", "53", "57", "55P03")
"""First characters of PostgreSQL's error codes (Appendix A of its manual) for lost connections, deadlocks, exhausted
resources, shutdowns and unavailable locks."""

REFUSALS = ("authentication failed", "no password supplied", "does not exist", "pg_hba.conf", "permission denied")
CONNECT_TIMEOUT_SECONDS = 10


def make_engine(url: str | URL, *, keeps_connections: bool = True) -> Engine:
    """Create the engine of a database and check that the database answers.

    Parameters
    ----------
    url
        ``sqlite:///file.db`` or ``postgresql://user:password@host:port/name``. A missing SQLite file is created; a
        missing folder is not.
    keeps_connections
        Whether idle connections stay open for the next transaction.

    Raises
    ------
    DatabaseError
        If the URL is invalid, or the database cannot be reached.
    """
    parsed = parse_url(url)
    pool = None if keeps_connections else NullPool  # None is SQLAlchemy's own
    engine = (_sqlite_engine if parsed.get_backend_name() == "sqlite" else _postgresql_engine)(parsed, pool)
    try:
        with engine.connect():
            pass
    except SQLAlchemyError as error:
        engine.dispose()
        msg = f"cannot open the database {show_url(parsed)}: {_reason(error)}"
        raise DatabaseError(msg) from error
    return engine


def absolute_url(url: str) -> str:
    """Return a database URL with the absolute path of an SQLite file, for programs that run in another folder."""
    parsed = parse_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return url
    absolute = path_text(Path(parsed.database).absolute())
    return parsed.set(database=absolute).render_as_string(hide_password=False)


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """Open a transaction for writing: the changes in the block are stored together or not at all.

    On SQLite the write lock is taken at the start, so that values read in the block stay valid.

    Raises
    ------
    TransientError, DatabaseError
        See :func:`database_errors`.
    """
    with database_errors(), engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open a transaction for reading one state of the database. It never waits for a writer; writing in it fails.

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
    """Convert errors of the database driver to errors of the pipeline.

    Raises
    ------
    TransientError
        If a retry may help: a lost connection, a deadlock, a locked file, a full disk.
    DatabaseError
        If a retry cannot help, or the driver cannot send a value; SQLAlchemy does not convert errors of that kind.
    """
    try:
        yield
    except (StatementError, PoolTimeoutError) as error:
        kind = TransientError if is_transient(error) else DatabaseError
        raise kind(_reason(error)) from error
    except OverflowError as error:
        if "SQLite" not in str(error):
            raise
        msg = "a number has more than 64 bits, and stands for no row of the database"
        raise DatabaseError(msg) from error
    except ValueError as error:
        if "NUL (0x00)" not in str(error):
            raise
        msg = "a text has a NUL character, which PostgreSQL cannot store"
        raise DatabaseError(msg) from error


def is_transient(error: BaseException) -> bool:
    """Return whether the same statement may succeed when it is retried."""
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
    """Return whether an error without a code is a lost server rather than a refused login.

    psycopg2 sets no code for errors on connecting.
    """
    if type(error.orig).__name__ not in {"OperationalError", "InterfaceError"}:
        return False
    return not any(refusal in str(error.orig) for refusal in REFUSALS)


def _sqlite_engine(url: URL, pool: type[Pool] | None) -> Engine:
    """Create the engine of an SQLite file in an existing folder."""
    if url.database in {None, "", ":memory:"}:
        msg = "an SQLite database in memory is lost with the run: name a file, as in sqlite:///trap.db"
        raise DatabaseError(msg)
    folder = Path(str(url.database)).parent
    if not folder.is_dir():
        msg = f"cannot open the database {url.database}: the folder {folder} does not exist; create it first"
        raise DatabaseError(msg)
    plain, path = url.set(drivername="sqlite"), Path(str(url.database))
    reason = obstacle(path) if path.is_file() else None
    if reason is not None:
        return _read_only_engine(plain, pool, ReadOnlyFile(path), reason)
    engine = create_engine(plain, poolclass=pool, connect_args={"timeout": BUSY_TIMEOUT_SECONDS})
    cache_kib = CACHE_KIB if pool is None else READER_CACHE_KIB
    event.listen(engine, "connect", partial(_prepare_sqlite, cache_kib=cache_kib))
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _read_only_engine(url: URL, pool: type[Pool] | None, file: ReadOnlyFile, reason: str) -> Engine:
    """Create the engine of an SQLite file that cannot be written; writing raises an error with the reason."""

    def begin(connection: Connection) -> None:
        if not connection.get_execution_options().get("trap_reading", False):
            msg = f"the database {url.database} cannot be written: {reason}"
            raise DatabaseError(msg)
        connection.exec_driver_sql("BEGIN")

    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None

    engine = create_engine(url, poolclass=pool, creator=lambda: file.connect(BUSY_TIMEOUT_SECONDS))
    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", begin)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object, *, cache_kib: int) -> None:
    """Configure a new connection to SQLite."""
    # The driver's own late BEGIN is switched off; _begin_sqlite begins the transaction instead.
    connection.isolation_level = None
    # NORMAL survives a killed process; a power cut may lose the last timesteps, which the next run processes again.
    pragmas = ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON")
    # The pages of a large timestep exceed SQLite's own cache of 2 MB, and would be written several times.
    for pragma in (*pragmas, f"cache_size = -{cache_kib}", f"wal_autocheckpoint = {CHECKPOINT_PAGES}"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    """Begin a transaction on SQLite, with the write lock unless it only reads."""
    is_reading = connection.get_execution_options().get("trap_reading", False)
    # A transaction that reads first and requests the write lock later fails at once if another one holds it.
    connection.exec_driver_sql(f"PRAGMA query_only = {int(is_reading)}")
    connection.exec_driver_sql("BEGIN" if is_reading else "BEGIN IMMEDIATE")


def _postgresql_engine(url: URL, pool: type[Pool] | None) -> Engine:
    """Create the engine of a PostgreSQL database.

    Connections go through PgBouncer, too. It refuses ``options`` on connecting, and in transaction mode keeps only the
    settings that it knows: the time zone, the encoding, and the name of the program.
    """
    defaults = {"application_name": "trap", "connect_timeout": CONNECT_TIMEOUT_SECONDS}
    options = {name: value for name, value in defaults.items() if name not in url.query}
    options["client_encoding"] = "utf8"  # COPY moves text in UTF-8, regardless of the URL and the environment
    # The ping costs 0.1 ms and saves a timestep from starting on a lost connection.
    engine = create_engine(
        url.set(drivername="postgresql+psycopg2"), poolclass=pool, pool_pre_ping=pool is None, connect_args=options
    )
    event.listen(engine, "do_execute", _execute_copy)
    if "timezone" not in str(url.query.get("options", "")).lower():
        event.listen(engine, "connect", _set_time_zone)
    return engine


def _set_time_zone(connection: Any, _record: object) -> None:  # noqa: ANN401 (psycopg2's)
    """Let a new connection to PostgreSQL show times in UTC, for readers of times in SQL."""
    with connection.cursor() as cursor:
        cursor.execute("SET TIME ZONE 'UTC'")
    connection.commit()


def _execute_copy(cursor: Any, statement: str, parameters: Any, context: Any) -> bool:  # noqa: ANN401 (psycopg2's)
    """Route COPY statements to psycopg2's ``copy_expert``; SQLAlchemy still converts the errors."""
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
    """Return the message of the driver, without the statement and its thousands of parameters."""
    original = getattr(error, "orig", None)
    return " ".join(str(error if original is None else original).split())
