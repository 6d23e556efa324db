"""``transients dataset rename``, ``delete`` and ``compare``."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import fields
from typing import TYPE_CHECKING

from trap.cli.database import open_database, reading_database
from trap.cli.progress import progress_bar
from trap.db.comparison import Side, Tolerances, compare_contents, compare_datasets
from trap.db.datasets import rename_dataset
from trap.db.deletion import delete_dataset
from trap.db.engine import reading, transaction
from trap.db.overview import dataset_summary
from trap.errors import ConfigError
from trap.escapes import plain_lines, plain_text
from trap.report.comparison import contents_text

if TYPE_CHECKING:
    from argparse import Namespace

__all__ = ["compare", "delete", "is_confirmed", "rename"]

SAME_SOURCE_ARCSEC = 2.0
"""arcsec — distance within which entries are the same source in the table; sources of other settings move a little."""
DIFFERENT = 3
"""Exit code of a comparison that found a difference; 1 is the exit code of an error."""


def rename(arguments: Namespace) -> int:
    """Give a dataset another description.

    Raises
    ------
    DatasetNotFoundError
        If the dataset does not exist.
    """
    with open_database(arguments.database) as engine, transaction(engine) as connection:
        rename_dataset(connection, arguments.dataset, arguments.description)
    print(plain_text(f"dataset {arguments.dataset} is now called: {arguments.description}"))
    return 0


def delete(arguments: Namespace) -> int:
    """Delete a dataset, after a confirmation at the terminal.

    Raises
    ------
    DatasetNotFoundError, DatasetLockedError
        If the dataset does not exist, or a run is writing it.
    ConfigError
        If standard input is not a terminal and ``--yes`` is not set.
    """
    number = arguments.dataset
    with open_database(arguments.database) as engine:
        with reading(engine) as connection:
            summary = dataset_summary(connection, number)
        label = f"dataset {number} ({summary['description']}): {summary['n_images']} images"
        if not arguments.yes and not is_confirmed(f"delete {label}, with all their measurements?"):
            print("nothing deleted")
            return 0
        with progress_bar("measurements") as progress:
            delete_dataset(engine, number, progress=progress)
    print(plain_text(f"deleted {label}"))
    return 0


def compare(arguments: Namespace) -> int:
    """Compare the catalogues of two datasets and print the differences.

    Returns
    -------
    0 if the catalogues are equal within the tolerances, otherwise 3.

    Raises
    ------
    DatasetNotFoundError
        If one of the datasets does not exist.
    """
    tolerances = Tolerances(position_arcsec=arguments.position, relative=arguments.relative)
    with ExitStack() as stack:
        first = stack.enter_context(reading_database(arguments.database))
        second = first
        if arguments.other_database is not None:
            second = stack.enter_context(reading_database(arguments.other_database))
        sides = Side(first, arguments.first), Side(second, arguments.second)
        differences = compare_datasets(*sides, tolerances)
        if not differences:
            print(f"datasets {arguments.first} and {arguments.second} hold the same")
        elif arguments.exact:
            print(plain_lines(differences))
        else:
            contents = compare_contents(*sides, radius_arcsec=max(arguments.position, SAME_SOURCE_ARCSEC))
            print(contents_text(**{field.name: getattr(contents, field.name) for field in fields(contents)}))
    return DIFFERENT if differences else 0


def is_confirmed(question: str) -> bool:
    """Ask a question at the terminal, and return whether the answer is yes.

    Parameters
    ----------
    question
        The question.

    Raises
    ------
    ConfigError
        If standard input is not a terminal.
    """
    if not sys.stdin.isatty():
        msg = f"{question} standard input is not a terminal: confirm with --yes"
        raise ConfigError(msg)
    try:
        return input(plain_text(f"{question} [y/N] ")).strip().lower() in {"y", "yes"}
    except EOFError:
        return False  # Ctrl-D
