"""Catalogues in HATS: Parquet files in a tree of HEALPix tiles, with light curves nested into rows of sources.

``lsdb`` and ``hats`` read them. Rows are sorted into files on disk first, one for each partition, so that only one
partition is in memory at a time. Partitions are tiles of different orders with about as many points each.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from astropy import units
from astropy_healpix import HEALPix

from trap import __version__
from trap.report.parquet_files import arrow_fields, arrow_table, needs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from trap.report.table_stream import TableStream
    from trap.typing import Array, Columns

__all__ = ["HatsRows", "write_hats"]

MAX_POINTS = 200_000
"""Number of points above which a partition is divided."""
FINEST_ORDER = 8
"""Highest order of a partition: tiles are 14 arcmin wide."""
INDEX = "_healpix_29"
INDEX_ORDER = 29
NESTED = "lightcurve"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HatsRows:
    """The rows of a catalogue.

    Parameters
    ----------
    places
        Function that yields chunks of the columns of the position and of the weight.
    ra, dec
        Names of the columns of the position [deg].
    weight
        Name of the column with the number of points of a row; empty if each row counts once.
    rows
        The rows.
    points
        Points that are nested into the rows, in order of ``key``; None for a catalogue without nested points.
    key
        Name of the column of whole numbers that rows and points share; it ascends in ``points``.
    """

    places: Callable[[], Iterable[Columns]]
    ra: str
    dec: str
    rows: TableStream
    weight: str = ""
    points: TableStream | None = None
    key: str = ""


def write_hats(folder: Path, catalogue: HatsRows, name: str, *, max_points: int = MAX_POINTS) -> None:
    """Write a HATS catalogue.

    Parameters
    ----------
    folder
        New, empty folder.
    catalogue
        Rows of the catalogue.
    name
        Name of the catalogue.
    max_points
        Number of points above which a partition is divided.

    Raises
    ------
    ConfigError
        If ``hats`` is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its dependencies warn of each other
            import hats  # noqa: F401 (only whether it is there)
            import pyarrow as pa
    except ImportError as error:
        raise needs("hats", "hats") from error
    tiles = _Partitions.of(catalogue, max_points)
    schema = pa.schema(arrow_fields(catalogue.rows.columns))
    waiting = folder / "waiting"
    waiting.mkdir()
    partitions = _sort_rows(waiting, catalogue, tiles, schema)
    points = None
    if catalogue.points is not None:
        inner = {one: column for one, column in catalogue.points.columns.items() if one != catalogue.key}
        points = pa.schema([schema.field(catalogue.key), *arrow_fields(inner)])
        _sort_points(waiting, catalogue.points, points, catalogue.key, partitions)
    n_rows, written = 0, []
    for number, (order, pixel) in enumerate(tiles.pixels):
        table = _partition(waiting, number, catalogue, schema, points)
        if table is not None:
            written.append((order, pixel))
            n_rows += table.num_rows
            _write_partition(folder, order, pixel, table)
    if not written:  # readers need one file to see the columns
        written.append((0, 0))
        _write_partition(folder, 0, 0, _nested(catalogue, _empty(schema), None if points is None else _empty(points)))
    for file in waiting.iterdir():
        file.unlink()
    waiting.rmdir()
    _describe(folder, catalogue, name, written, n_rows)


@dataclass(frozen=True, slots=True, eq=False)
class _Partitions:
    """Partitions of the sky: order and number of their tiles, and the partition of each tile of the finest order."""

    pixels: list[tuple[int, int]]
    of_tile: NDArray[np.int32]

    @classmethod
    def of(cls, catalogue: HatsRows, max_points: int) -> _Partitions:
        """Divide tiles until each has few points, or the finest order is reached."""
        counts = np.zeros(12 * 4**FINEST_ORDER, np.int64)
        for chunk in catalogue.places():
            weight = np.maximum(np.asarray(chunk[catalogue.weight]), 1) if catalogue.weight else 1
            tile = _tiles(FINEST_ORDER, chunk[catalogue.ra], chunk[catalogue.dec])
            counts += np.bincount(tile, np.broadcast_to(weight, tile.shape), len(counts)).astype(np.int64)
        pixels: list[tuple[int, int]] = []
        of_tile = np.full(len(counts), -1, np.int32)
        undivided = np.arange(12)
        for order in range(FINEST_ORDER + 1):
            n_inside = 4 ** (FINEST_ORDER - order)
            inside = counts.reshape(-1, n_inside).sum(axis=1)[undivided]
            is_small = (inside <= max_points) if order < FINEST_ORDER else np.ones(len(inside), bool)
            for pixel in undivided[is_small & (inside > 0)].tolist():
                of_tile[pixel * n_inside : (pixel + 1) * n_inside] = len(pixels)
                pixels.append((order, pixel))
            undivided = (undivided[~is_small & (inside > 0), np.newaxis] * 4 + np.arange(4)).ravel()
        return cls(pixels, of_tile)

    def at(self, ra: Array, dec: Array) -> NDArray[np.int32]:
        """Return the partition of each position."""
        return self.of_tile[_tiles(FINEST_ORDER, ra, dec)]


class _Sorter:
    """Files of rows that wait for their partition, in Arrow's format of streams."""

    def __init__(self, folder: Path, kind: str, schema: pa.Schema) -> None:
        self._folder, self._kind, self._schema = folder, kind, schema
        self._open: dict[int, tuple[Any, Any]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for writer, file in self._open.values():
            writer.close()
            file.close()

    def add(self, chunk: Columns, number: NDArray[np.int32]) -> None:
        """Write the rows of a chunk to the files of their partitions."""
        import pyarrow as pa

        if not len(number):
            return
        order = np.argsort(number, kind="stable")
        table = arrow_table(chunk, self._schema).take(pa.array(order))
        numbers, starts = np.unique(number[order], return_index=True)
        for one, start, end in zip(numbers.tolist(), starts, [*starts[1:], len(order)], strict=True):
            if one not in self._open:
                file = (self._folder / f"{self._kind}-{one}").open("wb")
                options = pa.ipc.IpcWriteOptions(compression="lz4")
                self._open[one] = pa.ipc.new_stream(file, self._schema, options=options), file
            self._open[one][0].write_table(table.slice(start, end - start))


def _sort_rows(
    waiting: Path, catalogue: HatsRows, tiles: _Partitions, schema: pa.Schema
) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Sort rows by their partition; return the keys of all rows, ascending, and their partitions, if points follow."""
    keys, numbers = [np.empty(0, np.int64)], [np.empty(0, np.int32)]
    with _Sorter(waiting, "rows", schema) as sorter:
        for chunk in catalogue.rows.chunks:
            number = tiles.at(chunk[catalogue.ra], chunk[catalogue.dec])
            sorter.add(chunk, number)
            if catalogue.points is not None:
                keys.append(np.asarray(chunk[catalogue.key], np.int64))
                numbers.append(number)
    every = np.concatenate(keys)
    order = np.argsort(every)
    return every[order], np.concatenate(numbers)[order]


def _sort_points(
    waiting: Path,
    points: TableStream,
    schema: pa.Schema,
    key: str,
    partitions: tuple[NDArray[np.int64], NDArray[np.int32]],
) -> None:
    """Sort points by the partition of their row, which is found by the key."""
    keys, number = partitions
    with _Sorter(waiting, "points", schema) as sorter:
        for chunk in points.chunks:
            sorter.add(chunk, number[np.searchsorted(keys, chunk[key])])


def _partition(
    waiting: Path, number: int, catalogue: HatsRows, schema: pa.Schema, points: pa.Schema | None
) -> pa.Table | None:
    """Read the rows of a partition with their points; None if it has no rows."""
    rows = _read(waiting / f"rows-{number}", schema)
    nested = None if points is None else _read(waiting / f"points-{number}", points)
    table = _nested(catalogue, rows, nested)
    return table if table.num_rows else None


def _nested(catalogue: HatsRows, rows: pa.Table, points: pa.Table | None) -> pa.Table:
    """Sort rows by their place on the sky, and nest their points; rows without a point are left out."""
    import pyarrow as pa

    if points is not None:
        key, of_point = (table.column(catalogue.key).to_numpy() for table in (rows, points))
        first, last = (np.searchsorted(of_point, key, side) for side in ("left", "right"))
        kept = np.flatnonzero(last > first)
        rows, first, last = rows.take(pa.array(kept)), first[kept], last[kept]
    index = _tiles(INDEX_ORDER, *(rows.column(name).to_numpy() for name in (catalogue.ra, catalogue.dec)))
    order = np.argsort(index, kind="stable")
    rows = rows.take(pa.array(order)).add_column(0, pa.field(INDEX, pa.int64(), nullable=False), pa.array(index[order]))
    if points is None:
        return rows
    first, last = first[order], last[order]
    offsets = np.concatenate([[0], np.cumsum(last - first)]).astype(np.int32)
    # Row numbers of the points of the first row, of the second, …
    places = np.arange(offsets[-1]) + np.repeat(first - offsets[:-1], last - first)
    inner = points.drop_columns([catalogue.key]).take(pa.array(places))
    # A structure of lists, and no list of structures: readers can then load some of the nested columns only.
    lists = [pa.ListArray.from_arrays(pa.array(offsets), _whole(one)) for one in inner.columns]
    fields = [pa.field(one.name, pa.list_(one.type), metadata=one.metadata) for one in inner.schema]
    return rows.append_column(NESTED, pa.StructArray.from_arrays(lists, fields=fields))


def _whole(column: pa.ChunkedArray) -> pa.Array:
    import pyarrow as pa

    combined = column.combine_chunks()
    return pa.concat_arrays(combined.chunks) if isinstance(combined, pa.ChunkedArray) else combined


def _read(path: Path, schema: pa.Schema) -> pa.Table:
    import pyarrow as pa

    if not path.exists():
        return _empty(schema)
    with path.open("rb") as file, pa.ipc.open_stream(file) as reader:
        return reader.read_all()


def _empty(schema: pa.Schema) -> pa.Table:
    return schema.empty_table()


def _write_partition(folder: Path, order: int, pixel: int, table: pa.Table) -> None:
    import pyarrow.parquet as pq
    from hats.io import paths
    from hats.pixel_math.healpix_pixel import HealpixPixel

    path = paths.pixel_catalog_file(folder, HealpixPixel(order, pixel))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, str(path), compression="zstd")


def _describe(folder: Path, catalogue: HatsRows, name: str, written: list[tuple[int, int]], n_rows: int) -> None:
    """Write the files that describe the catalogue: metadata of Parquet, partitions, and properties."""
    from hats.catalog.dataset.table_properties import TableProperties
    from hats.catalog.partition_info import PartitionInfo
    from hats.io.parquet_metadata import write_parquet_metadata
    from hats.pixel_math.healpix_pixel import HealpixPixel

    write_parquet_metadata(folder)
    PartitionInfo([HealpixPixel(*pixel) for pixel in written]).write_to_file(catalog_path=folder)
    properties = TableProperties(
        catalog_name=name,
        catalog_type="object",
        total_rows=n_rows,
        ra_column=catalogue.ra,
        dec_column=catalogue.dec,
        healpix_column=INDEX,
        healpix_order=INDEX_ORDER,
        default_columns=None,
        extra_columns=None,
        skymap_alt_orders=None,
        hats_builder=f"trap {__version__}",
        hats_order=max(order for order, _ in written),
    )
    properties.to_properties_file(folder)


def _tiles(order: int, ra: Any, dec: Any) -> NDArray[np.int64]:  # noqa: ANN401 (columns)
    """Return the nested number of the HEALPix tile of each position [deg]."""
    grid = HEALPix(nside=2**order, order="nested")
    return np.asarray(grid.lonlat_to_healpix(np.asarray(ra) * units.deg, np.asarray(dec) * units.deg), np.int64)
