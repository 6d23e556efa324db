"""Tables as text in UTF-8: CSV, ECSV, JSON and VOTable, written chunk by chunk.

astropy writes ECSV and VOTables of a whole table in memory only; so they are written here, and read back by astropy in
the tests. A missing value is an empty cell in CSV, ECSV and VOTable, and null in JSON; NaN is missing in CSV, ECSV and
JSON.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

from trap import __version__
from trap.escapes import csv_text, plain_text
from trap.report.table_stream import CellStyle, is_text, parts, rows_of_cells

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from trap.report.table_stream import TableStream
    from trap.tables import Column

__all__ = ["describe_table", "write_csv", "write_ecsv", "write_json", "write_votable", "yaml_lines"]

_ECSV_TYPES = {"f": "float", "i": "int", "u": "uint"}
_VOTABLE_TYPES = {"b1": "boolean", "f4": "float", "f8": "double", "i2": "short", "i4": "int", "i8": "long"}


def describe_table(table: TableStream) -> str:
    """Return one line about a table: its name, the version of the program, and the properties of all rows.

    Parameters
    ----------
    table
        Table to be written.
    """
    about = "".join(f", {key} {plain_text(value)}" for key, value in table.about.items())
    return f"Table of {table.name} by trap {__version__}{about}"


def write_csv(table: TableStream, file: BinaryIO) -> None:
    """Write a table as CSV with a line of names.

    Texts that a spreadsheet would compute have an apostrophe before them (:func:`trap.escapes.csv_text`).

    Parameters
    ----------
    table, file
        Table, and file that is written.
    """
    file.write(_line(table.columns))
    style = CellStyle(text=lambda text: _quoted(csv_text(text)))
    file.writelines(_lines(",".join(row) for row in rows_of_cells(part, style)) for part in parts(table.chunks))


def write_ecsv(table: TableStream, file: BinaryIO) -> None:
    """Write a table as ECSV (astropy's enhanced CSV), with types, units, meanings and UCDs in a header.

    Parameters
    ----------
    table, file
        Table, and file that is written.
    """
    head = ["%ECSV 1.0", "---", "delimiter: ','", *yaml_lines(table), "schema: astropy-2.0"]
    file.write(_lines(f"# {line}" for line in head))
    file.write(_line(table.columns))
    style = CellStyle(text=lambda text: _quoted(plain_text(text)))
    file.writelines(_lines(",".join(row) for row in rows_of_cells(part, style)) for part in parts(table.chunks))


def yaml_lines(table: TableStream) -> list[str]:
    """Return the description of a table in YAML, as astropy reads it in ECSV and in Parquet.

    Parameters
    ----------
    table
        Table to be written.
    """
    # JSON is YAML too, and escapes whatever a text holds.
    columns = [f"- {json.dumps(_ecsv_column(name, column))}" for name, column in table.columns.items()]
    return ["datatype:", *columns, f"meta: {json.dumps({'comments': [describe_table(table)], **table.about})}"]


def write_json(table: TableStream, file: BinaryIO) -> None:
    """Write a table as a JSON list of objects in ASCII, one for each row.

    Parameters
    ----------
    table, file
        Table, and file that is written.
    """
    style = CellStyle(
        text=json.dumps,
        time=json.dumps,
        missing="null",
        not_finite=lambda _: "null",
        booleans=("false", "true"),
    )
    keys = [f"    {json.dumps(name)}: " for name in table.columns]
    before = b"[\n"
    for part in parts(table.chunks):
        rows = (",\n".join(map("".join, zip(keys, row, strict=True))) for row in rows_of_cells(part, style))
        file.write(before + ",\n".join(f"  {{\n{row}\n  }}" for row in rows).encode())
        before = b",\n"
    file.write(b"[]\n" if before == b"[\n" else b"\n]\n")


def write_votable(table: TableStream, file: BinaryIO) -> None:
    """Write a table as VOTable 1.4, with units, meanings and UCDs. Times are timestamps of DALI in UTC.

    Parameters
    ----------
    table, file
        Table, and file that is written.
    """
    fields = "\n".join(_votable_field(name, column) for name, column in table.columns.items())
    file.write(
        f"""\
<?xml version="1.0" encoding="utf-8"?>
<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">
<RESOURCE type="results">
<COOSYS ID="icrs" system="ICRS"/>
<TIMESYS ID="utc" timescale="UTC" refposition="TOPOCENTER"/>
<TABLE name={quoteattr(plain_text(table.name))} nrows="{table.n_rows}">
<DESCRIPTION>{escape(describe_table(table))}</DESCRIPTION>
{fields}
<DATA>
<TABLEDATA>
""".encode()
    )
    style = CellStyle(text=lambda text: escape(plain_text(text)), not_finite=_votable_number, booleans=("F", "T"))
    for part in parts(table.chunks):
        rows = ("</TD><TD>".join(row) for row in rows_of_cells(part, style))
        file.write(_lines(f"<TR><TD>{row}</TD></TR>" for row in rows))
    file.write(b"</TABLEDATA>\n</DATA>\n</TABLE>\n</RESOURCE>\n</VOTABLE>\n")


def _line(names: Any) -> bytes:  # noqa: ANN401 (any iterable of names)
    return f"{','.join(map(_quoted, names))}\n".encode()


def _lines(lines: Iterator[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")


def _quoted(text: str) -> str:
    """Quote the text of a cell that has a comma or a quote in it. It has no line breaks."""
    return f'"{text.replace(chr(34), chr(34) * 2)}"' if "," in text or '"' in text else text


def _ecsv_column(name: str, column: Column) -> dict[str, Any]:
    """Describe a column as ECSV does."""
    kind = column.dtype.kind
    datatype = "bool" if kind == "b" else _ECSV_TYPES.get(kind, "string")
    described: dict[str, Any] = {"name": name}
    if column.unit:
        described["unit"] = column.unit
    described["datatype"] = f"{datatype}{8 * column.dtype.itemsize}" if kind in _ECSV_TYPES else datatype
    if column.doc:
        described["description"] = column.doc
    if column.ucd:
        described["meta"] = {"ucd": column.ucd}
    return described


def _votable_field(name: str, column: Column) -> str:
    """Write the element of a column."""
    attributes = {"name": name, "unit": column.unit, "ucd": column.ucd}
    if column.ucd.startswith(("pos.eq.ra", "pos.eq.dec")):
        attributes["ref"] = "icrs"
    if column.dtype.kind == "M":
        attributes |= {"datatype": "char", "arraysize": "*", "xtype": "timestamp", "ref": "utc"}
    elif is_text(column):
        attributes |= {"datatype": "unicodeChar", "arraysize": "*"}
    else:
        attributes["datatype"] = _VOTABLE_TYPES[column.dtype.str[1:]]
    written = " ".join(f"{key}={quoteattr(value)}" for key, value in attributes.items() if value)
    if not column.doc:
        return f"<FIELD {written}/>"
    return f"<FIELD {written}><DESCRIPTION>{escape(plain_text(column.doc))}</DESCRIPTION></FIELD>"


def _votable_number(value: float) -> str:
    return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"  # noqa: PLR0124 (NaN)
