"""The brightness of an image above its background, beside its noise: what sources are looked for in.

Neither is ever held as a map of its own: both follow from the image and the mesh of the background, where they
are asked for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Self

import numpy as np

from trap.extraction.threads import side_by_side
from trap.kernels.maps import height_map, pixels_at

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.extraction.background import Background
    from trap.extraction.islands import Islands
    from trap.typing import Array


__all__ = ["Heights", "Sky"]

BAND = 1024
"""Rows that a thread takes at a time."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Heights:
    """Which pixels reach which threshold.

    Parameters
    ----------
    reached
        (ny, nx) — ``IN_ISLAND`` or ``IN_PEAK`` of :mod:`trap.kernels.maps`, or 0.
    rms_min, rms_max
        Jy/beam — lowest and highest noise of what is not masked; NaN where there is none.
    """

    reached: NDArray[np.uint8]
    rms_min: float
    rms_max: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sky:
    """An image and its background.

    Parameters
    ----------
    data
        (ny, nx) Jy/beam
    mask
        (ny, nx) — True where the image is not searched.
    background
        Level and noise.
    """

    data: NDArray[np.float32]
    mask: NDArray[np.bool_]
    background: Background

    def heights(self, *, analysis: float, detection: float) -> Heights:
        """Find the pixels at or above two thresholds, in σ."""
        lines, (before, after, share) = self.background.lines()
        thresholds = np.float32(analysis), np.float32(detection)

        def of_band(band: slice) -> tuple[NDArray[np.uint8], float, float]:
            rows = before[band], after[band], share[band]
            return height_map(self.data[band], self.mask[band], lines, rows, thresholds)

        bands = [slice(start, start + BAND) for start in range(0, len(self.data), BAND)]
        reached, lowest, highest = zip(*side_by_side([partial(of_band, band) for band in bands]), strict=True)
        return Heights(
            reached=reached[0] if len(bands) == 1 else np.concatenate(reached),
            rms_min=float(np.fmin.reduce(lowest)),
            rms_max=float(np.fmax.reduce(highest)),
        )

    def pixels(self, flat: NDArray[np.intp]) -> tuple[Array, Array]:
        """(n,) Jy/beam each — background-subtracted values, and noise, at indices y·nx + x."""
        return pixels_at(self.data, flat, *self.background.lines())

    def significance(self, rows: slice, columns: slice) -> NDArray[np.float32]:
        """Value over noise of a part of the image; minus infinity where masked, or without noise."""
        lines, (before, after, share) = self.background.lines()
        before, after, share = before[rows], after[rows], share[rows, np.newaxis]
        level, noise = (one[before, columns] + share * (one[after, columns] - one[before, columns]) for one in lines)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            ratio = (self.data[rows, columns] - level) / noise
        return np.where(self.mask[rows, columns] | np.isnan(ratio), -np.inf, ratio).astype(np.float32)

    def without(self, islands: Islands) -> Self:
        """Mask the pixels of islands too."""
        mask = self.mask.copy()
        mask[islands.y, islands.x] = True
        return replace(self, mask=mask)

    def negative(self) -> Self:
        """Turn the image upside down: its islands are the holes, which tell of sidelobes, or of Stokes V."""
        background = replace(self.background, mesh_mean=-self.background.mesh_mean)
        return replace(self, data=-self.data, background=background)
