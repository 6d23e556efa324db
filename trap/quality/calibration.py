"""Checks of the calibration of an image against the calibrations of the images before it.

An image of a bad ionosphere, of failed phases or of a wrong flux scale shows it in its bright sources.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trap.codes import RejectReason
from trap.quality.reasons import Verdict
from trap.quality.records import CalibrationInput, Check

if TYPE_CHECKING:
    from trap.config import QualityConfig
    from trap.typing import Array

__all__ = [
    "GAIN",
    "PATCH",
    "POSITION_SCATTER",
    "SMEARING",
    "check_gain",
    "check_patch",
    "check_position_scatter",
    "check_smearing",
]

SIGMA = 5.0
"""Difference from the median of the earlier images, in their standard deviations, up to which a value is accepted."""
PRIOR_IMAGES, PRIOR_SHARE = 5, 0.4
"""Number of images that an assumed deviation counts as, and this deviation as a part of the least limit. The deviation
of a few images can be small by chance."""
GAUSSIAN_MAD = 1.4826
"""Ratio between the standard deviation of Gaussian values and their median absolute deviation."""
LEAST_SCATTER = 0.05
"""Scatter of positions, in beam widths, up to which it is always accepted."""
MIN_PATCH_SNR = 5.0
"""Least significance, in σ, of a patch."""


class _Comparison(NamedTuple):
    """A value against earlier ones: their number and median, the factor between both, and the largest accepted one."""

    n: int
    median: float
    factor: float
    limit: float


def _compare(value: float, earlier: Array, *, factor: float, error: float, config: QualityConfig) -> _Comparison | None:
    """Compare the logarithm of a positive value with earlier ones; None if these are too few.

    Parameters
    ----------
    value
        The value.
    earlier
        (n,) — values of earlier images, latest last.
    factor
        Factor up to which any value is accepted.
    error
        Relative error of the value.
    config
        Numbers of earlier images.
    """
    others = earlier[-config.rms_est_history :]
    others = others[others > 0]
    n = others.size
    if n < min(config.min_history, config.rms_est_history):
        return None
    logarithms = np.log(others)
    median = float(np.median(logarithms))
    least = math.log(factor)
    deviation = GAUSSIAN_MAD * float(np.median(np.abs(logarithms - median)))
    assumed = PRIOR_IMAGES * (PRIOR_SHARE * least) ** 2
    variance = (n * deviation**2 + assumed) / (n + PRIOR_IMAGES) + error**2
    limit = max(SIGMA * math.sqrt(variance), least)
    return _Comparison(n, math.exp(median), value / math.exp(median), math.exp(min(limit, 700.0)))


def _few(image: CalibrationInput) -> Verdict:
    """Return the verdict on an image with too few others before it."""
    return Verdict(True, f"fewer than {image.config.quality.min_history} earlier images (quality.min_history)")


def has_gain(image: CalibrationInput) -> bool:
    """Return whether the gain of an image was measured."""
    return image.calibration.flux_scale.gain > 0


def check_gain(image: CalibrationInput) -> Verdict:
    """Compare the gain of an image with the gains of earlier images of its band and Stokes parameter."""
    config, scale = image.config.quality, image.calibration.flux_scale
    error = scale.gain_err / scale.gain if scale.gain_err > 0 else 0.0
    found = _compare(scale.gain, image.recent("flux_scale.gain"), factor=config.gain_jump, error=error, config=config)
    if found is None:
        return _few(image)
    comment = (
        f"gain {scale.gain:.4g} ± {scale.gain_err:.2g} from {scale.n_matches} calibrators, the median of "
        f"{found.n} earlier images {found.median:.4g}, largest factor {found.limit:.3g} (quality.gain_jump)"
    )
    return Verdict(max(found.factor, 1 / found.factor) <= found.limit, comment)


GAIN = Check(
    name="gain",
    setting="check_gain",
    reason=RejectReason.FLUX_SCALE,
    fails_if="the gain differs from its median by more than the factor `gain_jump`, and by 5 σ of earlier gains",
    function=check_gain,
    needs=(has_gain,),
)


def has_scatter(image: CalibrationInput) -> bool:
    """Return whether the scatter of positions was measured, in an image with a beam."""
    return image.calibration.astrometry.scatter > 0 and image.metadata.beam is not None


def check_position_scatter(image: CalibrationInput) -> Verdict:
    """Compare the scatter of the calibrators' positions, after the correction, with the scatter in earlier images.

    A scatter below a twentieth of the beam passes, since most fits have larger errors.
    """
    config, astrometry, beam = image.config.quality, image.calibration.astrometry, image.metadata.beam
    # The scatter of 2 n coordinates has a relative error of 1/√(4 n).
    error = 0.5 / math.sqrt(max(astrometry.n_matches, 1))
    earlier = image.recent("astrometry.scatter")
    found = _compare(astrometry.scatter, earlier, factor=config.position_scatter_jump, error=error, config=config)
    if found is None or beam is None:
        return _few(image)
    least = LEAST_SCATTER * 3600 * math.sqrt(beam.bmaj * beam.bmin)
    comment = (
        f"positions of {astrometry.n_matches} calibrators scatter by {astrometry.scatter:.3g} arcsec, the median of "
        f"{found.n} earlier images {found.median:.3g}, largest factor {found.limit:.3g} "
        f"(quality.position_scatter_jump), and up to {least:.3g} always"
    )
    return Verdict(astrometry.scatter <= least or found.factor <= found.limit, comment)


POSITION_SCATTER = Check(
    name="position_scatter",
    setting="check_position_scatter",
    reason=RejectReason.POSITIONS,
    fails_if="positions of calibrators scatter by more than `position_scatter_jump` times their usual scatter, and 5 σ",
    function=check_position_scatter,
    needs=(has_scatter,),
)


def has_compactness(image: CalibrationInput) -> bool:
    """Return whether the ratio of integrated flux density to highest pixel was measured."""
    return image.calibration.compactness > 0


def check_smearing(image: CalibrationInput) -> Verdict:
    """Compare the ratio of integrated flux density to highest pixel of compact sources with earlier images.

    Errors of phase within the observation smear sources: the peak falls while the integrated flux density remains.
    """
    config, calibration = image.config.quality, image.calibration
    error = calibration.compactness_err / calibration.compactness if calibration.compactness_err > 0 else 0.0
    earlier = image.recent("compactness")
    found = _compare(calibration.compactness, earlier, factor=config.smearing_jump, error=error, config=config)
    if found is None:
        return _few(image)
    comment = (
        f"integrated flux density over highest pixel of {calibration.n_calibrators} compact sources "
        f"{calibration.compactness:.4g} ± {calibration.compactness_err:.2g}, the median of {found.n} earlier images "
        f"{found.median:.4g}, largest factor {found.limit:.3g} (quality.smearing_jump)"
    )
    return Verdict(max(found.factor, 1 / found.factor) <= found.limit, comment)


SMEARING = Check(
    name="smearing",
    setting="check_smearing",
    reason=RejectReason.SMEARED,
    fails_if="the highest pixels of compact sources fall by more than `smearing_jump` against their flux, and 5 σ",
    function=check_smearing,
    needs=(has_compactness,),
)


def has_patch(image: CalibrationInput) -> bool:
    """Return whether parts of the field were compared."""
    return math.isfinite(image.calibration.patch_snr)


def check_patch(image: CalibrationInput) -> Verdict:
    """Check that no part of the field is brighter or fainter than the rest, against the reference."""
    limit, calibration = image.config.quality.max_patch_gain, image.calibration
    gain, significance = calibration.patch_gain, abs(calibration.patch_snr)
    comment = (
        f"sources around {calibration.patch_ra:.4f} {calibration.patch_dec:+.4f} are {100 * abs(gain):.3g} % "
        f"{'brighter' if gain > 0 else 'fainter'} than the others, at {significance:.1f} σ; at most {100 * limit:g} % "
        f"(quality.max_patch_gain), or {MIN_PATCH_SNR:g} σ"
    )
    return Verdict(abs(gain) < limit or significance < MIN_PATCH_SNR, comment)


PATCH = Check(
    name="patch",
    setting="check_patch",
    reason=RejectReason.PATCH,
    fails_if=f"a part of the field is brighter or fainter than the rest by `max_patch_gain`, at {MIN_PATCH_SNR:g} σ",
    function=check_patch,
    needs=(has_patch,),
)
