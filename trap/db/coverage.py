"""The searched area of each band and its depth, from the noise tiles of all images.

The depth of a place is the lowest upper limit of the images that were searched there: the detection threshold times the
local noise, as :func:`trap.db.limits.upper_limits` returns it. An image without a searched area, such as a source list
without an image, adds nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import exists, select

from trap.codes import stokes_letter
from trap.db.calibrations import applied_gain
from trap.db.models import Calibration, FrequencyBand, Image, Rejection, RmsMap
from trap.db.result_columns import QUERIED, ResultTable
from trap.db.result_conditions import check_range, conditions
from trap.selection import Selection
from trap.tables import Column

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mocpy import MOC
    from numpy.typing import NDArray
    from sqlalchemy import Connection, Row, Select

    from trap.typing import Array, Columns

__all__ = ["COVERAGE", "SKY_DEG2", "BandCoverage", "band_coverages", "coverage_rows"]

SKY_DEG2 = 129_600 / np.pi
"""deg² — area of the sphere."""
IMAGES_AT_ONCE = 100

COVERAGE = ResultTable(
    name="coverage",
    description="Searched areas: one row for each band and Stokes parameter, with depth and multi-order map.",
    columns={
        **{name: QUERIED["images"].columns[name] for name in ("dataset", "band", "freq_central", "stokes")},
        "n_images": Column(np.dtype("i8"), "", "Number of accepted images with a searched area.", ucd="meta.number"),
        "first": Column(np.dtype("M8[us]"), "", "Start of the first of them.", ucd="time.start;obs.exposure"),
        "last": Column(np.dtype("M8[us]"), "", "Start of the last of them.", ucd="time.start;obs.exposure"),
        "exposure": Column(np.dtype("f8"), "s", "Sum of their durations.", ucd="time.duration;obs.exposure"),
        "area": Column(np.dtype("f8"), "deg2", "Area that was searched at least once.", ucd="phys.angArea;obs"),
        "depth_best": Column(np.dtype("f8"), "Jy/beam", "Lowest upper limit of all places.", ucd="phot.flux.density"),
        "depth_median": Column(
            np.dtype("f8"),
            "Jy/beam",
            "Upper limit that half of the area was searched to, or better.",
            ucd="phot.flux.density",
        ),
        "moc": Column(np.dtype("O"), "", "Searched area as a multi-order coverage map, in ASCII.", ucd="pos.outline"),
    },
)


@dataclass(slots=True, kw_only=True)
class BandCoverage:
    """Searched area of the images of one band and Stokes parameter, with the best upper limit of each tile.

    Parameters
    ----------
    dataset, band, stokes
        Numbers of the dataset and the band, and FITS code of the Stokes parameter.
    freq_central
        Hz — centre of the band.
    """

    dataset: int
    band: int
    freq_central: float
    stokes: int
    n_images: int = 0
    first: datetime | None = None
    last: datetime | None = None
    exposure: float = 0.0
    _unique: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    _limit: Array = field(default_factory=lambda: np.empty(0))
    _waiting: list[tuple[NDArray[np.int64], Array]] = field(default_factory=list)

    def add(self, row: Row[Any]) -> None:
        """Add the tiles of an image.

        Parameters
        ----------
        row
            Row of the query of this module.
        """
        self.n_images += 1
        self.first = row.taustart_ts if self.first is None else min(self.first, row.taustart_ts)
        self.last = row.taustart_ts if self.last is None else max(self.last, row.taustart_ts)
        self.exposure += row.tau_time or 0.0
        codes = np.frombuffer(row.tiles, "<i8").astype(np.int64)
        limit = row.detection_thresh * np.frombuffer(row.tile_rms, "<f4").astype(float) / row.gain
        # Finer tiles have their unique numbers, with a minus sign; the others lack their order.
        self._waiting.append((np.where(codes < 0, -codes, 4 * 4**row.tile_order + codes), limit))
        if len(self._waiting) >= IMAGES_AT_ONCE:
            self._merge()

    def depths(self) -> tuple[NDArray[np.int64], Array]:
        """Return the tiles and their depths.

        Returns
        -------
        unique
            (n,) — unique numbers of the tiles, 4 · 4^order + tile, ascending; tiles of several orders may overlap.
        limit
            (n,) Jy/beam — best upper limit of each tile.
        """
        self._merge()
        return self._unique, self._limit

    def searched(self, depth: float = np.inf) -> MOC:
        """Return the area that was searched to a depth, as a multi-order coverage map.

        Parameters
        ----------
        depth
            Jy/beam — highest upper limit.
        """
        from mocpy import MOC

        unique, limit = self.depths()
        kept = unique[limit <= depth]
        if not len(kept):
            return MOC.new_empty(self._finest())
        order = _orders(kept)
        cells = (kept - 4 * 4**order).astype(np.uint64)
        return MOC.from_healpix_cells(cells, order.astype(np.uint8), self._finest())

    def median_depth(self) -> float:
        """Return the upper limit [Jy/beam] that half of the area was searched to, or better; NaN without tiles."""
        limits = np.unique(self.depths()[1])
        half = self.searched().sky_fraction / 2
        low, high = 0, len(limits) - 1
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.searched(limits[middle]).sky_fraction >= half else (middle + 1, high)
        return float(limits[low]) if len(limits) else np.nan

    def _merge(self) -> None:
        """Keep the lowest limit of each tile."""
        unique = np.concatenate([self._unique, *(codes for codes, _ in self._waiting)])
        limit = np.concatenate([self._limit, *(limits for _, limits in self._waiting)])
        order = np.lexsort((limit, unique))
        unique, limit = unique[order], limit[order]
        is_first = np.ones(len(unique), bool)
        is_first[1:] = unique[1:] != unique[:-1]
        self._unique, self._limit, self._waiting = unique[is_first], limit[is_first], []

    def _finest(self) -> int:
        return int(_orders(self._unique).max(initial=0))


def band_coverages(connection: Connection, datasets: Sequence[int], selection: Selection) -> list[BandCoverage]:
    """Return the searched area of each dataset, band and Stokes parameter, in their order.

    Parameters
    ----------
    connection, datasets
        Connection in a transaction of the caller, and numbers of the datasets.
    selection
        Filters of the images; ranges are left out, since they are those of the rows of the table.

    Raises
    ------
    ConfigError
        If the selection does not fit images.
    """
    images = replace(QUERIED["images"], name=COVERAGE.name)
    where = conditions(connection, images, datasets, replace(selection, ranges=()))
    found: dict[tuple[int, float, int, int], BandCoverage] = {}
    # Read in batches, since the tiles of all images together may exceed the memory.
    for row in connection.execute(_searched_images().where(*where).execution_options(yield_per=IMAGES_AT_ONCE)):
        key = (row.dataset, row.freq_central, row.band, row.stokes)
        if key not in found:
            found[key] = BandCoverage(
                dataset=row.dataset, band=row.band, freq_central=row.freq_central, stokes=row.stokes
            )
        found[key].add(row)
    return [found[key] for key in sorted(found)]


def coverage_rows(connection: Connection, datasets: Sequence[int], selection: Selection) -> Columns:
    """Return the table of searched areas: all columns of :data:`COVERAGE`.

    Parameters
    ----------
    connection, datasets
        As for :func:`band_coverages`.
    selection
        Filters of the images, and ranges of the columns of this table.

    Raises
    ------
    ConfigError
        If the selection does not fit the table.
    """
    ranges = [(check_range(COVERAGE, one)[0], one) for one in selection.ranges]
    rows = [_row(band) for band in band_coverages(connection, datasets, selection)]
    columns = {
        name: np.array([row[name] for row in rows], described.dtype) for name, described in COVERAGE.columns.items()
    }
    keep = np.ones(len(rows), bool)
    for name, one in ranges:
        keep &= columns[name] >= (-np.inf if one.low is None else one.low)
        keep &= columns[name] <= (np.inf if one.high is None else one.high)
    return {name: values[keep] for name, values in columns.items()}


def _row(band: BandCoverage) -> dict[str, Any]:
    """Return the columns of the table for one band and Stokes parameter."""
    moc = band.searched()
    return {
        **{name: getattr(band, name) for name in ("dataset", "band", "freq_central", "n_images", "exposure")},
        **{name: getattr(band, name).replace(tzinfo=None) for name in ("first", "last")},
        "stokes": stokes_letter(band.stokes),
        "area": moc.sky_fraction * SKY_DEG2,
        "depth_best": float(band.depths()[1].min(initial=np.inf)),
        "depth_median": band.median_depth(),
        "moc": moc.to_string("ascii").strip(),
    }


def _searched_images() -> Select[Any]:
    """Select the accepted images with noise tiles."""
    return (
        select(Image.dataset, Image.band, FrequencyBand.freq_central, Image.stokes, Image.taustart_ts, Image.tau_time)
        .add_columns(Image.detection_thresh, RmsMap.tile_order, RmsMap.tiles, RmsMap.tile_rms)
        .add_columns(applied_gain().label("gain"))
        .join(RmsMap, RmsMap.image == Image.id)
        .outerjoin(Calibration, Calibration.image == Image.id)
        .outerjoin(FrequencyBand, FrequencyBand.id == Image.band)  # see trap.db.lightcurves
        .where(RmsMap.tile_order.is_not(None), ~exists().where(Rejection.image == Image.id))
    )


def _orders(unique: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the orders of tiles with unique numbers, which lie between 4 · 4^order and 16 · 4^order."""
    exponent = np.frexp(unique.astype(float))[1] - 1
    orders: NDArray[np.int64] = ((exponent - 2) // 2).astype(np.int64)
    return orders
