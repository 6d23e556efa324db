"""Level and noise of the empty sky on a coarse mesh, and their interpolation to pixels.

The mesh is stored with every image. Maps of the full size are computed from it by bilinear interpolation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from trap.kernels.maps import interpolate_rows

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from trap.typing import Array, Indices, Map

    RowWeights = tuple[Indices, Indices, NDArray[np.float32]]

__all__ = ["Background"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Background:
    """Level and noise of the empty sky on a mesh.

    Parameters
    ----------
    mesh_mean, mesh_rms
        (my, mx) Jy/beam — level and noise in the cells.
    shape
        (ny, nx) of the image.
    origin
        (x, y) pix — first pixel of the first cell.
    extent
        (x, y) pix — one past the last pixel of the last cell, which may be smaller than the others.
    cell
        (x, y) pix — size of a cell.
    correlation
        (2 m + 1, 2 m + 1) — autocorrelation of the noise at lags -m to m pixels along y and x; None if it was not
        measured.
    """

    mesh_mean: Map
    mesh_rms: Map
    shape: tuple[int, int]
    origin: tuple[int, int]
    extent: tuple[int, int]
    cell: tuple[int, int]
    correlation: Array | None = None

    def mean_at(self, x: ArrayLike, y: ArrayLike) -> Array:
        """Interpolate the level.

        Parameters
        ----------
        x, y
            (n,) pix — positions.

        Returns
        -------
        (n,) Jy/beam
            Constant beyond the centres of the outermost cells. NaN for positions that are NaN.
        """
        return self._at(self.mesh_mean, x, y)

    def rms_at(self, x: ArrayLike, y: ArrayLike) -> Array:
        """Interpolate the noise.

        Parameters
        ----------
        x, y
            (n,) pix — positions in the image.

        Returns
        -------
        (n,) Jy/beam
            As for :meth:`mean_at`.
        """
        return self._at(self.mesh_rms, x, y)

    def mean_map(self) -> Map:
        """Interpolate the level on every pixel: (ny, nx) Jy/beam."""
        return interpolate_rows(self._lines(self.mesh_mean), *self._row_weights())

    def rms_map(self) -> Map:
        """Interpolate the noise on every pixel: (ny, nx) Jy/beam."""
        return interpolate_rows(self._lines(self.mesh_rms), *self._row_weights())

    def negative(self) -> Self:
        """Reverse the sign of the level, for the image upside down."""
        return replace(self, mesh_mean=-self.mesh_mean)

    def lines(self) -> tuple[tuple[Map, Map], RowWeights]:
        """Interpolate the mesh along x only; kernels interpolate along y, pixel by pixel.

        Returns
        -------
        lines
            Level and noise, (my, nx) each.
        row_weights
            (ny,) each — for every row of the image the line before it, the line after it, and the weight of the latter.
        """
        return (self._lines(self.mesh_mean), self._lines(self.mesh_rms)), self._row_weights()

    def _at(self, mesh: Map, x: ArrayLike, y: ArrayLike) -> Array:
        """Interpolate a mesh bilinearly at positions in pixels."""
        column, next_column, weight_x = self._neighbours(0, np.asarray(x, float))
        row, next_row, weight_y = self._neighbours(1, np.asarray(y, float))
        lower = mesh[row, column] + weight_x * (mesh[row, next_column] - mesh[row, column])
        upper = mesh[next_row, column] + weight_x * (mesh[next_row, next_column] - mesh[next_row, column])
        return np.asarray(lower + weight_y * (upper - lower), float)

    def _lines(self, mesh: Map) -> Map:
        """Interpolate a mesh at every column of the image: (my, nx)."""
        column, next_column, weight = self._neighbours(0, np.arange(self.shape[1], dtype=float))
        lines = mesh[:, column] + weight * (mesh[:, next_column] - mesh[:, column])
        # A selection of columns is stored by columns; kernels read line by line.
        return np.ascontiguousarray(lines, np.float32)

    def _row_weights(self) -> RowWeights:
        """For every row of the image, return the line before it, the line after it, and the weight of the latter."""
        row, next_row, weight = self._neighbours(1, np.arange(self.shape[0], dtype=float))
        return row, next_row, weight.astype(np.float32)

    def _neighbours(self, axis: int, position: Array) -> tuple[Indices, Indices, Array]:
        """Find the cells before and after positions along an axis, and the weight of the latter."""
        starts = np.arange(self.origin[axis], self.extent[axis], self.cell[axis])
        ends = np.minimum(starts + self.cell[axis], self.extent[axis])
        centres = (starts + ends - 1) / 2
        following = np.clip(np.searchsorted(centres, position), 1, max(centres.size - 1, 1))
        before, after = following - 1, np.minimum(following, centres.size - 1)
        # If there is a single cell, it is both neighbours, and any weight is right.
        distance = np.where(after > before, centres[after] - centres[before], 1.0)
        weight = np.clip((position - centres[before]) / distance, 0.0, 1.0)
        return before, after, weight
