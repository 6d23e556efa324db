"""Tables as FITS binary tables, with units, meanings and UCDs, written chunk by chunk.

astropy makes the header, and reads the file in the tests; it writes whole tables in memory only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits

from trap import __version__
from trap.escapes import plain_text
from trap.report.table_stream import is_text, time_text

if TYPE_CHECKING:
    from typing import BinaryIO

    from numpy.typing import NDArray

    from trap.report.table_stream import TableStream
    from trap.tables import Column

__all__ = ["write_fits"]

BLOCK = 2880
NULL = int(np.iinfo(np.int64).min)
"""Number that stands for a missing whole number: TNULLn."""
TIME_WIDTH = 27
"""Characters of a time to the microsecond, as in 2026-05-01T12:00:00.000000Z."""
_FORMATS = {"b1": "L", "f4": "E", "f8": "D", "i2": "I", "i4": "J", "i8": "K"}


def write_fits(table: TableStream, file: BinaryIO) -> None:
    """Write a table as a FITS binary table.

    The keywords TCOMMn hold the meanings of the columns, and TUCDn their UCDs. Properties of the whole table become
    keywords of at most eight letters. Text outside ASCII is replaced, since FITS tables cannot hold it.

    Parameters
    ----------
    table
        Table, with the widths of its columns of text.
    file
        File that is written.

    Raises
    ------
    ValueError
        If a text is wider than its column, or the number of rows is another one.
    """
    dtypes = {name: _dtype(column, table.widths.get(name, 1)) for name, column in table.columns.items()}
    file.write(fits.PrimaryHDU().header.tostring().encode("ascii"))
    file.write(_header(table, dtypes).tostring().encode("ascii"))
    row, n_rows = np.dtype(list(dtypes.items())), 0
    for chunk in table.chunks:
        records = np.empty(len(next(iter(chunk.values()))), row)
        for name, values in chunk.items():
            records[name] = _encoded(name, values, dtypes[name])
        file.write(records.tobytes())
        n_rows += len(records)
    if n_rows != table.n_rows:
        msg = f"table of {table.name}: {n_rows} rows in place of {table.n_rows}"
        raise ValueError(msg)
    file.write(b"\0" * (-n_rows * row.itemsize % BLOCK))


def _header(table: TableStream, dtypes: dict[str, np.dtype[Any]]) -> fits.Header:
    """Make the header of the table from one without rows."""
    columns = [
        fits.Column(
            name=name,
            format=_format(column, dtypes[name]),
            unit=column.unit or None,
            null=NULL if dtypes[name] == np.dtype(">i8") else None,
        )
        for name, column in table.columns.items()
    ]
    hdu = fits.BinTableHDU.from_columns(columns, name=table.name.upper().replace(" ", "_"))
    header = hdu.header
    header["NAXIS2"] = table.n_rows
    for i, column in enumerate(table.columns.values(), start=1):
        # Text that is too long for a card is continued in the next card.
        header[f"TCOMM{i}"] = _ascii(column.doc.replace("σ", "sigma"))
        if column.ucd:
            header[f"TUCD{i}"] = column.ucd
    for key, value in table.about.items():
        keyword = key.upper().replace(" ", "")[:8]
        header[keyword] = _ascii(value) if isinstance(value, str) else value
    header["TIMESYS"] = ("UTC", "all times")
    header["CREATOR"] = f"trap {__version__}"
    return header


def _dtype(column: Column, width: int) -> np.dtype[Any]:
    """Return the big-endian type of a column in the file."""
    if column.dtype.kind == "M":
        return np.dtype(f"S{TIME_WIDTH}")
    if is_text(column):
        return np.dtype(f"S{max(width, 1)}")
    return np.dtype("S1") if column.dtype.kind == "b" else column.dtype.newbyteorder(">")


def _format(column: Column, dtype: np.dtype[Any]) -> str:
    return f"{dtype.itemsize}A" if column.dtype.kind in "OUM" else _FORMATS[column.dtype.str[1:]]


def _encoded(name: str, values: NDArray[Any], dtype: np.dtype[Any]) -> Any:  # noqa: ANN401 (an array or a list)
    """Convert values to the type of their column in the file."""
    kind = values.dtype.kind
    if kind == "b":
        return np.where(values, b"T", b"F")
    if kind == "M":
        return [text.encode() for text in time_text(values)]
    if kind in "OU":
        encoded = {text: b"" if text is None else _ascii(text).encode() for text in set(values.tolist())}
        longest = max(map(len, encoded.values()), default=0)
        if longest > dtype.itemsize:
            msg = f"column {name}: a text of {longest} characters does not fit {dtype.itemsize}"
            raise ValueError(msg)
        return [encoded[text] for text in values.tolist()]
    return np.ma.filled(values, NULL) if isinstance(values, np.ma.MaskedArray) else values


def _ascii(text: str) -> str:
    """Replace characters that are not printable ASCII, which FITS cannot hold in headers and tables."""
    return plain_text(text).encode("ascii", "replace").decode()
