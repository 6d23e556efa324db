"""Noise of a source list without an image, on tiles of the sky within its field."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from trap import angles
from trap.association.noise_history import MAX_FINEST, RESOLUTION_DEG, NoiseTiles, parts_of, tile_order, tiles_within

if TYPE_CHECKING:
    from trap.catalogues import Measurements
    from trap.images.skyregion import SkyRegion
    from trap.typing import Array

__all__ = ["sample_listed_noise"]

TILES_ACROSS = 8
"""Number of tiles from the middle of the field to its rim: the noise of a field changes slowly."""
N_FINER = 2
"""Number of orders by which tiles at the rim are finer."""
TILE_REACH = 0.9
"""Distance of the corners of a tile from its centre, in sides of a tile of mean size."""
N_NEAREST = 5
"""Number of the nearest sources whose median noise a tile has: sidelobes raise the noise next to bright ones."""
MAX_GAP = 3.0
"""Largest distance of a tile from the nearest source, in mean distances of sources. A wider gap is no sky of the list:
the circle of a field is wider than a square image or a mosaic. Chance makes such a gap in one of 10¹² places."""
MIN_SOURCES = 10
"""Number of sources below which gaps mean nothing."""
CUT_BEAMS = 1.5
"""Distance from the rim of the field, in widths of the beam, within which a source may be missing."""


def sample_listed_noise(
    region: SkyRegion, sources: Measurements, *, beam: float, constant: float = float("nan")
) -> NoiseTiles:
    """Estimate the noise at the centres of the tiles that lie within a field as a whole.

    Parameters
    ----------
    region
        The field.
    sources
        Its sources, with the local noise.
    beam
        deg — full width of the beam.
    constant
        Jy/beam — noise of the field; NaN takes the median of the nearest sources.

    Returns
    -------
    NoiseTiles
        Tiles of an eighth of the radius or less, and finer ones at the rim.
    """
    radius = region.xtr_radius - CUT_BEAMS * beam
    order = tile_order(max(region.xtr_radius, 2 * beam) / TILES_ACROSS)
    noise = _ListedNoise(sources, constant, region.xtr_radius)
    # The circle of the field, so that lists of one field share the tiles.
    tiles, ra, dec = tiles_within(order, region.centre_ra, region.centre_dec, region.xtr_radius)
    layers = []
    for finer in range(min(N_FINER, MAX_FINEST - order) + 1):
        half = TILE_REACH * RESOLUTION_DEG / 2 ** (order + finer)
        distance = angles.separation(region.centre_ra, region.centre_dec, ra, dec)
        covers, meets = distance + half <= radius, distance - half <= radius
        rms = noise.at(ra[covers], dec[covers])
        is_known = np.isfinite(rms)
        layers.append(
            NoiseTiles(order=order + finer, tile=tiles[covers][is_known], rms=rms[is_known].astype(np.float32))
        )
        tiles, ra, dec = parts_of(order + finer, tiles[meets & ~covers])
    return NoiseTiles(
        order=order, tile=layers[0].tile, rms=layers[0].rms, finer=tuple(one for one in layers[1:] if one.tile.size)
    )


class _ListedNoise:
    """The noise of a list at any position: the noise of the nearest sources, or a constant.

    Parameters
    ----------
    sources
        The sources.
    constant
        Jy/beam — noise of the field; NaN takes the noise of the sources.
    radius
        deg — radius of the field.
    """

    def __init__(self, sources: Measurements, constant: float, radius: float) -> None:
        self._constant = constant
        known = sources if constant > 0 else sources.take(np.flatnonzero(sources.rms > 0))
        self._rms = known.rms
        self._tree = cKDTree(angles.unit_vectors(known.ra, known.dec)) if len(known) else None
        gap = MAX_GAP * np.radians(radius) * np.sqrt(np.pi / max(len(known), 1))
        self._gap = float(gap) if len(known) >= MIN_SOURCES else np.inf

    def at(self, ra: Array, dec: Array) -> Array:
        """Estimate the noise: (n,) Jy/beam; NaN in gaps between the sources.

        Parameters
        ----------
        ra, dec
            (n,) deg — positions.
        """
        if self._tree is None or not len(ra):
            return np.full(len(ra), self._constant)
        n_nearest = 1 if self._constant > 0 else min(N_NEAREST, self._tree.n)
        distance, rows = self._tree.query(angles.unit_vectors(ra, dec), k=n_nearest)
        distance, rows = distance.reshape(len(ra), -1), rows.reshape(len(ra), -1)
        rms = np.full(len(ra), self._constant) if self._constant > 0 else np.median(self._rms[rows], axis=1)
        return np.where(distance[:, 0] <= self._gap, rms, np.nan)
