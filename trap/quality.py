"""Whether an image is good enough to be searched, and if not, why.

The checks are TraP's generic ones, in its order: pixels, absolute noise, beam, noise compared with
earlier images. Only the first that fails is reported.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.config import QualityConfig
    from trap.images.image import ImageMetadata

__all__ = [
    "RejectReason",
    "Rejection",
    "check_beam",
    "check_beam_axes",
    "check_pixels",
    "check_rms",
    "check_rms_history",
    "first_rejection",
    "rms_qc",
]


class RejectReason(IntEnum):
    """Why an image is not searched (rows of table ``rejectreason``)."""

    RMS = 0
    BEAM = 1
    BRIGHT_SOURCE = 2
    TAU_TIME = 3
    NAN = 4
    FLAT = 5

    @property
    def description(self) -> str:
        """The sentence that stands in the database."""
        return _DESCRIPTIONS[self]


_DESCRIPTIONS = {
    RejectReason.RMS: "RMS invalid",
    RejectReason.BEAM: "beam invalid",
    RejectReason.BRIGHT_SOURCE: "bright source near",
    RejectReason.TAU_TIME: "tau_time invalid",
    RejectReason.NAN: "contains NaN",
    RejectReason.FLAT: "data is flat",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """The first check that an image fails.

    Parameters
    ----------
    reason
        Which check.
    comment
        The values that failed it, for people.
    """

    reason: RejectReason
    comment: str

    @property
    def text(self) -> str:
        """Reason and values in one line."""
        return f"{self.reason.description}: {self.comment}"


def first_rejection(
    data: NDArray[Any],
    *,
    rms: float,
    metadata: ImageMetadata,
    config: QualityConfig,
    history: NDArray[np.float64] | None = None,
) -> Rejection | None:
    """Run the checks in TraP's order and stop at the first that fails.

    Parameters
    ----------
    data
        (ny, nx) Jy/beam — NaN where there is no value.
    rms
        Jy/beam — noise of the image, from :func:`rms_qc`.
    metadata
        For the beam.
    history
        (n,) Jy/beam — noise of the accepted images of the band, the latest last; None leaves
        that check out.

    Returns
    -------
    Rejection or None
        None: the image is good.
    """
    return (
        check_pixels(data)
        or check_rms(rms, config)
        or check_beam(metadata, config)
        or (None if history is None else check_rms_history(rms, history, config))
    )


def rms_qc(data: NDArray[Any], *, sigma: float, fraction: int) -> float:
    """Noise in the middle of an image, clipped about the median (TraP's ``rms_qc``).

    Parameters
    ----------
    data
        (ny, nx) Jy/beam — pixels without a finite value are left out. (TraP gives up on the
        whole image for a single one.)
    sigma
        Values farther than this many standard deviations from the median are clipped, again and
        again until none is.
    fraction
        f: the region is the central one of side 2·⌊n/f⌋ pixels on each axis.

    Returns
    -------
    float
        Jy/beam — root mean square about the median of what is left; NaN where the region holds
        no finite value.
    """
    region = data[tuple(_central(size, fraction) for size in data.shape)]
    values = region[np.isfinite(region)].astype(float)
    if not values.size:
        return float("nan")
    while True:
        kept = values[np.abs(values - np.median(values)) <= sigma * values.std()]
        if kept.size in (0, values.size):
            return float(np.sqrt(np.mean((values - np.median(values)) ** 2)))
        values = kept


def _central(size: int, fraction: int) -> slice:
    middle, half = size // 2, size // fraction
    # An axis shorter than f pixels would have no central part at all.
    return slice(middle - half, middle + half) if half else slice(None)


def check_pixels(data: NDArray[Any]) -> Rejection | None:
    """Reject an image in which no pixel has a value, or all have the same."""
    values = data[np.isfinite(data)]
    if not values.size:
        return Rejection(reason=RejectReason.NAN, comment="no pixel has a finite value")
    if values.min() == values.max():
        return Rejection(reason=RejectReason.FLAT, comment=f"all pixels are {values[0]:g}")
    return None


def check_rms(rms: float, config: QualityConfig) -> Rejection | None:
    """Reject an image whose noise is not strictly between the limits; NaN is not."""
    if config.rms_est_min < rms < config.rms_est_max:
        return None
    limits = f"{config.rms_est_min:g} and {config.rms_est_max:g}"
    return Rejection(reason=RejectReason.RMS, comment=f"RMS value not within min and max: {rms:g}, {limits} Jy/beam")


def check_beam(metadata: ImageMetadata, config: QualityConfig) -> Rejection | None:
    """Reject an image without a beam, or with one that :func:`check_beam_axes` rejects."""
    if metadata.beam is None:
        return Rejection(reason=RejectReason.BEAM, comment="no restoring beam in the header")
    semimajor, semiminor, _ = metadata.beam.semi_axes_pixels(metadata.deltax, metadata.deltay)
    return check_beam_axes(semimajor, semiminor, config)


def check_beam_axes(semimajor_pix: float, semiminor_pix: float, config: QualityConfig) -> Rejection | None:
    """Reject a beam that is undersampled, oversampled or too elliptical.

    Parameters
    ----------
    semimajor_pix, semiminor_pix
        pix — half widths at half maximum.
    """
    longest, shortest = max(semimajor_pix, semiminor_pix), min(semimajor_pix, semiminor_pix)
    if not np.isfinite(semimajor_pix + semiminor_pix):
        problem = "Beam infinite"
    elif 2 * shortest <= 1:
        problem = "Beam undersampled"
    elif longest > config.oversampled_x:
        problem = "Beam oversampled"
    elif longest / shortest > config.elliptical_x:
        problem = "Beam too elliptical"
    else:
        return None
    sizes = f"bmaj={_two_decimals(semimajor_pix)} and bmin={_two_decimals(semiminor_pix)} (pixels)"
    return Rejection(reason=RejectReason.BEAM, comment=f"{problem}: {sizes}")


def _two_decimals(value: float) -> str:
    return f"{value:.2f}" if 0.01 <= value <= 9999 else f"{value:.2e}"


def check_rms_history(rms: float, history: NDArray[np.float64], config: QualityConfig) -> Rejection | None:
    """Reject an image whose noise is far from that of the images before it.

    Unlike TraP's, the history holds neither the image itself nor rejected images, so that a run of
    bad ones does not become the norm.

    Parameters
    ----------
    rms
        Jy/beam — noise of the image.
    history
        (n,) Jy/beam — noise of the accepted images of the same band, the latest last. The
        ``rms_est_history`` latest are used; with fewer, nothing is rejected.
    """
    if history.size < config.rms_est_history:
        return None
    latest = history[-config.rms_est_history :]
    mean, spread = float(latest.mean()), float(latest.std())
    # The last term is rounding: a history of equal values must accept that value.
    if abs(rms - mean) <= config.rms_rej_sigma * spread + 1e-9 * mean:
        return None
    limit = f"{config.rms_rej_sigma:g} x {spread:g}"
    return Rejection(
        reason=RejectReason.RMS,
        comment=f"RMS value {rms:g} not within {limit} of the mean {mean:g} of the last {latest.size} images (Jy/beam)",
    )
