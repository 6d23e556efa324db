"""Tables of results for other programs, on standard output or in a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trap.cli.streams import print_utf8
from trap.cli.terminal import reported_errors
from trap.errors import ConfigError
from trap.report.formats import FORMATS

if TYPE_CHECKING:
    import argparse

    from trap.report.columns import ExportTable

__all__ = ["check_export", "export"]


def check_export(arguments: argparse.Namespace) -> None:
    """Refuse a file without a format, and a binary format without a file, before anything is read.

    Raises
    ------
    ConfigError
        If the options contradict each other.
    """
    if arguments.format is None and arguments.output is not None:
        msg = f"--output needs --format: {', '.join(FORMATS)}"
        raise ConfigError(msg)
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
