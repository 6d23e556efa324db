"""Negative peaks: artefacts of bright sources or of the calibration, since no source on the sky is negative."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from trap.association.noise_peaks import SearchedArea
from trap.extraction.correlation import beam_correlation
from trap.extraction.field import threshold_map
from trap.quality.reasons import RejectReason, Verdict
from trap.quality.records import Check, is_stokes_i

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.extraction.mesh import Background
    from trap.quality.records import SourceInput
    from trap.typing import Array

__all__ = ["NEGATIVE", "check_negative", "find_negative", "measure_area"]


def measure_area(
    background: Background, mask: NDArray[np.bool_], threshold: float, *, beam: Array, n_negative: int
) -> SearchedArea:
    """Measure the searched area of an image.

    Parameters
    ----------
    background, mask, threshold
        As for :func:`find_negative`.
    beam
        (3,) pix⁻² — coefficients of the beam's exponent, for a background without the correlation of its noise.
    n_negative
        Number of negative peaks.
    """
    correlation = beam_correlation(beam) if background.correlation is None else background.correlation
    n_pixels = int(mask.size - np.count_nonzero(mask))
    return SearchedArea.measured(n_pixels, correlation, n_negative=n_negative, threshold=threshold)


def find_negative(
    data: NDArray[Any], background: Background, mask: NDArray[np.bool_], threshold: float
) -> tuple[Array, Array, Array]:
    """Find islands of pixels as far below the background as the threshold is above it, and measure their depths.

    Parameters
    ----------
    data
        (ny, nx) Jy/beam — pixels, NaN where they are missing.
    background
        Level and noise of the background.
    mask
        (ny, nx) — true for pixels that are not searched.
    threshold
        σ — detection threshold.

    Returns
    -------
    x, y
        (n,) pix — lowest pixel of each island.
    depth
        (n,) σ — its depth below the threshold.
    """
    nothing = np.empty(0), np.empty(0), np.empty(0)
    if mask.all():
        return nothing
    lowest = float(np.nanmin(data)) - float(background.mesh_mean.max())
    if not lowest < -threshold * float(background.mesh_rms.min()):
        # No pixel can be that low. This spares many images the interpolation of the maps.
        return nothing
    upside_down = threshold_map(
        -data, mask | np.isnan(data), background.negative(), analysis=threshold, detection=threshold
    )
    y, x = np.nonzero(upside_down.reached)
    islands, _ = ndimage.label(upside_down.reached, np.ones((3, 3)))
    # Rounding may differ from that of the map, which found the pixel at the threshold or below.
    depth = np.maximum((background.mean_at(x, y) - data[y, x]) / background.rms_at(x, y) - threshold, 0.0)
    deepest_first = np.lexsort((-depth, islands[y, x]))
    _, first = np.unique(islands[y, x][deepest_first], return_index=True)
    lowest_pixel = deepest_first[first]
    return x[lowest_pixel].astype(float), y[lowest_pixel].astype(float), depth[lowest_pixel]


def check_negative(image: SourceInput) -> Verdict:
    """Check that an image has no more than ``max_negative`` negative sources."""
    limit = image.config.quality.max_negative
    comment = f"{image.n_negative} negative sources at the detection threshold, at most {limit}"
    return Verdict(image.n_negative <= limit, comment)


NEGATIVE = Check(
    name="negative",
    setting="check_negative",
    reason=RejectReason.NEGATIVE,
    fails_if="there are more than `max_negative` negative sources, in Stokes I",
    function=check_negative,
    needs=(is_stokes_i,),
)
