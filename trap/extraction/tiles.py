"""Noise of one image on tiles of the sky that were searched as a whole.

A tile counts as searched only if a source anywhere in it would have been detected whole. Where a tile reaches the rim
of the searched area, its parts are tested, down to about the width of the beam.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from trap.association.noise_history import (
    MAX_FINER,
    MAX_FINEST,
    RESOLUTION_DEG,
    NoiseTiles,
    count_tiles,
    parts_of,
    tile_order,
    tiles_within,
)
from trap.errors import ImageError
from trap.extraction.celestial import beam_form, ellipse_axes
from trap.extraction.field import grown_mask
from trap.kernels.repeats import count_before, has_blank

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.config import SourceExtractionConfig
    from trap.extraction.mesh import Background
    from trap.images.image import Image
    from trap.typing import Array, Map

__all__ = ["sample_noise"]

MAX_TILES = 10_000_000
"""Maximum number of tiles of an image: ten times the number for 20,000 × 20,000 pixels with the default mesh."""
MAX_PER_PIXEL = 10
"""Maximum number of tiles for each pixel, unless they are few: square cells of one pixel have up to seven."""
FEW_TILES = 100_000
"""Number of tiles that is never too large."""
CUT_BEAMS = 1.5
"""Distance from pixels without data, in widths of the beam, within which a source may be cut: above the analysis
threshold, a source of S/N 1000 reaches so far. A source that is cut does not enter the catalogue."""
RIM_BEAMS = 0.5
"""Distance from the rim of the searched area, in widths of the beam, within which noise may move a source across it."""
TILE_REACH = 0.9
"""Distance of the corners of a tile from its centre, in sides of a tile of mean size."""


def sample_noise(image: Image, background: Background, config: SourceExtractionConfig) -> NoiseTiles:
    """Interpolate the noise of an image at the centres of the tiles that it covers.

    Parameters
    ----------
    image, background
        The image, whose pixels are read, and its level and noise.
    config
        Settings of the searched area.

    Returns
    -------
    NoiseTiles
        Tiles no larger than a cell of the mesh, and finer ones at the rim of the searched area and of areas without
        data.

    Raises
    ------
    ImageError
        If there would be too many tiles, since cells are tiny in one direction, or very many.
    """
    metadata = image.metadata
    pixel_deg = min(abs(metadata.deltax), abs(metadata.deltay))
    cell_deg = min(background.cell[0] * abs(metadata.deltax), background.cell[1] * abs(metadata.deltay))
    order = tile_order(cell_deg)
    # The whole image, regardless of the search radius, so that images of a pointing share the list of tiles.
    region = metadata.sky_region(0)
    _check_number(image, order, region.xtr_radius, cell_deg)
    area = _SearchedArea.of(image, config)
    tiles, ra, dec = tiles_within(order, region.centre_ra, region.centre_dec, region.xtr_radius)
    side = RESOLUTION_DEG / 2**order / pixel_deg
    n_finer = int(np.clip(np.round(np.log2(side / area.beam_width)), 0, min(MAX_FINER, MAX_FINEST - order)))
    layers = []
    for finer in range(n_finer + 1):
        # Quiet, since a distortion need not be invertible far outside the image.
        x, y = image.wcs.all_world2pix(ra, dec, 0, quiet=True)
        covers, meets = area.covers(x, y, TILE_REACH * side / 2**finer)
        rms = background.rms_at(x[covers], y[covers])
        has_noise = np.isfinite(rms) & (rms > 0)
        layers.append(
            NoiseTiles(order=order + finer, tile=tiles[covers][has_noise], rms=rms[has_noise].astype(np.float32))
        )
        if finer < n_finer:
            tiles, ra, dec = parts_of(order + finer, tiles[meets & ~covers])
    return NoiseTiles(
        order=order, tile=layers[0].tile, rms=layers[0].rms, finer=tuple(one for one in layers[1:] if one.tile.size)
    )


def _check_number(image: Image, order: int, radius: float, cell_deg: float) -> None:
    """Raise an error if an image has too many tiles, whose list would take hours or all memory."""
    metadata = image.metadata
    limit = min(MAX_TILES, max(MAX_PER_PIXEL * metadata.nx * metadata.ny, FEW_TILES))
    n_tiles = count_tiles(order, radius)
    if n_tiles > limit:
        msg = (
            f"its noise would take {n_tiles:.2g} tiles of the sky, more than {limit:,}: a cell of the noise mesh "
            f"(source_extraction.back_size_x, back_size_y) is {3600 * cell_deg:.2g}″ wide, with pixels of "
            f"{3600 * abs(metadata.deltax):.2g}″ × {3600 * abs(metadata.deltay):.2g}″, and the image reaches "
            f"{radius:.3g}° from its middle"
        )
        raise ImageError(msg, image.url)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _SearchedArea:
    """The part of an image where a source is detected whole: a rectangle and a circle, without areas that lack data.

    Parameters
    ----------
    first, last
        pix — lowest and highest x and y of the rectangle.
    middle
        pix — x and y of the middle of the image.
    radius
        pix — radius of the circle; infinite without a circle.
    beam_width
        pix — full width of the beam's major axis.
    block
        pix — side of the blocks of pixels.
    n_blank
        (n_y + 1, n_x + 1) — number of blocks without data, before each row and column of blocks; None if all pixels
        have data.
    """

    first: float
    last: tuple[float, float]
    middle: tuple[float, float]
    radius: float
    beam_width: float
    block: int
    n_blank: NDArray[np.int32] | None

    @classmethod
    def of(cls, image: Image, config: SourceExtractionConfig) -> Self:
        """Describe the searched area of an image."""
        data, radius = image.data, config.extraction_radius_pix
        ny, nx = data.shape
        semimajor, semiminor, _ = ellipse_axes(beam_form(image.require_beam(), image.wcs, (ny, nx)))
        width, block = 2 * float(semimajor), max(1, int(2 * semiminor))
        first = max(CUT_BEAMS * width, config.margin + RIM_BEAMS * width)
        return cls(
            first=first,
            last=(nx - 1 - first, ny - 1 - first),
            middle=((nx - 1) / 2, (ny - 1) / 2),
            radius=radius - RIM_BEAMS * width if radius > 0 else np.inf,
            beam_width=width,
            block=block,
            n_blank=_count_blank(data, block, CUT_BEAMS * width),
        )

    def covers(self, x: Array, y: Array, reach: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return which squares lie in the area as a whole, and which of them may meet it; NaN does neither.

        Parameters
        ----------
        x, y
            (n,) pix — middles of the squares.
        reach
            pix — half the side of a square.
        """
        u, v = np.abs(x - self.middle[0]), np.abs(y - self.middle[1])
        half_x, half_y = self.last[0] - self.middle[0], self.last[1] - self.middle[1]
        covers = (u + reach <= half_x) & (v + reach <= half_y) & (np.hypot(u + reach, v + reach) < self.radius)
        nearest = np.hypot(np.maximum(u - reach, 0), np.maximum(v - reach, 0))
        meets = (u - reach <= half_x) & (v - reach <= half_y) & (nearest < self.radius)
        if self.n_blank is not None:
            rows = np.flatnonzero(meets)
            n_blank, n = self._blank_blocks(x[rows], y[rows], reach)
            covers[rows] &= n_blank == 0
            meets[rows] &= n_blank < n
        return covers, meets

    def _blank_blocks(self, x: Array, y: Array, reach: float) -> tuple[NDArray[np.int32], NDArray[np.intp]]:
        """Count the blocks without data, and all blocks, that squares overlap: (n,) each."""
        if self.n_blank is None:
            return np.zeros(x.size, np.int32), np.ones(x.size, np.intp)
        left, right, low, high = (
            np.clip(np.floor((place + 0.5) / self.block).astype(np.intp), 0, size - 2)
            for place, size in (
                (x - reach, self.n_blank.shape[1]), (x + reach, self.n_blank.shape[1]),
                (y - reach, self.n_blank.shape[0]), (y + reach, self.n_blank.shape[0]),
            )
        )  # fmt: skip
        total = self.n_blank
        n_blank = total[high + 1, right + 1] - total[low, right + 1] - total[high + 1, left] + total[low, left]
        return n_blank, (right - left + 1) * (high - low + 1)


def _count_blank(data: Map, block: int, distance: float) -> NDArray[np.int32] | None:
    """Sum up the blocks within a distance of pixels without data, over all rows and columns before each block."""
    is_blank = has_blank(data, block)
    if not is_blank.any():
        return None
    half = int(np.ceil(distance / block))
    return count_before(grown_mask(is_blank, half_y=half, half_x=half))
