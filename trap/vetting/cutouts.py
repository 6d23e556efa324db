"""The surroundings of the candidates of an image, read as small cut-outs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trap.extraction.celestial import beam_form
from trap.extraction.field import is_outside
from trap.tables import ColumnTable, column
from trap.vetting.surroundings import (
    GAP_BEAMS,
    MIRROR_BEAMS,
    NEGATIVE_BEAMS,
    deepest_negative,
    is_on_ring,
    mirror_excess,
    nearest_gap,
    ring_significance,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.config import SourceExtractionConfig
    from trap.extraction.mesh import Background
    from trap.images.image import Image
    from trap.typing import Array, Map

__all__ = ["Surroundings", "Targets", "look_around"]

RING_BEAMS = 20.0
"""Half the length of the arc, in beams, that stands for a larger ring: 40 independent values give an rms."""
_EIGHT_LN2 = 8 * math.log(2)
MAX_HALF = 256
"""pix — largest half of a box, for beams of very many pixels; the arc is shorter then."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Targets(ColumnTable):
    """Candidates of an image, as it shows them."""

    x: NDArray[np.float64] = column("f8", "pix", "Column of the candidate.")
    y: NDArray[np.float64] = column("f8", "pix", "Row of the candidate.")
    peak: NDArray[np.float64] = column("f8", "Jy/beam", "Peak flux density, signed.")
    bright_x: NDArray[np.float64] = column("f8", "pix", "Column of its bright source; NaN if there is none.")
    bright_y: NDArray[np.float64] = column("f8", "pix", "Row of its bright source; NaN if there is none.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Surroundings(ColumnTable):
    """Signs of candidates that need pixels; NaN marks a sign that could not be measured."""

    ring_sigma: NDArray[np.float64] = column("f8", "", "As in the signs.")
    mirror_ratio: NDArray[np.float64] = column("f8", "", "As in the signs.")
    negative_ratio: NDArray[np.float64] = column("f8", "", "As in the signs.")
    negative_distance: NDArray[np.float64] = column("f8", "", "As in the signs, in beams.")
    gap_distance: NDArray[np.float64] = column(
        "f8", "", "Distance to the nearest pixel without a value, in beams; infinite if none is near."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Box:
    """Pixels of the searched area around a place: offsets from it in beams, values in σ, and whether they are blank."""

    x: Array
    y: Array
    values: Array
    is_blank: NDArray[np.bool_]


def look_around(
    image: Image,
    targets: Targets,
    *,
    known: Array,
    background: Background,
    config: SourceExtractionConfig,
) -> Surroundings:
    """Measure the signs of candidates in the pixels around them.

    Parameters
    ----------
    image
        Image, which is read in cut-outs; if these have more pixels than the image, it is read instead.
    targets
        (n,) — candidates.
    known
        (3, m) — columns and rows in pix, and reach in beams, of sources that are left out of rings and mirrored places.
    background
        Background and noise of the image.
    config
        Extraction settings, which define the searched area.

    Returns
    -------
    (n,)
    """
    look = _Look(image, known, background, config)
    wide, high = look.half_sizes(RING_BEAMS)
    if len(targets) * (2 * wide + 1) * (2 * high + 1) > background.shape[0] * background.shape[1]:
        _ = image.data  # Cut-outs come from memory then.
    # A loop, as each box is a read of its own.
    rows = [look.at(targets, i) for i in range(len(targets))]
    columns = np.array(rows, float).reshape(-1, len(Surroundings.columns())).T
    return Surroundings(**dict(zip(Surroundings.columns(), columns, strict=True)))


class _Look:
    """The image and everything else that all of its candidates share."""

    def __init__(self, image: Image, known: Array, background: Background, config: SourceExtractionConfig) -> None:
        self._image, self._known, self._background, self._config = image, known, background, config
        a, b, c = beam_form(image.require_beam(), image.wcs, background.shape) / _EIGHT_LN2
        # Offsets in beams are those in pixels times this matrix, the root of the form of the beam.
        self._stretch = np.linalg.cholesky(np.array([[a, b], [b, c]])).T
        self._pixels_per_beam = 1 / math.sqrt(a * c - b**2)
        self._extent = math.sqrt(c) * self._pixels_per_beam, math.sqrt(a) * self._pixels_per_beam

    def half_sizes(self, n_beams: float) -> tuple[int, int]:
        """Return the half sizes, along x and y in pix, of a box that holds everything within a distance in beams."""
        wide, high = (math.ceil(n_beams * extent) for extent in self._extent)
        return (wide, high) if n_beams <= GAP_BEAMS else (min(wide, MAX_HALF), min(high, MAX_HALF))

    def at(self, targets: Targets, row: int) -> tuple[float, ...]:
        """Return the columns of :class:`Surroundings` for one candidate."""
        x, y, peak = float(targets.x[row]), float(targets.y[row]), float(targets.peak[row])
        sign, height = math.copysign(1.0, peak), abs(peak) / float(self._background.rms_at([x], [y])[0])
        near = self._box(x, y, GAP_BEAMS)
        inner = np.hypot(near.x, near.y) <= NEGATIVE_BEAMS
        depth, distance = deepest_negative(near.x[inner], near.y[inner], sign * near.values[inner])
        gap = nearest_gap(near.x, near.y, near.is_blank)
        u, v = float(targets.bright_x[row]) - x, float(targets.bright_y[row]) - y
        ring, mirror = math.nan, math.nan
        if math.isfinite(u):
            box = self._box(x, y, RING_BEAMS, bright=(u, v))
            free = ~self._is_known(x, y, box.x, box.y)
            ring = ring_significance(box.values[free], height, self._pixels_per_beam)
            mirror = sign * self._mirror(x + 2 * u, y + 2 * v) / height
        return ring, mirror, depth / height, distance, gap

    def _mirror(self, x: float, y: float) -> float:
        """Return the strongest pixel at a place in σ; NaN if it is off the image or a known source is there."""
        ny, nx = self._background.shape
        if not (0 <= x <= nx - 1 and 0 <= y <= ny - 1) or self._is_known(x, y, np.zeros(1), np.zeros(1))[0]:
            return math.nan
        box = self._box(x, y, MIRROR_BEAMS)
        return mirror_excess(box.x, box.y, box.values)

    def _in_beams(self, u: Array, v: Array) -> Array:
        """Convert offsets in pix to beams: (2, n)."""
        stretched: Array = self._stretch @ np.array([u, v])
        return stretched

    def _is_known(self, x: float, y: float, u: Array, v: Array) -> NDArray[np.bool_]:
        """Return whether known sources cover pixels at offsets in beams, (n,), from a place in pix."""
        covered = np.zeros(len(u), bool)
        column, row = self._in_beams(self._known[0] - x, self._known[1] - y)
        reach = self._known[2]
        # Sources far from all of the pixels are left out first.
        near = np.hypot(column, row) < np.hypot(u, v).max(initial=0.0) + reach
        # A loop over the sources nearby keeps memory small.
        for p, q, size in zip(column[near], row[near], reach[near], strict=True):
            covered |= (u - p) ** 2 + (v - q) ** 2 < size**2
        return covered

    def _box(self, x: float, y: float, n_beams: float, *, bright: tuple[float, float] | None = None) -> _Box:
        """Read the pixels of the searched area around a place; around a bright source, only those of its ring."""
        (ny, nx), (wide, high) = self._background.shape, self.half_sizes(n_beams)
        column, row = round(min(max(x, 0), nx - 1)), round(min(max(y, 0), ny - 1))
        columns = np.arange(max(0, column - wide), min(nx, column + wide + 1))
        rows = np.arange(max(0, row - high), min(ny, row + high + 1))
        pixels: Map = self._image.cutout(slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        wanted = ~np.broadcast_to(is_outside(columns, rows[:, np.newaxis], (ny, nx), self._config), pixels.shape)
        row_of, column_of = np.nonzero(wanted)
        u, v = (columns[column_of] - x).astype(float), (rows[row_of] - y).astype(float)
        values = pixels[wanted].astype(float)
        p, q = self._in_beams(u, v)
        if bright is not None:
            towards = self._in_beams(np.array(bright[:1]), np.array(bright[1:]))[:, 0]
            chosen = is_on_ring(p, q, (float(towards[0]), float(towards[1])))
            u, v, p, q, values = (each[chosen] for each in (u, v, p, q, values))
        mean, rms = self._background.mean_at(x + u, y + v), self._background.rms_at(x + u, y + v)
        return _Box(x=p, y=q, values=(values - mean) / rms, is_blank=~np.isfinite(values))
