"""The registry of formats for other programs: a new format is one record in this file.

``transients export``, ``candidates``, ``variables``, ``lightcurve`` and ``extract`` offer every format that is listed
here, as far as it fits their table. This module is imported for ``--help``, so the writers import their libraries
themselves.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import BinaryIO

    from trap.report.columns import ExportTable
    from trap.report.table_stream import TableStream

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
    write
        Function that writes a table to a file; None for a format that needs more than one table.
    tables
        Names of the result tables that have this format; empty for all.
    needs_widths
        Whether the writer needs the widths of columns of text beforehand.
    """

    name: str
    suffix: str
    description: str
    is_text: bool = False
    write: Callable[[TableStream, BinaryIO], None] | None = None
    tables: tuple[str, ...] = ()
    needs_widths: bool = False

    def encode(self, table: ExportTable) -> bytes:
        """Return a table in memory as the content of a file.

        Raises
        ------
        ConfigError
            If a library is missing, or the table has nothing that the format holds.
        ValueError
            If the format needs more than a table.
        """
        if self.write is None:
            msg = f"a table alone cannot be written as {self.name}"
            raise ValueError(msg)
        file = io.BytesIO()
        self.write(table.stream(), file)
        return file.getvalue()


def _csv(table: TableStream, file: BinaryIO) -> None:
    from trap.report.text_files import write_csv

    write_csv(table, file)


def _ecsv(table: TableStream, file: BinaryIO) -> None:
    from trap.report.text_files import write_ecsv

    write_ecsv(table, file)


def _json(table: TableStream, file: BinaryIO) -> None:
    from trap.report.text_files import write_json

    write_json(table, file)


def _votable(table: TableStream, file: BinaryIO) -> None:
    from trap.report.text_files import write_votable

    write_votable(table, file)


def _fits(table: TableStream, file: BinaryIO) -> None:
    from trap.report.table_files import write_fits

    write_fits(table, file)


def _parquet(table: TableStream, file: BinaryIO) -> None:
    from trap.report.parquet_files import write_parquet

    write_parquet(table, file)


def _ds9(table: TableStream, file: BinaryIO) -> None:
    from trap.report.region_files import write_ds9

    write_ds9(table, file)


def _crtf(table: TableStream, file: BinaryIO) -> None:
    from trap.report.region_files import write_crtf

    write_crtf(table, file)


_DRAWN = ("sources", "measurements", "lightcurves", "images", "transients")
FORMATS = {
    table_format.name: table_format
    for table_format in (
        TableFormat(name="csv", suffix=".csv", description="table as CSV", is_text=True, write=_csv),
        TableFormat(name="json", suffix=".json", description="table as JSON", is_text=True, write=_json),
        TableFormat(
            name="votable",
            suffix=".vot",
            description="table as VOTable, with units and UCDs",
            is_text=True,
            write=_votable,
        ),
        TableFormat(
            name="fits",
            suffix=".sources.fits",
            description="table as FITS, with units and UCDs",
            write=_fits,
            needs_widths=True,
        ),
        TableFormat(
            name="ecsv", suffix=".ecsv", description="table as ECSV, with units and UCDs", is_text=True, write=_ecsv
        ),
        TableFormat(
            name="parquet",
            suffix=".parquet",
            description="table as Parquet, with units and UCDs",
            write=_parquet,
            needs_widths=True,
        ),
        TableFormat(name="ds9", suffix=".reg", description="DS9 regions", is_text=True, write=_ds9, tables=_DRAWN),
        TableFormat(
            name="crtf", suffix=".crtf", description="regions for CASA", is_text=True, write=_crtf, tables=_DRAWN
        ),
        TableFormat(
            name="hats",
            suffix=".hats",
            description="HATS catalogue, a folder; light curves are nested",
            tables=("lightcurves", "sources", "measurements", "transients"),
        ),
        TableFormat(
            name="moc", suffix=".moc.fits", description="coverage map (MOC) of each band", tables=("coverage",)
        ),
    )
}
"""All formats by name, in the order of the help."""
