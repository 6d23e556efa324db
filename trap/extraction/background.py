"""Estimation of the level and the noise of the empty sky in the cells of a coarse mesh."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from photutils.background import Background2D
from scipy import ndimage
from scipy.special import erf

from trap.extraction.correlation import beam_correlation, share_of_mean
from trap.extraction.field import grown_mask, threshold_map
from trap.extraction.mesh import Background
from trap.extraction.threads import side_by_side
from trap.kernels.islands import peak_regions
from trap.kernels.statistics import clipped_moments

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.config import SourceExtractionConfig
    from trap.typing import Array, Map

__all__ = ["ClippedStatistics", "estimate_background"]

CLIP_SIGMA = 2.0
"""Distance from the median, in σ, beyond which values are clipped (TraP's)."""
CLIP_LOSS = 1.4
"""Relative variance of the noise of a cell, over that without clipping at 2 σ; measured on Gaussian noise."""
SCATTER_BIAS = 1 / 4 + 3 / 2 * np.pi / 4 / 9
"""Factor of the share of the squared correlation that makes the mean of 1/σ² right: a quarter from the square root, and
3/2 of the relative variance of the median of nine cells."""
MAX_SKEWNESS = 0.3
"""Skewness, |mean − median|/σ, above which the median is used instead of the mode (SExtractor, TraP)."""
MIN_NOISE_SHARE = 1e-3
"""Noise of a cell over the median noise, below which the cell is taken for constant pixels without sky (TraP's)."""
CHUNK_PIXELS = 1 << 20
"""Number of pixels that are sorted at a time, which limits the memory."""
SOURCE_SIGMA = (3.0, 5.0)
"""Analysis and detection threshold, in σ, of the sources that are masked in the second round."""
MIN_SAMPLED_FWHM = 4.0
"""Width of the beam, in pixels, above which every second pixel along each axis samples it well."""


def estimate_background(
    data: NDArray[Any], mask: NDArray[np.bool_], config: SourceExtractionConfig, *, beam: Array | None = None
) -> Background:
    """Estimate level and noise of the empty sky in an image with sources.

    A cell takes the values of its nearest neighbour if less than half of it is unmasked (or less than in the best cell,
    if no cell is half unmasked), or if nearly all its values are equal. Finally each cell becomes the median of 3 × 3
    cells, so that a single cell on a bright source does not count.

    Parameters
    ----------
    data
        (ny, nx) Jy/beam
    mask
        (ny, nx) — True for pixels that are left out.
    config
        Settings of the size of the cells. An image smaller than that is one cell.
    beam
        (3,) pix⁻² — coefficients of the beam's exponent; None for a single round on all pixels. With a beam, every
        second pixel is left out if the beam is wide enough. A second round leaves out the sources that stand out in the
        first: their wings raise the noise by 3 % if there is a source on every 30 beams. The noise is corrected for
        the share of its variance that the level of the cell itself absorbs, and for the bias of a square root.

    Returns
    -------
    Background
        All NaN if everything is masked, or no cell has a noise.
    """
    rows, columns = (_extent_of(np.asarray(~mask.all(axis=axis))) for axis in (1, 0))
    pixels, masked = data[rows, columns], mask[rows, columns]
    step = 1 if beam is None else _sampling_step(beam)
    samples, masked_samples = pixels[::step, ::step], masked[::step, ::step]
    cell_y, cell_x = (
        min(max(size // step, 1), -(-n_pixels // step))
        for size, n_pixels in zip((config.back_size_y, config.back_size_x), pixels.shape, strict=True)
    )
    mean, rms = _empty_mesh() if masked.all() else _mesh(samples, masked_samples, (cell_y, cell_x))
    if beam is not None and np.isfinite(rms).all():
        # The exponent's coefficients are in pix⁻², and a sample is step pixels wide.
        sources = _source_mask(samples, masked_samples, mean, rms, (cell_y, cell_x), beam * step**2)
        if not (masked_samples | sources).all():
            mean, rms = _mesh(samples, masked_samples | sources, (cell_y, cell_x))
    cell_y, cell_x = (cell_y * step, cell_x * step) if mean.size > 1 else pixels.shape
    if beam is not None:
        correlation = beam_correlation(beam)
        rms /= np.float32(np.sqrt(1.0 - share_of_mean(correlation, (cell_y, cell_x))))
        # The noise of a cell scatters: its square root is too small on average, and the mean of 1/σ², which weighs flux
        # densities, too large.
        rms *= np.float32(1.0 + CLIP_LOSS * SCATTER_BIAS * share_of_mean(correlation**2, (cell_y, cell_x)))
    return Background(
        mesh_mean=mean,
        mesh_rms=rms,
        shape=(data.shape[0], data.shape[1]),
        origin=(columns.start, rows.start),
        extent=(columns.stop, rows.stop),
        cell=(cell_x, cell_y),
    )


def _sampling_step(beam: Array) -> int:
    """Choose how many pixels apart samples are: noise that is smooth on the scale of the beam needs no more."""
    # The largest eigenvalue of the form belongs to the beam's shortest axis.
    a, b, c = beam
    largest = (a + c) / 2 + np.hypot((a - c) / 2, b)
    return 2 if np.sqrt(8 * np.log(2) / largest) >= MIN_SAMPLED_FWHM else 1


def _source_mask(
    data: NDArray[Any], mask: NDArray[np.bool_], mean: Map, rms: Map, cell: tuple[int, int], beam: Array
) -> NDArray[np.bool_]:
    """Mask sources with half a beam around them, by a first estimate of level and noise."""
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


def _extent_of(is_used: NDArray[np.bool_]) -> slice:
    """Return the range of an axis from its first to its last used index; all of it if none is used."""
    indices = np.flatnonzero(is_used)
    return slice(int(indices[0]), int(indices[-1]) + 1) if indices.size else slice(0, is_used.size)


def _empty_mesh() -> tuple[Map, Map]:
    """Return level and noise of an image without any."""
    nothing = np.full((1, 1), np.nan, np.float32)
    return nothing, nothing


def _mesh(data: NDArray[Any], mask: NDArray[np.bool_], cell: tuple[int, int]) -> tuple[Map, Map]:
    """Compute level and noise in cells, with bad cells replaced by their nearest neighbours, and smooth them."""
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
        return _empty_mesh()
    is_good = is_number & (rms > MIN_NOISE_SHARE * np.median(positive))
    if not is_good.all():
        nearest = ndimage.distance_transform_edt(~is_good, return_distances=False, return_indices=True)
        mean, rms = mean[tuple(nearest)], rms[tuple(nearest)]
    smooth_mean, smooth_rms = (ndimage.median_filter(mesh, size=3, mode="nearest") for mesh in (mean, rms))
    return np.asarray(smooth_mean, np.float32), np.asarray(smooth_rms, np.float32)


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
    """Level and noise of samples with sources in them, as a pair of photutils estimators."""

    def __init__(self) -> None:
        self._samples: NDArray[Any] | None = None
        self._result: tuple[Array, Array] = (np.empty(0), np.empty(0))

    def level(self, data: NDArray[Any], axis: int | None = None) -> Any:  # noqa: ANN401 (an array, or a scalar for one cell)
        """Compute the mode of samples, after clipping.

        Parameters
        ----------
        data
            (…, m) Jy/beam — samples; NaN values are left out.
        axis
            Last axis of the samples; None for the mode of all values.
        """
        return self._statistics(data, axis)[0][()]

    def noise(self, data: NDArray[Any], axis: int | None = None) -> Any:  # noqa: ANN401 (an array, or a scalar for one cell)
        """Compute the standard deviation of samples, after clipping and corrected for it.

        Parameters
        ----------
        data
            (…, m) Jy/beam — samples; NaN values are left out.
        axis
            Last axis of the samples; None for the deviation of all values.
        """
        return self._statistics(data, axis)[1][()]

    def _statistics(self, data: NDArray[Any], axis: int | None) -> tuple[Array, Array]:
        """Compute level and noise of samples, or return them if these samples were the last ones."""
        # photutils requests the level and then the noise of the very same array.
        if self._samples is not data:
            samples = data.reshape(1, -1) if axis is None else data.reshape(-1, data.shape[-1])
            n_rows = max(1, CHUNK_PIXELS // samples.shape[1])
            chunks = [samples[start : start + n_rows] for start in range(0, len(samples), n_rows)]
            parts = side_by_side([partial(_clipped, chunk) for chunk in chunks])
            shape = () if axis is None else data.shape[:-1]
            level, noise = (np.concatenate(values).reshape(shape) for values in zip(*parts, strict=True))
            self._samples, self._result = data, (level, noise)
        return self._result


def _clipped(samples: NDArray[Any]) -> tuple[Array, Array]:
    """Compute level and noise of each row, clipped at 2 σ about the median (TraP's ``sigma_clip``).

    Parameters
    ----------
    samples
        (n, m) — NaN values are left out.

    Returns
    -------
    level, noise
        (n,) — NaN if a row has no value.
    """
    # numpy's sort is the fastest one, and puts NaN last.
    ordered = np.sort(np.asarray(samples, np.float32), axis=1)
    median, mean, sigma = clipped_moments(ordered, CLIP_SIGMA, *_truncation_table())
    with np.errstate(invalid="ignore"):
        is_skewed = np.abs(mean - median) >= MAX_SKEWNESS * sigma
    mode = 2.5 * median - 1.5 * mean
    return np.where(is_skewed, median, mode), sigma


@cache
def _truncation_table() -> tuple[Array, Array]:
    """Tabulate σ of a Gaussian, and its deviation s after truncation at ±L, both in units of L.

    s² = σ²·(1 − 2u·e^(−u²)/(√π·erf u)) with u = L/√2σ.
    """
    sigma = np.geomspace(0.15, 2.0, 4096)
    u = 1.0 / (np.sqrt(2.0) * sigma)
    return sigma, sigma * np.sqrt(1.0 - 2.0 * u * np.exp(-(u**2)) / (np.sqrt(np.pi) * erf(u)))
