"""Files of reference catalogues as tables: VOTable, FITS, CSV, ECSV and Parquet, recognised by their content.

Only the columns that are needed are read, since catalogues of surveys have a million rows and a hundred columns.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import warnings
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, cast

from astropy.io import fits
from astropy.io.votable import parse, parse_single_table
from astropy.table import Table
from astropy.table.meta import get_header_from_yaml

from trap.errors import ConfigError
from trap.software import install_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

__all__ = ["DAMAGE", "Heading", "TableFile", "open_table"]

DAMAGE = (
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, EOFError, RecursionError),
    *(fits.VerifyError, zlib.error),
)
"""Errors that the libraries of the formats raise for damaged files."""
HEAD = 1 << 20
"""Number of bytes in which the heading of a text file ends."""
BYTE_ORDER_MARK = "\ufeff"
"""Mark with which spreadsheets begin their files; astropy does not read it."""
BRACKETS = re.compile(r"\s*(.*?)\s*(?:[\[(]([^\])]*)[\])])?\s*")
"""Heading of a column of a CSV file: its name, and its unit in brackets if it has one."""


@dataclass(frozen=True, slots=True)
class Heading:
    """Name, unit and UCD of a column; unit and UCD are empty if the file has none."""

    name: str
    unit: str = ""
    ucd: str = ""


@dataclass(frozen=True, slots=True)
class TableFile:
    """A table in a file.

    Parameters
    ----------
    headings
        Columns of the table.
    read
        Function that reads the columns of some names, as a table with these names.
    """

    headings: tuple[Heading, ...]
    read: Callable[[Sequence[str]], Table]


def open_table(path: Path) -> TableFile:
    """Open the first table of a file; the format is recognised by its content.

    Parameters
    ----------
    path
        The file, which gzip may have compressed.

    Raises
    ------
    ConfigError
        If the file is of no known format, or its format needs a package that is missing.
    OSError
        If it cannot be read. Damaged files raise the errors of :data:`DAMAGE` as well.
    """
    with _opened(path) as file:
        head = file.read(HEAD)
    if head.startswith(b"SIMPLE"):
        return _open_fits(path)
    if head.startswith(b"PAR1"):
        return _open_parquet(path)
    if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<") and b"<VOTABLE" in head.upper():
        return _open_votable(path, head)
    if head and b"\0" not in head and not head.lstrip().startswith(b"<"):
        return _open_text(path, head.decode(errors="replace"))
    raise ConfigError("not a VOTable, nor a FITS, CSV, ECSV or Parquet file" if head else "the file is empty")


def _open_fits(path: Path) -> TableFile:
    """Open the first table of a FITS file."""
    with _fits(path) as units:
        number = next((i for i, unit in enumerate(units) if isinstance(unit, fits.BinTableHDU | fits.TableHDU)), None)
        if number is None:
            raise ConfigError("a FITS file without a table")
        columns = units[number].columns
        header = units[number].header
        headings = tuple(
            Heading(column.name, column.unit or "", str(header.get(f"TUCD{i}", "")))
            for i, column in enumerate(columns, start=1)
        )

    def read(names: Sequence[str]) -> Table:
        with _fits(path) as units:
            # The columns are copied, since the file is closed at the end.
            return Table({name: units[number].data[name].copy() for name in names})

    return TableFile(headings, read)


@contextmanager
def _fits(path: Path) -> Iterator[fits.HDUList]:
    """Open a FITS file, without warnings; it is closed even if it is damaged."""
    with _quiet(), _opened(path) as file, fits.open(file) as units:
        yield units


def _opened(path: Path) -> IO[bytes]:
    """Open a file, which gzip may have compressed."""
    with path.open("rb") as file:
        is_compressed = file.read(2) == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.open(path)) if is_compressed else path.open("rb")


def _open_votable(path: Path, head: bytes) -> TableFile:
    """Open the first table of a VOTable. Its fields stand before its data, which are read without the other fields."""
    before, mark, _ = head.partition(b"<DATA")
    # A compressed file is read as a whole, and so is one with an unusual head.
    start = io.BytesIO(before + b"</TABLE></RESOURCE></VOTABLE>") if mark else path
    with _quiet():
        try:
            fields = parse_single_table(start).fields
        except (ValueError, IndexError, OSError):
            fields = parse_single_table(path).fields
    headings = tuple(Heading(field.name, str(field.unit or ""), str(field.ucd or "")) for field in fields)
    names = [heading.name for heading in headings]

    def read(wanted: Sequence[str]) -> Table:
        numbers = sorted(names.index(name) for name in wanted)
        with _quiet():
            table = parse(path, columns=numbers, table_number=0).get_first_table().to_table()
        return Table({names[number]: table[key] for number, key in zip(numbers, table.colnames, strict=True)})

    return TableFile(headings, read)


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress warnings about small violations of the standard, which are common and harmless."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _open_text(path: Path, head: str) -> TableFile:
    """Open a table of text: CSV, ECSV, or columns between tabs, semicolons, bars or blanks."""
    lines = head.removeprefix(BYTE_ORDER_MARK).splitlines()
    first = next((i for i, line in enumerate(lines) if line.strip() and not line.startswith("#")), None)
    if first is None:
        raise ConfigError("a text file without a line of headings")
    line = lines[first]
    delimiter = next((mark for mark in (",", "\t", ";", "|") if mark in line), " ")
    names = [name.strip() for name in next(csv.reader([line], delimiter=delimiter, skipinitialspace=True))]
    if lines[0].startswith("# %ECSV"):
        with _quiet():
            header = Table.read(lines[: first + 1], format="ascii.ecsv")
        headings = [Heading(name, str(header[name].unit or "")) for name in header.colnames]
    else:
        found = [BRACKETS.fullmatch(name) for name in names]
        headings = [Heading(match[1], match[2] or "") for match in found if match is not None]
    keys = dict(zip((heading.name for heading in headings), names, strict=False))

    def read(wanted: Sequence[str]) -> Table:
        """Read columns by the fast reader of astropy, which does not know ECSV and byte order marks."""
        source: Path | str = path
        if head.startswith(BYTE_ORDER_MARK):
            with _opened(path) as file:
                source = file.read().decode("utf-8-sig")
        table = Table.read(
            source,
            format="ascii.basic",
            guess=False,
            delimiter=delimiter,
            comment="#",
            names=names,
            include_names=[keys[name] for name in wanted],
            # The heading is given, as the reader would refuse headings that look like numbers.
            header_start=0,
            data_start=1,
            fill_values=[("", "0"), ("null", "0"), ("nan", "nan"), ("NaN", "nan")],
        )
        return Table({name: table[keys[name]] for name in wanted})

    return TableFile(tuple(headings), read)


def _open_parquet(path: Path) -> TableFile:
    """Open a Parquet file; pyarrow, which reads it, is an optional dependency."""
    try:
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        msg = f"Parquet files require pyarrow: {install_command('parquet')}"
        raise ConfigError(msg) from error
    schema = parquet.read_schema(path)
    # astropy writes units here; other programs write none.
    described = (schema.metadata or {}).get(b"table_meta_yaml", b"datatype: []").decode().splitlines()
    units = {column["name"]: str(column.get("unit", "")) for column in get_header_from_yaml(described)["datatype"]}

    def read(names: Sequence[str]) -> Table:
        columns = parquet.read_table(path, columns=list(names))
        return Table({name: columns[name].to_numpy(zero_copy_only=False) for name in names})

    return TableFile(tuple(Heading(name, units.get(name, "")) for name in schema.names), read)
