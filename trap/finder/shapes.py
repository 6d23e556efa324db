"""Errors of fitted shapes, and shapes deconvolved from the beam.

They are computed from a finished table of measurements. The pipeline follows point sources and does
not need them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trap.catalogues import FitType
from trap.extraction.celestial import beam_form, local_beams, sky_ellipses
from trap.extraction.uncertainties import (
    MAJOR_AXIS_POWERS,
    MINOR_AXIS_POWERS,
    condon_rho_squared,
    logarithmic_mean,
)
from trap.finder.deconvolve import Ellipses, deconvolution_errors, deconvolve
from trap.tables import ColumnTable, column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.catalogues import Measurements
    from trap.config import SourceExtractionConfig
    from trap.images.image import Image
    from trap.typing import Array


__all__ = ["SourceShapes", "fit_shape_errors", "measure_shapes", "moments_shape_errors"]

SAME_SHAPE = 1e-6
"""Relative difference of axes up to which a shape counts as the beam's, and so as not measured."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceShapes(ColumnTable):
    """Errors of fitted shapes, and shapes deconvolved from the beam: one row per measurement."""

    semimajor_err: Array = column("f8", "arcsec", "1σ error of semimajor; NaN if the shape is the beam's.")
    semiminor_err: Array = column("f8", "arcsec", "1σ error of semiminor; NaN if the shape is the beam's.")
    pa_err: Array = column("f8", "deg", "1σ error of pa, at most 90; NaN if the shape is the beam's.")
    semimajor_dc: Array = column("f8", "arcsec", "Deconvolved semi-major axis at half maximum; 0 if unresolved.")
    semimajor_dc_err: Array = column("f8", "arcsec", "1σ error of semimajor_dc; NaN if unknown.")
    semiminor_dc: Array = column("f8", "arcsec", "Deconvolved semi-minor axis at half maximum; 0 if unresolved.")
    semiminor_dc_err: Array = column("f8", "arcsec", "1σ error of semiminor_dc; NaN if unknown.")
    pa_dc: Array = column("f8", "deg", "Position angle of the deconvolved major axis; 0 if unresolved.")
    pa_dc_err: Array = column("f8", "deg", "1σ error of pa_dc, at most 90; NaN if unknown.")
    n_unresolved: NDArray[np.int16] = column("i2", "", "Number of axes, 0 to 2, that are no longer than the beam's.")


def measure_shapes(measurements: Measurements, image: Image, config: SourceExtractionConfig) -> SourceShapes:
    """Deconvolve the sources of an image from the beam, and compute the errors of their shapes.

    The beam of a synthesis image has one shape in the projected image, so its shape on the sky differs between the
    sources.

    Parameters
    ----------
    measurements
        Measurements of the image, from a blind extraction or at given positions.
    image
        Image of the measurements.
    config
        Extraction settings of the measurements.

    Returns
    -------
    SourceShapes
        One row a measurement.

    Raises
    ------
    ImageError
        If the image has no restoring beam.
    """
    restoring_beam = image.require_beam()
    if not len(measurements):
        return SourceShapes.empty()
    fitted = Ellipses(major=measurements.semimajor, minor=measurements.semiminor, pa=measurements.pa)
    shape = image.metadata.ny, image.metadata.nx
    beams = local_beams(restoring_beam, image.wcs, shape)
    form = beam_form(restoring_beam, image.wcs, shape) if beams is None else beams.at(measurements.x, measurements.y)
    major, minor, pa = sky_ellipses(image.wcs, measurements.x, measurements.y, form)
    beam = Ellipses(major=major, minor=minor, pa=pa)
    errors = _errors(measurements, fitted, beam, config.analysis_threshold)
    source, n_unresolved = deconvolve(fitted, beam)
    source_errors = deconvolution_errors(fitted, errors, beam)
    return SourceShapes.of(
        semimajor_err=errors.major,
        semiminor_err=errors.minor,
        pa_err=errors.pa,
        semimajor_dc=source.major,
        semimajor_dc_err=source_errors.major,
        semiminor_dc=source.minor,
        semiminor_dc_err=source_errors.minor,
        pa_dc=source.pa,
        pa_dc_err=source_errors.pa,
        n_unresolved=n_unresolved,
    )


def fit_shape_errors(shape: Ellipses, beam: Ellipses, *, signal_to_noise: Array) -> Ellipses:
    """Compute the errors of the shape of a Gaussian fit: Condon (1997), eq. 21, with the ρ of eq. 41.

    Parameters
    ----------
    shape, beam
        (n,) — semi-axes at half maximum of fit and beam, in one unit.
    signal_to_noise
        (n,) — peak over local noise.

    Returns
    -------
    errors
        (n,) — 1σ errors: axes in the same unit, angle in deg.
    """
    axes, beam_axes = (shape.major, shape.minor), (beam.major, beam.minor)

    def rho(powers: tuple[float, float]) -> Array:
        root: Array = np.sqrt(condon_rho_squared(axes, beam_axes, powers)) * signal_to_noise
        return root

    return _errors_from_rho(shape, rho(MAJOR_AXIS_POWERS), rho(MINOR_AXIS_POWERS))


def moments_shape_errors(shape: Ellipses, beam: Ellipses, *, signal_to_noise: Array, threshold: float) -> Ellipses:
    """Compute the errors of a shape from moments, as in TraP (TF §5.8; Spreeuw 2010).

    Parameters
    ----------
    shape, beam
        (n,) — semi-axes at half maximum of source and beam, in one unit.
    signal_to_noise
        (n,) — peak over local noise.
    threshold
        σ — analysis threshold.

    Returns
    -------
    errors
        (n,) — 1σ errors: axes in the same unit, angle in deg.
    """
    height = logarithmic_mean(signal_to_noise, threshold)
    rho = 2 * np.sqrt(shape.major * shape.minor / (np.log(2) * beam.major * beam.minor)) * height
    return _errors_from_rho(shape, rho, rho)


def _errors_from_rho(shape: Ellipses, rho_major: Array, rho_minor: Array) -> Ellipses:
    """Compute the errors of axes and angle from the ρ of the two axes: Condon (1997), eq. 21."""
    a, b = shape.major, shape.minor
    with np.errstate(divide="ignore", invalid="ignore"):
        angle = np.degrees(2 * a * b / (a**2 - b**2) / rho_minor)
    # An undefined position angle gets the largest meaningful error, 90 deg.
    angle = np.where(angle >= 0, np.minimum(angle, 90.0), 90.0)
    return Ellipses(major=np.sqrt(2) * a / rho_major, minor=np.sqrt(2) * b / rho_minor, pa=angle)


def _errors(measurements: Measurements, fitted: Ellipses, beam: Ellipses, threshold: float) -> Ellipses:
    """Compute the errors of each shape for its kind of measurement; NaN if the shape is the beam's."""
    signal_to_noise = np.abs(measurements.f_peak) / measurements.rms
    from_fit = fit_shape_errors(fitted, beam, signal_to_noise=signal_to_noise)
    from_moments = moments_shape_errors(fitted, beam, signal_to_noise=signal_to_noise, threshold=threshold)
    is_fit = measurements.fit_type == FitType.GAUSSIAN
    is_measured = (np.abs(fitted.major - beam.major) > SAME_SHAPE * beam.major) | (
        np.abs(fitted.minor - beam.minor) > SAME_SHAPE * beam.minor
    )

    def combined(name: str) -> Array:
        error = np.where(is_fit, getattr(from_fit, name), getattr(from_moments, name))
        return np.where(is_measured & np.isfinite(error), error, np.nan)

    return Ellipses(major=combined("major"), minor=combined("minor"), pa=combined("pa"))
