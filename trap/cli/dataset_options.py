"""The arguments of ``transients inspect`` and of ``transients dataset`` with its sub-commands."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from trap.cli.result_options import add_export

__all__ = ["add_dataset_commands", "add_inspect_options"]

AddCommand = Callable[..., argparse.ArgumentParser]
"""A function that adds a sub-command by its name, handler and help text, see :mod:`trap.cli.parser`."""
AddOptions = Callable[[argparse.ArgumentParser], None]


def add_inspect_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``transients inspect``."""
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="images, or quoted glob patterns of images")
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings whose limits apply")
    parser.add_argument("--catalogues", metavar="PATTERN", help="source lists of the images, as for 'transients run'")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show every check of every image, with its figures"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON list, for programs")
    parser.add_argument(
        "--plot",
        type=Path,
        metavar="FILE",
        help="draw the image, its sources and its searched area; several images are drawn into numbered files",
    )


def add_dataset_commands(add: AddCommand, add_database: AddOptions) -> None:
    """Add the sub-commands of ``transients dataset``.

    Parameters
    ----------
    add
        Adds a sub-command to the group.
    add_database
        Adds the option that names the database.
    """
    every = add("list", "trap.cli.results:list_datasets", "list the datasets of a database")
    one = add("show", "trap.cli.results:show_dataset", "show the contents of a dataset, and the images left out")
    one.add_argument("dataset", type=int, metavar="ID", help="number of the dataset")
    one.add_argument(
        "-v", "--all", action="store_true", help="show every image that was left out, every run and every setting"
    )
    for parser in (every, one):
        add_database(parser)
        parser.add_argument("--json", action="store_true", help="as JSON, for programs")
    calibration = add(
        "calibration", "trap.cli.calibration:show_calibration",
        "show the gain and the shift of each image, and the reason where nothing was corrected",
    )  # fmt: skip
    calibration.add_argument("dataset", type=int, metavar="ID", help="number of the dataset")
    add_database(calibration)
    add_export(calibration)
    calibration.add_argument("--plot", type=Path, metavar="FILE", help="draw gains and shifts against time")
    calibration.add_argument(
        "--image", type=int, metavar="N", help="draw the displacements in this image of the table, as arrows on the sky"
    )
    rename = add("rename", "trap.cli.datasets:rename", "give a dataset another description")
    delete = add("delete", "trap.cli.datasets:delete", "delete a dataset with its images and measurements")
    forget = add(
        "forget", "trap.cli.forgetting:forget", "make a dataset again without some of its timesteps",
        epilog="the other images are processed again, so their files must still exist",
    )  # fmt: skip
    for parser in (rename, delete, forget):
        parser.add_argument("dataset", type=int, metavar="ID", help="number of the dataset")
        add_database(parser)
    rename.add_argument("description", metavar="NAME", help="its new description")
    forget.add_argument("timesteps", nargs="+", metavar="TIME", help="start of a timestep, UTC: 2026-01-31T12:00:00")
    for parser in (delete, forget):
        parser.add_argument("-y", "--yes", action="store_true", help="do not ask for confirmation")
    _add_compare(add, add_database)


def _add_compare(add: AddCommand, add_database: AddOptions) -> None:
    """Add ``transients dataset compare``."""
    parser = add(
        "compare", "trap.cli.datasets:compare", "compare the catalogues of two datasets",
        epilog="exits with 3 if the catalogues differ",
    )  # fmt: skip
    parser.add_argument("first", type=int, metavar="A", help="number of a dataset")
    parser.add_argument("second", type=int, metavar="B", help="number of another")
    add_database(parser)
    parser.add_argument("--exact", action="store_true", help="list every difference, for tests of two versions")
    parser.add_argument("--other-database", metavar="URL", help="database of B, if it is not the same database")
    parser.add_argument(
        "--position", type=float, default=0.1, metavar="ARCSEC", help="tolerance of positions (%(default)s)"
    )
    parser.add_argument(
        "--relative",
        type=float,
        default=1e-6,
        metavar="FRACTION",
        help="relative tolerance of flux densities (%(default)s)",
    )
