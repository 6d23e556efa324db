"""Tables as VOTable and FITS, with units, descriptions and UCDs."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits
from astropy.table import Column as TableColumn
from astropy.table import Table

from trap import __version__
from trap.escapes import plain_text
from trap.report.columns import plain_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.report.columns import ExportTable
    from trap.tables import Column

__all__ = ["as_fits", "as_votable"]


def as_votable(table: ExportTable) -> bytes:
    """Encode a table as VOTable with units, descriptions and UCDs."""
    votable = Table([_table_column(name, *column) for name, column in table.columns.items()])
    about = "".join(f", {key} {plain_text(value)}" for key, value in table.about.items())
    votable.meta["description"] = f"Table of {table.name} by trap {__version__}{about}"
    file = io.BytesIO()
    votable.write(file, format="votable")
    return file.getvalue()


def as_fits(table: ExportTable) -> bytes:
    """Encode a table as a FITS binary table.

    The keywords TCOMMn hold the descriptions of the columns, and TUCDn their UCDs. Properties of the whole table become
    keywords of at most eight letters.
    """
    hdu = fits.BinTableHDU.from_columns(
        [_fits_column(name, column, plain_array(values)) for name, (column, values) in table.columns.items()],
        name=table.name.upper().replace(" ", "_"),
    )
    for i, (column, _) in enumerate(table.columns.values(), start=1):
        # Text that is too long for a card is continued in the next card.
        hdu.header[f"TCOMM{i}"] = _ascii(column.doc.replace("σ", "sigma"))
        if column.ucd:
            hdu.header[f"TUCD{i}"] = column.ucd
    for key, value in table.about.items():
        keyword = key.upper().replace(" ", "")[:8]
        hdu.header[keyword] = _ascii(value) if isinstance(value, str) else value
    hdu.header["CREATOR"] = f"trap {__version__}"
    file = io.BytesIO()
    hdu.writeto(file)
    return file.getvalue()


def _table_column(name: str, column: Column, values: NDArray[Any]) -> TableColumn:
    """Make a column of an astropy table with unit, description and UCD."""
    values = plain_array(values)
    if values.dtype.kind == "U":
        values = np.array([plain_text(text) for text in values], str)  # XML has no control characters
    return TableColumn(
        values,
        name=name,
        unit=column.unit or None,
        description=column.doc or None,
        meta={"ucd": column.ucd} if column.ucd else {},
    )


def _fits_column(name: str, column: Column, values: NDArray[Any]) -> fits.Column:
    """Make a column of a FITS table; text outside ASCII is replaced, since FITS tables cannot hold it."""
    if values.dtype.kind == "U":
        values = np.array([_ascii(text) for text in values], str)
    return fits.Column(name=name, format=_fits_format(values.dtype), unit=column.unit or None, array=values)


def _fits_format(dtype: np.dtype[Any]) -> str:
    if dtype.kind == "U":
        return f"{max(dtype.itemsize // 4, 1)}A"
    return {"b1": "L", "f4": "E", "f8": "D", "i2": "I", "i4": "J", "i8": "K"}[dtype.str[1:]]


def _ascii(text: str) -> str:
    """Replace characters that are not printable ASCII, which FITS cannot hold in headers and tables."""
    return plain_text(text).encode("ascii", "replace").decode()
