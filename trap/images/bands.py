"""Frequency bands: the images of a band share light curves.

An image that fits into no band creates one. A band is never widened afterwards, so that the same
images in the same order always create the same bands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Band", "band_of", "find_band"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """A frequency interval.

    Parameters
    ----------
    freq_central, freq_low, freq_high
        Hz — centre, lower and upper limit.

    Raises
    ------
    ValueError
        If the three are not in ascending order.
    """

    freq_central: float
    freq_low: float
    freq_high: float

    def __post_init__(self) -> None:
        if not self.freq_low <= self.freq_central <= self.freq_high:
            msg = f"band limits out of order: {self.freq_low}, {self.freq_central}, {self.freq_high} Hz"
            raise ValueError(msg)


def band_of(freq_eff: float, freq_bw: float, *, bandwidth_max: float = 0.0) -> Band:
    """Return the frequency interval of one image.

    Parameters
    ----------
    freq_eff, freq_bw
        Hz — central frequency and bandwidth of the image.
    bandwidth_max
        Hz — bandwidth to use instead; 0 uses ``freq_bw``.
    """
    half_width = (bandwidth_max or freq_bw) / 2
    return Band(freq_central=freq_eff, freq_low=freq_eff - half_width, freq_high=freq_eff + half_width)


def find_band(bands: Sequence[Band], candidate: Band, tolerance: float = 0.0) -> int | None:
    """Find the first band that a candidate belongs to.

    It belongs to a band if the two overlap, as in TraP, or if the gap between them is smaller than
    the tolerance. Bands that only touch are different, unless they are equal (as zero widths may be).

    Parameters
    ----------
    bands
        Existing bands, in the order of their creation.
    candidate
        The band of a new image.
    tolerance
        Hz — gap between two intervals at or above which they are different bands.

    Returns
    -------
    int or None
        Index into ``bands``; None if the candidate is a new band.
    """
    matches = (i for i, band in enumerate(bands) if band == candidate or _overlap(band, candidate) > -tolerance)
    return next(matches, None)


def _overlap(first: Band, second: Band) -> float:
    """Return the width in Hz of the overlap of two bands; a negative width is the gap between them."""
    return min(first.freq_high, second.freq_high) - max(first.freq_low, second.freq_low)
