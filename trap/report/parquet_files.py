"""Tables as Parquet, in row groups, with units, meanings and UCDs as properties of their fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trap import __version__
from trap.errors import ConfigError
from trap.escapes import plain_text
from trap.report.table_stream import is_text
from trap.report.text_files import yaml_lines
from trap.software import install_command

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

    import pyarrow as pa
    from numpy.typing import NDArray

    from trap.report.table_stream import TableStream
    from trap.tables import Column
    from trap.typing import Columns

__all__ = ["arrow_array", "arrow_fields", "arrow_table", "needs", "write_parquet"]


def needs(library: str, extra: str) -> ConfigError:
    """Return the error of a format whose library is not installed.

    Parameters
    ----------
    library
        Name of the library.
    extra
        Name of the extra of this distribution that installs it.
    """
    return ConfigError(f"this format needs {library}, which is not installed: {install_command(extra)}")


def write_parquet(table: TableStream, file: BinaryIO) -> None:
    """Write a table as Parquet: one row group for each chunk.

    Times are timestamps in UTC; masked whole numbers and NaT are null, and NaN stays NaN. Missing text is empty.

    Parameters
    ----------
    table, file
        Table, and file that is written.

    Raises
    ------
    ConfigError
        If ``pyarrow`` is not installed.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise needs("pyarrow", "parquet") from error
    about = {
        "creator": f"trap {__version__}",
        "table": table.name,
        **{key: plain_text(value) for key, value in table.about.items()},
        # astropy reads units and meanings here, and the lengths of text.
        "table_meta_yaml": "\n".join(yaml_lines(table)),
        **{f"table::len::{name}": str(width) for name, width in table.widths.items()},
    }
    schema = pa.schema(arrow_fields(table.columns), about)
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for chunk in table.chunks:
            writer.write_table(arrow_table(chunk, schema))


def arrow_fields(columns: Mapping[str, Column]) -> list[pa.Field]:
    """Return the fields of columns, with their properties ``unit``, ``description`` and ``ucd``.

    Parameters
    ----------
    columns
        Columns by name.
    """
    import pyarrow as pa

    fields = []
    for name, column in columns.items():
        known = {"unit": column.unit, "description": column.doc, "ucd": column.ucd}
        fields.append(pa.field(name, _type(column), metadata={key: value for key, value in known.items() if value}))
    return fields


def arrow_table(chunk: Columns, schema: pa.Schema) -> pa.Table:
    """Convert a chunk of columns to a table of a schema.

    Parameters
    ----------
    chunk
        (n,) values by name.
    schema
        Fields of the same names.
    """
    import pyarrow as pa

    return pa.table([arrow_array(chunk[field.name], field.type) for field in schema], schema=schema)


def arrow_array(values: NDArray[Any], kind: pa.DataType) -> pa.Array:
    """Convert the values of a column; masked values and NaT become null.

    Parameters
    ----------
    values
        (n,) — numbers, booleans, times or text.
    kind
        Type of the result.
    """
    import pyarrow as pa

    if isinstance(values, np.ma.MaskedArray):
        return pa.array(values.data, kind, mask=np.ma.getmaskarray(values))
    if values.dtype.kind == "O":
        # astropy cannot read null in a column of text.
        return pa.array(["" if text is None else _valid(text) for text in values.tolist()], kind)
    return pa.array(values, kind)


def _type(column: Column) -> pa.DataType:
    import pyarrow as pa

    if column.dtype.kind == "M":
        return pa.timestamp("us", tz="UTC")
    return pa.string() if is_text(column) else pa.from_numpy_dtype(column.dtype)


def _valid(text: str) -> str:
    """Return a text as UTF-8 can hold it: a byte of a file name that is not UTF-8 is written out."""
    return text if text.isprintable() else text.encode("utf-8", "backslashreplace").decode()
