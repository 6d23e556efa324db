"""Whether sources can be fitted with the restoring beam."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from trap.quality.reasons import RejectReason, Verdict
from trap.quality.records import Check

if TYPE_CHECKING:
    from trap.config import QualityConfig
    from trap.quality.records import ImageInput

__all__ = ["BEAM", "check_beam", "check_beam_axes"]


def check_beam(image: ImageInput) -> Verdict:
    """Check that the header has a beam, and check its axes with :func:`check_beam_axes`.

    The axes are measured in pixels, also if the pixels are not square. On square pixels they equal TraP's.
    """
    metadata = image.metadata
    if metadata.beam is None:
        return Verdict(False, "no restoring beam in the header")
    a, b, c = metadata.beam.quadratic_form(metadata.deltax, metadata.deltay)
    # Eigenvalues of the quadratic form: the smaller one belongs to the longer axis.
    mean, difference = (a + c) / 2, math.hypot((a - c) / 2, b)
    semimajor, semiminor = _half_width(mean - difference), _half_width(mean + difference)
    return check_beam_axes(semimajor, semiminor, image.config.quality)


BEAM = Check(
    name="beam",
    setting="check_beam",
    reason=RejectReason.BEAM,
    fails_if="there is no beam, or it is undersampled, oversampled or too elliptical",
    function=check_beam,
)


def check_beam_axes(semimajor_pix: float, semiminor_pix: float, config: QualityConfig) -> Verdict:
    """Check that a beam is neither undersampled nor oversampled, and not too elliptical.

    Parameters
    ----------
    semimajor_pix, semiminor_pix
        pix — half widths at half maximum.
    config
        Limits, ``oversampled_x`` and ``elliptical_x``.
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


def _half_width(curvature: float) -> float:
    """Return the half width at half maximum, in pixels, of exp(-½ curvature r²)."""
    return math.sqrt(2 * math.log(2) / curvature) if curvature > 0 else math.inf


def _two_decimals(value: float) -> str:
    return f"{value:.2f}" if 0.01 <= value <= 9999 else f"{value:.2e}"
