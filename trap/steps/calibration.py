"""The calibration of the images of a timestep against the running catalogue or a file, before they are associated.

All images are matched with the catalogue of the timesteps before, so that the result does not depend on their order.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from trap import angles
from trap.association.entries import LightCurveKey
from trap.calibration.calibrators import Matches, compact_sources, find_calibrators, match
from trap.calibration.fluxes import FLOOR as FLUX_FLOOR
from trap.calibration.fluxes import solve_flux_scale
from trap.calibration.patches import find_patch
from trap.calibration.positions import FLOOR as POSITION_FLOOR
from trap.calibration.positions import Field, solve_positions
from trap.calibration.records import CATALOGUE, Astrometry, FluxScale, ImageCalibration
from trap.calibration.reference import Reference, load_references
from trap.catalogues import Flag
from trap.steps.association import search_radius

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trap.calibration.records import OwnGains
    from trap.calibration.reference import ReferenceCatalogue
    from trap.catalogues import Measurements
    from trap.dataset.records import ImageResult
    from trap.dataset.state import DatasetState
    from trap.typing import Array, Indices

__all__ = ["calibrate_images"]

STOKES_I = 1
FIRST_POSITIONS = "the first image sets the positions"
FIRST_FLUXES = "the first image of its band sets the flux scale"


def calibrate_images(state: DatasetState, results: Sequence[ImageResult]) -> list[ImageResult]:
    """Measure the displacement and the gain of the images of one timestep, and correct their measurements.

    Images of Stokes Q, U and V take the correction of the Stokes I image of their band. Rejected images are left as
    they are.

    Parameters
    ----------
    state
        State of the dataset before the timestep; not changed.
    results
        Measured images of one time, lowest frequency first.

    Returns
    -------
    The images with their calibrations; the measurements are corrected, and keep the uncorrected values.
    """
    settings = state.config.calibration
    if settings.positions == settings.flux_scale == "off":
        return list(results)
    calibrated = list(results)
    own = [i for i, result in enumerate(results) if result.rejection is None and is_calibrated_itself(result)]
    for i, (calibration, gains) in zip(own, _calibrate(state, [results[i] for i in own]), strict=True):
        calibrated[i] = _corrected(results[i], calibration, gains, state)
    for i, result in enumerate(results):
        if result.rejection is None and i not in own:
            twin = next((calibrated[j] for j in own if state.share_band(results[j].metadata, result.metadata)), None)
            calibrated[i] = _corrected(result, _borrowed(twin), None, state)
    return calibrated


def is_calibrated_itself(result: ImageResult) -> bool:
    """Return whether an image has positive sources that are compared with the catalogue: Stokes I, or a correlation.

    Parameters
    ----------
    result
        The measured image.
    """
    return result.metadata.stokes == STOKES_I or result.metadata.stokes < 0


def _calibrate(state: DatasetState, results: Sequence[ImageResult]) -> list[tuple[ImageCalibration, OwnGains | None]]:
    """Calibrate the images of one timestep."""
    settings = state.config.calibration
    references = load_references(settings)
    rows = [_calibrators(result, state) for result in results]
    keys = [_key(result, state) for result in results]
    matches = [_match(state, *one, references.positions) for one in zip(results, rows, keys, strict=True)]
    flux_matches = matches
    if references.fluxes is not references.positions:
        flux_matches = [_match(state, *one, references.fluxes) for one in zip(results, rows, keys, strict=True)]
    how = _name(references.positions), settings.min_signal_to_noise
    fields = [
        _field(result, found, *how, is_varying=state.calibrations.has_varying_shifts(key))
        for result, found, key in zip(results, matches, keys, strict=True)
    ]
    nothing = [Astrometry(note='not measured (calibration.positions = "off")')] * len(fields)
    positions = nothing if settings.positions == "off" else solve_positions(fields, settings)
    calibrations = []
    for result, calibrators, key, found, astrometry in zip(results, rows, keys, flux_matches, positions, strict=True):
        scale, gains = _flux_scale(state, key, found, _name(references.fluxes))
        is_first = not len(state.catalogue) and references.positions is None and settings.positions != "off"
        sets_scale = not _has_fluxes(state, key) and references.fluxes is None and settings.flux_scale != "off"
        bright = calibrators[result.measurements.significance[calibrators] >= settings.min_signal_to_noise]
        ratio, ratio_err = _compactness(result.measurements.take(bright))
        calibration = ImageCalibration(
            n_calibrators=len(bright),
            astrometry=_first_positions(result, bright, astrometry) if is_first else astrometry,
            flux_scale=_first_scale(result, bright, scale) if sets_scale else scale,
            compactness=ratio,
            compactness_err=ratio_err,
            **_patch(result, found),
        )
        calibrations.append((calibration, gains))
    return calibrations


def _key(result: ImageResult, state: DatasetState) -> LightCurveKey:
    """Return the band and Stokes parameter of an image; band -1 if the image is the first of its band."""
    history = state.history_key(result.metadata)
    return LightCurveKey(history.band, history.stokes)


def _has_fluxes(state: DatasetState, key: LightCurveKey) -> bool:
    """Return whether the catalogue has flux densities of a band and Stokes parameter."""
    return key in state.catalogue.light_curves


def _calibrators(result: ImageResult, state: DatasetState) -> Indices:
    """Return the rows of the calibrators of an image."""
    beam = result.metadata.beam
    if beam is None:
        return np.empty(0, np.intp)
    return find_calibrators(result.measurements, beam, state.config.calibration)


def _name(catalogue: ReferenceCatalogue | None) -> str:
    """Return the name of a reference; None is the running catalogue."""
    return CATALOGUE if catalogue is None else catalogue.name


def _match(
    state: DatasetState,
    result: ImageResult,
    calibrators: Indices,
    key: LightCurveKey,
    catalogue: ReferenceCatalogue | None,
) -> Matches:
    """Match the calibrators of an image with a reference catalogue, or with the running catalogue if it is None."""
    beam, settings = result.metadata.beam, state.config.calibration
    if beam is None or not len(calibrators):
        return Matches.empty()
    radius = search_radius(result.metadata, state.config.association)
    isolation = settings.isolation_beams * beam.bmaj
    measured = result.measurements
    region = result.metadata.sky_region(0)
    centre = region.centre_ra, region.centre_dec
    if catalogue is None:
        _, rows = state.catalogue.near(measured.ra[calibrators], measured.dec[calibrators], radius + isolation)
        reference = _catalogue(state, np.unique(rows), key)
    else:
        size = region.xtr_radius + radius + isolation
        reference = catalogue.near(centre, size, frequency=result.metadata.freq_eff)
    return match(
        measured,
        calibrators,
        reference,
        centre=centre,
        radius=radius,
        isolation=isolation,
    )


def _catalogue(state: DatasetState, rows: Indices, key: LightCurveKey) -> Reference:
    """Return entries of the running catalogue as a reference."""
    positions = state.catalogue.positions(rows)
    flux, error = np.full((2, len(rows)), np.nan)
    if _has_fluxes(state, key):
        curves = state.catalogue.fluxes(key)[rows]
        has_points = curves["n"] > 0
        flux = np.where(has_points, curves["wmean_f_int"], np.nan)
        error = np.where(has_points, curves["wsum_f_int"], np.nan) ** -0.5
    return Reference(
        ra=positions.ra,
        dec=positions.dec,
        ew_err=positions.uncertainty_ew,
        ns_err=positions.uncertainty_ns,
        f_int=flux,
        f_int_err=error,
        row=rows,
    )


def _field(
    result: ImageResult, matches: Matches, reference: str, min_signal_to_noise: float, *, is_varying: bool
) -> Field:
    """Return an image as the solution of positions needs it; the errors of fainter sources have long tails."""
    metadata = result.metadata
    is_bright = result.measurements.significance[matches.row] >= min_signal_to_noise
    region = metadata.sky_region(0)
    beam = metadata.beam
    return Field(
        matches=matches.take(is_bright),
        ra=region.centre_ra,
        dec=region.centre_dec,
        beam=0.0 if beam is None else math.sqrt(beam.bmaj * beam.bmin),
        frequency=metadata.freq_eff,
        reference=reference,
        is_varying=is_varying,
    )


def _patch(result: ImageResult, matches: Matches) -> dict[str, float]:
    """Return the part of the field that differs most from the rest, as values of the calibration."""
    chosen = matches.take((matches.ref_f_int > 0) & (matches.f_int > 0) & (matches.ref_f_int_err >= 0))
    relative = (chosen.f_int_err / chosen.f_int) ** 2 + (chosen.ref_f_int_err / chosen.ref_f_int) ** 2
    patch = find_patch(chosen.u, chosen.v, np.log(chosen.f_int / chosen.ref_f_int), relative)
    if not math.isfinite(patch.snr):
        return {}
    region = result.metadata.sky_region(0)
    ra, dec = angles.move(region.centre_ra, region.centre_dec, patch.u, patch.v)
    return {"patch_gain": patch.gain, "patch_snr": patch.snr, "patch_ra": float(ra), "patch_dec": float(dec)}


def _flux_scale(
    state: DatasetState, key: LightCurveKey, matches: Matches, reference: str
) -> tuple[FluxScale, OwnGains | None]:
    """Measure the gain of an image, if the settings ask for it."""
    settings = state.config.calibration
    if settings.flux_scale == "off":
        return FluxScale(note='not measured (calibration.flux_scale = "off")'), None
    is_varying = state.calibrations.has_varying_gains(key)
    return solve_flux_scale(matches, settings, reference=reference, is_varying=is_varying)


def _first_positions(result: ImageResult, calibrators: Indices, solution: Astrometry) -> Astrometry:
    """Return the astrometry of the first image: no displacement, with the error of the mean of its own sources."""
    if not len(calibrators):
        return solution
    measured = result.measurements.take(calibrators)
    floor = 0.0 if result.metadata.beam is None else POSITION_FLOOR * result.metadata.beam.bmaj
    errors = [3600 * _error_of_mean(fit, floor) for fit in (measured.ew_fit_err, measured.ns_fit_err)]
    return replace(
        solution, shift_ew=0.0, shift_ns=0.0, shift_ew_err=errors[0], shift_ns_err=errors[1], note=FIRST_POSITIONS
    )


def _first_scale(result: ImageResult, calibrators: Indices, solution: FluxScale) -> FluxScale:
    """Return the flux scale of the first image of a band: a gain of 1, with an error."""
    if not len(calibrators):
        return solution
    measured = result.measurements.take(calibrators)
    error = _error_of_mean(measured.f_int_err / measured.f_int, FLUX_FLOOR)
    return replace(solution, gain=1.0, gain_err=error, note=FIRST_FLUXES)


def _error_of_mean(errors: Array, floor: float) -> float:
    """Return the error of a mean whose weights have the floor that later images have."""
    weights = 1 / (errors**2 + floor**2)
    return math.sqrt(float((weights**2 * errors**2).sum())) / float(weights.sum())


def _compactness(measured: Measurements) -> tuple[float, float]:
    """Return the median ratio of integrated flux density to highest pixel, and its error; NaN without calibrators.

    A source that is fitted with the shape of the beam has one number for both flux densities, but not for its pixels.
    """
    if not len(measured):
        return math.nan, math.nan
    ratio = measured.f_int / (measured.significance * measured.rms)
    # The standard error of a median is √(π/2) times that of a mean.
    spread = 1.4826 * float(np.median(np.abs(ratio - np.median(ratio))))
    return float(np.median(ratio)), math.sqrt(math.pi / 2 / len(ratio)) * spread


def _borrowed(twin: ImageResult | None) -> ImageCalibration:
    """Return the calibration of the Stokes I image of the same band and time for another Stokes parameter."""
    if twin is None:
        note = "no Stokes I image of this band in its timestep"
        return ImageCalibration(astrometry=Astrometry(note=note), flux_scale=FluxScale(note=note))
    # An offset of total intensity has no meaning in polarised intensity.
    scale = replace(twin.calibration.flux_scale, offset=0.0, offset_err=0.0)
    return ImageCalibration(astrometry=twin.calibration.astrometry, flux_scale=scale)


def _corrected(
    result: ImageResult, calibration: ImageCalibration, gains: OwnGains | None, state: DatasetState
) -> ImageResult:
    """Return an image with its calibration and corrected measurements."""
    corrected = calibration.correct(result.measurements, gains)
    return replace(result, calibration=calibration, measurements=_with_errors(corrected, calibration, state))


def _with_errors(measured: Measurements, calibration: ImageCalibration, state: DatasetState) -> Measurements:
    """Replace the assumed systematic position error of sources by the measured one, unless the settings have a number.

    Blended and resolved sources keep the assumed one too, as their positions depend on the model of their shape.
    """
    extraction, astrometry = state.config.source_extraction, calibration.astrometry
    columns = {}
    is_single = (measured.flags & int(Flag.BLENDED) == 0) & measured.is_measured
    rows = np.flatnonzero(is_single)
    is_single[rows] = compact_sources(measured.take(rows))
    for name in ("ew_sys_err", "ns_sys_err"):
        error = getattr(astrometry, name)
        if getattr(extraction, name) == "auto" and math.isfinite(error):
            assumed = getattr(measured, name)
            columns[name] = np.where(is_single, error, np.hypot(error, assumed))
    return measured.with_columns(**columns) if columns else measured
