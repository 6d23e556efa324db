"""How bright the empty sky is, and how noisy, everywhere in an image.

Both are estimated in the cells of a coarse mesh, which is all that is ever kept of them: it gives
the values at any position, or on every pixel, by bilinear interpolation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from photutils.background import Background2D
from scipy import ndimage
from scipy.special import erf

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from trap.config import SourceExtractionConfig

    Array = NDArray[np.float64]

__all__ = ["Background", "ClippedStatistics", "estimate_background"]

CLIP_SIGMA = 2.0
"""Values this many σ off the median do not count as empty sky (TraP's choice)."""
MOST_SKEWED = 0.3
"""|mean - median|/σ from which on the mode is not to be had from them (SExtractor, TraP)."""
LEAST_NOISE = 1e-3
"""Cells with less than this share of the median noise hold no sky, but the same number over and over (TraP's)."""
CHUNK_PIXELS = 1 << 20
"""Pixels sorted at a time, which bounds the memory."""


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
    """

    mesh_mean: NDArray[np.float32]
    mesh_rms: NDArray[np.float32]
    shape: tuple[int, int]
    origin: tuple[int, int]
    extent: tuple[int, int]
    cell: tuple[int, int]

    def mean_at(self, x: ArrayLike, y: ArrayLike) -> Array:
        """Level at positions (pix), in Jy/beam; the edge cells hold beyond the mesh; NaN at NaN."""
        return self._at(self.mesh_mean, x, y)

    def rms_at(self, x: ArrayLike, y: ArrayLike) -> Array:
        """Noise at positions (pix), in Jy/beam; the edge cells hold beyond the mesh; NaN at NaN."""
        return self._at(self.mesh_rms, x, y)

    def mean_map(self) -> NDArray[np.float32]:
        """(ny, nx) Jy/beam — level on every pixel."""
        return self._map(self.mesh_mean)

    def rms_map(self) -> NDArray[np.float32]:
        """(ny, nx) Jy/beam — noise on every pixel."""
        return self._map(self.mesh_rms)

    def _at(self, mesh: NDArray[np.float32], x: ArrayLike, y: ArrayLike) -> Array:
        column, next_column, share_x = self._neighbours(0, np.asarray(x, float))
        row, next_row, share_y = self._neighbours(1, np.asarray(y, float))
        lower = mesh[row, column] + share_x * (mesh[row, next_column] - mesh[row, column])
        upper = mesh[next_row, column] + share_x * (mesh[next_row, next_column] - mesh[next_row, column])
        return np.asarray(lower + share_y * (upper - lower), float)

    def _map(self, mesh: NDArray[np.float32]) -> NDArray[np.float32]:
        ny, nx = self.shape
        column, next_column, share_x = self._neighbours(0, np.arange(nx, dtype=float))
        row, next_row, share_y = self._neighbours(1, np.arange(ny, dtype=float))
        lines = mesh[:, column] + share_x.astype(np.float32) * (mesh[:, next_column] - mesh[:, column])
        result = (lines[next_row] - lines[row]) * share_y.astype(np.float32)[:, np.newaxis]
        result += lines[row]
        return np.asarray(result, np.float32)

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


def estimate_background(data: NDArray[Any], mask: NDArray[np.bool_], config: SourceExtractionConfig) -> Background:
    """Estimate level and noise of the empty sky, whatever sources stand in it.

    Masked pixels take no part. A cell of which less than half is left (or less than that of the
    best cell, where none has half), or in which nearly all values are equal, takes the values of its
    nearest neighbours. Finally each cell becomes the median of 3 × 3, so that one cell on
    a bright source does not count.

    Parameters
    ----------
    data
        (ny, nx) Jy/beam
    mask
        (ny, nx) — True where a pixel must not count.
    config
        For the size of the cells; an image smaller than that is one cell.

    Returns
    -------
    Background
        NaN throughout where everything is masked, or no cell has a noise.
    """
    box_y, box_x = (_extent_of(np.asarray(~mask.all(axis=axis))) for axis in (1, 0))
    pixels, masked = data[box_y, box_x], mask[box_y, box_x]
    cell_y, cell_x = (min(a, b) for a, b in zip((config.back_size_y, config.back_size_x), pixels.shape, strict=True))
    mean, rms = _no_mesh() if masked.all() else _mesh(pixels, masked, (cell_y, cell_x))
    if mean.size == 1:
        cell_y, cell_x = pixels.shape
    return Background(
        mesh_mean=mean,
        mesh_rms=rms,
        shape=(data.shape[0], data.shape[1]),
        origin=(box_x.start, box_y.start),
        extent=(box_x.stop, box_y.stop),
        cell=(cell_x, cell_y),
    )


def _extent_of(used: NDArray[np.bool_]) -> slice:
    indices = np.flatnonzero(used)
    return slice(int(indices[0]), int(indices[-1]) + 1) if indices.size else slice(0, used.size)


def _no_mesh() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    nothing = np.full((1, 1), np.nan, np.float32)
    return nothing, nothing


def _mesh(
    data: NDArray[Any], mask: NDArray[np.bool_], cell: tuple[int, int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    statistics = ClippedStatistics()
    background = Background2D(
        data,
        cell,
        coverage_mask=mask,
        exclude_percentile=_most_masked(mask, cell),
        filter_size=1,
        sigma_clip=None,
        bkg_estimator=statistics.level,
        bkg_rms_estimator=statistics.noise,
    )
    mean, rms = background.background_mesh, background.background_rms_mesh
    positive = rms[rms > 0]
    if not positive.size:
        return _no_mesh()
    good = rms > LEAST_NOISE * np.median(positive)
    if not good.all():
        nearest = ndimage.distance_transform_edt(~good, return_distances=False, return_indices=True)
        mean, rms = mean[tuple(nearest)], rms[tuple(nearest)]
    smooth = [np.asarray(ndimage.median_filter(mesh, size=3, mode="nearest"), np.float32) for mesh in (mean, rms)]
    return smooth[0], smooth[1]


def _most_masked(mask: NDArray[np.bool_], cell: tuple[int, int]) -> float:
    """Percentage of a cell that may be masked: half, or what lets the best cell pass."""
    starts = [np.arange(0, size, step) for size, step in zip(mask.shape, cell, strict=True)]
    good = np.add.reduceat(np.add.reduceat(~mask, starts[0], axis=0, dtype=np.int64), starts[1], axis=1)
    # photutils wants strictly more good pixels than the limit.
    return float(np.clip(100.0 * (1.0 - (good.max() - 0.5) / (cell[0] * cell[1])), 50.0, 100.0))


class ClippedStatistics:
    """Level and noise of samples that hold sources too, as a pair of photutils estimators.

    Each sample is sorted once; clipping then only moves the two ends of a range, and sums over the
    range come from running sums, so that all rounds of clipping together cost less than the sort.
    """

    def __init__(self) -> None:
        self._seen: NDArray[Any] | None = None
        self._result: tuple[Array, Array] = (np.empty(0), np.empty(0))

    def level(self, data: NDArray[Any], axis: int | None = None) -> Any:  # noqa: ANN401 (an array, or a scalar for one cell)
        """Mode of the samples along the last axis, or of all values for ``axis`` None."""
        return self._statistics(data, axis)[0][()]

    def noise(self, data: NDArray[Any], axis: int | None = None) -> Any:  # noqa: ANN401 (an array, or a scalar for one cell)
        """Standard deviation of the same, corrected for the clipping."""
        return self._statistics(data, axis)[1][()]

    def _statistics(self, data: NDArray[Any], axis: int | None) -> tuple[Array, Array]:
        # photutils asks for the level and then for the noise of the very same array.
        if self._seen is not data:
            samples = data.reshape(1, -1) if axis is None else data.reshape(-1, data.shape[-1])
            step = max(1, CHUNK_PIXELS // samples.shape[1])
            parts = [_clipped(samples[start : start + step]) for start in range(0, len(samples), step)]
            shape = () if axis is None else data.shape[:-1]
            level, noise = (np.concatenate(values).reshape(shape) for values in zip(*parts, strict=True))
            self._seen, self._result = data, (level, noise)
        return self._result


def _clipped(samples: NDArray[Any]) -> tuple[Array, Array]:
    """Level and noise of each row, clipped at 2 σ about the median (TraP's ``sigma_clip``).

    The noise is corrected for the truncation by solving for the σ of a Gaussian that, cut at the
    limit of the round before, has the standard deviation found.

    Parameters
    ----------
    samples
        (n, m) — NaN does not count.

    Returns
    -------
    level, noise
        (n,) — NaN where a row has no value.
    """
    sums = _RunningSums(samples)
    low, high = np.zeros(len(samples), np.intp), sums.n_good
    limit = np.full(len(samples), np.inf)
    while True:
        median, mean, deviation = sums.moments(low, high)
        sigma = _untruncated(deviation, limit)
        limit = CLIP_SIGMA * sigma
        new_low, new_high = sums.first_not_below(median - limit, low, high), sums.first_above(median + limit, low, high)
        # A row is finished when nothing is clipped, or everything would be.
        finished = (new_low >= new_high) | ((new_low == low) & (new_high == high))
        if finished.all():
            break
        low, high = np.where(finished, low, new_low), np.where(finished, high, new_high)
    with np.errstate(invalid="ignore", divide="ignore"):
        is_skewed = np.abs(mean - median) >= MOST_SKEWED * sigma
    mode = np.where(is_skewed, median, 2.5 * median - 1.5 * mean)
    return sums.shift + mode, np.where(sums.n_good > 0, sigma, np.nan)


class _RunningSums:
    """Sorted rows and the running sums of their values and squares."""

    def __init__(self, samples: NDArray[Any]) -> None:
        ordered = np.sort(samples, axis=1)
        self.n_good = np.asarray(samples.shape[1] - np.isnan(samples).sum(axis=1), np.intp)
        self._rows = np.arange(len(samples))
        self.shift = np.where(self.n_good > 0, ordered[self._rows, self.n_good // 2 - (self.n_good > 0)], np.nan)
        # Sums of squares of small numbers do not cancel.
        centred = np.nan_to_num(ordered.astype(float) - self.shift[:, np.newaxis], nan=0.0)
        self._values = centred
        self._sums = np.pad(np.cumsum(centred, axis=1), ((0, 0), (1, 0)))
        self._squares = np.pad(np.cumsum(centred**2, axis=1), ((0, 0), (1, 0)))

    def moments(self, low: NDArray[np.intp], high: NDArray[np.intp]) -> tuple[Array, Array, Array]:
        """Median, mean and population standard deviation of each row's range, less the shift."""
        rows, n = self._rows, np.maximum(high - low, 1)
        top = self._values.shape[1] - 1
        middle = self._values[rows, np.minimum((low + high) // 2, top)] + self._values[rows, (low + n - 1 + low) // 2]
        mean = (self._sums[rows, high] - self._sums[rows, low]) / n
        square = (self._squares[rows, high] - self._squares[rows, low]) / n
        return middle / 2, mean, np.sqrt(np.maximum(square - mean**2, 0.0))

    def first_not_below(self, limit: Array, low: NDArray[np.intp], high: NDArray[np.intp]) -> NDArray[np.intp]:
        """Index of each row's first value ≥ its limit, within [low, high]."""
        return self._bisect(limit, low, high, inclusive=False)

    def first_above(self, limit: Array, low: NDArray[np.intp], high: NDArray[np.intp]) -> NDArray[np.intp]:
        """Index of each row's first value > its limit, within [low, high]."""
        return self._bisect(limit, low, high, inclusive=True)

    def _bisect(
        self, limit: Array, low: NDArray[np.intp], high: NDArray[np.intp], *, inclusive: bool
    ) -> NDArray[np.intp]:
        compare = np.less_equal if inclusive else np.less
        while (low < high).any():
            middle = (low + high) // 2
            is_before = compare(self._values[self._rows, np.minimum(middle, self._values.shape[1] - 1)], limit)
            is_before &= low < high
            low, high = np.where(is_before, middle + 1, low), np.where(is_before | (low >= high), high, middle)
        return low


def _untruncated(deviation: Array, limit: Array) -> Array:
    """Standard deviation of the Gaussian that has ``deviation`` when cut at ± ``limit``."""
    sigma_of_limit, deviation_of_limit = _truncation_table()
    with np.errstate(invalid="ignore"):
        ratio = np.where(np.isinf(limit) | (limit == 0), 0.0, deviation / np.where(limit > 0, limit, 1.0))
        # Below the table nothing was cut away; its other end is a flat distribution, for which any σ is as good.
        corrected = limit * np.interp(ratio, deviation_of_limit, sigma_of_limit)
    return np.where(ratio < deviation_of_limit[0], deviation, corrected)


@cache
def _truncation_table() -> tuple[Array, Array]:
    """σ and the s left of it, over the limit L: s² = σ²·(1 - 2u·e^(-u²)/(√π·erf u)), u = L/√2σ."""
    sigma = np.geomspace(0.15, 2.0, 4096)
    u = 1.0 / (np.sqrt(2.0) * sigma)
    return sigma, sigma * np.sqrt(1.0 - 2.0 * u * np.exp(-(u**2)) / (np.sqrt(np.pi) * erf(u)))
