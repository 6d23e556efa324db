"""Whether sources can be fitted with the restoring beam."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from trap.codes import RejectReason
from trap.quality.reasons import Verdict
from trap.quality.records import Check, has_beam

if TYPE_CHECKING:
    from trap.config import QualityConfig
    from trap.images.metadata import ImageMetadata
    from trap.quality.records import ImageInput

__all__ = ["BEAM", "BEAM_SHAPE", "check_beam", "check_beam_axes", "check_beam_shape"]


def check_beam(image: ImageInput) -> Verdict:
    """Check that the header has a beam, and check its axes with :func:`check_beam_axes`.

    The axes are measured in pixels, also if the pixels are not square. On square pixels they equal TraP's.
    """
    axes = _semi_axes(image.metadata)
    if axes is None:
        return Verdict(False, "no restoring beam in the header")
    return check_beam_axes(*axes, image.config.quality)


BEAM = Check(
    name="beam",
    setting="check_beam",
    reason=RejectReason.BEAM,
    fails_if="there is no beam, or it is undersampled (`undersampled_x`), oversampled (`oversampled_x`) or too "
    "elliptical (`elliptical_x`)",
    function=check_beam,
)


def check_beam_shape(image: ImageInput) -> Verdict:
    """Check that a beam is sampled well, and not so long that sources along its major axis blend."""
    axes, config = _semi_axes(image.metadata), image.config.quality
    if axes is None or not np.isfinite(sum(axes)):
        # check_beam reports the beam itself.
        return Verdict(True, "no beam with a shape")
    problems = _limits(
        *axes, narrowest=("undersampled_warn", config.undersampled_warn),
        longest=("elliptical_warn", config.elliptical_warn),
    )  # fmt: skip
    return Verdict(not problems, "; ".join(problems) or _sizes(*axes))


BEAM_SHAPE = Check(
    name="beam_shape",
    setting="check_beam_shape",
    reason=RejectReason.BEAM_SHAPE,
    fails_if="the beam is narrower than `undersampled_warn`, or its axis ratio is above `elliptical_warn`",
    function=check_beam_shape,
    needs=(has_beam,),
)


def check_beam_axes(semimajor_pix: float, semiminor_pix: float, config: QualityConfig) -> Verdict:
    """Check that a beam is neither undersampled nor oversampled, and not too elliptical.

    Parameters
    ----------
    semimajor_pix, semiminor_pix
        pix — half widths at half maximum.
    config
        Limits, ``undersampled_x``, ``oversampled_x`` and ``elliptical_x``.
    """
    sizes = _sizes(semimajor_pix, semiminor_pix)
    if not np.isfinite(semimajor_pix + semiminor_pix):
        return Verdict(False, f"Beam infinite: {sizes}")
    problems = _limits(
        semimajor_pix, semiminor_pix, narrowest=("undersampled_x", config.undersampled_x),
        longest=("elliptical_x", config.elliptical_x),
    )  # fmt: skip
    widest = max(semimajor_pix, semiminor_pix)
    if widest > config.oversampled_x:
        limit = f"at most {config.oversampled_x:g} (quality.oversampled_x)"
        problems.append(f"Beam oversampled: semi-axis {_two_decimals(widest)} pixels, {limit}")
    return Verdict(not problems, "; ".join(problems) or sizes)


def _limits(
    semimajor_pix: float, semiminor_pix: float, *, narrowest: tuple[str, float], longest: tuple[str, float]
) -> list[str]:
    """Compare a beam with the smallest width and the largest axis ratio, each with the name of its setting."""
    width, widest = 2 * min(semimajor_pix, semiminor_pix), 2 * max(semimajor_pix, semiminor_pix)
    problems = []
    if width < narrowest[1]:
        limit = f"at least {narrowest[1]:g} (quality.{narrowest[0]})"
        problems.append(f"Beam undersampled: minor axis {_two_decimals(width)} pixels, {limit}")
    # An undersampled axis may have no width at all.
    if widest > width * longest[1]:
        limit = f"at most {longest[1]:g} (quality.{longest[0]})"
        ratio = _two_decimals(widest / width) if width else "infinite"
        problems.append(f"Beam too elliptical: axis ratio {ratio}, {limit}")
    return problems


def _semi_axes(metadata: ImageMetadata) -> tuple[float, float] | None:
    """Return the half widths of the beam at half maximum, in pixels, the larger one first; None without a beam."""
    if metadata.beam is None:
        return None
    a, b, c = metadata.beam.quadratic_form(metadata.deltax, metadata.deltay)
    # Eigenvalues of the quadratic form: the smaller one belongs to the longer axis.
    mean, difference = (a + c) / 2, math.hypot((a - c) / 2, b)
    return _half_width(mean - difference), _half_width(mean + difference)


def _sizes(semimajor_pix: float, semiminor_pix: float) -> str:
    return f"bmaj={_two_decimals(semimajor_pix)} and bmin={_two_decimals(semiminor_pix)} (pixels)"


def _half_width(curvature: float) -> float:
    """Return the half width at half maximum, in pixels, of exp(-½ curvature r²)."""
    return math.sqrt(2 * math.log(2) / curvature) if curvature > 0 else math.inf


def _two_decimals(value: float) -> str:
    return f"{value:.2f}" if 0.01 <= value <= 9999 else f"{value:.2e}"
