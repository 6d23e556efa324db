"""Files of dumps: the places where one may be written, and a checksum at the end by which damage is found.

SQLite and ``pg_restore`` ignore the checksum, so that a dump stays a file of the database's own tools.
"""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import zlib
from contextlib import closing
from pathlib import Path

from trap.db.sqlite_files import ReadOnlyFile
from trap.db.version import ALEMBIC_TABLE
from trap.errors import DatabaseError

__all__ = ["check_seal", "check_sqlite", "no_tables", "publish", "refuse_target", "seal"]

SIDE_FILES = ("-wal", "-shm", "-journal")
"""Ends of the names of SQLite's files next to a database."""
_SEAL = re.compile(rb"\ntransients dump, CRC-32 ([0-9a-f]{8})\n")
_SEAL_LENGTH = len(b"\ntransients dump, CRC-32 00000000\n")
_BLOCK = 1 << 20


def refuse_target(path: Path, source: Path | None, *, overwrite: bool) -> None:
    """Raise an error if a dump must not be written to a path.

    Parameters
    ----------
    path
        Path of the dump.
    source
        File of the SQLite database; None for PostgreSQL.
    overwrite
        Whether an existing file is replaced.

    Raises
    ------
    DatabaseError
        If the path is the database or a file that belongs to it, no regular file, an existing file that is not to be
        replaced, or a database with a write-ahead log.
    """
    if source is not None and _belongs_to(path, source):
        msg = f"{path} is the database itself, or a file that belongs to it; name another file for the dump"
        raise DatabaseError(msg)
    if os.path.lexists(path):
        if not stat.S_ISREG((path.stat() if path.exists() else path.lstat()).st_mode):
            msg = f"{path} is no regular file; name a file for the dump"
            raise DatabaseError(msg)
        if not overwrite:
            raise DatabaseError(_exists(path))
    for end in ("-wal", "-journal"):
        if os.path.lexists(f"{path}{end}"):
            msg = f"{path}{end} exists: {path} is a database in use; name another file for the dump"
            raise DatabaseError(msg)


def _belongs_to(path: Path, source: Path) -> bool:
    """Return whether a path is a database, a link to it, or a file that SQLite or a lock puts next to it."""
    if path.exists() and source.exists() and path.samefile(source):
        return True
    ours = {path.absolute(), path.resolve(), path.parent.resolve() / path.name}
    bases = {source.absolute(), source.resolve()}
    if ours & {Path(f"{base}{end}") for base in bases for end in ("", *SIDE_FILES)}:
        return True
    return any(
        one.parent == base.parent and re.fullmatch(rf"{re.escape(base.name)}\.\d+\.lock", one.name)
        for one in ours
        for base in bases
    )


def publish(part: Path, path: Path, *, overwrite: bool) -> None:
    """Give a complete file its name.

    Parameters
    ----------
    part, path
        The file, and its new path in the same folder.
    overwrite
        Whether an existing file is replaced.

    Raises
    ------
    DatabaseError
        If a file of that name has been made meanwhile.
    """
    if overwrite:
        part.replace(path)
        return
    try:
        path.hardlink_to(part)
    except FileExistsError:
        raise DatabaseError(_exists(path)) from None
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            raise DatabaseError(_exists(path)) from None
        part.replace(path)


def _exists(path: Path) -> str:
    return f"{path} exists already; name another file, or replace it with --overwrite"


def seal(path: Path) -> None:
    """Append a checksum to a dump.

    Parameters
    ----------
    path
        The complete file.
    """
    checksum = _checksum(path, path.stat().st_size)
    with path.open("ab") as file:
        file.write(b"\ntransients dump, CRC-32 %08x\n" % checksum)
        file.flush()
        os.fsync(file.fileno())


def check_seal(path: Path) -> None:
    """Compare a dump with its checksum. A file without a checksum passes: it was made by other programs.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    DatabaseError
        If the file is damaged.
    """
    length = path.stat().st_size - _SEAL_LENGTH
    if length <= 0:
        return
    with path.open("rb") as file:
        file.seek(length)
        found = _SEAL.fullmatch(file.read())
    if found is not None and int(found[1], 16) != _checksum(path, length):
        msg = f"{path} is damaged: its content does not have the checksum at its end; take another dump"
        raise DatabaseError(msg)


def _checksum(path: Path, length: int) -> int:
    """Compute the checksum of the first bytes of a file."""
    checksum = 0
    with path.open("rb") as file:
        while length > 0 and (block := file.read(min(_BLOCK, length))):
            checksum = zlib.crc32(block, checksum)
            length -= len(block)
    return checksum


def check_sqlite(path: Path) -> None:
    """Check all pages of an SQLite file.

    Parameters
    ----------
    path
        The file.

    Raises
    ------
    DatabaseError
        If the file is damaged or cut, or has none of our tables.
    """
    if _is_cut(path):
        msg = f"{path} is damaged: it is shorter than its own number of pages; take another dump"
        raise DatabaseError(msg)
    try:
        with closing(ReadOnlyFile(path).connect(0.0)) as database:
            findings = [row[0] for row in database.execute("PRAGMA integrity_check(1)")]
            tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except (sqlite3.Error, DatabaseError) as error:
        findings, tables = [str(error)], set()
    if findings != ["ok"]:
        msg = f"{path} is damaged: {' '.join(str(findings[0]).split())}; take another dump"
        raise DatabaseError(msg)
    if ALEMBIC_TABLE not in tables:
        raise DatabaseError(no_tables(path))


def _is_cut(path: Path) -> bool:
    """Return whether an SQLite file ends within its pages; SQLite would fill the last one with zeros.

    Bytes 16 and 17 of the file are the size of a page, where 1 stands for 65536; bytes 28 to 31 the number of pages.
    """
    with path.open("rb") as file:
        head = file.read(32)
    page = int.from_bytes(head[16:18]) if head[16:18] != b"\0\1" else 65536
    return path.stat().st_size < page * int.from_bytes(head[28:32])


def no_tables(path: Path) -> str:
    """Return the message for a file that holds none of our tables.

    Parameters
    ----------
    path
        The file.
    """
    return f"{path} is no dump of transients: it holds no table {ALEMBIC_TABLE}"
