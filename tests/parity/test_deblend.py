from __future__ import annotations

import numpy as np
import pytest
from plain_field import field_of, islands_of
from scipy.ndimage import gaussian_filter

from trap.kernels.deblend import part_islands

NEIGHBOURS = tuple((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx)
MIN_FLUX_SHARE, MIN_RISE = 0.005, 1.0


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("width", [1.0, 1.5, 2.5])
def test_islands_are_parted_as_by_a_flood_of_objects(seed, width):
    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.normal(size=(60, 70)), width)
    value = (6 + 8 * smooth / smooth.std()).round(1 + seed % 3).astype(np.float32)
    islands = islands_of(field_of(value))
    offsets, x, y, values = islands.offsets, islands.x, islands.y, islands.value
    rms = rng.uniform(0.9, 1.1, x.size)
    component, counts = part_islands((offsets, x, y, values, rms), 5.0, MIN_RISE, MIN_FLUX_SHARE)
    assert counts.max() > 1
    for i in range(offsets.size - 1):
        own = slice(offsets[i], offsets[i + 1])
        if counts[i] > 1:
            expected, n = _part(x[own], y[own], values[own], rms[own], 5.0)
            assert counts[i] == n
            # Numbers of equally high peaks may be swapped.
            pairs = set(zip(component[own].tolist(), expected.tolist(), strict=True))
            assert len(pairs) == n
        else:
            assert not component[own].any()


class _Basin:
    """A peak and everything above the present water level that belongs to it."""

    __slots__ = ("peak", "pixels", "rms")

    def __init__(self, peak, rms):
        self.peak = peak
        self.rms = rms
        self.pixels = []


def _part(x, y, value, rms, threshold):
    """Component of each pixel of one island, and their number."""
    flood = _Flood(value, rms, threshold)
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

    def __init__(self, value, rms, threshold):
        self._value = value
        self._rms = rms
        self._threshold = threshold
        self._min_flux = MIN_FLUX_SHARE * float(value.sum())
        # Lake: all basins that have met so far, the highest first. Each pixel knows its own basin.
        self._basin_of = {}
        self._lake_of = {}

    def add(self, pixel, neighbours):
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

    def _meet(self, one, other, saddle):
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

    def _is_source(self, lake, saddle):
        # A lake of several sources is one already.
        if len(lake) > 1:
            return True
        (basin,) = lake
        if basin.peak < self._threshold * basin.rms or basin.peak - saddle < MIN_RISE * basin.rms:
            return False
        # The water has not fallen below the saddle yet: these are the pixels above it.
        return float(self._value[basin.pixels].sum()) > self._min_flux

    def _absorb(self, basin, into):
        """Give the pixels of a basin to another one that it touches; return the lake of that one."""
        into.pixels += basin.pixels
        for pixel in basin.pixels:
            self._basin_of[pixel] = into
        if basin.peak > into.peak:
            into.peak, into.rms = basin.peak, basin.rms
        del self._lake_of[basin]
        return self._lake_of[into]

    def components(self):
        """Component of each pixel, the brightest peak first, and their number."""
        basins = sorted(self._lake_of, key=lambda basin: -basin.peak)
        component = np.zeros(self._value.size, np.intp)
        for number, basin in enumerate(basins):
            component[basin.pixels] = number
        return component, len(basins)
