"""Peaks of Gaussians whose places and shapes are known, all of them at once, by linear least squares."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from trap.extraction.gaussian import gaussian_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.extraction.boxes import PixelBoxes
    from trap.extraction.gaussian import Gaussians

    Array = NDArray[np.float64]

__all__ = ["solve_peaks", "unit_images"]

REACH_SIGMA = 6.0
"""Where a Gaussian ends, in its own σ: at 1.5e-8 of its peak."""
LEAST_OVERLAP = 1e-6
"""Correlation of two Gaussians below which they are solved apart."""


def unit_images(pixels: PixelBoxes, sources: Gaussians) -> Any:  # noqa: ANN401 (scipy.sparse has no types)
    """Images of Gaussians of peak 1 on a list of pixels.

    Returns
    -------
    scipy.sparse.csc_array
        (n_pixels, n_sources)
    """
    determinant = sources.form[:, 0] * sources.form[:, 2] - sources.form[:, 1] ** 2
    reach_x, reach_y = (REACH_SIGMA * np.sqrt(sources.form[:, k] / determinant) for k in (2, 0))
    nx = int(pixels.x.max(initial=0)) + 1
    first_x, first_y = np.ceil(sources.x - reach_x).astype(np.intp), np.ceil(sources.y - reach_y).astype(np.intp)
    last_x, last_y = np.floor(sources.x + reach_x).astype(np.intp), np.floor(sources.y + reach_y).astype(np.intp)
    order = pixels.y * nx + pixels.x
    places, values = [np.empty(0, np.intp)], [np.empty(0)]
    for i in range(len(sources)):  # Each has an extent of its own.
        columns = np.arange(max(first_x[i], 0), min(last_x[i], nx - 1) + 1)
        rows = np.arange(max(first_y[i], 0), last_y[i] + 1)
        wanted = (rows[:, np.newaxis] * nx + columns).ravel()
        place = np.minimum(np.searchsorted(order, wanted), order.size - 1)
        place = place[order[place] == wanted]
        places.append(place)
        values.append(gaussian_values(pixels.x[place] - sources.x[i], pixels.y[place] - sources.y[i], sources.form[i]))
    starts = np.cumsum([part.size for part in places])
    shape = (pixels.value.size, len(sources))
    return sparse.csc_array((np.concatenate(values), np.concatenate(places), starts), shape=shape)


def solve_peaks(images: Any, value: Array, *, full_weight: float, spring: Array) -> tuple[Array, Array]:  # noqa: ANN401
    """Least-squares peaks, and their variances in noise that is correlated over the beam.

    The variances are those of least squares in white noise smoothed with the beam: with the normal
    matrix M, M⁻¹ K M⁻¹, where K is the normal matrix with the autocorrelation of the noise between
    its two factors. For beams far apart that is 2 σ² (see
    :func:`trap.extraction.uncertainties.beam_fit_errors`); between two of them K falls with
    distance as the square root of M does; and what the mask takes from a beam's weight is taken
    to be lost as in white noise, which errs on the safe side.

    Parameters
    ----------
    images
        (n_pixels, n) sparse — from :func:`unit_images`.
    value
        (n_pixels,) Jy/beam
    full_weight
        Sum of the squares of the beam's image where no pixel is missing.
    spring
        (n,) — pulls a peak towards zero, as a share of its weight; keeps the system regular.

    Returns
    -------
    peak, variance
        (n,) Jy/beam, and in units of the noise squared.
    """
    normal = (images.T @ images).tocoo()
    right = images.T @ value
    weight = normal.diagonal()
    scale = 1.0 / np.sqrt(np.where(weight > 0, weight, 1.0))
    correlation = normal.data * scale[normal.row] * scale[normal.col]
    kept = correlation > LEAST_OVERLAP
    links = sparse.csr_array((correlation[kept], (normal.row[kept], normal.col[kept])), shape=normal.shape)
    peak, variance = np.zeros(weight.size), np.zeros(weight.size)
    n_groups, group = connected_components(links, directed=False)
    order = np.argsort(group, kind="stable")
    for members in np.split(order, np.cumsum(np.bincount(group, minlength=n_groups))[:-1]):
        overlap = links[members][:, members].toarray()
        # In the basis where each Gaussian has weight 1.
        inverse = np.linalg.inv(overlap + np.diag(spring[members] + (weight[members] == 0)))
        peak[members] = scale[members] * (inverse @ (scale[members] * right[members]))
        noise = 2 * full_weight * np.sqrt(overlap)
        variance[members] = scale[members] ** 2 * np.einsum("ij,jk,ki->i", inverse, noise, inverse)
    # Between unlike shapes K is an estimate; no fit to beam-sized noise beats its own highest pixel.
    return peak, np.maximum(variance, 1.0)
