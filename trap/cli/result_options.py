"""The arguments of commands that show results. This module imports nothing slow, so ``--help`` is quick."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from trap.report.formats import FORMATS
from trap.selection import POSITION_EXAMPLES, VERDICTS

if TYPE_CHECKING:
    import argparse

__all__ = [
    "add_datasets",
    "add_export",
    "add_export_options",
    "add_filters",
    "add_photometry",
    "add_selection",
    "add_variables_options",
]


TABLES = ("sources", "measurements", "lightcurves", "images", "transients", "ratings", "coverage")
"""Names of the result tables, which :mod:`trap.db.result_tables` describes."""


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
    parser.add_argument(
        "--sort", choices=["eta", "v", "p", "modulation", "step"], default="eta", help="order of the list (%(default)s)"
    )
    parser.add_argument("--limit", type=int, default=50, metavar="N", help="longest list (%(default)s)")


def add_filters(parser: argparse.ArgumentParser, *, of_one_source: bool = False) -> None:
    """Add the options of :class:`trap.selection.Selection` to a parser; all commands that show results have the same.

    Parameters
    ----------
    parser
        Parser of the command.
    of_one_source
        Whether the command shows one source, which it names by options of its own.
    """
    # Declinations such as -30:01:02 are values, not options.
    parser._negative_number_matcher = re.compile(r"-\d")  # noqa: SLF001
    group = parser.add_argument_group("selection", "rows that pass all filters; docs/how-to/exports.md describes them")
    if not of_one_source:
        group.add_argument("--near", nargs="+", metavar="POSITION", help="position, as in 'transients lightcurve'")
        group.add_argument("--radius", type=float, metavar="ARCSEC", help="radius around it (30)")
        group.add_argument(
            "--entry", type=int, action="append", metavar="N", help="number of an entry; may be repeated"
        )
        group.add_argument("--candidates-only", action="store_true", help="leave out sources that are no candidates")
    for end, order in (("min", "smallest"), ("max", "largest")):
        group.add_argument(
            f"--{end}", action="append", metavar="COLUMN=VALUE",
            help=f"{order} value of any column of numbers, as eta=5; repeatable",
        )  # fmt: skip
    group.add_argument(
        "--band", type=float, action="append", metavar="MHZ", help="frequency of a band; may be repeated"
    )
    group.add_argument(
        "--stokes", type=str.upper, action="append", metavar="LETTER", help="Stokes parameter; repeatable"
    )
    group.add_argument("--since", metavar="TIME", help="first time, ISO 8601 in UTC or MJD")
    group.add_argument("--until", metavar="TIME", help="last time")
    group.add_argument("--rating", action="append", choices=VERDICTS, help="candidates that a person has rated so")
    group.add_argument("--tag", action="append", metavar="TAG", help="candidates whose rating has a tag; repeatable")
    group.add_argument("--without-flags", metavar="NAMES", help="leave out measurements with any of these flags")


def add_photometry(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``transients lightcurve`` for positions without a source."""
    parser.add_argument(
        "--limits", action="store_true", help="show the upper limit of each image at the position instead"
    )
    parser.add_argument(
        "--forced",
        action="store_true",
        help="measure the position in each image instead, by forced fits, with or without a source there",
    )
    parser.add_argument(
        "--keep", action="store_true", help="with --forced: keep the points in the database for the next time"
    )


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


def add_datasets(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that name a dataset, and others that are read together with it."""
    parser.add_argument("dataset", type=int, metavar="DATASET", help="number of the dataset")
    parser.add_argument(
        "--dataset", type=int, action="append", dest="others", metavar="N",
        help="another dataset of the database, whose sources are merged by position; repeatable",
    )  # fmt: skip


def add_export_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``transients export`` to a parser."""
    add_datasets(parser)
    parser.add_argument("--what", required=True, choices=TABLES, help="table to export")
    parser.add_argument("--format", required=True, choices=list(FORMATS), help="format of the file")
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="file, or folder for hats; without it, text is printed",
    )
    parser.add_argument("--force", action="store_true", help="replace the file if it exists")
    parser.add_argument(
        "--depth",
        type=float,
        metavar="MJY",
        help="for moc: the area searched to this upper limit in mJy/beam, or better",
    )
    add_filters(parser)
