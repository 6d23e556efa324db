"""Checks that compare an image with the accepted images before it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.quality.reasons import RejectReason, Verdict
from trap.quality.records import Check, has_beam

if TYPE_CHECKING:
    from trap.quality.records import EarlierInput

__all__ = [
    "BEAM_JUMP",
    "FREQUENCY_JUMP",
    "REPEATED",
    "RMS_HISTORY",
    "check_beam_jump",
    "check_frequency_jump",
    "check_repeated",
    "check_rms_history",
]


def check_rms_history(image: EarlierInput) -> Verdict:
    """Compare the noise of an image with the noise of the ``rms_est_history`` latest images.

    An image passes if there are fewer earlier images.
    """
    config, rms = image.config.quality, image.rms
    history = image.earlier.rms(image.key)
    if history.size < config.rms_est_history:
        return Verdict(True, f"{history.size} earlier images, {config.rms_est_history} needed")
    latest = history[-config.rms_est_history :]
    mean, spread = float(latest.mean()), float(latest.std())
    # The last term allows for rounding: a history of equal values must accept that value.
    passed = abs(rms - mean) <= config.rms_rej_sigma * spread + 1e-9 * mean
    limit = f"{config.rms_rej_sigma:g} x {spread:g}"
    comment = f"within {limit} of the mean {mean:g} of the last {latest.size} images (Jy/beam)"
    return Verdict(passed, f"RMS value {rms:g} {comment if passed else 'not ' + comment}")


RMS_HISTORY = Check(
    name="rms_history",
    setting="check_rms_history",
    reason=RejectReason.RMS,
    fails_if="the noise is far from that of the latest images",
    function=check_rms_history,
)


def check_beam_jump(image: EarlierInput) -> Verdict:
    """Compare both axes of the beam with their medians over the images before it.

    An image without a beam passes, and so does one with fewer than ``jump_history`` earlier images.
    """
    config, beam = image.config.quality, image.metadata.beam
    history = image.earlier.beams(image.key)
    if beam is None:
        return Verdict(True, "no beam")
    if len(history) < config.jump_history:
        return Verdict(True, f"{len(history)} earlier images, {config.jump_history} needed")
    median = np.median(history, axis=0)
    ratios = np.array([beam.bmaj, beam.bmin]) / median
    comment = (
        f"beam {beam.bmaj * 3600:.4g} × {beam.bmin * 3600:.4g} arcsec, the median of {len(history)} earlier ones "
        f"{median[0] * 3600:.4g} × {median[1] * 3600:.4g}"
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
    """Check that no earlier image, under another header, has the same pixels."""
    holder = image.earlier.holder_of(image.pixel_hash)
    if holder is None:
        return Verdict(True, "no earlier image has the same pixels")
    return Verdict(False, f"the same pixels as {holder}")


REPEATED = Check(
    name="repeated",
    setting="check_repeated",
    reason=RejectReason.REPEATED,
    fails_if="an earlier image has the same pixels under another header",
    function=check_repeated,
)
