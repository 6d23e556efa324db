"""Tables of results for other programs, on standard output or in a file, and files with figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trap.cli.streams import print_utf8
from trap.cli.terminal import reported_errors
from trap.errors import ConfigError
from trap.report.formats import FORMATS
from trap.report.plots import save_figure

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.figure import Figure

    from trap.report.columns import ExportTable

__all__ = ["check_export", "export", "refuse_database", "save_plot"]

SQLITE_MARK = b"SQLite format 3\0"
"""First bytes of every SQLite database."""
SIDE_FILES = ("-wal", "-shm", "-journal")
"""Endings of the files that SQLite puts next to a database."""


def check_export(arguments: argparse.Namespace) -> None:
    """Refuse a format of more than a table, a file without a format, and a binary format without a file.

    Raises
    ------
    ConfigError
        If the options contradict each other.
    """
    if arguments.format is None and arguments.output is not None:
        msg = f"--output needs --format: {', '.join(FORMATS)}"
        raise ConfigError(msg)
    if arguments.format is not None and FORMATS[arguments.format].write is None:
        tables = " or ".join(FORMATS[arguments.format].tables)
        msg = f"--format {arguments.format} needs more than this table; 'transients export' writes {tables} in it"
        raise ConfigError(msg)
    if arguments.output is not None:
        refuse_database(arguments.output)
    if arguments.format is not None and arguments.output is None and not FORMATS[arguments.format].is_text:
        msg = f"a {arguments.format} table is not text; write it to a file with --output"
        raise ConfigError(msg)


def export(table: ExportTable, arguments: argparse.Namespace) -> None:
    """Write a table in the chosen format to the file, or print it if there is no file.

    Parameters
    ----------
    table
        Table to write.
    arguments
        Arguments of :func:`~trap.cli.result_options.add_export`.

    Raises
    ------
    ConfigError
        If the file cannot be written.
    """
    content = FORMATS[arguments.format].encode(table)
    if arguments.output is None:
        print_utf8(content)
    else:
        with reported_errors(arguments.output):
            arguments.output.write_bytes(content)


def refuse_database(path: Path) -> None:
    """Refuse to write over an SQLite database, or a file next to it that belongs to it.

    Parameters
    ----------
    path
        File to be written.

    Raises
    ------
    ConfigError
        If it is part of a database.
    """
    bases = [path, *(path.with_name(path.name.removesuffix(end)) for end in SIDE_FILES if path.name.endswith(end))]
    for base in bases:
        if base.is_file():
            with base.open("rb") as file:
                is_database = file.read(len(SQLITE_MARK)) == SQLITE_MARK
            if is_database:
                msg = f"{path} belongs to the database {base}, which is never written over; name another file"
                raise ConfigError(msg)


def save_plot(draw: Callable[[], Figure], path: Path) -> None:
    """Draw a figure and write it to a file.

    Parameters
    ----------
    draw
        Function that draws the figure.
    path
        File to write.

    Raises
    ------
    ConfigError
        If the file cannot be written, or its ending belongs to no format; with the name of the file.
    """
    refuse_database(path)
    try:
        with reported_errors(path):
            save_figure(draw(), path)
    except ValueError as error:
        if isinstance(error, ConfigError):
            raise
        msg = f"{path}: {error}"
        raise ConfigError(msg) from error
