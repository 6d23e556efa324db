"""The database of a command: read from where it is, or its tables made and brought up to date."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from trap.cli.passwords import hide_password
from trap.cli.program import command
from trap.config import PipelineConfig
from trap.db.engine import make_engine, reading
from trap.db.schema import check_version, newest_version, upgrade
from trap.errors import DatabaseError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator

    from sqlalchemy import Connection

__all__ = ["reading_database", "upgrade_database"]


def upgrade_database(arguments: Namespace) -> int:
    """Make the tables, or bring them up to this software's version.

    Raises
    ------
    DatabaseError
        If the database cannot be used, or holds tables of another program.
    """
    url = _url(arguments.database)
    engine = make_engine(url)
    try:
        upgrade(engine)
    finally:
        engine.dispose()
    print(f"{url} has schema version {newest_version()}")
    return 0


@contextmanager
def reading_database(url: str | None) -> Iterator[Connection]:
    """Open a database that must be there, to read from it.

    Parameters
    ----------
    url
        None takes the default of the settings.

    Raises
    ------
    DatabaseError
        If there is no such database, or it has other tables than this software needs.
    """
    url = _url(url)
    file = url.removeprefix("sqlite:///")
    if file != url and not Path(file).exists():
        # Opening it would make it.
        msg = f"there is no database {file}; name one with --database, or make one with: {command('run')}"
        raise DatabaseError(msg)
    engine = make_engine(url)
    try:
        check_version(engine)
        with reading(engine) as connection:
            yield connection
    finally:
        engine.dispose()


def _url(given: str | None) -> str:
    return hide_password(PipelineConfig().execution.database if given is None else given)
