"""Frequency bands: which images share a light curve.

A band is made by the first image that fits into no other, and is never widened afterwards, so
that the same images in the same order always make the same bands.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Band", "band_of", "find_band"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """An interval of frequency.

    Parameters
    ----------
    freq_central, freq_low, freq_high
        Hz — centre and limits.

    Raises
    ------
    ValueError
        If the three are not in order.
    """

    freq_central: float
    freq_low: float
    freq_high: float

    def __post_init__(self) -> None:
        if not self.freq_low <= self.freq_central <= self.freq_high:
            msg = f"band limits out of order: {self.freq_low}, {self.freq_central}, {self.freq_high} Hz"
            raise ValueError(msg)


def band_of(freq_eff: float, freq_bw: float, *, bandwidth_max: float = 0.0) -> Band:
    """Make the band of one image.

    Parameters
    ----------
    freq_eff, freq_bw
        Hz — frequency and bandwidth of the image.
    bandwidth_max
        Hz — replaces the bandwidth of the image where it is not zero.
    """
    half_width = (bandwidth_max or freq_bw) / 2
    return Band(freq_central=freq_eff, freq_low=freq_eff - half_width, freq_high=freq_eff + half_width)


def find_band(bands: Sequence[Band], candidate: Band, tolerance: float = 0.0) -> int | None:
    """Find the first band that a candidate belongs to.

    It belongs to a band that it overlaps, as in TraP, or that it misses by less than the tolerance.
    Bands that only touch are different ones, unless they are equal (which matters at zero width).

    Parameters
    ----------
    bands
        The bands known so far, in the order they were made.
    candidate
        The band of a new image.
    tolerance
        Hz — gap between two intervals that still makes them one band.

    Returns
    -------
    int or None
        Index into ``bands``; None where the candidate is a new band.
    """
    matches = (i for i, band in enumerate(bands) if band == candidate or _overlap(band, candidate) > -tolerance)
    return next(matches, None)


def _overlap(first: Band, second: Band) -> float:
    """Width in Hz of what two bands share; negative: the gap between them."""
    return min(first.freq_high, second.freq_high) - max(first.freq_low, second.freq_low)
