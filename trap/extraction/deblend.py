"""Which pixels of an island belong to which source, where several have grown together.

An island is flooded from its highest pixel downwards. Two peaks are joined where the water between
them first meets, the saddle; they stay apart when both are sources in their own right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trap.extraction.islands import NEIGHBOURS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.config import SourceExtractionConfig
    from trap.extraction.islands import Islands

    Array = NDArray[np.float64]

__all__ = ["Components", "deblend"]

MIN_FLUX_SHARE = 0.005
"""Share of an island's flux that the pixels of a component above the saddle must hold (TraP, SExtractor)."""
MIN_RISE = 2.0
"""What a component must rise above the saddle, in σ: correlated noise makes shoulders, not peaks."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Components:
    """Which component of its island each pixel belongs to.

    Parameters
    ----------
    component
        (n_pixels,) — number within the island, from 0; the brightest peak first.
    counts
        (n,) — number of components of each island, at least 1.
    """

    component: NDArray[np.intp]
    counts: NDArray[np.intp]


def deblend(islands: Islands, config: SourceExtractionConfig) -> Components:
    """Part the islands that hold more than one source.

    TraP and SExtractor cut an island at a number of levels and look whether it falls apart. The
    flood tries every level there is, so no shallow saddle is missed between two of them. Two
    peaks are components when both reach the detection threshold, rise by 2 σ above the
    saddle between them, and hold 0.5 % of the island's flux in their pixels above the saddle.

    Parameters
    ----------
    islands
        With the pixels of one island in the order of the image.
    config
        For the detection threshold; with ``deblend_nthresh`` 0 nothing is parted.
    """
    component = np.zeros(islands.x.size, np.intp)
    counts = np.ones(len(islands), np.intp)
    if config.deblend_nthresh:
        # One by one: the few islands with a second peak, each with a history of its own.
        for i in np.flatnonzero(_count_peaks(islands, config.detection_threshold) > 1):
            pixels = islands.pixels(i)
            component[pixels], counts[i] = _part(
                islands.x[pixels], islands.y[pixels], islands.value[pixels], islands.rms[pixels], config
            )
    return Components(component=component, counts=counts)


def _count_peaks(islands: Islands, threshold: float) -> NDArray[np.intp]:
    """(n,) — local maxima above the detection threshold; of equal neighbours the first counts."""
    if not len(islands):
        return np.zeros(0, np.intp)
    # A frame of one pixel, so that no neighbour wraps around to the next row.
    width = int(islands.x.max()) + 3
    flat = (islands.y + 1) * width + islands.x + 1
    plane = np.full(int(flat.max()) + width + 2, -np.inf)
    plane[flat] = islands.value
    is_peak = islands.value >= threshold * islands.rms
    for dy, dx in NEIGHBOURS:
        neighbour = plane[flat + dy * width + dx]
        is_peak &= (islands.value > neighbour) if dy * width + dx < 0 else (islands.value >= neighbour)
    return np.add.reduceat(is_peak.astype(np.intp), islands.offsets[:-1])


class _Basin:
    """A peak and everything above the present water level that belongs to it."""

    __slots__ = ("peak", "pixels", "rms")

    def __init__(self, peak: float, rms: float) -> None:
        self.peak = peak
        self.rms = rms
        self.pixels: list[int] = []


def _part(
    x: NDArray[np.intp], y: NDArray[np.intp], value: Array, rms: Array, config: SourceExtractionConfig
) -> tuple[NDArray[np.intp], int]:
    """Component of each pixel of one island, and their number."""
    flood = _Flood(value, rms, config)
    position = {(int(row), int(column)): i for i, (row, column) in enumerate(zip(y, x, strict=True))}
    neighbours = [
        [position[key] for dy, dx in NEIGHBOURS if (key := (row + dy, column + dx)) in position]
        for row, column in position
    ]
    for pixel in np.argsort(-value, kind="stable").tolist():
        flood.add(pixel, neighbours[pixel])
    return flood.components()


class _Flood:
    """The basins of one island while the water falls."""

    def __init__(self, value: Array, rms: Array, config: SourceExtractionConfig) -> None:
        self._value = value
        self._rms = rms
        self._threshold = config.detection_threshold
        self._min_flux = MIN_FLUX_SHARE * float(value.sum())
        # Lake: all basins that have met so far, the highest first. Each pixel knows its own basin.
        self._basin_of: dict[int, _Basin] = {}
        self._lake_of: dict[_Basin, list[_Basin]] = {}

    def add(self, pixel: int, neighbours: list[int]) -> None:
        """Let the water fall to the next pixel."""
        wet = [n for n in neighbours if n in self._basin_of]
        if not wet:
            basin = _Basin(float(self._value[pixel]), float(self._rms[pixel]))
            self._lake_of[basin] = [basin]
        else:
            for n in wet[1:]:
                self._meet(self._basin_of[wet[0]], self._basin_of[n], float(self._value[pixel]))
            basin = self._basin_of[max(wet, key=lambda n: self._value[n])]
        self._basin_of[pixel] = basin
        basin.pixels.append(pixel)

    def _meet(self, one: _Basin, other: _Basin, saddle: float) -> None:
        """Join two lakes; their basins stay apart only if both lakes are sources."""
        first, second = self._lake_of[one], self._lake_of[other]
        if first is second:
            return
        if not self._is_source(second, saddle):
            first = self._absorb(second[0], one)
        elif not self._is_source(first, saddle):
            first = self._absorb(first[0], other)
        else:
            first += second
        for basin in first:
            self._lake_of[basin] = first

    def _is_source(self, lake: list[_Basin], saddle: float) -> bool:
        # A lake of several sources is one already.
        if len(lake) > 1:
            return True
        (basin,) = lake
        if basin.peak < self._threshold * basin.rms or basin.peak - saddle < MIN_RISE * basin.rms:
            return False
        # The water has not fallen below the saddle yet: these are the pixels above it.
        return float(self._value[basin.pixels].sum()) > self._min_flux

    def _absorb(self, basin: _Basin, into: _Basin) -> list[_Basin]:
        """Give the pixels of a basin to another one that it touches; return the lake of that one."""
        into.pixels += basin.pixels
        for pixel in basin.pixels:
            self._basin_of[pixel] = into
        if basin.peak > into.peak:
            into.peak, into.rms = basin.peak, basin.rms
        del self._lake_of[basin]
        return self._lake_of[into]

    def components(self) -> tuple[NDArray[np.intp], int]:
        """Component of each pixel, the brightest peak first, and their number."""
        basins = sorted(self._lake_of, key=lambda basin: -basin.peak)
        component = np.zeros(self._value.size, np.intp)
        for number, basin in enumerate(basins):
            component[basin.pixels] = number
        return component, len(basins)
