"""The noise of one image where it was searched, on tiles of the sky."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.association.noise_history import NoiseTiles, tile_order, tiles_within
from trap.extraction.field import is_outside

if TYPE_CHECKING:
    from trap.config import SourceExtractionConfig
    from trap.extraction.mesh import Background
    from trap.images.image import Image

__all__ = ["sample_noise"]


def sample_noise(image: Image, background: Background, config: SourceExtractionConfig) -> NoiseTiles:
    """Read the noise mesh of an image at the centres of the tiles that it covers.

    A tile counts where its centre is in the searched area, on a pixel that has a value.

    Parameters
    ----------
    image
        The image; its pixels are read.
    background
        Its mesh of background and noise.
    config
        What area is searched.
    """
    metadata = image.metadata
    cell = min(background.cell[0] * abs(metadata.deltax), background.cell[1] * abs(metadata.deltay))
    order = tile_order(cell)
    # The whole image, whatever its search radius: masked tiles fall away below.
    region = metadata.sky_region(0)
    tiles, ra, dec = tiles_within(order, region.centre_ra, region.centre_dec, region.xtr_radius)
    x, y = image.wcs.all_world2pix(ra, dec, 0)
    ny, nx = image.data.shape
    with np.errstate(invalid="ignore"):
        columns, rows = np.rint(x), np.rint(y)
        searched = (columns >= 0) & (columns < nx) & (rows >= 0) & (rows < ny) & ~is_outside(x, y, (ny, nx), config)
    searched[searched] = np.isfinite(image.data[rows[searched].astype(int), columns[searched].astype(int)])
    rms = background.rms_at(x[searched], y[searched])
    known = np.isfinite(rms) & (rms > 0)
    return NoiseTiles(order=order, tile=tiles[searched][known], rms=rms[known].astype(np.float32))
