"""The arguments of commands that show results. This module imports nothing slow, so ``--help`` is quick."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from trap.report.formats import FORMATS
from trap.selection import POSITION_EXAMPLES

if TYPE_CHECKING:
    import argparse

__all__ = ["add_export", "add_selection", "add_variables_options"]


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a source to a parser."""
    parser.add_argument("position", nargs="*", metavar="POSITION", help=f"position, ICRS: {POSITION_EXAMPLES}")
    parser.add_argument("--candidate", type=int, metavar="N", help="number of a candidate, as 'candidates' prints it")
    parser.add_argument("--entry", type=int, metavar="N", help="number of an entry, as 'candidates' prints it")
    parser.add_argument("--name", metavar="NAME", help="name of a monitored position")
    parser.add_argument("--radius", type=float, default=30.0, metavar="ARCSEC", help="search radius (%(default)s)")


def add_variables_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``transients variables`` to a parser: cuts, band, Stokes parameter, order and number."""
    group = parser.add_argument_group("cuts", "a source is listed if it meets all of them")
    group.add_argument(
        "--max-p", type=float, default=1e-4, metavar="P",
        help="largest probability of an η as high if the source is constant; 1 lists all sources (%(default)g)",
    )  # fmt: skip
    group.add_argument("--min-eta", type=float, default=0.0, metavar="ETA", help="smallest η, a reduced χ²")
    group.add_argument("--min-v", type=float, default=0.0, metavar="V", help="smallest V, the relative scatter")
    group.add_argument(
        "--min-modulation", type=float, default=0.0, metavar="M", help="smallest relative scatter beyond the errors"
    )
    group.add_argument(
        "--band", type=float, metavar="MHZ",
        help="list the light curves of this band (default: of the brightest band of each source)",
    )  # fmt: skip
    group.add_argument("--stokes", type=str.upper, metavar="LETTER", help="list the light curves of this parameter")
    parser.add_argument(
        "--sort", choices=["eta", "v", "p", "modulation", "step"], default="eta", help="order of the list (%(default)s)"
    )
    parser.add_argument("--limit", type=int, default=50, metavar="N", help="longest list (%(default)s)")


def add_export(parser: argparse.ArgumentParser) -> None:
    """Add the options for a table in one of the export formats."""
    formats = parser.add_mutually_exclusive_group()
    formats.add_argument("--format", choices=list(FORMATS), help="print the table for programs, in this format")
    for name in ("json", "csv"):
        formats.add_argument(
            f"--{name}", action="store_const", const=name, dest="format", help=f"short for --format {name}"
        )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="write the table for programs to a file; required for fits"
    )
