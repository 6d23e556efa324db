"""How bright the empty sky is, and how noisy, everywhere in an image.

Both are estimated in the cells of a coarse mesh, which is all that is ever kept of them: it gives
the values at any position, or on every pixel, by bilinear interpolation.
"""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from photutils.background import Background2D
from scipy import ndimage
from scipy.special import erf

from trap.extraction.celestial import largest_eigenvalue
from trap.extraction.correlation import beam_correlation, share_of_mean
from trap.extraction.field import grown_mask, threshold_map
from trap.extraction.mesh import Background
from trap.extraction.threads import side_by_side
from trap.kernels.islands import peak_regions
from trap.kernels.statistics import clipped_moments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.config import SourceExtractionConfig
    from trap.typing import Array

__all__ = ["ClippedStatistics", "estimate_background"]

CLIP_SIGMA = 2.0
"""Values this many σ off the median do not count as empty sky (TraP's choice)."""
MOST_SKEWED = 0.3
"""|mean - median|/σ from which on the mode is not to be had from them (SExtractor, TraP)."""
LEAST_NOISE = 1e-3
"""Cells with less than this share of the median noise hold no sky, but the same number over and over (TraP's)."""
CHUNK_PIXELS = 1 << 20
"""Pixels sorted at a time, which bounds the memory."""
SOURCE_SIGMA = (3.0, 5.0)
"""What belongs to a source, and what is one, when sources are kept out of the background, in σ."""
SAMPLED_FWHM = 4.0
"""Beams as wide as this (pix) are sampled well by every second pixel along each axis."""


def estimate_background(
    data: NDArray[Any], mask: NDArray[np.bool_], config: SourceExtractionConfig, *, beam: Array | None = None
) -> Background:
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
    beam
        (3,) pix⁻² — coefficients of the beam's exponent. With it every second pixel is left out where the beam
        is wide enough for that; a second round leaves out the sources that stand out in the first, whose wings raise
        the noise by 3 % where a source stands on every 30 beams; and the noise is corrected for what a cell's own
        level takes from it.

    Returns
    -------
    Background
        NaN throughout where everything is masked, or no cell has a noise.
    """
    box_y, box_x = (_extent_of(np.asarray(~mask.all(axis=axis))) for axis in (1, 0))
    pixels, masked = data[box_y, box_x], mask[box_y, box_x]
    step = 1 if beam is None else _step(beam)
    cell_y, cell_x = (
        min(max(size // step, 1), -(-n // step))
        for size, n in zip((config.back_size_y, config.back_size_x), pixels.shape, strict=True)
    )
    few, few_masked = pixels[::step, ::step], masked[::step, ::step]
    mean, rms = _no_mesh() if masked.all() else _mesh(few, few_masked, (cell_y, cell_x))
    if beam is not None and np.isfinite(rms).all():
        without = few_masked | _sources(few, few_masked, mean, rms, (cell_y, cell_x), beam * step**2)
        if not without.all():
            mean, rms = _mesh(few, without, (cell_y, cell_x))
    cell_y, cell_x = cell_y * step, cell_x * step
    if mean.size == 1:
        cell_y, cell_x = pixels.shape
    if beam is not None:
        rms /= np.float32(np.sqrt(1.0 - share_of_mean(beam_correlation(beam), (cell_y, cell_x))))
    return Background(
        mesh_mean=mean,
        mesh_rms=rms,
        shape=(data.shape[0], data.shape[1]),
        origin=(box_x.start, box_y.start),
        extent=(box_x.stop, box_y.stop),
        cell=(cell_x, cell_y),
    )


def _step(beam: Array) -> int:
    """Every which pixel is looked at: more would tell nothing that is new."""
    # The longest axis of the form is the beam's shortest.
    min_fwhm = np.sqrt(8 * np.log(2) / largest_eigenvalue(beam))
    return 2 if min_fwhm >= SAMPLED_FWHM else 1


def _sources(
    data: NDArray[Any],
    mask: NDArray[np.bool_],
    mean: NDArray[np.float32],
    rms: NDArray[np.float32],
    cell: tuple[int, int],
    beam: Array,
) -> NDArray[np.bool_]:
    """Where sources stand, with half a beam around them, by a first estimate of level and noise."""
    ny, nx = data.shape
    first = Background(
        mesh_mean=mean,
        mesh_rms=rms,
        shape=(ny, nx),
        origin=(0, 0),
        extent=(nx, ny),
        cell=(cell[1], cell[0]) if mean.size > 1 else (nx, ny),
    )
    analysis, detection = SOURCE_SIGMA
    pixels = np.ascontiguousarray(data, np.float32)
    thresholds = threshold_map(pixels, np.ascontiguousarray(mask), first, analysis=analysis, detection=detection)
    a, b, c = beam
    half_y, half_x = (int(np.ceil(np.sqrt(2 * np.log(2) * part / (a * c - b**2)))) for part in (a, c))
    return grown_mask(peak_regions(thresholds.reached), half_y=half_y, half_x=half_x)


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
        exclude_percentile=_max_masked_percentage(mask, cell),
        filter_size=1,
        sigma_clip=None,
        bkg_estimator=statistics.level,
        bkg_rms_estimator=statistics.noise,
    )
    mean, rms = background.background_mesh, background.background_rms_mesh
    # Values near the largest float make sums of their squares infinite.
    is_number = np.isfinite(mean) & np.isfinite(rms)
    positive = rms[is_number & (rms > 0)]
    if not positive.size:
        return _no_mesh()
    good = is_number & (rms > LEAST_NOISE * np.median(positive))
    if not good.all():
        nearest = ndimage.distance_transform_edt(~good, return_distances=False, return_indices=True)
        mean, rms = mean[tuple(nearest)], rms[tuple(nearest)]
    smooth = [np.asarray(ndimage.median_filter(mesh, size=3, mode="nearest"), np.float32) for mesh in (mean, rms)]
    return smooth[0], smooth[1]


def _max_masked_percentage(mask: NDArray[np.bool_], cell: tuple[int, int]) -> float:
    """Choose the percentage of a cell that may be masked: half, or more if no cell has as many good pixels."""
    starts = [np.arange(0, size, step) for size, step in zip(mask.shape, cell, strict=True)]
    middle = mask[tuple(slice(s[s.size // 2], s[s.size // 2] + step) for s, step in zip(starts, cell, strict=True))]
    if middle.shape == cell and not middle.any():
        # One complete cell is enough, and most images have it in the middle. Counting all takes some ms.
        return 50.0
    n_good = np.add.reduceat(np.add.reduceat(~mask, starts[0], axis=0, dtype=np.int64), starts[1], axis=1)
    # photutils requires strictly more good pixels than the limit.
    best_share = (n_good.max() - 0.5) / (cell[0] * cell[1])
    return float(np.clip(100.0 * (1.0 - best_share), 50.0, 100.0))


class ClippedStatistics:
    """Level and noise of samples that hold sources too, as a pair of photutils estimators."""

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
            chunks = [samples[start : start + step] for start in range(0, len(samples), step)]
            parts = side_by_side([partial(_clipped, chunk) for chunk in chunks])
            shape = () if axis is None else data.shape[:-1]
            level, noise = (np.concatenate(values).reshape(shape) for values in zip(*parts, strict=True))
            self._seen, self._result = data, (level, noise)
        return self._result


def _clipped(samples: NDArray[Any]) -> tuple[Array, Array]:
    """Level and noise of each row, clipped at 2 σ about the median (TraP's ``sigma_clip``).

    Parameters
    ----------
    samples
        (n, m) — NaN does not count.

    Returns
    -------
    level, noise
        (n,) — NaN where a row has no value.
    """
    # numpy's sort is the fastest there is, and puts NaN last.
    ordered = np.sort(np.asarray(samples, np.float32), axis=1)
    median, mean, sigma = clipped_moments(ordered, CLIP_SIGMA, *_truncation_table())
    with np.errstate(invalid="ignore"):
        is_skewed = np.abs(mean - median) >= MOST_SKEWED * sigma
    return np.where(is_skewed, median, 2.5 * median - 1.5 * mean), sigma


@cache
def _truncation_table() -> tuple[Array, Array]:
    """σ and the s left of it, over the limit L: s² = σ²·(1 - 2u·e^(-u²)/(√π·erf u)), u = L/√2σ."""
    sigma = np.geomspace(0.15, 2.0, 4096)
    u = 1.0 / (np.sqrt(2.0) * sigma)
    return sigma, sigma * np.sqrt(1.0 - 2.0 * u * np.exp(-(u**2)) / (np.sqrt(np.pi) * erf(u)))
