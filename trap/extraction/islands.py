"""Where the image rises above its noise: islands of connected pixels.

From here on nothing looks at the image any more. The pixels of all islands lie in flat lists, those
of island i from ``offsets[i]`` to ``offsets[i + 1]``, ready for code that takes all islands at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from photutils.segmentation import detect_sources

from trap.catalogues import Flag

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.config import SourceExtractionConfig

__all__ = ["NEIGHBOURS", "Islands", "SkyMaps", "find_islands", "flag_islands", "with_surroundings"]

NEIGHBOURS = tuple((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx)
"""Steps (y, x) to the pixels that touch a pixel, at its corners too."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SkyMaps:
    """An image without its background, and its noise.

    Parameters
    ----------
    value
        (ny, nx) Jy/beam — background-subtracted; anything where masked.
    rms
        (ny, nx) Jy/beam — noise, positive.
    mask
        (ny, nx) — True where the image is not searched.
    """

    value: NDArray[np.float32]
    rms: NDArray[np.float32]
    mask: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Islands:
    """The pixels of all islands, island by island.

    Parameters
    ----------
    offsets
        (n + 1,) — where each island starts in the lists, and where the last one ends.
    x, y
        (n_pixels,) — columns and rows; within an island in the order of the image.
    value, rms
        (n_pixels,) Jy/beam — background-subtracted brightness, and noise.
    """

    offsets: NDArray[np.intp]
    x: NDArray[np.intp]
    y: NDArray[np.intp]
    value: NDArray[np.float64]
    rms: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def sizes(self) -> NDArray[np.intp]:
        """(n,) — number of pixels of each island."""
        return np.diff(self.offsets)

    @property
    def island(self) -> NDArray[np.intp]:
        """(n_pixels,) — index of the island that each pixel belongs to."""
        return np.repeat(np.arange(len(self)), self.sizes)

    def pixels(self, island: int | np.intp) -> slice:
        """Where one island lies in the lists."""
        return slice(int(self.offsets[island]), int(self.offsets[island + 1]))


def find_islands(maps: SkyMaps, config: SourceExtractionConfig) -> Islands:
    """Find the connected pixels above the analysis threshold that reach the detection threshold.

    Pixels that touch at a corner are connected.

    Returns
    -------
    Islands
        In the order of their first pixels, row by row.
    """
    significance = np.where(maps.mask, -np.inf, maps.value / maps.rms)
    is_peak = significance >= config.detection_threshold
    # photutils warns when it finds nothing.
    if not is_peak.any():
        return _listed(maps, np.empty(0, np.intp), np.zeros(1, np.intp))
    # Its limit is exclusive, so a peak exactly at both thresholds is lowered into reach.
    limit = np.nextafter(np.float32(config.analysis_threshold), np.float32(-np.inf))
    labels = detect_sources(significance, limit, n_pixels=1, connectivity=8).data
    flat = np.flatnonzero(labels)
    number = labels.ravel()[flat]
    kept = np.zeros(number.max() + 1, bool)
    kept[labels[is_peak]] = True
    flat, number = flat[kept[number]], number[kept[number]]
    order = np.argsort(number, kind="stable")
    sizes = np.bincount(number)
    return _listed(maps, flat[order], np.concatenate([[0], np.cumsum(sizes[sizes > 0])]))


def _listed(maps: SkyMaps, flat: NDArray[np.intp], offsets: NDArray[np.intp]) -> Islands:
    y, x = np.divmod(flat, maps.value.shape[1])
    return Islands(
        offsets=offsets.astype(np.intp),
        x=x,
        y=y,
        value=maps.value.ravel()[flat].astype(float),
        rms=maps.rms.ravel()[flat].astype(float),
    )


def flag_islands(islands: Islands, maps: SkyMaps, has_value: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Flag islands that touch the edge of the searched area, or a pixel without a value.

    Parameters
    ----------
    has_value
        (ny, nx) — whether the pixels have a finite value, searched or not.

    Returns
    -------
    flags
        (n,) — ``Flag.EDGE`` and ``Flag.MASKED_PIXELS``.
    """
    ny, nx = maps.mask.shape
    at_edge, at_gap = (np.zeros(islands.x.size, bool) for _ in range(2))
    for dy, dx in NEIGHBOURS:
        y, x = islands.y + dy, islands.x + dx
        inside = (y >= 0) & (y < ny) & (x >= 0) & (x < nx)
        y, x = np.clip(y, 0, ny - 1), np.clip(x, 0, nx - 1)
        at_edge |= ~inside | (maps.mask[y, x] & has_value[y, x])
        at_gap |= inside & ~has_value[y, x]
    if not len(islands):
        return np.zeros(0, np.int32)
    bits = at_edge * int(Flag.EDGE) | at_gap * int(Flag.MASKED_PIXELS)
    return np.bitwise_or.reduceat(bits, islands.offsets[:-1]).astype(np.int32)


def with_surroundings(islands: Islands, maps: SkyMaps, *, needed: NDArray[np.intp], reach: tuple[int, int]) -> Islands:
    """Give islands that are too small for a fit the pixels around their highest one.

    Parameters
    ----------
    needed
        (n,) — number of pixels below which an island is too small.
    reach
        (y, x) pix — half size of the box that is added, without masked pixels and without those
        of other islands.
    """
    small = np.flatnonzero(islands.sizes < needed)
    if not small.size:
        return islands
    nx = maps.value.shape[1]
    flat = islands.y * nx + islands.x
    pieces = [flat[islands.pixels(i)] for i in range(len(islands))]
    taken = np.zeros(maps.value.size, bool)
    taken[flat] = True
    # One by one: these are few, and each box is cut differently by its neighbours and the edges.
    for i in small:
        pixels = islands.pixels(i)
        highest = pixels.start + int(np.argmax(islands.value[pixels]))
        box = _box(islands.y[highest], islands.x[highest], reach, maps.mask)
        pieces[i] = np.concatenate([pieces[i], box[~taken[box]]])
    offsets = np.concatenate([[0], np.cumsum([piece.size for piece in pieces])])
    return _listed(maps, np.concatenate(pieces), offsets)


def _box(y: int, x: int, reach: tuple[int, int], mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Flat indices of the pixels around (y, x) that are not masked."""
    ny, nx = mask.shape
    rows = np.arange(max(0, y - reach[0]), min(ny, y + reach[0] + 1))
    columns = np.arange(max(0, x - reach[1]), min(nx, x + reach[1] + 1))
    flat = (rows[:, np.newaxis] * nx + columns).ravel()
    unmasked: NDArray[np.intp] = flat[~mask.ravel()[flat]]
    return unmasked
