"""Maps of an extraction: significance, islands, model and residuals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.extraction.celestial import HWHM_PER_SIGMA, ellipse_axes, pixel_forms
from trap.extraction.field import measured_mask
from trap.extraction.gaussian import REACH_SIGMA
from trap.extraction.islands import segment_image

if TYPE_CHECKING:
    from astropy.wcs import WCS
    from numpy.typing import NDArray

    from trap.catalogues import Measurements
    from trap.config import SourceExtractionConfig
    from trap.extraction.field import Field
    from trap.extraction.mesh import Background
    from trap.images.image import Image

__all__ = ["island_map", "model_map", "residual_map", "significance_map"]


def significance_map(image: Image, background: Background, config: SourceExtractionConfig) -> NDArray[np.float32]:
    """Compute the brightness above the background over the local noise.

    Parameters
    ----------
    image
        Image of the extraction.
    background
        Background level and noise of the image.
    config
        Extraction settings, which define the searched area.

    Returns
    -------
    (ny, nx) σ
        NaN outside the searched area.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        significance = (image.data - background.mean_map()) / background.rms_map()
    significance[measured_mask(image.data, config)] = np.nan
    return significance


def island_map(field: Field, *, detection: float, analysis: float) -> NDArray[np.int32]:
    """Label the islands: photutils' segments above the analysis threshold that reach the detection threshold.

    Parameters
    ----------
    field
        The searched field.
    detection, analysis
        σ — the two thresholds.

    Returns
    -------
    (ny, nx)
        0 outside islands. Islands are numbered 1, 2, … in the order of their first pixels, row by row,
        like the column ``island`` of the measurements.
    """
    labels: NDArray[np.int32] = segment_image(field.threshold_map(analysis=analysis, detection=detection)).data
    return labels


def model_map(measurements: Measurements, wcs: WCS, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Draw the measured sources, each in a box that reaches to 6 σ (as in TraP's residual maps).

    Parameters
    ----------
    measurements
        Sources to draw. Rows without a flux density are skipped.
    wcs
        Projection of the image.
    shape
        Numbers of rows and columns of the image.

    Returns
    -------
    (ny, nx) Jy/beam
    """
    model = np.zeros(shape)
    columns = (measurements.x, measurements.y, measurements.f_peak, measurements.semimajor, measurements.semiminor)
    sources = measurements.take(np.asarray(np.isfinite(columns).all(axis=0)))
    forms = pixel_forms(
        wcs, sources.x, sources.y, semimajor=sources.semimajor, semiminor=sources.semiminor, pa=sources.pa
    )
    reach = np.ceil(REACH_SIGMA / HWHM_PER_SIGMA * ellipse_axes(forms)[0]).astype(int)
    # A loop, as the boxes differ in size.
    for x, y, peak, (a, b, c), half in zip(sources.x, sources.y, sources.f_peak, forms, reach, strict=True):
        x_box, y_box = _box(x, half, shape[1]), _box(y, half, shape[0])
        u, v = np.arange(x_box.start, x_box.stop) - x, (np.arange(y_box.start, y_box.stop) - y)[:, np.newaxis]
        model[y_box, x_box] += peak * np.exp(-(a * u**2 + 2 * b * u * v + c * v**2) / 2)
    return model.astype(np.float32)


def residual_map(image: Image, background: Background, model: NDArray[np.float32]) -> NDArray[np.float32]:
    """Subtract the background and the sources from an image.

    Parameters
    ----------
    image
        Image of the extraction.
    background
        Background level of the image.
    model
        (ny, nx) Jy/beam — sources, from :func:`model_map`.

    Returns
    -------
    (ny, nx) Jy/beam
        NaN in pixels without a value.
    """
    return np.asarray(image.data - background.mean_map() - model, np.float32)


def _box(centre: float, half: int, size: int) -> slice:
    """Return the range of pixels along an axis that a source reaches; empty if it lies off the image."""
    middle = round(centre)
    return slice(min(max(middle - half, 0), size), max(min(middle + half + 1, size), 0))
