"""Level and noise of the empty sky on a coarse mesh, and their interpolation to pixels.

The mesh is stored with every image; maps of the full size are computed from it by bilinear interpolation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from trap.kernels.maps import interpolate_rows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from trap.typing import Array, Map

    Rows = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]

__all__ = ["Background"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Background:
    """Level and noise of the empty sky on a mesh; small, and enough for every later question.

    Parameters
    ----------
    mesh_mean, mesh_rms
        (my, mx) Jy/beam — level and noise in the cells.
    shape
        (ny, nx) of the image.
    origin
        (x, y) pix — first pixel of the first cell.
    extent
        (x, y) pix — one past the last pixel of the last cell, which may be cut short.
    cell
        (x, y) pix — size of a cell.
    correlation
        (2 m + 1, 2 m + 1) — autocorrelation of the noise at lags -m to m pixels along y and x; None where it
        was not measured.
    """

    mesh_mean: NDArray[np.float32]
    mesh_rms: NDArray[np.float32]
    shape: tuple[int, int]
    origin: tuple[int, int]
    extent: tuple[int, int]
    cell: tuple[int, int]
    correlation: Array | None = None

    def mean_at(self, x: ArrayLike, y: ArrayLike) -> Array:
        """Level at positions (pix), in Jy/beam; the edge cells hold beyond the mesh; NaN at NaN."""
        return self._at(self.mesh_mean, x, y)

    def rms_at(self, x: ArrayLike, y: ArrayLike) -> Array:
        """Noise at positions (pix), in Jy/beam; the edge cells hold beyond the mesh; NaN at NaN."""
        return self._at(self.mesh_rms, x, y)

    def mean_map(self) -> NDArray[np.float32]:
        """(ny, nx) Jy/beam — level on every pixel."""
        return interpolate_rows(self._lines(self.mesh_mean), *self._rows())

    def rms_map(self) -> NDArray[np.float32]:
        """(ny, nx) Jy/beam — noise on every pixel."""
        return interpolate_rows(self._lines(self.mesh_rms), *self._rows())

    def negative(self) -> Self:
        """Reverse the sign of the level, for the image upside down."""
        return replace(self, mesh_mean=-self.mesh_mean)

    def lines(self) -> tuple[tuple[Map, Map], Rows]:
        """Level and noise at every column of the mesh's lines, and how each row of the image lies between these."""
        return (self._lines(self.mesh_mean), self._lines(self.mesh_rms)), self._rows()

    def _at(self, mesh: NDArray[np.float32], x: ArrayLike, y: ArrayLike) -> Array:
        column, next_column, share_x = self._neighbours(0, np.asarray(x, float))
        row, next_row, share_y = self._neighbours(1, np.asarray(y, float))
        lower = mesh[row, column] + share_x * (mesh[row, next_column] - mesh[row, column])
        upper = mesh[next_row, column] + share_x * (mesh[next_row, next_column] - mesh[next_row, column])
        return np.asarray(lower + share_y * (upper - lower), float)

    def _lines(self, mesh: Map) -> Map:
        """(my, nx) — the mesh at every column."""
        column, next_column, share = self._neighbours(0, np.arange(self.shape[1], dtype=float))
        lines = mesh[:, column] + share * (mesh[:, next_column] - mesh[:, column])
        return np.asarray(lines, np.float32)

    def _rows(self) -> Rows:
        """For every row the line before it, the one after, and the share of the latter."""
        row, next_row, share = self._neighbours(1, np.arange(self.shape[0], dtype=float))
        return row, next_row, share.astype(np.float32)

    def _neighbours(self, axis: int, position: Array) -> tuple[NDArray[np.intp], NDArray[np.intp], Array]:
        """The cell before each position, the one after, and the share of the latter."""
        centres = self._centres(axis)
        following = np.clip(np.searchsorted(centres, position), 1, max(centres.size - 1, 1))
        before, after = following - 1, np.minimum(following, centres.size - 1)
        # With a single cell both are the same one, and any share will do.
        width = np.where(after > before, centres[after] - centres[before], 1.0)
        return before, after, np.clip((position - centres[before]) / width, 0.0, 1.0)

    def _centres(self, axis: int) -> Array:
        starts = np.arange(self.origin[axis], self.extent[axis], self.cell[axis])
        ends = np.minimum(starts + self.cell[axis], self.extent[axis])
        centres: Array = (starts + ends - 1) / 2
        return centres
