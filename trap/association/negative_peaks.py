"""Negative peaks on the sky: no source makes them in Stokes I, so they show noise that is not Gaussian, and its place.

Artefacts of a bright source have both signs, stand around it, and often stay for many images. So the peaks are counted
on tiles of the sky: a candidate among many negative peaks may be one of the positive ones there, while one elsewhere is
judged by the noise of the rest of the field.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from trap.tables import ColumnTable, column

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from trap.association.entries import LightCurveKey
    from trap.typing import Array

__all__ = ["ALL_SKY_DEG2", "NegativeHistory", "NegativePeaks", "PeakSums", "chance_of", "tail"]

ALL_SKY_DEG2 = 129_600 / math.pi
"""Area of the sphere in deg²."""
TILE_BEAMS = 16
"""Largest width of a tile, in full widths of the beam; it is more than half of that."""
UNIQUE = 4
"""Summand of the unique number of a tile, 4 · 4^order + tile (NUNIQ of the IVOA)."""
DEPTH_UNIT = 2.0**-16
"""Unit of the depths, in σ: their sums are exact, and do not depend on the order of the images."""
MAX_CHANCE = 1e-3
"""Probability of as many negative peaks by Gaussian noise, below which the noise is not Gaussian."""
MIN_CLUSTERED = 2
"""Least number of negative peaks on a tile that belong together."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NegativePeaks(ColumnTable):
    """Negative peaks of one image, at the detection threshold or below."""

    tile: NDArray[np.int64] = column("i8", "", "Unique number of the HEALPix tile, 4 · 4^order + tile, nested.")
    depth: NDArray[np.float64] = column("f8", "sigma", "Depth below the threshold.")

    @classmethod
    def at(cls, ra: ArrayLike, dec: ArrayLike, depth: ArrayLike, *, beam: float) -> Self:
        """Assign negative peaks to tiles.

        Parameters
        ----------
        ra, dec
            (n,) deg — positions; a peak without a position on the sky is left out.
        depth
            (n,) σ — depths below the threshold.
        beam
            deg — full width of the beam.
        """
        # A module of HEALPix, which queries of results do not need.
        from trap.association.noise_history import tile_order, tiles_at  # noqa: PLC0415

        lon, lat, depths = (np.asarray(values, float) for values in (ra, dec, depth))
        on_sky = np.isfinite(lon + lat)
        order = tile_order(TILE_BEAMS * beam)
        tiles = tiles_at(order, lon[on_sky], lat[on_sky]) if on_sky.any() else np.empty(0, np.int64)
        return cls(tile=UNIQUE * 4**order + tiles, depth=np.rint(depths[on_sky] / DEPTH_UNIT) * DEPTH_UNIT)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PeakSums:
    """Negative peaks of many images on tiles.

    Parameters
    ----------
    tile
        (m,) — unique numbers of the tiles, ascending.
    n
        (m,) — number of peaks on each tile.
    depth
        (m,) σ — sum of their depths.
    """

    tile: NDArray[np.int64]
    n: NDArray[np.int64]
    depth: Array

    @property
    def orders(self) -> NDArray[np.int64]:
        """(m,) — order of each tile."""
        # Unique numbers of an order have two binary digits more than those of the order before: 4 to 15 for order 0.
        orders: NDArray[np.int64] = (np.frexp(self.tile.astype(float))[1].astype(np.int64) - 1) // 2 - 1
        return orders

    def around(self, ra: ArrayLike, dec: ArrayLike, *, density: ArrayLike) -> tuple[Array, Array, Array]:
        """Sum the peaks on the tile of each position and on the eight tiles around it.

        Parameters
        ----------
        ra, dec
            (k,) deg — positions.
        density
            (k,) deg⁻² — expected number of negative peaks per area.

        Returns
        -------
        n, depth, expected
            (k,) each — number of peaks, sum of their depths [σ], and expected number of peaks.
        """
        shape = np.shape(np.atleast_1d(ra))
        n, depth, area = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        for order in np.unique(self.orders).tolist():
            tiles = _tiles_around(order, ra, dec)
            unique = np.where(tiles >= 0, UNIQUE * 4**order + tiles, -1)
            rows = np.minimum(np.searchsorted(self.tile, unique), len(self.tile) - 1)
            is_held = self.tile[rows] == unique
            n += np.where(is_held, self.n[rows], 0).sum(axis=0)
            depth += np.where(is_held, self.depth[rows], 0.0).sum(axis=0)
            area = np.maximum(area, len(tiles) * ALL_SKY_DEG2 / (12 * 4**order))
        return n, depth, area * np.asarray(density, float)

    def unclustered(self, density: float) -> tuple[int, float]:
        """Sum the peaks on tiles that do not have more of them than Gaussian noise makes.

        Parameters
        ----------
        density
            deg⁻² — expected number of negative peaks per area.

        Returns
        -------
        Number of peaks, and sum of their depths [σ].
        """
        expected = density * ALL_SKY_DEG2 / (12 * 4.0**self.orders)
        is_cluster = np.array(
            [
                n >= MIN_CLUSTERED and chance_of(n, mean) < MAX_CHANCE / len(self.n)
                for n, mean in zip(self.n.tolist(), expected.tolist(), strict=True)
            ],
            bool,
        )
        return int(self.n[~is_cluster].sum()), float(self.depth[~is_cluster].sum())


class NegativeHistory:
    """Negative peaks of all accepted images so far, for every band and Stokes parameter."""

    def __init__(self) -> None:
        self._peaks: dict[LightCurveKey, dict[int, tuple[int, float]]] = {}

    def add(self, key: LightCurveKey, peaks: NegativePeaks) -> None:
        """Add the negative peaks of an accepted image.

        Parameters
        ----------
        key
            Band and Stokes parameter of the image.
        peaks
            Its negative peaks.
        """
        _add(self._peaks.setdefault(key, {}), peaks)

    def sums(self, key: LightCurveKey, more: NegativePeaks) -> PeakSums:
        """Return the peaks of all images so far with a band and Stokes parameter, and of one more image.

        Parameters
        ----------
        key
            Band and Stokes parameter.
        more
            Negative peaks of an image that is not added yet.
        """
        held = dict(self._peaks.get(key, {}))
        _add(held, more)
        tiles = sorted(held)
        return PeakSums(
            tile=np.array(tiles, np.int64),
            n=np.array([held[tile][0] for tile in tiles], np.int64),
            depth=np.array([held[tile][1] for tile in tiles], float),
        )


def _add(held: dict[int, tuple[int, float]], peaks: NegativePeaks) -> None:
    """Add peaks to the number and the sum of depths on each tile."""
    for tile, depth in zip(peaks.tile.tolist(), peaks.depth.tolist(), strict=True):
        n, total = held.get(tile, (0, 0.0))
        held[tile] = n + 1, total + depth


def _tiles_around(order: int, ra: ArrayLike, dec: ArrayLike) -> NDArray[np.int64]:
    """Return the tiles of positions and the eight around each, (9, k); -1 in place of a corner without a tile."""
    from astropy import units  # noqa: PLC0415 (HEALPix, as above)
    from astropy_healpix import HEALPix  # noqa: PLC0415

    grid = HEALPix(nside=2**order, order="nested")
    tiles = grid.lonlat_to_healpix(np.atleast_1d(ra) * units.deg, np.atleast_1d(dec) * units.deg)
    # Some tiles have seven neighbours: the division of a missing one is invalid.
    with np.errstate(invalid="ignore"):
        around = grid.neighbours(tiles)
    return np.concatenate([np.asarray(tiles)[np.newaxis], np.asarray(around)]).astype(np.int64)


def chance_of(n: int, mean: float) -> float:
    """Compute the probability of a number of events or more in a Poisson process.

    Parameters
    ----------
    n
        Number of events.
    mean
        Expected number.

    Returns
    -------
    The probability; 1 if there are no more events than expected.
    """
    if n <= mean:
        return 1.0
    if mean <= 0:
        return 0.0
    # The logarithm avoids numbers too large for a float. SciPy is left out, so that queries of results start sooner.
    chance, term, k = 0.0, math.exp(n * math.log(mean) - mean - math.lgamma(n + 1)), n
    while term > chance * np.finfo(float).eps:
        chance, k = chance + term, k + 1
        term *= mean / k
    return chance


def tail(n: ArrayLike, depth: ArrayLike, beyond: ArrayLike) -> Array:
    """Extrapolate the number of peaks to larger heights: it falls off by e per mean depth beyond the threshold.

    Parameters
    ----------
    n, depth
        Number of negative peaks, and sum of their depths in σ.
    beyond
        (k,) σ — heights above the threshold.

    Returns
    -------
    (k,)
    """
    number = np.asarray(n, float)
    mean_depth = np.maximum(np.asarray(depth, float) / np.maximum(number, 1.0), DEPTH_UNIT)
    peaks: Array = number * np.exp(-np.maximum(np.asarray(beyond, float), 0.0) / mean_depth)
    return peaks
