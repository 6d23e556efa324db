"""Negative peaks: artefacts of bright sources or of the calibration, since no source on the sky is negative."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from trap.association.noise_peaks import SearchedArea
from trap.codes import RejectReason
from trap.extraction.correlation import beam_correlation
from trap.kernels.maps import pixels_at
from trap.quality.reasons import Verdict
from trap.quality.records import Check, is_stokes_i

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.extraction.mesh import Background
    from trap.quality.records import SourceInput
    from trap.typing import Array

__all__ = ["NEGATIVE", "check_negative", "find_negative", "measure_area"]


TOUCHING = 1.5
"""Distance of pixels, in pixels, within which they touch at an edge or at a corner."""


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
    return SearchedArea.measured(
        n_pixels,
        correlation,
        n_negative=n_negative,
        threshold=threshold,
        cell_pixels=background.cell[0] * background.cell[1],
    )


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
    # No pixel above this limit can be low enough. The level and the noise are interpolated for few pixels.
    limit = float(background.mesh_mean.max()) - threshold * float(background.mesh_rms.min())
    candidates = np.flatnonzero((data <= np.float32(limit)) & ~mask)
    value, rms = pixels_at(data, candidates, *background.lines())
    is_low = value <= -threshold * rms
    pixels, depth = candidates[is_low], -(value / rms)[is_low] - threshold
    y, x = np.divmod(pixels, data.shape[1])
    # Pixels that touch at a corner belong together.
    pairs = cKDTree(np.column_stack([x, y])).query_pairs(TOUCHING, output_type="ndarray")
    links = coo_array((np.ones(len(pairs), bool), pairs.T), (len(x), len(x)))
    _, island = connected_components(links, directed=False)
    deepest_first = np.lexsort((-depth, island))
    _, first = np.unique(island[deepest_first], return_index=True)
    lowest = deepest_first[first]
    return x[lowest].astype(float), y[lowest].astype(float), depth[lowest]


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
