"""Pixels that hold no data although they have a value: constant areas, and pixels that are not on the sky.

Imaging software fills areas without data with NaN, with zeros (AIPS, SWarp, linmos) or with another constant. Such an
area has no noise. Its pixels must not be searched, and it must not count as an observation of the sky.

Real pixels repeat values too: integers and compressed images have few levels, and a simulated sky without noise is
constant between its sources. A value is therefore taken for a filling only if its longest run of equal pixels, in a
row or a column, is several times as long as the runs of other values, and if the other pixels look like noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from trap.kernels.repeats import MIN_RUN, blank_values, count_repeats, find_runs

if TYPE_CHECKING:
    from astropy.wcs import WCS
    from numpy.typing import NDArray

    from trap.typing import Array, Map

__all__ = ["Filling", "find_filling", "has_repeats", "off_sky"]

MIN_RATIO = 4
"""Longest run of a filling over the longest run of any real value, at least."""
MAX_VALUES = 3
"""Largest number of fillings of one image."""
N_SAMPLES = 1 << 16
"""Number of pixels that show how real values are distributed."""
MIN_SAMPLES = 30
"""Number of real values in the sample below which nothing is taken for a filling: an image of one value has no data
at all, which a quality check reports."""
MIN_DISTINCT = 0.9
"""Share of different values in the sample, below which the image has levels. Floats hardly repeat."""
MAX_CONTINUOUS = 0.85
"""Share of the pixels next to a constant area that are one level above or below it, from which the area is a level of
an image that is coarser than its noise. Of noise that is cut off, two thirds are, with steps of half its σ."""
MIN_SKEWNESS = 3.0
"""Height of the 84th percentile over the height of the median, both above the filling, from which an image is a sky
without noise. Noise has less than 2, also if it is positive like a polarised intensity; Gaussians that are cut at 3 σ
have 4, other sources more."""
SKY_STEP = 16
"""pix — distance of the positions that show whether an image reaches beyond the sky."""
MAX_MASKS = 4
"""Number of masks that a process keeps; images of a pointing share one."""


@dataclass(frozen=True, slots=True)
class Filling:
    """Constant values that mark pixels without data.

    Parameters
    ----------
    values
        The values, in the unit of the file; empty if there are none.
    run
        Number of equal pixels in a row or a column from which they are no data; 1 if no real pixel has such a value.
    """

    values: tuple[float, ...] = ()
    run: int = 1

    def remove(self, pixels: Map) -> None:
        """Replace the filling by NaN, in place.

        Parameters
        ----------
        pixels
            (ny, nx) — pixels, in the unit of the file.
        """
        if self.values:
            blank_values(pixels, np.array(self.values, np.float32), self.run)


def has_repeats(pixels: Map) -> bool:
    """Replace infinite pixels by NaN, in place, and return whether pixels may hold a filling."""
    n_runs, n_zeros, n_infinite = count_repeats(pixels)
    if n_infinite:
        pixels[np.isinf(pixels)] = np.nan
    return n_runs + n_zeros > 0


def find_filling(pixels: Map) -> Filling:
    """Find the constant values that mark pixels without data.

    Parameters
    ----------
    pixels
        (ny, nx) — all pixels of an image, in the unit of the file, NaN where they have no value.
    """
    value, length = find_runs(pixels)
    # The longest run of each value, longest first.
    order = np.lexsort((-length, value))
    value, first = np.unique(value[order], return_index=True)
    length = length[order][first]
    order = np.argsort(-length, kind="stable")
    value, length = value[order], length[order]
    step = max(1, int(np.sqrt(pixels.size / N_SAMPLES)))
    sample = pixels[::step, ::step]
    sample = sample[np.isfinite(sample)]
    n = _count_fillings(length)
    rest: Array = np.sort(sample[~np.isin(sample, [*value[:n], 0.0])]).astype(np.float64)
    if rest.size < MIN_SAMPLES:
        return Filling()
    has_levels = np.unique(rest).size < MIN_DISTINCT * rest.size
    candidates = value[:n].tolist()
    if not has_levels and 0.0 not in candidates:
        # Single zeros among floats: dead pixels.
        candidates.append(0.0)
    values = [one for one in candidates if not _is_sky_without_noise(one, rest)]
    if not has_levels:
        return Filling(tuple(values))
    run = 1 + (int(length[n]) if n < len(length) else MIN_RUN)
    values = [one for one in values if not _is_level(pixels, one, rest, run)]
    return Filling(tuple(values), run) if values else Filling()


def _count_fillings(length: NDArray[np.intp]) -> int:
    """Return how many of the values with the longest runs are no data: the runs of all others are far shorter."""
    for n in range(min(MAX_VALUES, len(length)), 0, -1):
        following = length[n] if n < len(length) else 0
        if length[n - 1] >= max(MIN_RUN, MIN_RATIO * following):
            return n
    return 0


def _is_sky_without_noise(value: float, rest: Array) -> bool:
    """Return whether nearly all other pixels, (n,) ascending, lie on one side of a value, and mostly close to it."""
    low, below, median, above, high = np.percentile(rest, (2, 16, 50, 84, 98))
    if value < low:
        return bool(above - median > MIN_SKEWNESS * (median - value))
    return bool(value > high and median - below > MIN_SKEWNESS * (value - median))


def _is_level(pixels: Map, value: float, rest: Array, run: int) -> bool:
    """Return whether areas of a value are a level of coarse pixels: their neighbours are one level above or below.

    Parameters
    ----------
    pixels
        (ny, nx) — the pixels.
    value
        The value.
    rest
        (n,) — real values, ascending.
    run
        Number of equal pixels from which they are part of an area.
    """
    step = float(np.diff(np.unique(rest)).min(initial=np.inf))
    outside = pixels.copy()
    Filling((value,), run).remove(outside)
    in_area = np.isnan(outside) & (pixels == np.float32(value))
    beside = np.concatenate([
        outside[:, 1:][in_area[:, :-1]], outside[:, :-1][in_area[:, 1:]],
        outside[1:][in_area[:-1]], outside[:-1][in_area[1:]],
    ])  # fmt: skip
    beside = beside[np.isfinite(beside)]
    return bool(np.count_nonzero(np.abs(beside - value) < 1.5 * step) >= MAX_CONTINUOUS * beside.size)


@lru_cache(MAX_MASKS)
def off_sky(wcs: WCS, nx: int, ny: int) -> NDArray[np.bool_] | None:
    """Mask the pixels that have no position on the sky, as the corners of an image of all the sky.

    Parameters
    ----------
    wcs
        Celestial projection of the image.
    nx, ny
        Numbers of columns and rows.

    Returns
    -------
    (ny, nx), read-only
        None if all pixels are on the sky.
    """
    few_x, few_y = (np.linspace(0, size - 1, SKY_STEP + 1) for size in (nx, ny))
    if not _has_no_position(wcs, *np.meshgrid(few_x, few_y)).any():
        return None
    # All pixels of a block between nodes that differ are computed, and others follow their nodes.
    nodes_x, nodes_y = (
        np.append(np.arange(0, last, SKY_STEP), last) for last in (max(size - 1, 1) for size in (nx, ny))
    )
    is_off = _has_no_position(wcs, *np.meshgrid(nodes_x, nodes_y))
    corners = np.stack([is_off[:-1, :-1], is_off[1:, :-1], is_off[:-1, 1:], is_off[1:, 1:]])
    blocks = np.ix_(
        *(np.minimum(np.arange(size) // SKY_STEP, n - 1) for size, n in zip((ny, nx), corners.shape[1:], strict=True))
    )
    all_off, any_off = np.asarray(corners.all(axis=0)), np.asarray(corners.any(axis=0))
    mask: NDArray[np.bool_] = all_off[blocks]
    y, x = np.nonzero((any_off & ~all_off)[blocks])
    mask[y, x] = _has_no_position(wcs, x, y)
    mask.flags.writeable = False
    return mask


def _has_no_position(wcs: WCS, x: NDArray[np.generic], y: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Return which pixels have no position on the sky, in the shape of ``x``."""
    ra, dec = wcs.all_pix2world(x.ravel(), y.ravel(), 0)
    return np.asarray(~np.isfinite(ra + dec)).reshape(x.shape)
