"""The arguments of commands that show results on pages. This module imports nothing slow, for a quick ``--help``."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["add_page_commands"]

MAX_PORT = 65535
N_CANDIDATES, MAX_CANDIDATES = 30, 200
"""Default and largest number of candidates with a light curve in a report: each takes 40 kB and a tenth of a second."""


def add_page_commands(add: Callable[[str, str, str], argparse.ArgumentParser]) -> None:
    """Add ``transients serve`` and ``transients report``.

    Parameters
    ----------
    add
        Function that adds a sub-command by its name, its handler and its help text.
    """
    parser = add("serve", "trap.cli.serve:serve_pages", "show the results as web pages")
    parser.add_argument(
        "database", nargs="?", metavar="DATABASE",
        help="an SQLite file (default: trap.db), or postgresql://USER@HOST/NAME",
    )  # fmt: skip
    parser.add_argument(
        "--host", default="127.0.0.1",
        help="address to listen at (default: %(default)s, for this machine only); any other requires a token, "
        "which is printed, or taken from the variable TRANSIENTS_TOKEN",
    )  # fmt: skip
    parser.add_argument("--port", type=_port, metavar="N", help="port (default: the first free one from 8765 on)")
    parser.add_argument("--allow-edit", action="store_true", help="let visitors rate candidates and keep measurements")
    parser.add_argument("--open", action="store_true", help="open the pages in a browser")
    _add_report(add("report", "trap.cli.report:make_report", "write a dataset as one page, to open without a network"))


def _add_report(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``transients report``."""
    parser.add_argument("dataset", type=int, metavar="DATASET", help="number of the dataset")
    parser.add_argument(
        "--database", metavar="URL", help="an SQLite file (default: trap.db), or postgresql://USER@HOST/NAME"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", default=Path("report.html"), help="file to write (%(default)s)"
    )
    parser.add_argument("--force", action="store_true", help="replace the file if it exists")
    parser.add_argument(
        "--candidates", type=_candidates, default=N_CANDIDATES, metavar="N",
        help=f"candidates with a light curve and cut-outs, at most {MAX_CANDIDATES} (%(default)s)",
    )  # fmt: skip


def _candidates(text: str) -> int:
    """Read a number of candidates."""
    number = int(text)
    if not 0 <= number <= MAX_CANDIDATES:
        msg = f"{number} is not between 0 and {MAX_CANDIDATES}"
        raise argparse.ArgumentTypeError(msg)
    return number


def _port(text: str) -> int:
    """Read the number of a port; 0 chooses a free one."""
    port = int(text)
    if not 0 <= port <= MAX_PORT:
        msg = f"{port} is no port, which are 0 to {MAX_PORT}"
        raise argparse.ArgumentTypeError(msg)
    return port
