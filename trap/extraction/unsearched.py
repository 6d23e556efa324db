"""The share of an image that the settings exclude from the search. Without compiled code, for quick queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from trap.config import SourceExtractionConfig
    from trap.typing import Map

__all__ = ["Unsearched", "unsearched_area", "unsearched_lines", "unsearched_part"]

MIN_UNSEARCHED = 0.1
"""Share of an image below which the unsearched part is not reported: a usual margin of 10 pixels takes 8 % of an image
of 512 pixels, which is no surprise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsearched:
    """The part of an image that the settings exclude from the search.

    Parameters
    ----------
    share
        Share of the pixels, from 0 to 1.
    setting
        Name of the setting that excludes most of it.
    """

    share: float
    setting: str

    def text(self, images: str = "the image") -> str:
        """Write the share in percent and the setting.

        Parameters
        ----------
        images
            Noun for the image or images.
        """
        return f"{100 * self.share:.0f} % of {images} was not searched: {self.setting}"


def unsearched_part(data: Map, mask: NDArray[np.bool_], config: SourceExtractionConfig) -> Unsearched | None:
    """Measure the part of an image that the settings exclude from the search.

    Parameters
    ----------
    data
        (ny, nx) Jy/beam — pixels without a finite value do not count: the corners of a mosaic are empty.
    mask
        (ny, nx) — of :func:`measured_mask`.
    config
        Settings of the margin and the radius.

    Returns
    -------
    None if the part is small.
    """
    if config.margin == 0 and config.extraction_radius_pix == 0:
        return None
    n_values = np.count_nonzero(np.isfinite(data))
    n_searched = mask.size - np.count_nonzero(mask)
    return _unsearched(1 - n_searched / n_values if n_values else 0.0, mask.shape, config)


def unsearched_lines(parts: Iterable[Unsearched | None]) -> list[str]:
    """Write a line about the image with the largest part that was not searched; no line without such an image.

    Parameters
    ----------
    parts
        Part of each image; None for a small part.
    """
    reported = [part for part in parts if part is not None]
    if not reported:
        return []
    largest = max(reported, key=lambda part: part.share)
    return [largest.text() if len(reported) == 1 else f"up to {largest.text(f'each of {len(reported)} images')}"]


def unsearched_area(shape: tuple[int, int], config: SourceExtractionConfig) -> Unsearched | None:
    """Compute the part of an image that the settings exclude from the search, without its pixels.

    Parameters
    ----------
    shape
        (ny, nx) of the image. Pixels without a value count too.
    config
        Settings of the margin and the radius.

    Returns
    -------
    None if the part is small.
    """
    share = 1 - _searched_area(shape, config.margin, config.extraction_radius_pix)
    return _unsearched(share, shape, config)


def _unsearched(share: float, shape: tuple[int, ...], config: SourceExtractionConfig) -> Unsearched | None:
    """Name the setting that excludes more of the image than the other; None for a small share."""
    if share < MIN_UNSEARCHED:
        return None
    in_circle, in_margin = (
        _searched_area(shape, 0, config.extraction_radius_pix), _searched_area(shape, config.margin, 0.0)
    )  # fmt: skip
    setting = "extraction_radius_pix" if in_circle < in_margin else "margin"
    return Unsearched(share=share, setting=f"source_extraction.{setting}")


def _searched_area(shape: tuple[int, ...], margin: int, radius: float) -> float:
    """Compute the share of an image inside the margin and the circle, from the length of each row."""
    ny, nx = shape
    rows = np.arange(margin, max(margin, ny - margin))
    lengths = np.full(len(rows), max(0.0, nx - 2.0 * margin))
    if radius > 0:
        chords = 2 * np.sqrt(np.maximum(radius**2 - (rows - (ny - 1) / 2) ** 2, 0.0))
        lengths = np.minimum(lengths, chords)
    return float(lengths.sum() / (nx * ny))
