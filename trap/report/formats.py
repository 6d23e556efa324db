"""The registry of table formats for other programs: a new format is one record in this file.

``transients candidates``, ``lightcurve`` and ``extract`` offer every format that is listed here. This module is
imported for ``--help``, so the writers import their libraries themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from trap.report.columns import ExportTable

__all__ = ["FORMATS", "TableFormat"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableFormat:
    """A format of tables.

    Parameters
    ----------
    name
        Name of the format on the command line.
    suffix
        Ending of a file that is named after an image; it must differ from the endings of images.
    description
        Description for ``--help``.
    is_text
        Whether the table is text in UTF-8, which can go to standard output.
    encode
        Function that returns the content of the file.
    """

    name: str
    suffix: str
    description: str
    is_text: bool
    encode: Callable[[ExportTable], bytes]


def _csv(table: ExportTable) -> bytes:
    from trap.report.export import as_csv

    return f"{as_csv(table.values)}\n".encode()


def _json(table: ExportTable) -> bytes:
    from trap.report.export import as_json, as_rows

    return f"{as_json(list(as_rows(table.values)))}\n".encode()


def _votable(table: ExportTable) -> bytes:
    from trap.report.table_files import as_votable

    return as_votable(table)


def _fits(table: ExportTable) -> bytes:
    from trap.report.table_files import as_fits

    return as_fits(table)


FORMATS = {
    table_format.name: table_format
    for table_format in (
        TableFormat(name="csv", suffix=".csv", description="table as CSV", is_text=True, encode=_csv),
        TableFormat(name="json", suffix=".json", description="table as JSON", is_text=True, encode=_json),
        TableFormat(
            name="votable",
            suffix=".vot",
            description="table as VOTable, with units and UCDs",
            is_text=True,
            encode=_votable,
        ),
        TableFormat(
            name="fits",
            suffix=".sources.fits",
            description="table as FITS, with units and UCDs",
            is_text=False,
            encode=_fits,
        ),
    )
}
"""All formats by name, in the order of the help."""
