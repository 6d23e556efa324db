"""Rows of exports: counted, with the widths of their texts, of one dataset or merged from several.

``transients export`` and the downloads of the pages write the same streams, so that their files are equal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trap.db.merged_tables import (
    MERGED_TABLES,
    PLACE_COLUMNS,
    find_merged_table,
    read_merged_places,
    stream_merged_rows,
)
from trap.db.merging import merge_datasets
from trap.db.result_tables import CHUNK, RESULT_TABLES, open_stream, stream_rows
from trap.report.columns import text_width
from trap.report.formats import FORMATS
from trap.report.table_stream import TableStream, is_text
from trap.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from trap.db.engine import Connection
    from trap.report.hats_files import HatsRows
    from trap.tables import Column
    from trap.typing import Columns, Progress

__all__ = ["export_stream", "fitting_formats", "merged_hats_rows", "merged_stream"]

STOKES_WIDTH = 4
"""Characters of a Stokes parameter: the letters of FITS have two at most, its numbers three."""


def fitting_formats(what: str) -> list[str]:
    """Return the names of the formats in which a table can be written.

    Parameters
    ----------
    what
        Name of the table.
    """
    return [one.name for one in FORMATS.values() if not one.tables or what in one.tables]


def export_stream(
    connection: Connection,
    name: str,
    datasets: Sequence[int],
    selection: Selection,
    *,
    advance: Progress | None = None,
    without: Iterable[str] = (),
    needs_widths: bool = False,
    chunk: int = CHUNK,
) -> TableStream:
    """Return a table whose rows are read from the database while they are written.

    Parameters
    ----------
    connection
        Connection in a transaction of the caller, which must stay open.
    name, datasets, selection
        Name of the table, numbers of the datasets, which are merged if they are several, and filters.
    advance
        Called with the number of rows so far and of all; None reports nothing.
    without
        Names of columns that are left out.
    needs_widths
        Whether the format needs the widths of columns of text.
    chunk
        Largest number of rows in memory. Files of Parquet have one row group for each chunk.

    Raises
    ------
    ConfigError
        If a filter has no meaning.
    """
    if len(datasets) > 1 and name in MERGED_TABLES:
        return merged_stream(connection, datasets, name, selection, advance)
    described = {one: column for one, column in RESULT_TABLES[name].columns.items() if one not in without}
    n_rows, chunks = open_stream(connection, name, datasets, selection, columns=list(described), chunk=chunk)
    return TableStream(
        name=name,
        columns=described,
        chunks=_counted(chunks, n_rows, advance),
        n_rows=n_rows,
        about={"dataset": ", ".join(map(str, datasets))},
        widths=_widths(connection, name, datasets, selection) if needs_widths else {},
    )


def _widths(connection: Connection, name: str, datasets: Sequence[int], selection: Selection) -> dict[str, int]:
    """Return the largest number of characters of each column of text; few columns are read for it."""
    columns = RESULT_TABLES[name].columns
    measured = [one for one in _text_columns(columns) if not one.endswith("stokes")]
    chunks = stream_rows(connection, name, datasets, selection, columns=measured) if measured else ()
    return _text_widths(columns, chunks)


def _counted(chunks: Iterable[Columns], n_rows: int, advance: Progress | None) -> Iterator[Columns]:
    """Yield chunks, and report how many rows have been written.

    Parameters
    ----------
    chunks
        Chunks of rows.
    n_rows
        Number of all rows.
    advance
        Called with the number of rows so far and of all; None reports nothing.
    """
    n_done = 0
    for chunk in chunks:
        yield chunk
        n_done += len(next(iter(chunk.values())))
        if advance is not None:
            advance(n_done, n_rows)


def _text_columns(columns: Mapping[str, Column]) -> list[str]:
    """Return the names of the columns of text."""
    return [name for name, column in columns.items() if is_text(column)]


def _text_widths(columns: Mapping[str, Column], chunks: Iterable[Columns]) -> dict[str, int]:
    """Return the largest number of characters of each column of text.

    Parameters
    ----------
    columns
        Columns of a table.
    chunks
        Chunks of its rows; the columns of Stokes parameters may be missing.
    """
    widths = {name: STOKES_WIDTH if name.endswith("stokes") else 1 for name in _text_columns(columns)}
    for chunk in chunks:
        widths |= {name: max(width, text_width(chunk[name])) for name, width in widths.items() if name in chunk}
    return widths


def merged_stream(
    connection: Connection, datasets: Sequence[int], name: str, selection: Selection, advance: Progress | None
) -> TableStream:
    """Return a table of merged datasets whose rows are computed while they are written.

    The rows are computed twice, since some formats begin with their number.

    Parameters
    ----------
    connection
        Connection in a transaction of the caller, which must stay open.
    datasets
        Numbers of the datasets, in the order of merging.
    name
        Name of the table.
    selection
        Filters.
    advance
        As for :func:`export_stream`.

    Raises
    ------
    ConfigError
        If a filter has no meaning.
    TrapError
        If a dataset is named twice.
    """
    merged, table = merge_datasets(connection, datasets), find_merged_table(name)
    n_rows, widths = 0, _text_widths(table.columns, ())
    for chunk in stream_merged_rows(connection, merged, name, selection):
        n_rows += len(chunk["source"])
        widths = {key: max(width, text_width(chunk[key])) for key, width in widths.items()}
    return TableStream(
        name=name,
        columns=table.columns,
        chunks=_counted(stream_merged_rows(connection, merged, name, selection), n_rows, advance),
        n_rows=n_rows,
        about={"datasets": ", ".join(map(str, datasets))},
        widths=widths,
    )


def merged_hats_rows(
    connection: Connection, datasets: Sequence[int], name: str, selection: Selection, advance: Progress | None
) -> HatsRows:
    """Return the rows of a HATS catalogue of merged sources.

    Parameters
    ----------
    connection, datasets, name, selection, advance
        As for :func:`merged_stream`. Light curves are nested into their sources.
    """
    from trap.report.hats_files import HatsRows

    table = merged_stream(connection, datasets, name, selection, advance)
    if name == "sources":
        merged = merge_datasets(connection, datasets)
        return HatsRows(
            places=lambda: stream_merged_rows(connection, merged, name, selection),
            ra="wm_ra",
            dec="wm_decl",
            rows=table,
        )
    of_sources = Selection(near=selection.near, entries=selection.entries, candidates_only=selection.candidates_only)
    rows = read_merged_places(connection, merge_datasets(connection, datasets), of_sources)
    return HatsRows(
        places=lambda: [rows],
        ra="wm_ra",
        dec="wm_decl",
        rows=TableStream(
            name="sources",
            columns=PLACE_COLUMNS,
            chunks=[rows],
            n_rows=len(rows["source"]),
            about={"datasets": ", ".join(map(str, datasets))},
        ),
        points=table,
        key="source",
    )
