"""How deep each part of the sky has been seen: the best earlier noise at any position.

The lowest noise of a whole image says little of a place near its edge. Here the noise of every
accepted image is kept on HEALPix tiles (Górski et al. 2005) about the size of a cell of its noise
mesh: the best value, the image it is from, and how many images looked. That costs what the sky
costs, however many images there are, and knows no pointings: mosaics and drifting fields are the
same to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy import units
from astropy_healpix import HEALPix

from trap.angles import separation

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from trap.association.entries import LightCurveKey
    from trap.typing import Array

__all__ = ["DEPTH_POWER", "LOOKED", "NoiseHistory", "NoiseTiles", "tile_order", "tiles_at", "tiles_within"]

LOOKED = np.dtype([("rms", "f8"), ("image", "i8"), ("n", "i4"), ("depth", "f8")])
"""Best earlier noise at a place [Jy/beam; NaN where nobody looked], the database id of its image
(0 where nobody looked), the number of looks, and Σ rms^-:data:`DEPTH_POWER` over them."""

DEPTH_POWER = 6
"""How much less a noisier look says: see :func:`trap.association.new_sources.significance_of_newness`."""

RESOLUTION_DEG = 58.6323
"""Mean side of a tile of order 0; it halves with every order."""
FINEST = 20
COARSE_STEPS = 5
"""Number of orders by which tiles that are searched around a circle are coarser than the tiles that are listed."""
N_CIRCLES = 16
"""Number of circles whose tiles are kept: images of a pointing have the same one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NoiseTiles:
    """The noise of one image on tiles of the sky.

    Parameters
    ----------
    order
        HEALPix order: there are 12 · 4^order tiles on the sphere.
    tile
        (n,) — tiles whose centres were searched, nested numbering, ascending.
    rms
        (n,) Jy/beam — noise at their centres.
    """

    order: int
    tile: NDArray[np.int64]
    rms: NDArray[np.float32]


def tile_order(side_deg: float) -> int:
    """Order of the largest tiles that are no larger than a side [deg]."""
    return int(np.clip(np.ceil(np.log2(RESOLUTION_DEG / side_deg)), 0, FINEST))


def tiles_at(order: int, ra: ArrayLike, dec: ArrayLike) -> NDArray[np.int64]:
    """(n,) — tiles in which positions [deg] lie."""
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
        deg — of the circle.

    Returns
    -------
    tile
        (n,) — numbers of the tiles, nested, ascending.
    ra, dec
        (n,) deg — their centres. All three arrays are read-only.
    """
    # The largest tiles have irregular shapes, and are few.
    steps = COARSE_STEPS if order > COARSE_STEPS else 0
    # Within two sides of the circle lie all tiles that a search without subdivision would list.
    reach = radius + 2 * RESOLUTION_DEG / 2**order if steps else radius
    coarse = _grid(order - steps).cone_search_lonlat(ra * units.deg, dec * units.deg, min(reach, 180.0) * units.deg)
    tiles = (np.sort(coarse)[:, np.newaxis] * 4**steps + np.arange(4**steps)).ravel()
    lon, lat = (angle.to_value(units.deg) for angle in _grid(order).healpix_to_lonlat(tiles))
    if steps:
        is_near = separation(ra, dec, lon, lat) <= reach
        tiles, lon, lat = tiles[is_near], lon[is_near], lat[is_near]
    arrays = np.asarray(tiles, np.int64), lon, lat
    for array in arrays:
        array.flags.writeable = False
    return arrays


def _grid(order: int) -> HEALPix:
    return HEALPix(nside=2**order, order="nested")


@dataclass(slots=True)
class _Layer:
    """What is known of the tiles of one order: ascending tiles, and :data:`LOOKED` of each."""

    tile: NDArray[np.int64]
    looked: NDArray[Any]

    def add(self, image: int, tiles: NoiseTiles) -> None:
        fresh = np.setdiff1d(tiles.tile, self.tile, assume_unique=True)
        if fresh.size:
            unseen = np.zeros(len(fresh), LOOKED)
            unseen["rms"] = np.inf
            everything = np.concatenate([self.tile, fresh])
            order = np.argsort(everything)
            self.tile, self.looked = everything[order], np.concatenate([self.looked, unseen])[order]
        rows = np.searchsorted(self.tile, tiles.tile)
        self.looked["n"][rows] += 1
        self.looked["depth"][rows] += tiles.rms.astype(float) ** -DEPTH_POWER
        better = tiles.rms < self.looked["rms"][rows]
        self.looked["rms"][rows[better]] = tiles.rms[better]
        self.looked["image"][rows[better]] = image

    def at(self, tiles: NDArray[np.int64]) -> NDArray[Any]:
        looked = np.zeros(len(tiles), LOOKED)
        looked["rms"] = np.inf
        rows = np.searchsorted(self.tile, tiles)
        known = rows < len(self.tile)
        known[known] = self.tile[rows[known]] == tiles[known]
        looked[known] = self.looked[rows[known]]
        return looked


class NoiseHistory:
    """The best earlier noise on the sky, for every band and Stokes parameter."""

    def __init__(self) -> None:
        self._layers: dict[LightCurveKey, dict[int, _Layer]] = {}

    def add(self, key: LightCurveKey, *, image: int, tiles: NoiseTiles) -> None:
        """Remember one accepted image, by its database id."""
        layers = self._layers.setdefault(key, {})
        if tiles.order not in layers:
            layers[tiles.order] = _Layer(np.empty(0, np.int64), np.empty(0, LOOKED))
        layers[tiles.order].add(image, tiles)

    def best(self, key: LightCurveKey, ra: ArrayLike, dec: ArrayLike) -> NDArray[Any]:
        """Find the best earlier noise at positions.

        Images of different mesh sizes are kept on tiles of different orders; all are asked.

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
