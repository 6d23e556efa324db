"""Which part of an image is searched: inside the margins, inside the circle, and with a value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trap.kernels.maps import search_mask

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from trap.config import SourceExtractionConfig

__all__ = ["is_outside", "measured_mask"]


def is_outside(x: ArrayLike, y: ArrayLike, shape: tuple[int, int], config: SourceExtractionConfig) -> NDArray[np.bool_]:
    """Whether pixels lie in the margin strip or outside the circle (TraP's extraction mask).

    The circle has radius ``extraction_radius_pix`` around the middle ((nx-1)/2, (ny-1)/2) of the
    image; what lies exactly on it is outside; radius 0 means no circle.

    Parameters
    ----------
    x, y
        (...) pix — columns and rows; broadcast against each other.
    shape
        (ny, nx) of the image.
    """
    (ny, nx), margin = shape, config.margin
    x, y = np.asarray(x), np.asarray(y)
    outside = (x < margin) | (x > nx - 1 - margin) | (y < margin) | (y > ny - 1 - margin)
    radius = config.extraction_radius_pix
    if radius > 0:
        outside = outside | ((x - (nx - 1) / 2) ** 2 + (y - (ny - 1) / 2) ** 2 >= radius**2)
    return outside


def measured_mask(data: NDArray[Any], config: SourceExtractionConfig) -> NDArray[np.bool_]:
    """(ny, nx) — True where an image is not searched: outside the area, or without a finite value."""
    return search_mask(np.asarray(data, np.float32), config.margin, float(config.extraction_radius_pix))
