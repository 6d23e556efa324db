"""Depth of the earlier images at any position of the sky: the best earlier noise.

The lowest noise of a whole image is a poor estimate near its edge. So the noise of every accepted
image is stored on HEALPix tiles (Górski et al. 2005) of about the size of a cell of its noise mesh:
the best value, the image with that value, and the number of images. At the rim of the searched area the
tiles are finer, so that all of a tile was searched. The cost depends on the area of the sky and not on
the number of images. Pointings play no role, so that mosaics and drifting fields need no special
treatment.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units
from astropy_healpix import HEALPix

from trap.angles import separation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike, NDArray

    from trap.association.entries import LightCurveKey
    from trap.typing import Array

__all__ = [
    "DEPTH_POWER",
    "LOOKED",
    "MAX_FINER",
    "MAX_FINEST",
    "RESOLUTION_DEG",
    "NoiseHistory",
    "NoiseTiles",
    "codes_at",
    "count_tiles",
    "parts_of",
    "tile_order",
    "tiles_at",
    "tiles_within",
]

LOOKED = np.dtype([("rms", "f8"), ("image", "i8"), ("n", "i4"), ("depth", "f8")])
"""Record of the earlier images of a position: the best noise [Jy/beam; NaN if no image covers it], the
database id of the image with that noise (0 if no image covers it), the number of images, and Σ rms^-:data:`DEPTH_POWER`
over them."""

DEPTH_POWER = 6
"""Exponent of the weight of noisier images: see :func:`trap.association.new_sources.significance_of_newness`."""

RESOLUTION_DEG = 58.6323
"""Mean side of a tile of order 0; it halves with every order."""
MAX_ORDER = 20
"""Highest order of the tiles: they are about 0.2 arcsec wide."""
MAX_FINEST = 24
"""Highest order of the finer tiles at a rim."""
COARSE_STEPS = 5
"""Number of orders by which tiles that are searched around a circle are coarser than the tiles that are listed."""
UNIQUE = 4
"""Summand of the unique number of a tile, 4 · 4^order + tile, which has the order in it (NUNIQ of the IVOA)."""
MAX_FINER = 4
"""Largest difference between the orders of the tiles of an image."""
AREA_ORDER = 3
"""Order of the parts of the sky that noise is kept by: they are 7 deg wide."""
N_CIRCLES = 16
"""Number of circles whose tiles are kept: images of a pointing share one circle."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NoiseTiles:
    """Noise of one image on tiles of the sky.

    Parameters
    ----------
    order
        HEALPix order: there are 12 · 4^order tiles on the sphere.
    tile
        (n,) — numbers of the tiles that were searched as a whole, nested numbering, ascending.
    rms
        (n,) Jy/beam — noise at the centres of the tiles.
    finer
        Searched parts of other tiles, as tiles of higher orders.
    """

    order: int
    tile: NDArray[np.int64]
    rms: NDArray[np.float32]
    finer: tuple[NoiseTiles, ...] = ()

    @property
    def layers(self) -> tuple[NoiseTiles, ...]:
        """Tiles of each order, lowest first."""
        return self, *self.finer

    @property
    def codes(self) -> NDArray[np.int64]:
        """Numbers of all tiles in one array, with their orders: see :func:`codes_at`."""
        return np.concatenate([self.tile, *(-(UNIQUE * 4**layer.order) - layer.tile for layer in self.finer)])

    def divided_by(self, gain: float) -> NoiseTiles:
        """Return the same tiles with the noise on another flux scale.

        Parameters
        ----------
        gain
            Divisor of the noise; 1 changes nothing.
        """
        if gain == 1:
            return self
        finer = tuple(layer.divided_by(gain) for layer in self.finer)
        # Divided as single precision, whether the gain is a number of Python or of numpy.
        return replace(self, rms=self.rms / np.float32(gain), finer=finer)

    @classmethod
    def from_codes(cls, order: int, codes: NDArray[np.int64], rms: NDArray[np.float32]) -> NoiseTiles:
        """Restore tiles.

        Parameters
        ----------
        order
            Lowest order.
        codes, rms
            (n,) each — numbers with orders, and noise in Jy/beam, as in ``codes`` and in ``rms`` of all layers.
        """
        orders, is_finer = np.full(len(codes), order), codes < 0
        # Unique numbers of an order have two binary digits more than those of the order before: 4 to 15 for order 0.
        orders[is_finer] = (np.frexp(-codes[is_finer].astype(float))[1] - 1) // 2 - 1
        layers = []
        for one in sorted({order, *orders.tolist()}):
            rows = np.flatnonzero(orders == one)
            tile = codes[rows] if one == order else -codes[rows] - UNIQUE * 4**one
            layers.append(cls(order=one, tile=tile, rms=rms[rows]))
        return cls(order=order, tile=layers[0].tile, rms=layers[0].rms, finer=tuple(layers[1:]))


def codes_at(order: int, ra: float, dec: float) -> NDArray[np.int64]:
    """Return the numbers, with their orders, of all tiles that an image may have at a position.

    The tile of the lowest order has its own number, finer tiles have their unique number with a minus sign.

    Parameters
    ----------
    order
        Lowest order of the image.
    ra, dec
        deg — the position.
    """
    finer = range(order + 1, min(order + MAX_FINER, MAX_FINEST) + 1)
    unique = [-(UNIQUE * 4**one) - int(tiles_at(one, [ra], [dec])[0]) for one in finer]
    return np.array([int(tiles_at(order, [ra], [dec])[0]), *unique], np.int64)


def tile_order(side_deg: float) -> int:
    """Return the order of the largest tiles that are no wider than a side [deg]."""
    return int(np.clip(np.ceil(np.log2(RESOLUTION_DEG / side_deg)), 0, MAX_ORDER))


def count_tiles(order: int, radius: float) -> float:
    """Return the number of tiles in a circle, by its area.

    Parameters
    ----------
    order
        HEALPix order of the tiles.
    radius
        deg — radius of the circle.
    """
    return float(12 * 4**order * (1 - np.cos(np.radians(radius))) / 2)


def tiles_at(order: int, ra: ArrayLike, dec: ArrayLike) -> NDArray[np.int64]:
    """Find the tiles that positions lie in.

    Parameters
    ----------
    order
        HEALPix order.
    ra, dec
        (n,) deg

    Returns
    -------
    (n,) — numbers of tiles, nested numbering.
    """
    return np.asarray(_grid(order).lonlat_to_healpix(np.asarray(ra) * units.deg, np.asarray(dec) * units.deg), np.int64)


@lru_cache(N_CIRCLES)
def tiles_within(order: int, ra: float, dec: float, radius: float) -> tuple[NDArray[np.int64], Array, Array]:
    """List the tiles that overlap a circle, and some of their neighbours.

    The search takes a time that grows with the square of the number of tiles. Therefore coarser tiles are searched
    around the circle, and their subdivisions listed. Images of one pointing share the list.

    Parameters
    ----------
    order
        HEALPix order of the tiles.
    ra, dec
        deg — centre of the circle, ICRS.
    radius
        deg — radius of the circle.

    Returns
    -------
    tile
        (n,) — numbers of the tiles, nested, ascending.
    ra, dec
        (n,) deg — centres of the tiles. All three arrays are read-only.
    """
    # The largest tiles have irregular shapes, and are few.
    steps = COARSE_STEPS if order > COARSE_STEPS else 0
    # Within two sides of the circle lie all tiles that a search without subdivision would list.
    reach = radius + 2 * RESOLUTION_DEG / 2**order if steps else radius
    # The search misses tiles that the circle barely overlaps (at RA 79°, Dec 80°, for example); a wider one finds them.
    coarse_reach = reach + RESOLUTION_DEG / 2 ** (order - steps) if steps else reach
    centre = ra * units.deg, dec * units.deg
    coarse = _grid(order - steps).cone_search_lonlat(*centre, min(coarse_reach, 180.0) * units.deg)
    tiles = (np.sort(coarse)[:, np.newaxis] * 4**steps + np.arange(4**steps)).ravel()
    lon, lat = (angle.to_value(units.deg) for angle in _grid(order).healpix_to_lonlat(tiles))
    if steps:
        is_near = separation(ra, dec, lon, lat) <= reach
        tiles, lon, lat = tiles[is_near], lon[is_near], lat[is_near]
    arrays = np.asarray(tiles, np.int64), lon, lat
    for array in arrays:
        array.flags.writeable = False
    return arrays


def parts_of(order: int, tiles: NDArray[np.int64]) -> tuple[NDArray[np.int64], Array, Array]:
    """Divide each tile into its four parts of the next order.

    Parameters
    ----------
    order
        HEALPix order of the tiles.
    tiles
        (n,) — their numbers, nested.

    Returns
    -------
    tile
        (4 n,) — numbers of the parts, nested; ascending if the tiles are.
    ra, dec
        (4 n,) deg — their centres.
    """
    parts = (tiles[:, np.newaxis] * 4 + np.arange(4)).ravel()
    lon, lat = (angle.to_value(units.deg) for angle in _grid(order + 1).healpix_to_lonlat(parts))
    return parts, lon, lat


def _grid(order: int) -> HEALPix:
    return HEALPix(nside=2**order, order="nested")


@dataclass(slots=True)
class _Area:
    """Noise on the tiles of one order in one part of the sky: their numbers, ascending, and records :data:`LOOKED`."""

    tile: NDArray[np.int64]
    looked: NDArray[Any]

    def add(self, image: int, tile: NDArray[np.int64], rms: NDArray[np.float32]) -> None:
        """Add an image, by its database id; tiles that are new in the area are merged in order."""
        fresh = tile[~self._find(tile)[1]]
        if fresh.size:
            unseen = np.zeros(len(fresh), LOOKED)
            unseen["rms"] = np.inf
            all_tiles = np.concatenate([self.tile, fresh])
            order = np.argsort(all_tiles)
            self.tile, self.looked = all_tiles[order], np.concatenate([self.looked, unseen])[order]
        rows = np.searchsorted(self.tile, tile)
        self.looked["n"][rows] += 1
        self.looked["depth"][rows] += rms.astype(float) ** -DEPTH_POWER
        better = rms < self.looked["rms"][rows]
        self.looked["rms"][rows[better]] = rms[better]
        self.looked["image"][rows[better]] = image

    def at(self, tile: NDArray[np.int64]) -> NDArray[Any]:
        """Return the records of tiles; a tile without an image has infinite noise and no looks."""
        looked = np.zeros(len(tile), LOOKED)
        looked["rms"] = np.inf
        rows, is_covered = self._find(tile)
        looked[is_covered] = self.looked[rows[is_covered]]
        return looked

    def _find(self, tile: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Return the places of tiles among those of the area, and whether they are among them."""
        rows = np.searchsorted(self.tile, tile)
        is_held = rows < len(self.tile)
        is_held[is_held] = self.tile[rows[is_held]] == tile[is_held]
        return rows, is_held


@dataclass(slots=True)
class _Layer:
    """Noise on the tiles of one order, by parts of the sky, so that an image costs no more as the survey grows."""

    order: int
    areas: dict[int, _Area] = field(default_factory=dict)

    def add(self, image: int, tiles: NoiseTiles) -> None:
        """Add an image, by its database id."""
        for number, rows in self._parts(tiles.tile):
            area = self.areas.setdefault(number, _Area(np.empty(0, np.int64), np.empty(0, LOOKED)))
            area.add(image, tiles.tile[rows], tiles.rms[rows])

    def at(self, tile: NDArray[np.int64]) -> NDArray[Any]:
        """Return the records of tiles; a tile without an image has infinite noise and no looks."""
        looked = np.zeros(len(tile), LOOKED)
        looked["rms"] = np.inf
        for number, rows in self._parts(tile):
            if number in self.areas:
                looked[rows] = self.areas[number].at(tile[rows])
        return looked

    def _parts(self, tile: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.intp]]]:
        """Yield the number of each part of the sky that tiles lie in, and the rows of its tiles."""
        part = tile >> 2 * max(self.order - AREA_ORDER, 0)
        order = np.argsort(part, kind="stable")
        starts = np.flatnonzero(np.diff(part[order], prepend=-1))
        for rows in np.split(order, starts[1:]) if len(tile) else ():
            yield int(part[rows[0]]), rows


class NoiseHistory:
    """Best earlier noise on the sky, for every band and Stokes parameter."""

    def __init__(self) -> None:
        self._layers: dict[LightCurveKey, dict[int, _Layer]] = {}

    def add(self, key: LightCurveKey, *, image: int, tiles: NoiseTiles) -> None:
        """Add one accepted image.

        Parameters
        ----------
        key
            Band and Stokes parameter.
        image
            Database id of the image.
        tiles
            Noise of the image.
        """
        layers = self._layers.setdefault(key, {})
        for part in tiles.layers:
            layers.setdefault(part.order, _Layer(part.order)).add(image, part)

    def best(self, key: LightCurveKey, ra: ArrayLike, dec: ArrayLike) -> NDArray[Any]:
        """Find the best earlier noise at positions.

        Tiles are of different orders, by the meshes of images and at their rims; all orders are searched.

        Parameters
        ----------
        key
            Band and Stokes parameter.
        ra, dec
            (n,) deg

        Returns
        -------
        (n,) of :data:`LOOKED`
        """
        best = np.zeros(len(np.atleast_1d(ra)), LOOKED)
        best["rms"] = np.inf
        for order, layer in self._layers.get(key, {}).items():
            looked = layer.at(tiles_at(order, ra, dec))
            n, depth = best["n"] + looked["n"], best["depth"] + looked["depth"]
            best = np.where(looked["rms"] < best["rms"], looked, best)
            best["n"], best["depth"] = n, depth
        best["rms"][~np.isfinite(best["rms"])] = np.nan
        return best
