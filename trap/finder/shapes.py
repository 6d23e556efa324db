"""How well the shapes of sources are known, and what is left of them without the beam.

Made from a finished table of measurements, for those who ask about shapes: the pipeline itself
follows point sources.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trap.catalogues import FitType
from trap.extraction.celestial import beam_form, sky_ellipses
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
"""Relative difference of axes up to which a shape is the beam's, given to the source and not measured."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourceShapes(ColumnTable):
    """Errors of fitted shapes, and shapes deconvolved from the beam: one row per measurement."""

    semimajor_err: NDArray[np.float64] = column("f8", "arcsec", "1σ error of semimajor; NaN where it is the beam's.")
    semiminor_err: NDArray[np.float64] = column("f8", "arcsec", "1σ error of semiminor; NaN where it is the beam's.")
    pa_err: NDArray[np.float64] = column("f8", "deg", "1σ error of pa, at most 90; NaN where it is the beam's.")
    semimajor_dc: NDArray[np.float64] = column(
        "f8", "arcsec", "Deconvolved semi-major axis at half maximum; 0 if unresolved."
    )
    semimajor_dc_err: NDArray[np.float64] = column("f8", "arcsec", "1σ error of semimajor_dc; NaN where not known.")
    semiminor_dc: NDArray[np.float64] = column(
        "f8", "arcsec", "Deconvolved semi-minor axis at half maximum; 0 if unresolved."
    )
    semiminor_dc_err: NDArray[np.float64] = column("f8", "arcsec", "1σ error of semiminor_dc; NaN where not known.")
    pa_dc: NDArray[np.float64] = column("f8", "deg", "Position angle of the deconvolved major axis; 0 if unresolved.")
    pa_dc_err: NDArray[np.float64] = column("f8", "deg", "1σ error of pa_dc, at most 90; NaN where not known.")
    n_unresolved: NDArray[np.int16] = column("i2", "", "Axes, 0 to 2, that are no longer than the beam's.")


def measure_shapes(measurements: Measurements, image: Image, config: SourceExtractionConfig) -> SourceShapes:
    """Deconvolve the sources of an image from the beam as it is seen at each of them.

    Parameters
    ----------
    measurements
        Of this image, from a blind extraction or at given positions.
    config
        With which they were measured.

    Raises
    ------
    ImageError
        If the image has no restoring beam.
    """
    restoring_beam = image.require_beam()
    if not len(measurements):
        return SourceShapes.empty()
    fitted = Ellipses(major=measurements.semimajor, minor=measurements.semiminor, pa=measurements.pa)
    form = beam_form(restoring_beam, image.wcs)
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
    """Errors of the shape of a Gaussian fit: Condon (1997), eq. 21, with the ρ of eq. 41.

    Parameters
    ----------
    shape, beam
        (n,) — semi-axes at half maximum of fit and beam, in one unit.
    signal_to_noise
        (n,) — peak over local noise.

    Returns
    -------
    errors
        (n,) — axes in the same unit, angle in deg.
    """
    (a, b), (beam_a, beam_b) = (shape.major, shape.minor), (beam.major, beam.minor)

    def rho(major_power: float, minor_power: float) -> Array:
        smoothing = (1 + (beam_a / a) ** 2) ** major_power * (1 + (beam_b / b) ** 2) ** minor_power
        root: Array = np.sqrt(a * b / (4 * beam_a * beam_b) * smoothing) * signal_to_noise
        return root

    return _from_rho(shape, rho(2.5, 0.5), rho(0.5, 2.5))


def moments_shape_errors(shape: Ellipses, beam: Ellipses, *, signal_to_noise: Array, threshold: float) -> Ellipses:
    """Errors of a shape from moments, as TraP takes them (TF §5.8; Spreeuw 2010).

    Parameters
    ----------
    shape, beam, signal_to_noise
        See :func:`fit_shape_errors`.
    threshold
        Analysis threshold, in σ.
    """
    ratio = signal_to_noise / threshold
    with np.errstate(divide="ignore", invalid="ignore"):
        # Mean height above the threshold in the logarithm; its limit where there is next to nothing above.
        height = np.where(np.abs(ratio - 1) > 1e-6, (signal_to_noise - threshold) / np.log(ratio), signal_to_noise)
    rho = 2 * np.sqrt(shape.major * shape.minor / (np.log(2) * beam.major * beam.minor)) * height
    return _from_rho(shape, rho, rho)


def _from_rho(shape: Ellipses, rho_major: Array, rho_minor: Array) -> Ellipses:
    a, b = shape.major, shape.minor
    with np.errstate(divide="ignore", invalid="ignore"):
        angle = np.degrees(2 * a * b / (a**2 - b**2) / rho_minor)
    # A right angle says all there is to say of an axis without a direction.
    angle = np.where(angle >= 0, np.minimum(angle, 90.0), 90.0)
    return Ellipses(major=np.sqrt(2) * a / rho_major, minor=np.sqrt(2) * b / rho_minor, pa=angle)


def _errors(measurements: Measurements, fitted: Ellipses, beam: Ellipses, threshold: float) -> Ellipses:
    """Errors of each shape by what it was measured with; NaN where it was not measured at all."""
    signal_to_noise = np.abs(measurements.f_peak) / measurements.rms
    from_fit = fit_shape_errors(fitted, beam, signal_to_noise=signal_to_noise)
    from_moments = moments_shape_errors(fitted, beam, signal_to_noise=signal_to_noise, threshold=threshold)
    is_fit = measurements.fit_type == FitType.GAUSSIAN
    is_own = (np.abs(fitted.major - beam.major) > SAME_SHAPE * beam.major) | (
        np.abs(fitted.minor - beam.minor) > SAME_SHAPE * beam.minor
    )

    def chosen(name: str) -> Array:
        error = np.where(is_fit, getattr(from_fit, name), getattr(from_moments, name))
        return np.where(is_own & np.isfinite(error), error, np.nan)

    return Ellipses(major=chosen("major"), minor=chosen("minor"), pa=chosen("pa"))
