"""Blind extraction: find the sources of one image, deblend them, fit them, and describe them on the sky."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.catalogues import FitType, Flag, Measurements
from trap.extraction.background import estimate_background
from trap.extraction.celestial import beam_form, celestial_columns, ellipse_axes, local_beams, other_beams
from trap.extraction.deblend import Components, deblend
from trap.extraction.field import Field, measured_mask, widened_field
from trap.extraction.fitting import Fits, fit_sources
from trap.extraction.gaussian import Gaussians
from trap.extraction.islands import Islands, find_islands, flag_islands, segment_image
from trap.extraction.mesh import Background
from trap.extraction.moments import peak_correction
from trap.extraction.noise import measure_correlation
from trap.extraction.threads import side_by_side
from trap.extraction.uncertainties import (
    Errors,
    correlated_errors,
    gaussian_fit_errors,
    moments_errors,
    systematic_errors,
)
from trap.extraction.unsearched import Unsearched, unsearched_part
from trap.kernels.gaussian import residuals
from trap.kernels.moments import component_moments

if TYPE_CHECKING:
    from collections.abc import Mapping

    from astropy.wcs import WCS
    from numpy.typing import NDArray

    from trap.config import SourceExtractionConfig
    from trap.extraction.field import ThresholdMap
    from trap.extraction.given_maps import GivenMaps
    from trap.images.image import Image
    from trap.typing import Array


__all__ = ["Extraction", "describe_background", "extract_holes", "extract_sources", "flag_outside", "searched_field"]

PART_ISLANDS = 2000
"""Number of islands that one thread measures at a time. Fewer islands are measured without threads."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Extraction:
    """Sources of one image, and its background.

    Parameters
    ----------
    measurements
        The sources, island by island; negative sources follow, with negative numbers of their islands.
    background
        Level and noise of the empty sky, with the measured autocorrelation of the noise.
    rms_min, rms_max
        Jy/beam — lowest and highest noise of the searched area; NaN if no pixel was searched.
    unsearched
        Part that the settings exclude from the search; None if it is small.
    """

    measurements: Measurements
    background: Background
    rms_min: float
    rms_max: float
    unsearched: Unsearched | None = None


def extract_sources(image: Image, config: SourceExtractionConfig) -> Extraction:
    """Find and measure the sources of an image, and its negative sources if the settings name its Stokes parameter.

    An image without noise, without values or without sources gives an empty table.

    Parameters
    ----------
    image
        The image; its pixels are read.
    config
        Settings of the thresholds, the searched area, and the fits.

    Raises
    ------
    ImageError
        If the image has no restoring beam, or cannot be read.
    """
    beams, data = _beams_of(image), image.data
    mask = measured_mask(data, config)
    background = estimate_background(data, mask, config, beam=beams["beam"])
    field = Field(data=data, mask=mask, background=background, **beams)
    thresholds = field.threshold_map(analysis=config.analysis_threshold, detection=config.detection_threshold)
    # Noise and thresholds come from the searched area alone.
    widened = widened_field(field, config)
    with ThreadPoolExecutor(1) as thread:
        correlation = thread.submit(measure_correlation, field)
        islands = _find_islands(widened, config, None if widened is not field else thresholds)
        background = replace(background, correlation=correlation.result())
    measurements = _measure(islands, replace(widened, background=background), mask, image, config)
    if config.searches_negative(image.metadata.stokes):
        measurements = Measurements.concatenate([measurements, extract_holes(image, background, config)])
    return Extraction(
        measurements=measurements,
        background=background,
        rms_min=thresholds.rms_min,
        rms_max=thresholds.rms_max,
        unsearched=unsearched_part(data, mask, config),
    )


def describe_background(image: Image, config: SourceExtractionConfig, maps: GivenMaps | None = None) -> Extraction:
    """Measure level and noise of an image whose sources are known; no sources are found.

    Parameters
    ----------
    image
        The image; its pixels are read.
    config
        Settings of the mesh and the searched area.
    maps
        Level and noise that are known; None measures them.

    Raises
    ------
    ImageError
        If the image has no restoring beam, or cannot be read.
    """
    beams, data = _beams_of(image), image.data
    mask = measured_mask(data, config)
    background = (
        estimate_background(data, mask, config, beam=beams["beam"]) if maps is None else maps.mesh(mask, config)
    )
    field = Field(data=data, mask=mask, background=background, **beams)
    thresholds = field.threshold_map(analysis=config.analysis_threshold, detection=config.detection_threshold)
    return Extraction(
        measurements=Measurements.empty(),
        background=replace(background, correlation=measure_correlation(field)),
        rms_min=thresholds.rms_min,
        rms_max=thresholds.rms_max,
        unsearched=unsearched_part(data, mask, config),
    )


def extract_holes(image: Image, background: Background, config: SourceExtractionConfig) -> Measurements:
    """Find and measure holes in the background, as sources of the image upside down.

    Parameters
    ----------
    image
        The image; its pixels are read.
    background
        Background of this image, from :func:`extract_sources`.
    config
        Settings of the thresholds, the searched area, and the fits.

    Returns
    -------
    Measurements
        With negative flux densities and significances, and islands numbered -1, -2, ….

    Raises
    ------
    ImageError
        If the image has no restoring beam, or cannot be read.
    """
    field = searched_field(image, background, config).negative()
    widened = widened_field(field, config)
    holes = _measure(_find_islands(widened, config), widened, field.mask, image, config)
    negative = {name: -getattr(holes, name) for name in ("f_peak", "f_int", "significance", "island")}
    return holes.with_columns(**negative)


def _beams_of(image: Image) -> dict[str, Any]:
    """Return the beams of an image, for :class:`~trap.extraction.field.Field`."""
    where = image.require_beam(), image.wcs, (image.metadata.ny, image.metadata.nx)
    return {"beam": beam_form(*where), "beams": local_beams(*where), "other_beams": other_beams(*where)}


def searched_field(image: Image, background: Background, config: SourceExtractionConfig) -> Field:
    """Describe the searched part of an image whose background is measured.

    Parameters
    ----------
    image
        The image; its pixels are read.
    background
        Its level and noise.
    config
        Settings of the margin and the radius.

    Raises
    ------
    ImageError
        If the image has no restoring beam, or cannot be read.
    """
    data, mask = image.data, measured_mask(image.data, config)
    return Field(data=data, mask=mask, background=background, **_beams_of(image))


def _find_islands(field: Field, config: SourceExtractionConfig, thresholds: ThresholdMap | None = None) -> Islands:
    """List the islands of a field, whose threshold map may be known."""
    if thresholds is None:
        thresholds = field.threshold_map(analysis=config.analysis_threshold, detection=config.detection_threshold)
    return find_islands(field, segment_image(thresholds))


def _measure(
    islands: Islands, field: Field, mask: NDArray[np.bool_], image: Image, config: SourceExtractionConfig
) -> Measurements:
    """Measure the sources of all islands with a searched pixel, in threads if there are many.

    ``field`` may be wider than the searched area, whose ``mask`` is True where the image is not searched.
    """
    if not len(islands):
        return Measurements.empty()
    # Pixels of all islands are excluded from the fits of others, even of islands that are not measured.
    empty_field = field.without(islands.x, islands.y)
    is_searched = np.logical_or.reduceat(~mask[islands.y, islands.x], islands.offsets[:-1])
    if not is_searched.all():
        islands = islands.take(np.flatnonzero(is_searched))
    systematics = systematic_errors(image.require_beam(), config)

    def measure_part(part: slice, wcs: WCS) -> Measurements:
        """Deblend and fit the islands of a part."""
        which = np.arange(len(islands))[part]
        some = islands.take(which)
        fits = fit_sources(some, deblend(some, config), empty_field, config=config)
        measurements = flag_outside(_describe(some, fits, field, wcs, config, systematics), mask)
        # Islands are numbered from 1 in the table.
        return measurements.with_columns(island=which[measurements.island] + 1)

    parts = [slice(start, start + PART_ISLANDS) for start in range(0, len(islands), PART_ISLANDS)]
    # Each part has a projection of its own: not all versions of astropy's are thread-safe.
    calls = [partial(measure_part, part, image.wcs.deepcopy()) for part in parts]
    measurements = Measurements.concatenate(side_by_side(calls))
    # The centre of a source that the horizon cuts may be fitted beyond it, where no position is on the sky.
    return measurements.take(np.isfinite(measurements.ra + measurements.dec))


def _describe(
    islands: Islands,
    fits: Fits,
    field: Field,
    wcs: WCS,
    config: SourceExtractionConfig,
    systematics: Mapping[str, float],
) -> Measurements:
    """Make the table of the fitted sources, with islands numbered from 0."""
    components, sources = fits.components, fits.sources
    counts = components.counts
    rms = field.background.rms_at(sources.x, sources.y)
    flux, errors = _errors(fits, field, rms=rms, config=config)
    chisq, reduced_chisq, significance = _quality(islands, components, sources, field.beam)
    flags = np.repeat(flag_islands(islands, field), counts)
    for flag, holds in (
        (Flag.FIT_FAILED, ~fits.is_fitted),
        (Flag.BLENDED, np.repeat(counts > 1, counts)),
        (Flag.POINT_LIKE, fits.is_beam_shaped & (not config.force_beam)),
    ):
        flags |= np.where(holds, int(flag), 0).astype(np.int32)
    places = celestial_columns(wcs, sources.x, sources.y, form=sources.form, position_cov=errors.position)
    return Measurements.of(
        **places,
        x=sources.x,
        y=sources.y,
        **systematics,
        f_peak=sources.peak,
        f_peak_err=errors.peak,
        f_int=flux,
        f_int_err=errors.integrated,
        rms=rms,
        significance=significance,
        chisq=chisq,
        reduced_chisq=reduced_chisq,
        fit_type=np.where(fits.is_fitted, int(FitType.GAUSSIAN), int(FitType.MOMENTS)),
        island=np.repeat(np.arange(len(islands)), counts),
        flags=flags,
    )


def flag_outside(sources: Measurements, mask: NDArray[np.bool_]) -> Measurements:
    """Flag sources whose centre is not on a searched pixel.

    Parameters
    ----------
    sources
        Sources, with their pixels.
    mask
        (ny, nx) — True where the image is not searched.
    """
    ny, nx = mask.shape
    columns, rows = np.rint(sources.x).astype(int), np.rint(sources.y).astype(int)
    is_off_image = (columns < 0) | (columns >= nx) | (rows < 0) | (rows >= ny)
    is_outside = is_off_image | mask[np.clip(rows, 0, ny - 1), np.clip(columns, 0, nx - 1)]
    return sources.with_columns(flags=sources.flags | np.where(is_outside, int(Flag.OUTSIDE), 0))


def _errors(fits: Fits, field: Field, *, rms: Array, config: SourceExtractionConfig) -> tuple[Array, Errors]:
    """Compute integrated flux densities in Jy, and all errors, by the formulae of each source's measurement."""
    sources = fits.sources
    semimajor, semiminor, _ = ellipse_axes(sources.form)
    # The area of a beam depends on the place, as the area of a pixel does.
    beam_major, beam_minor, _ = ellipse_axes(field.beam_at(sources.x, sources.y))
    axes, beam_axes = (semimajor, semiminor), (beam_major, beam_minor)
    threshold = config.analysis_threshold * rms
    # The area of a beam-shaped source is exactly the beam's, without rounding.
    n_beams = np.where(fits.has_beam_area, 1.0, semimajor * semiminor / (beam_major * beam_minor))
    flux = n_beams * sources.peak
    _, peak_variance = peak_correction(field.beam)
    from_moments = moments_errors(
        sources.peak, flux, rms=rms, axes=axes, beam_axes=beam_axes, threshold=threshold, peak_variance=peak_variance
    )
    condon = gaussian_fit_errors(
        sources.peak, flux, rms=rms, axes=axes, beam_axes=beam_axes, is_beam_shaped=fits.is_beam_shaped
    )
    errors = condon.where(fits.is_fitted, from_moments).turned(sources.form)
    if config.errors == "autocorrelation":
        from_noise = correlated_errors(fits.covariance, sources, flux, rms=rms)
        errors = from_noise.where(fits.is_fitted & from_noise.are_valid, errors)
    return flux, errors


def _quality(islands: Islands, components: Components, sources: Gaussians, beam: Array) -> tuple[Array, Array, Array]:
    """Compute χ² over the pixels of each component, χ² per beam area (TF §5.10), and the highest S/N of a pixel."""
    first, pixels = components.first, (islands.x, islands.y, islands.value)
    source = first[islands.island] + components.component
    residual = residuals(islands.offsets, pixels, first, sources.parameters)
    chisq = np.asarray(np.bincount(source, (residual / islands.rms) ** 2, len(sources)), float)
    *_, significance, n_pixels = component_moments((*pixels, islands.rms), source, len(sources)).T
    beam_major, beam_minor, _ = ellipse_axes(beam)
    reduced_chisq = chisq * np.pi * beam_major * beam_minor / n_pixels
    return chisq, reduced_chisq, significance
