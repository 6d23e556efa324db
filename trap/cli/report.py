"""The command ``transients report``: a dataset as one file, to look at without a network and to send."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trap.cli.database import database_url
from trap.cli.export import refuse_database
from trap.escapes import plain_text

if TYPE_CHECKING:
    from argparse import Namespace
    from pathlib import Path

__all__ = ["make_report", "write_report"]

BYTES_PER_MB = 1e6


def make_report(arguments: Namespace) -> int:
    """Write the report of a dataset into a file, and print its name and its size.

    Raises
    ------
    ConfigError
        If the file exists, belongs to a database, or cannot be written.
    DatabaseError
        If the database does not exist, or cannot be read.
    DatasetNotFoundError
        If there is no such dataset.
    """
    refuse_database(arguments.output)
    size = write_report(
        database_url(arguments.database),
        arguments.dataset,
        arguments.output,
        n_candidates=arguments.candidates,
        force=arguments.force,
    )
    print(
        plain_text(f"{arguments.output}: {size / BYTES_PER_MB:.1f} MB; open it in any browser, also without a network")
    )
    return 0


def write_report(database: str, number: int, path: Path, *, n_candidates: int, force: bool) -> int:
    """Write the report of a dataset into a file, which gets its name when it is complete.

    Parameters
    ----------
    database
        URL of the database.
    number
        Number of the dataset.
    path
        File to write.
    n_candidates
        Maximum number of candidates with a light curve and cut-outs.
    force
        Whether an existing file is replaced.

    Returns
    -------
    Size of the file in bytes.

    Raises
    ------
    ConfigError
        If the file exists and is not to be replaced, belongs to a database, or cannot be written.
    DatabaseError
        If the database does not exist, or cannot be read.
    DatasetNotFoundError
        If there is no such dataset.
    """
    # Every flow imports this module, and a worker process of its own writes the report: charts are slow to import.
    from trap.cli.table_export import completed
    from trap.results.access import open_reader
    from trap.web.report import report_page

    with completed(path, force=force) as temporary:
        # Names of files may hold bytes that are not UTF-8; the page shows them as escape sequences.
        content = report_page(open_reader(database), number, n_candidates=n_candidates).encode("utf-8")
        temporary.write_bytes(content)
    return len(content)
