"""Tables of other kinds than text: FITS, VOTable and Parquet."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits
from astropy.io.votable import parse
from astropy.table.meta import get_header_from_yaml

from trap.errors import SourceListError
from trap.software import install_command
from trap.source_lists.tables import ListTable, Numbers, Place, damage, decimals_of, numbers_of, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

__all__ = ["ArrayCells", "open_fits", "open_parquet", "open_votable"]


@dataclass(frozen=True, slots=True, eq=False)
class ArrayCells:
    """Cells that a library reads as arrays.

    Parameters
    ----------
    column
        Function that returns the (n,) values of a column, masked where they are missing.
    decimals
        Number of decimals of columns that are printed with a fixed number, by name.
    """

    column: Callable[[str], NDArray[Any]]
    decimals: Mapping[str, int]

    def read(self, numbers: Sequence[str], labels: Sequence[str]) -> tuple[dict[str, Numbers], dict[str, list[str]]]:
        """Read some columns, with the decimals of printed columns that have zeros.

        Parameters
        ----------
        numbers, labels
            As for :meth:`trap.source_lists.tables.Cells.read`.
        """
        with damage():
            values = {name: self._checked(name) for name in (*numbers, *labels)}
        return {name: self._numbers(name, values[name]) for name in numbers}, {
            name: _texts(values[name]) for name in labels
        }

    def _checked(self, name: str) -> NDArray[Any]:
        values = self.column(name)
        if values.ndim != 1:
            raise SourceListError(f"column {shown(name)} has several values in a row")
        return values

    def _numbers(self, name: str, values: NDArray[Any]) -> Numbers:
        """Convert a column to numbers; missing values become NaN."""
        if values.dtype.kind in "fiub":
            with np.errstate(invalid="ignore"):
                found = np.array(np.ma.getdata(values), float)
            found[np.ma.getmaskarray(values)] = np.nan
            return Numbers(found, self.decimals.get(name))
        if values.dtype.kind not in "SUO":
            raise SourceListError(f"column {shown(name)} has values of the type {values.dtype}, which are no numbers")
        texts = _texts(values)
        found = numbers_of(texts, name, Place())
        return Numbers(found, decimals_of(texts) if (found == 0).any() else None)


def open_fits(content: bytes) -> Iterator[ListTable]:
    """Open the tables of a FITS file.

    Parameters
    ----------
    content
        Bytes of the file.

    Raises
    ------
    SourceListError
        If the file is damaged, or has no table.
    """
    with damage(), fits.open(io.BytesIO(content)) as units:
        tables = [unit for unit in units if isinstance(unit, fits.BinTableHDU | fits.TableHDU)]
        tables = [table for table in tables if not isinstance(table, fits.CompImageHDU)]
        opened = [_fits_table(table) for table in tables]
    if not opened:
        raise SourceListError("a FITS file without a table: an image is no source list")
    yield from opened


def _fits_table(table: fits.BinTableHDU) -> ListTable:
    """Read a table of a FITS file."""
    data, columns = table.data, table.columns
    n_rows = 0 if data is None else len(data)
    if n_rows != table.header["NAXIS2"]:
        raise SourceListError(f"{n_rows} rows, and the header has {table.header['NAXIS2']}; the file is cut short")
    nulls = {column.name: column.null for column in columns}

    def read(name: str) -> NDArray[Any]:
        values = np.asarray(data[name]) if n_rows else np.empty(0)
        has_null = nulls[name] not in {None, ""} and values.dtype.kind in "iu"
        return np.ma.masked_equal(values, nulls[name]) if has_null else values

    return ListTable(
        names=tuple(nulls),
        units={column.name: column.unit for column in columns if column.unit},
        n_rows=n_rows,
        cells=ArrayCells(read, {}),
        notes={"equinox": str(table.header.get("EQUINOX", "")), "comments": str(table.header.get("COMMENT", ""))},
    )


def open_votable(content: bytes) -> Iterator[ListTable]:
    """Open the tables of a VOTable.

    Parameters
    ----------
    content
        Bytes of the file.

    Raises
    ------
    SourceListError
        If the file is damaged, or has no table.
    """
    with damage():
        votable = parse(io.BytesIO(content))
        tables = [table for table in votable.iter_tables() if table.fields]
        frames = " ".join(str(frame.system) for frame in votable.iter_coosys())
    if not tables:
        raise SourceListError("a VOTable without a table")
    for table in tables:
        names = {field.name: field.ID for field in table.fields}
        array = table.array
        yield ListTable(
            names=tuple(names),
            units={field.name: str(field.unit) for field in table.fields if field.unit},
            n_rows=len(array),
            cells=ArrayCells(
                lambda name, array=array, names=names: array[names[name]],  # type: ignore[misc]
                {field.name: int(field.precision) for field in table.fields if str(field.precision or "").isdigit()},
            ),
            notes={"frame": frames},
        )


def open_parquet(content: bytes) -> ListTable:
    """Open a Parquet file; pyarrow, which reads it, is an optional dependency.

    Parameters
    ----------
    content
        Bytes of the file.

    Raises
    ------
    SourceListError
        If the file is damaged, or pyarrow is missing.
    """
    try:
        from pyarrow import BufferReader, parquet
    except ModuleNotFoundError as error:
        msg = f"Parquet files require pyarrow: {install_command('parquet')}"
        raise SourceListError(msg) from error
    with damage():
        file = parquet.ParquetFile(BufferReader(content))
        schema = file.schema_arrow
        # astropy writes units here; other programs write none.
        described = (schema.metadata or {}).get(b"table_meta_yaml", b"datatype: []").decode().splitlines()
        units = {column["name"]: str(column.get("unit", "")) for column in get_header_from_yaml(described)["datatype"]}
        n_rows = file.metadata.num_rows
    return ListTable(
        names=tuple(schema.names),
        units=units,
        n_rows=n_rows,
        cells=ArrayCells(
            lambda name: file.read(columns=[name]).column(0).to_numpy(zero_copy_only=False),
            {},
        ),
    )


def _texts(values: NDArray[Any]) -> list[str]:
    """Return the values of a column as text; missing values are empty."""
    cells = np.ma.filled(np.ma.asarray(values).astype(object), "").tolist()
    return [
        (cell.decode(errors="replace") if isinstance(cell, bytes) else "" if cell is None else str(cell)).strip()
        for cell in cells
    ]
