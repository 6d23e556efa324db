"""Images made of an extraction: what was taken for noise, for islands and for sources, and what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from trap.extraction.celestial import HWHM_PER_SIGMA, ellipse_axes, pixel_forms
from trap.extraction.field import measured_mask

if TYPE_CHECKING:
    from astropy.wcs import WCS
    from numpy.typing import NDArray

    from trap.catalogues import Measurements
    from trap.config import SourceExtractionConfig
    from trap.extraction.mesh import Background
    from trap.images.image import Image

__all__ = ["island_map", "model_map", "residual_map", "significance_map"]

REACH_SIGMA = 6.0
"""Where a Gaussian ends, in its own σ: at 1.5e-8 of its peak (TraP's residual maps, too)."""


def significance_map(image: Image, background: Background, config: SourceExtractionConfig) -> NDArray[np.float32]:
    """(ny, nx) — brightness above the background over the local noise; NaN where the image is not searched."""
    with np.errstate(divide="ignore", invalid="ignore"):
        significance = (image.data - background.mean_map()) / background.rms_map()
    significance[measured_mask(image.data, config)] = np.nan
    return significance


def island_map(significance: NDArray[np.float32], *, detection: float, analysis: float) -> NDArray[np.int32]:
    """Number the islands: connected pixels above the analysis threshold that reach the detection threshold.

    Parameters
    ----------
    significance
        (ny, nx) — from :func:`significance_map`.
    detection, analysis
        σ — the two thresholds.

    Returns
    -------
    (ny, nx)
        0 outside islands, else 1, 2, … in the order of their first pixels, row by row: the column
        ``island`` of the measurements.
    """
    # Both thresholds are inclusive; NaN is above neither.
    labels, n_labels = ndimage.label(significance >= analysis, structure=np.ones((3, 3)))
    is_kept = np.zeros(n_labels + 1, bool)
    is_kept[labels[significance >= detection]] = True
    numbers = np.where(is_kept, np.cumsum(is_kept), 0)
    return np.asarray(numbers[labels], np.int32)


def model_map(measurements: Measurements, wcs: WCS, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Draw the measured sources, each in a box that reaches to 6 σ.

    Parameters
    ----------
    measurements
        Rows without a flux density are left out.
    wcs
        Projection of the image.
    shape
        (ny, nx) of the image.

    Returns
    -------
    (ny, nx) Jy/beam
    """
    model = np.zeros(shape)
    columns = (measurements.x, measurements.y, measurements.f_peak, measurements.semimajor, measurements.semiminor)
    drawn = measurements.take(np.asarray(np.isfinite(columns).all(axis=0)))
    forms = pixel_forms(wcs, drawn.x, drawn.y, semimajor=drawn.semimajor, semiminor=drawn.semiminor, pa=drawn.pa)
    reach = np.ceil(REACH_SIGMA / HWHM_PER_SIGMA * ellipse_axes(forms)[0]).astype(int)
    # One by one, as each has a box of its own.
    for x, y, peak, (a, b, c), half in zip(drawn.x, drawn.y, drawn.f_peak, forms, reach, strict=True):
        rows, columns_ = _box(y, half, shape[0]), _box(x, half, shape[1])
        u, v = np.arange(columns_.start, columns_.stop) - x, (np.arange(rows.start, rows.stop) - y)[:, np.newaxis]
        model[rows, columns_] += peak * np.exp(-(a * u**2 + 2 * b * u * v + c * v**2) / 2)
    return model.astype(np.float32)


def residual_map(image: Image, background: Background, model: NDArray[np.float32]) -> NDArray[np.float32]:
    """(ny, nx) Jy/beam — the image without its background and its sources; NaN where it has no value."""
    return np.asarray(image.data - background.mean_map() - model, np.float32)


def _box(centre: float, half: int, size: int) -> slice:
    """The part of an axis that a source reaches; empty where it lies beyond the ends."""
    middle = round(centre)
    return slice(min(max(middle - half, 0), size), max(min(middle + half + 1, size), 0))
