"""``transients export``: write a table of results, or the coverage of the sky, in any format.

The file appears under its name when it is complete: an interrupted export leaves nothing.
"""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from trap.cli.database import reading_database
from trap.cli.export import refuse_database
from trap.cli.merged import all_datasets
from trap.cli.progress import progress_bar
from trap.cli.selection import given_selection
from trap.cli.terminal import reported_errors
from trap.codes import stokes_letter
from trap.db.coverage import SKY_DEG2, band_coverages
from trap.db.datasets import find_dataset
from trap.db.merged_tables import MERGED_TABLES
from trap.db.result_tables import stream_rows
from trap.errors import ConfigError
from trap.escapes import plain_lines
from trap.report.formats import FORMATS
from trap.report.text import count, megahertz
from trap.results.exports import export_stream, fitting_formats, merged_hats_rows
from trap.selection import Selection

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from trap.db.coverage import BandCoverage
    from trap.db.engine import Connection
    from trap.report.formats import TableFormat
    from trap.report.hats_files import HatsRows
    from trap.typing import Progress

__all__ = ["export_tables"]

POSITIONS = {
    "sources": ("wm_ra", "wm_decl"),
    "lightcurves": ("wm_ra", "wm_decl"),
    "transients": ("wm_ra", "wm_decl"),
    "measurements": ("ra", "decl"),
}
"""Columns of the position by which rows are arranged on the sky; light curves are at the position of their source."""


def export_tables(arguments: argparse.Namespace) -> int:
    """Write a table of results of one or several datasets to a file, or to standard output.

    Raises
    ------
    ConfigError
        If the format does not fit the table, a filter has no meaning, the file exists or cannot be written, or a
        library is missing.
    DatasetNotFoundError
        If there is no such dataset.
    """
    table_format = FORMATS[arguments.format]
    _check(arguments, table_format)
    arguments.dataset = all_datasets(arguments)
    selection = given_selection(arguments)
    # A bar on the terminal would break the lines of a table that is printed there.
    bar = nullcontext() if arguments.output is None else progress_bar("rows")
    with reading_database(arguments.database) as connection, bar as advance:
        for number in arguments.dataset:
            find_dataset(connection, number)
        if table_format.name == "moc":
            lines = _write_maps(connection, arguments, selection)
        elif table_format.name == "hats":
            lines = _write_hats(connection, arguments, selection, advance)
        else:
            lines = _write_table(connection, arguments, selection, table_format, advance)
    if arguments.output is not None:
        print(plain_lines(lines))
    return 0


def _check(arguments: argparse.Namespace, table_format: TableFormat) -> None:
    """Refuse a format that does not fit the table, a binary format without a file, and a file that exists."""
    what, name = arguments.what, table_format.name
    fitting = fitting_formats(what)
    if name not in fitting:
        msg = (
            f"--format {name} is for {' and '.join(table_format.tables)}; {what} can be written as {', '.join(fitting)}"
        )
        raise ConfigError(msg)
    if arguments.depth is not None and name != "moc":
        msg = f"--depth is for --format moc, not for {name}; --max depth_best=… selects rows of the table"
        raise ConfigError(msg)
    if arguments.output is None and not table_format.is_text:
        msg = f"--format {name} is no text; name a file with --output"
        raise ConfigError(msg)


def _write_table(
    connection: Connection,
    arguments: argparse.Namespace,
    selection: Selection,
    table_format: TableFormat,
    advance: Progress | None,
) -> list[str]:
    """Write a table of any length as one file."""
    if table_format.write is None:
        msg = f"{table_format.name} is no format of a table"
        raise ValueError(msg)
    table = export_stream(
        connection,
        arguments.what,
        arguments.dataset,
        selection,
        advance=advance,
        needs_widths=table_format.needs_widths,
    )
    if arguments.output is None:
        sys.stdout.flush()
        table_format.write(table, sys.stdout.buffer)
        sys.stdout.buffer.flush()
        return []
    with completed(arguments.output, force=arguments.force) as path, path.open("wb") as file:
        table_format.write(table, file)
    return [f"{arguments.output}: {count(table.n_rows, 'row')}"]


def _write_hats(
    connection: Connection, arguments: argparse.Namespace, selection: Selection, advance: Progress | None
) -> list[str]:
    """Write a table as a HATS catalogue; points of light curves are nested into their sources."""
    from trap.report.hats_files import write_hats

    rows = _hats_rows(connection, arguments, selection, advance)
    with completed(arguments.output, force=arguments.force, mark="hats.properties") as path:
        path.mkdir()
        write_hats(path, rows, arguments.output.name)
    written = rows.rows if rows.points is None else rows.points
    return [f"{arguments.output}: {count(written.n_rows, 'row' if rows.points is None else 'point')}"]


def _hats_rows(
    connection: Connection, arguments: argparse.Namespace, selection: Selection, advance: Progress | None
) -> HatsRows:
    """Return the rows of a HATS catalogue, which are read from the database when they are written."""
    from trap.report.hats_files import HatsRows

    if len(arguments.dataset) > 1 and arguments.what in MERGED_TABLES:
        return merged_hats_rows(connection, arguments.dataset, arguments.what, selection, advance)
    ra, dec = POSITIONS[arguments.what]
    if arguments.what != "lightcurves":
        return HatsRows(
            places=lambda: stream_rows(connection, arguments.what, arguments.dataset, selection, columns=[ra, dec]),
            ra=ra,
            dec=dec,
            rows=export_stream(connection, arguments.what, arguments.dataset, selection, advance=advance),
        )
    # Times, bands and ranges select points. Sources without a selected point are left out when points are nested.
    of_sources = Selection(near=selection.near, entries=selection.entries, candidates_only=selection.candidates_only)
    places = ["runcat", ra, dec, "datapoints"]
    return HatsRows(
        places=lambda: stream_rows(connection, "sources", arguments.dataset, of_sources, columns=places),
        ra=ra,
        dec=dec,
        weight="datapoints",
        rows=export_stream(connection, "sources", arguments.dataset, of_sources),
        points=export_stream(
            connection, "lightcurves", arguments.dataset, selection, advance=advance, without=("dataset",)
        ),
        key="runcat",
    )


def _write_maps(connection: Connection, arguments: argparse.Namespace, selection: Selection) -> list[str]:
    """Write the coverage map of each dataset, band and Stokes parameter: one file, or one for each."""
    if selection.ranges:
        msg = "--min and --max select rows of a table; --depth selects the area of a map"
        raise ConfigError(msg)
    bands = band_coverages(connection, arguments.dataset, selection)
    if not bands:
        msg = f"no image of dataset {', '.join(map(str, arguments.dataset))} passes the selection with a searched area"
        raise ConfigError(msg)
    lines = []
    for band, path in zip(bands, _map_paths(arguments.output, bands), strict=True):
        moc = band.searched() if arguments.depth is None else band.searched(arguments.depth / 1000)
        keywords = {"FREQ": f"{band.freq_central:g} Hz", "STOKES": stokes_letter(band.stokes)}
        with completed(path, force=arguments.force) as temporary:
            moc.save(str(temporary), format="fits", overwrite=True, fits_keywords=keywords)
        area = moc.sky_fraction * SKY_DEG2
        lines.append(f"{path}: {megahertz(band.freq_central)} MHz, Stokes {keywords['STOKES']}, {area:.6g} deg²")
    return lines


def _map_paths(path: Path, bands: Sequence[BandCoverage]) -> list[Path]:
    """Return the path of each map: the path itself for one, or else with dataset, frequency and Stokes parameter."""
    if len(bands) == 1:
        return [path]
    datasets = {band.dataset for band in bands}
    marks = [f"{megahertz(band.freq_central)}MHz.{stokes_letter(band.stokes)}" for band in bands]
    if len(datasets) > 1:
        marks = [f"{band.dataset}.{mark}" for band, mark in zip(bands, marks, strict=True)]
    return [path.with_name(f"{path.name.partition('.')[0]}.{mark}{''.join(path.suffixes)}") for mark in marks]


@contextmanager
def completed(path: Path, *, force: bool, mark: str = "") -> Iterator[Path]:
    """Yield the path of a file or folder that gets its name when the block has ended without an error.

    Parameters
    ----------
    path
        Name of the file or folder.
    force
        Whether an existing one is replaced.
    mark
        Name of a file by which a folder is known as an earlier export; only such a folder is replaced.

    Raises
    ------
    ConfigError
        If the path exists and is not to be replaced, or cannot be written.
    """
    refuse_database(path)
    if path.exists() and not force:
        msg = f"{path} exists; replace it with --force"
        raise ConfigError(msg)
    if path.is_dir() and not (mark and (path / mark).is_file()):
        msg = f"{path} is a folder, and no earlier export in this format"
        raise ConfigError(msg)
    temporary, former = (path.with_name(f".{path.name}.{os.getpid()}.{kind}") for kind in ("part", "former"))
    with reported_errors(path):
        try:
            yield temporary
            if path.is_dir():
                path.rename(former)
            temporary.replace(path)
        finally:
            for left in (temporary, former):
                if left.is_dir():
                    shutil.rmtree(left)
                else:
                    left.unlink(missing_ok=True)
