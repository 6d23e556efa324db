"""Every source of one image: found above the noise, parted, fitted, and described on the sky."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trap.catalogues import FitType, Flag, Measurements
from trap.errors import ImageError
from trap.extraction.area import measured_mask
from trap.extraction.background import Background, estimate_background
from trap.extraction.celestial import beam_form, celestial_columns, ellipse_axes
from trap.extraction.deblend import Components, deblend
from trap.extraction.gaussian import Gaussians, Shape, fit_islands, gaussian_values
from trap.extraction.islands import Islands, SkyMaps, find_islands, flag_islands, with_surroundings
from trap.extraction.moments import measure_moments, peak_correction
from trap.extraction.uncertainties import ErrorColumns, beam_fit_errors, gaussian_fit_errors, moments_errors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.config import SourceExtractionConfig
    from trap.images.image import Image

    Array = NDArray[np.float64]

__all__ = ["Extraction", "extract_sources"]

SMALLEST_FIT = 0.2
"""A fit with a minor axis below this share of the beam's follows a noise peak, not a source."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Extraction:
    """What blind extraction finds in one image.

    Parameters
    ----------
    measurements
        The sources, island by island.
    background
        Level and noise of the empty sky.
    rms_min, rms_max
        Jy/beam — lowest and highest noise of the searched area; NaN where nothing was searched.
    """

    measurements: Measurements
    background: Background
    rms_min: float
    rms_max: float


def extract_sources(image: Image, config: SourceExtractionConfig) -> Extraction:
    """Find and measure the sources of an image.

    An image without noise, without values or without sources gives an empty table.

    Raises
    ------
    ImageError
        If the image has no restoring beam, or cannot be read.
    """
    if image.metadata.beam is None:
        raise ImageError("no restoring beam in the header", image.url)
    beam = beam_form(image.metadata.beam, image.wcs)
    data = image.data
    mask = measured_mask(data, config)
    background = estimate_background(data, mask, config)
    maps = SkyMaps(value=data - background.mean_map(), rms=background.rms_map(), mask=mask)
    searched = maps.rms[~mask]
    islands = find_islands(maps, config)
    return Extraction(
        measurements=_measure(islands, maps, image, background, beam, config) if len(islands) else Measurements.empty(),
        background=background,
        rms_min=float(searched.min()) if searched.size else float("nan"),
        rms_max=float(searched.max()) if searched.size else float("nan"),
    )


def _measure(
    islands: Islands, maps: SkyMaps, image: Image, background: Background, beam: Array, config: SourceExtractionConfig
) -> Measurements:
    components = deblend(islands, config)
    sources, is_fitted = _fit(islands, components, maps, beam, config)
    rms = background.rms_at(sources.x, sources.y)
    flux, errors = _errors(sources, is_fitted, rms=rms, beam=beam, config=config)
    chisq, reduced_chisq = _chi_squared(islands, components, sources, beam)
    counts = components.counts
    flags = np.repeat(flag_islands(islands, maps, np.isfinite(image.data)), counts)
    flags |= np.where(is_fitted, 0, int(Flag.FIT_FAILED)).astype(np.int32)
    flags |= np.repeat(np.where(counts > 1, int(Flag.BLENDED), 0), counts).astype(np.int32)
    flags |= np.where(_is_masked(sources, maps.mask), int(Flag.OUTSIDE), 0).astype(np.int32)
    sky = celestial_columns(
        image.wcs, sources.x, sources.y, form=sources.form, major_err=errors.major, minor_err=errors.minor
    )
    return Measurements.of(
        **sky,
        x=sources.x,
        y=sources.y,
        ew_sys_err=config.ew_sys_err,
        ns_sys_err=config.ns_sys_err,
        f_peak=sources.peak,
        f_peak_err=errors.peak,
        f_int=flux,
        f_int_err=errors.integrated,
        rms=rms,
        significance=_highest_significance(islands, components),
        chisq=chisq,
        reduced_chisq=reduced_chisq,
        fit_type=np.where(is_fitted, int(FitType.GAUSSIAN), int(FitType.MOMENTS)),
        island=np.repeat(np.arange(1, len(islands) + 1), counts),
        flags=flags,
    )


def _fit(
    islands: Islands, components: Components, maps: SkyMaps, beam: Array, config: SourceExtractionConfig
) -> tuple[Gaussians, NDArray[np.bool_]]:
    """Gaussians of all components, and which of them are from a fit rather than from moments."""
    shape = Shape.BEAM if config.force_beam else Shape.FREE
    moments = measure_moments(islands, components, beam, config.analysis_threshold)
    start = moments
    if shape is Shape.BEAM:
        start = Gaussians(x=moments.x, y=moments.y, peak=moments.peak, form=np.tile(beam, (len(moments), 1)))
    reach_x, reach_y = (max(1, round(half_width)) for half_width in _half_extent(beam))
    # Twice as many pixels as parameters: fewer would be fitted whatever the noise.
    pixels = with_surroundings(islands, maps, needed=2 * shape.value * components.counts, reach=(reach_y, reach_x))
    fitted = fit_islands(pixels, components.counts, start, shape)
    is_good = _is_plausible(fitted, islands, components.counts, beam)
    return fitted.where(is_good, moments), is_good


def _is_masked(sources: Gaussians, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether the pixel of each centre is not searched: a wing of the source reaches into the area, no more."""
    (ny, nx), columns, rows = mask.shape, np.rint(sources.x).astype(int), np.rint(sources.y).astype(int)
    off = (columns < 0) | (columns >= nx) | (rows < 0) | (rows >= ny)
    masked: NDArray[np.bool_] = off | mask[np.clip(rows, 0, ny - 1), np.clip(columns, 0, nx - 1)]
    return masked


def _half_extent(form: Array) -> tuple[float, float]:
    """Half widths at half maximum, along x and along y, of the box around an ellipse."""
    a, b, c = form
    determinant = a * c - b**2
    return float(np.sqrt(2 * np.log(2) * c / determinant)), float(np.sqrt(2 * np.log(2) * a / determinant))


def _is_plausible(fitted: Gaussians, islands: Islands, counts: NDArray[np.intp], beam: Array) -> NDArray[np.bool_]:
    """Whether fits are positive, centred on their island (give or take a beam) and of a size it can have."""
    semimajor, semiminor, _ = ellipse_axes(fitted.form)
    beam_major, beam_minor, _ = ellipse_axes(beam)
    start = islands.offsets[:-1]
    size = np.zeros(len(fitted))
    inside = np.isfinite(fitted.peak) & (fitted.peak > 0)
    for centre, pixel in ((fitted.x, islands.x), (fitted.y, islands.y)):
        low, high = np.repeat([np.minimum.reduceat(pixel, start), np.maximum.reduceat(pixel, start)], counts, axis=1)
        inside &= (centre >= low - 2 * beam_major) & (centre <= high + 2 * beam_major)
        size = np.maximum(size, high - low)
    return inside & (semiminor > SMALLEST_FIT * beam_minor) & (semimajor < 2 * (size + beam_major))


def _errors(
    sources: Gaussians, is_fitted: NDArray[np.bool_], *, rms: Array, beam: Array, config: SourceExtractionConfig
) -> tuple[Array, ErrorColumns]:
    """Integrated flux densities in Jy, and the errors of everything, each by what it was measured with."""
    semimajor, semiminor, _ = ellipse_axes(sources.form)
    beam_major, beam_minor, _ = (float(value) for value in ellipse_axes(beam))
    axes, beam_axes, threshold = (semimajor, semiminor), (beam_major, beam_minor), config.analysis_threshold * rms
    has_beam_shape = is_fitted & config.force_beam
    flux = np.where(has_beam_shape, 1.0, semimajor * semiminor / (beam_major * beam_minor)) * sources.peak
    _, peak_variance = peak_correction(beam)
    from_moments = moments_errors(
        sources.peak, flux, rms=rms, axes=axes, beam_axes=beam_axes, threshold=threshold, peak_variance=peak_variance
    )
    if config.force_beam:
        from_fit = beam_fit_errors(sources.peak, rms=rms, beam_axes=beam_axes, threshold=threshold)
    else:
        from_fit = gaussian_fit_errors(sources.peak, flux, rms=rms, axes=axes, beam_axes=beam_axes)
    return flux, from_fit.where(is_fitted, from_moments)


def _chi_squared(islands: Islands, components: Components, sources: Gaussians, beam: Array) -> tuple[Array, Array]:
    """χ² over the pixels of each component, against all components of its island; and per beam area (TF §5.10)."""
    first = np.concatenate([[0], np.cumsum(components.counts)])
    model = np.zeros(islands.value.size)
    # Each pass adds the k-th component of every island that has one to all pixels of that island.
    for k in range(int(components.counts.max())):
        in_island = components.counts[islands.island] > k
        row = first[islands.island[in_island]] + k
        u, v = islands.x[in_island] - sources.x[row], islands.y[in_island] - sources.y[row]
        model[in_island] += sources.peak[row] * gaussian_values(u, v, sources.form[row])
    number = first[islands.island] + components.component
    squares = ((islands.value - model) / islands.rms) ** 2
    chisq = np.asarray(np.bincount(number, weights=squares, minlength=len(sources)), float)
    beam_major, beam_minor, _ = ellipse_axes(beam)
    return chisq, chisq * np.pi * beam_major * beam_minor / np.bincount(number, minlength=len(sources))


def _highest_significance(islands: Islands, components: Components) -> Array:
    """(n,) — the highest value over noise among the pixels of each component."""
    first = np.concatenate([[0], np.cumsum(components.counts)])
    highest: Array = np.full(int(components.counts.sum()), -np.inf)
    np.maximum.at(highest, first[islands.island] + components.component, islands.value / islands.rms)
    return highest
