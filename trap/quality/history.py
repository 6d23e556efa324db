"""Checks that compare an image with other images of the dataset, and its sources with the running catalogue.

The other images are the latest accepted ones before it. At the start of a dataset there are few; then the next images
of the run are added, before they are checked themselves. Both are the same after an interruption.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.codes import RejectReason
from trap.quality.reasons import Verdict
from trap.quality.records import Check, has_beam, has_noise

if TYPE_CHECKING:
    from trap.config import QualityConfig
    from trap.quality.records import CatalogueInput, EarlierInput
    from trap.typing import Array

__all__ = [
    "BEAM_JUMP",
    "FREQUENCY_JUMP",
    "NEW_SOURCES",
    "REPEATED",
    "RMS_HISTORY",
    "SAMPLE",
    "check_beam_jump",
    "check_frequency_jump",
    "check_new_sources",
    "check_repeated",
    "check_rms_history",
    "may_be_too_many",
    "robust_log_spread",
]

SAMPLE = 10
"""Number of earlier images from which no following images are added."""
GAUSSIAN_MAD = 1.4826
"""Ratio between the standard deviation of Gaussian values and their median absolute deviation."""
MAX_EXPONENT = 700.0
"""Largest logarithm of a factor; a larger one is infinite."""
MIN_NEW = 5
"""Smallest number of new sources whose share of the sources of an image is a reason for doubt."""
LARGE_SHARE = 0.05
"""Share of the sources of an image that may be new, if that is more than ``max_new_sources``."""


def check_rms_history(image: EarlierInput) -> Verdict:
    """Compare the noise of an image with the noise of other images of its group.

    The logarithms are compared, by median and median absolute deviation, so that a few bad images among the others do
    not matter. An image passes if there are fewer than ``min_history`` others.
    """
    config, rms = image.config.quality, image.rms
    others = _others(image.earlier.rms(image.key)[-config.rms_est_history :], image.following_rms, config)
    others = others[others > 0]
    needed = _needed(config)
    if others.size < needed:
        return Verdict(True, f"{others.size} other images, {needed} needed")
    median, spread = robust_log_spread(others)
    # The last term allows for rounding: a history of equal values must accept that value.
    factor = max(float(np.exp(min(config.rms_rej_sigma * spread, MAX_EXPONENT))), config.rms_rej_factor) * (1 + 1e-9)
    passed = median / factor <= rms <= median * factor
    comment = f"RMS value {rms:.4g} Jy/beam, the median of {others.size} other images {median:.4g}"
    return Verdict(passed, f"{comment}, largest factor {factor:.3g} (quality.rms_rej_sigma, quality.rms_rej_factor)")


def robust_log_spread(values: Array) -> tuple[float, float]:
    """Return the median of positive values, and the standard deviation of their natural logarithms.

    The standard deviation is estimated by the median absolute deviation, which for Gaussian values is 1.4826 times
    smaller.

    Parameters
    ----------
    values
        (n,) — positive values; n is at least 1.
    """
    logarithms = np.log(values)
    median = float(np.median(logarithms))
    return float(np.exp(median)), float(GAUSSIAN_MAD * np.median(np.abs(logarithms - median)))


def _needed(config: QualityConfig) -> int:
    """Return the number of other images from which an image is compared with them."""
    return min(config.min_history, config.rms_est_history)


def _others(earlier: Array, following: Array, config: QualityConfig) -> Array:
    """Return the values of earlier images, and of following images if the earlier ones are few."""
    missing = max(0, SAMPLE - len(earlier)) if _needed(config) <= SAMPLE else 0
    return np.concatenate([earlier, following[:missing]])


RMS_HISTORY = Check(
    name="rms_history",
    setting="check_rms_history",
    reason=RejectReason.RMS,
    fails_if="the noise differs from its median by more than `rms_rej_sigma` and the factor `rms_rej_factor`",
    function=check_rms_history,
    needs=(has_noise,),
)


def check_beam_jump(image: EarlierInput) -> Verdict:
    """Compare both axes of the beam with their medians over other images of its group.

    An image without a beam passes, and so does one with fewer than ``min_history`` others.
    """
    config, beam = image.config.quality, image.metadata.beam
    if beam is None:
        return Verdict(True, "no beam")
    others = _others(image.earlier.beams(image.key), image.following_beams, config)
    needed = _needed(config)
    if len(others) < needed:
        return Verdict(True, f"{len(others)} other images, {needed} needed")
    median = np.median(others, axis=0)
    ratios = np.array([beam.bmaj, beam.bmin]) / median
    comment = (
        f"beam {beam.bmaj * 3600:.4g} × {beam.bmin * 3600:.4g} arcsec, the median of {len(others)} other images "
        f"{median[0] * 3600:.4g} × {median[1] * 3600:.4g}, largest factor {config.beam_jump:g} (quality.beam_jump)"
    )
    return Verdict(bool(np.maximum(ratios, 1 / ratios).max() <= config.beam_jump), comment)


BEAM_JUMP = Check(
    name="beam_jump",
    setting="check_beam_jump",
    reason=RejectReason.BEAM_JUMP,
    fails_if="a beam axis differs from its median by more than the factor `beam_jump`",
    function=check_beam_jump,
    needs=(has_beam,),
)


def check_frequency_jump(image: EarlierInput) -> Verdict:
    """Check whether an image starts a new band long after all bands of its telescope were known.

    A wrong frequency in a header splits a light curve in two.
    """
    frequency = f"{image.metadata.freq_eff / 1e6:.6g} MHz"
    if image.key.band >= 0:
        return Verdict(True, f"{frequency} is in a known band")
    n_since = image.earlier.since_new_band(image.key.telescope)
    comment = f"{frequency} is in no band, {n_since} images after the last new one"
    return Verdict(n_since < image.config.quality.jump_history, comment)


FREQUENCY_JUMP = Check(
    name="frequency_jump",
    setting="check_frequency_jump",
    reason=RejectReason.FREQUENCY_JUMP,
    fails_if="the frequency is in no band, `jump_history` images after the last new one",
    function=check_frequency_jump,
)


def check_repeated(image: EarlierInput) -> Verdict:
    """Check that no earlier image, under another header, has the same pixels, or the same list if it has no pixels."""
    holder = image.earlier.holder_of(image.pixel_hash)
    if holder is None:
        return Verdict(True, "no earlier image has the same pixels")
    is_list = image.metadata.nx == 0
    return Verdict(False, f"the same {'source list, byte for byte,' if is_list else 'pixels'} as {holder}")


REPEATED = Check(
    name="repeated",
    setting="check_repeated",
    reason=RejectReason.REPEATED,
    fails_if="an earlier image has the same pixels under another header",
    function=check_repeated,
)


def check_new_sources(image: CatalogueInput) -> Verdict:
    """Check that most sources of an image have a counterpart in the catalogue.

    Only new sources that earlier images should have shown count: a deeper image, another field or another band shows
    new sources for good reasons.
    """
    config, n_new = image.config.quality, image.n_new
    total = n_new + image.n_known
    limit = max(config.max_new_sources, int(LARGE_SHARE * total))
    comment = f"{n_new} of {total} sources are new where earlier images should have shown them"
    if n_new > limit:
        return Verdict(False, f"{comment}, at most {limit} (quality.max_new_sources)")
    if n_new >= MIN_NEW and n_new > config.max_new_share * total:
        return Verdict(False, f"{comment}, at most the share {config.max_new_share:g} (quality.max_new_share)")
    return Verdict(True, comment)


def may_be_too_many(n_new: int, config: QualityConfig) -> bool:
    """Return whether so many new sources can fail :func:`check_new_sources`, whatever the number of known ones.

    Parameters
    ----------
    n_new
        Number of sources without a counterpart, including sources that earlier images need not have shown.
    config
        The limits.
    """
    return n_new >= MIN_NEW or n_new > config.max_new_sources


NEW_SOURCES = Check(
    name="new_sources",
    setting="check_new_sources",
    reason=RejectReason.NEW_SOURCES,
    fails_if="more sources than `max_new_sources` or `max_new_share` are new where earlier images show none",
    function=check_new_sources,
)
