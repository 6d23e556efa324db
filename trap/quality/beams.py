"""Whether the restoring beam is one that sources can be fitted with."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from trap.quality.reasons import Verdict

if TYPE_CHECKING:
    from trap.config import QualityConfig
    from trap.images.metadata import ImageMetadata

__all__ = ["check_beam", "check_beam_axes"]


def check_beam(metadata: ImageMetadata, config: QualityConfig) -> Verdict:
    """See whether there is a beam, and one that :func:`check_beam_axes` takes.

    Its axes are those that it has on the grid of pixels, whatever their shape; where these are square, they are
    TraP's.
    """
    if metadata.beam is None:
        return Verdict(False, "no restoring beam in the header")
    a, b, c = metadata.beam.quadratic_form(metadata.deltax, metadata.deltay)
    mean, difference = (a + c) / 2, math.hypot((a - c) / 2, b)
    semimajor, semiminor = (_half_width(value) for value in (mean - difference, mean + difference))
    return check_beam_axes(semimajor, semiminor, config)


def _half_width(curvature: float) -> float:
    """Half width at half maximum in pixels of exp(-½ curvature r²)."""
    return math.sqrt(2 * math.log(2) / curvature) if curvature > 0 else math.inf


def check_beam_axes(semimajor_pix: float, semiminor_pix: float, config: QualityConfig) -> Verdict:
    """See whether a beam is undersampled, oversampled or too elliptical.

    Parameters
    ----------
    semimajor_pix, semiminor_pix
        pix — half widths at half maximum.
    """
    longest, shortest = max(semimajor_pix, semiminor_pix), min(semimajor_pix, semiminor_pix)
    sizes = f"bmaj={_two_decimals(semimajor_pix)} and bmin={_two_decimals(semiminor_pix)} (pixels)"
    if not np.isfinite(semimajor_pix + semiminor_pix):
        problem = "Beam infinite"
    elif 2 * shortest <= 1:
        problem = "Beam undersampled"
    elif longest > config.oversampled_x:
        problem = "Beam oversampled"
    elif longest / shortest > config.elliptical_x:
        problem = "Beam too elliptical"
    else:
        return Verdict(True, sizes)
    return Verdict(False, f"{problem}: {sizes}")


def _two_decimals(value: float) -> str:
    return f"{value:.2f}" if 0.01 <= value <= 9999 else f"{value:.2e}"
