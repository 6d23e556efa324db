"""What a component looks like before anything is fitted: where it is, how bright, how extended.

The first guess of every fit, and the result where a fit fails.
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

SMALLEST_AREA = 0.5
"""Moments smaller than this share of the beam's area are those of too few pixels."""


def measure_moments(islands: Islands, components: Components, beam: Array, threshold: float) -> Gaussians:
    """Measure all components by their moments (TraP's, TF §5.5: Spreeuw 2010).

    The second moments are corrected for what lies below the analysis threshold, and the highest
    pixel for not being centred on the peak. Where the moments give no ellipse (a single pixel, a
    single row, or next to nothing), the shape is the beam's.

    Parameters
    ----------
    islands, components
        The pixels, and the component of each.
    beam
        (3,) pix⁻² — coefficients of the beam's exponent.
    threshold
        Analysis threshold, in σ.
    """
    number = components.first[islands.island] + components.component
    pixels = (islands.x, islands.y, islands.value, islands.rms)
    x, y, xx, xy, yy, highest, noise, *_ = component_moments(pixels, number, int(components.counts.sum())).T
    mean_factor, _ = peak_correction(beam)
    peak = highest * mean_factor
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.clip(threshold * noise / peak, 0.0, 1.0)
        shrinkage = 1.0 + np.where(ratio > 0, ratio * np.log(ratio) / (1.0 - ratio), 0.0)
        xx, xy, yy = (second / shrinkage for second in (xx, xy, yy))
        determinant = xx * yy - xy**2
        form = np.stack([yy, -xy, xx], axis=-1) / determinant[:, np.newaxis]
        # The determinant is (area/2π)², that of the coefficients its inverse.
        smallest = SMALLEST_AREA**2 / (beam[0] * beam[2] - beam[1] ** 2)
        is_ellipse = np.isfinite(form).all(axis=1) & (determinant > smallest) & (xx > 0)
    return Gaussians(x=x, y=y, peak=peak, form=np.where(is_ellipse[:, np.newaxis], form, beam))


def peak_correction(beam: Array) -> tuple[float, float]:
    """How far the highest pixel of a point source lies below its peak, wherever in the pixel that is.

    Returns
    -------
    factor, variance
        Mean of peak over highest pixel (F_max of TF §5.5), and its variance (V_max).
    """
    nodes, weights = np.polynomial.legendre.leggauss(16)
    u, v = np.meshgrid(nodes / 2, nodes / 2)
    ratio = np.exp((beam[0] * u**2 + 2 * beam[1] * u * v + beam[2] * v**2) / 2)
    share = np.outer(weights, weights) / 4
    factor = float((share * ratio).sum())
    return factor, float((share * ratio**2).sum()) - factor**2
