"""Noise of one image on tiles of the sky, wherever the image was searched."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.association.noise_history import NoiseTiles, count_tiles, tile_order, tiles_within
from trap.errors import ImageError
from trap.extraction.field import is_outside

if TYPE_CHECKING:
    from trap.config import SourceExtractionConfig
    from trap.extraction.mesh import Background
    from trap.images.image import Image

__all__ = ["sample_noise"]

MAX_TILES = 10_000_000
"""Maximum number of tiles of an image: ten times the number for 20,000 × 20,000 pixels with the default mesh."""
MAX_PER_PIXEL = 10
"""Maximum number of tiles for each pixel, unless they are few: square cells of one pixel have up to seven."""
FEW_TILES = 100_000
"""Number of tiles that is never too large."""


def sample_noise(image: Image, background: Background, config: SourceExtractionConfig) -> NoiseTiles:
    """Interpolate the noise of an image at the centres of the tiles that it covers.

    A tile is covered if its centre is in the searched area, on a pixel with a finite value.

    Parameters
    ----------
    image, background
        The image, whose pixels are read, and its level and noise.
    config
        Settings of the searched area.

    Returns
    -------
    NoiseTiles
        Tiles no larger than a cell of the mesh.

    Raises
    ------
    ImageError
        If there would be too many tiles, since cells are tiny in one direction, or very many.
    """
    metadata = image.metadata
    cell_deg = min(background.cell[0] * abs(metadata.deltax), background.cell[1] * abs(metadata.deltay))
    order = tile_order(cell_deg)
    # The whole image, regardless of the search radius, so that images of a pointing share the list of tiles.
    region = metadata.sky_region(0)
    _check_number(image, order, region.xtr_radius, cell_deg)
    tiles, ra, dec = tiles_within(order, region.centre_ra, region.centre_dec, region.xtr_radius)
    # Quiet, since a distortion need not be invertible far outside the image.
    x, y = image.wcs.all_world2pix(ra, dec, 0, quiet=True)
    ny, nx = image.data.shape
    with np.errstate(invalid="ignore"):
        columns, rows = np.rint(x), np.rint(y)
        is_on_image = (columns >= 0) & (columns < nx) & (rows >= 0) & (rows < ny)
        is_searched = is_on_image & ~is_outside(x, y, (ny, nx), config)
    values = image.data[rows[is_searched].astype(int), columns[is_searched].astype(int)]
    is_searched[is_searched] = np.isfinite(values)
    rms = background.rms_at(x[is_searched], y[is_searched])
    has_noise = np.isfinite(rms) & (rms > 0)
    return NoiseTiles(order=order, tile=tiles[is_searched][has_noise], rms=rms[has_noise].astype(np.float32))


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
