"""Measure components by moments: position, brightness and extent.

Moments are the first guess of each fit, and the result if the fit fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.extraction.gaussian import Gaussians
from trap.kernels.moments import component_moments

if TYPE_CHECKING:
    from trap.extraction.deblend import Components
    from trap.extraction.islands import Islands
    from trap.typing import Array


__all__ = ["measure_moments", "peak_correction"]

MIN_AREA = 0.5
"""Area over the beam's, below which moments are measured from too few pixels."""


def measure_moments(islands: Islands, components: Components, beam: Array, threshold: float) -> Gaussians:
    """Measure all components by their moments (as in TraP, TF §5.5: Spreeuw 2010).

    The second moments are corrected for the flux below the analysis threshold, and the highest pixel
    for its distance from the peak. If the moments do not give an ellipse (for a single pixel, a
    single row, or very few pixels), the shape is the beam's.

    Parameters
    ----------
    islands
        Pixels of the islands.
    components
        Component of each pixel.
    beam
        (3,) pix⁻² — coefficients of the beam's exponent.
    threshold
        σ — analysis threshold.
    """
    # Components are numbered through all islands.
    number = components.first[islands.island] + components.component
    pixels = (islands.x, islands.y, islands.value, islands.rms)
    x, y, xx, xy, yy, highest, noise, *_ = component_moments(pixels, number, int(components.counts.sum())).T
    mean_factor, _ = peak_correction(beam)
    peak = highest * mean_factor
    with np.errstate(divide="ignore", invalid="ignore"):
        # K = 1 + r ln r / (1 - r) with r = threshold / peak (Spreeuw 2010).
        ratio = np.clip(threshold * noise / peak, 0.0, 1.0)
        shrinkage = 1.0 + np.where(ratio > 0, ratio * np.log(ratio) / (1.0 - ratio), 0.0)
        xx, xy, yy = (second / shrinkage for second in (xx, xy, yy))
        determinant = xx * yy - xy**2
        form = np.stack([yy, -xy, xx], axis=-1) / determinant[:, np.newaxis]
        # The determinant of the moments is (area/2π)². The determinant of the coefficients is its inverse.
        min_determinant = MIN_AREA**2 / (beam[0] * beam[2] - beam[1] ** 2)
        is_ellipse = np.isfinite(form).all(axis=1) & (determinant > min_determinant) & (xx > 0)
    return Gaussians(x=x, y=y, peak=peak, form=np.where(is_ellipse[:, np.newaxis], form, beam))


def peak_correction(beam: Array) -> tuple[float, float]:
    """Average the ratio of the peak of a point source to its highest pixel over all positions within the pixel.

    Parameters
    ----------
    beam
        (3,) pix⁻² — coefficients of the exponent of the beam, the shape of a point source.

    Returns
    -------
    factor, variance
        Mean of the ratio (F_max of TF §5.5), and its variance (V_max).
    """
    # Integrals over the pixel by Gauss and Legendre's rule.
    nodes, weights = np.polynomial.legendre.leggauss(16)
    u, v = np.meshgrid(nodes / 2, nodes / 2)
    ratio = np.exp((beam[0] * u**2 + 2 * beam[1] * u * v + beam[2] * v**2) / 2)
    weight = np.outer(weights, weights) / 4
    factor = float((weight * ratio).sum())
    return factor, float((weight * ratio**2).sum()) - factor**2
