"""The calibration of one image: what was measured, what was applied, and why not."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from trap import angles
from trap.calibration.displacement import NO_DISPLACEMENT, Displacement, PositionModel
from trap.catalogues import ExtractType

if TYPE_CHECKING:
    from trap.catalogues import FitRequests, Measurements
    from trap.typing import Array, Indices

__all__ = ["CATALOGUE", "UNCALIBRATED", "Astrometry", "FluxScale", "ImageCalibration", "OwnGains"]

CATALOGUE = "running catalogue"
"""Name of the internal reference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Astrometry:
    """Positions of an image against a reference. Displacements are those of the image from the reference.

    Parameters
    ----------
    reference
        Name of the reference; empty if none was used.
    n_matches
        Number of matched calibrators.
    model
        Simplest model that explains the displacements; "none" if no displacement is significant.
    is_applied
        Whether positions were corrected by the model.
    shift_ew, shift_ns, shift_ew_err, shift_ns_err
        arcsec — mean displacement of the calibrators, with its 1σ error; NaN if it was not measured.
    scatter_before, scatter
        arcsec — root mean square displacement of a calibrator along one axis, before the correction and after it; the
        second is cross-validated: each calibrator is predicted from the others. NaN if it was not measured.
    ew_sys_err, ns_sys_err
        arcsec — systematic position error that the model leaves beyond the errors of fits; NaN if it was not measured.
    note
        Reason why nothing was measured or applied; empty if positions were corrected.
    displacement
        The model, zero if nothing was applied.
    """

    reference: str = ""
    n_matches: int = 0
    model: PositionModel = "none"
    is_applied: bool = False
    shift_ew: float = math.nan
    shift_ns: float = math.nan
    shift_ew_err: float = math.nan
    shift_ns_err: float = math.nan
    scatter_before: float = math.nan
    scatter: float = math.nan
    ew_sys_err: float = math.nan
    ns_sys_err: float = math.nan
    note: str = ""
    displacement: Displacement = NO_DISPLACEMENT


@dataclass(frozen=True, slots=True, kw_only=True)
class FluxScale:
    """Flux scale of an image against a reference: flux density = gain · reference + offset.

    Parameters
    ----------
    reference
        Name of the reference; empty if none was used.
    n_matches
        Number of matched calibrators.
    is_applied
        Whether flux densities were corrected.
    gain, gain_err
        Gain and its 1σ error, from the noise of this image and the scatter of the calibrators; NaN if it was not
        measured.
    offset, offset_err
        Jy — offset and its 1σ error; 0 if it was not fitted.
    scatter
        Relative scatter of the calibrators beyond their errors; NaN if it was not measured.
    note
        Reason why nothing was measured or applied; empty if flux densities were corrected.
    """

    reference: str = ""
    n_matches: int = 0
    is_applied: bool = False
    gain: float = math.nan
    gain_err: float = math.nan
    offset: float = 0.0
    offset_err: float = 0.0
    scatter: float = math.nan
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageCalibration:
    """Calibration of one image.

    Parameters
    ----------
    n_calibrators
        Number of bright, compact and isolated sources of the image.
    astrometry, flux_scale
        Positions and flux scale.
    compactness, compactness_err
        Median ratio of the integrated flux density of these sources to their highest pixel, and its 1σ error; NaN
        without sources. The peak of a fit with the shape of the beam would follow the integrated flux density.
    patch_gain, patch_snr
        Largest relative brightening of a part of the field against the rest, and its significance in σ; NaN if it was
        not measured.
    patch_ra, patch_dec
        deg — centre of that part.
    """

    n_calibrators: int = 0
    astrometry: Astrometry = field(default_factory=Astrometry)
    flux_scale: FluxScale = field(default_factory=FluxScale)
    compactness: float = math.nan
    compactness_err: float = math.nan
    patch_gain: float = math.nan
    patch_snr: float = math.nan
    patch_ra: float = math.nan
    patch_dec: float = math.nan

    @property
    def applied_gain(self) -> float:
        """Gain that flux densities are divided by; 1 if no correction is applied."""
        return self.flux_scale.gain if self.flux_scale.is_applied else 1.0

    def correct(self, measured: Measurements, own: OwnGains | None = None) -> Measurements:
        """Correct measurements of the image, and keep the uncorrected values.

        Parameters
        ----------
        measured
            (n,) — measurements with positions and flux densities as the image shows them.
        own
            Gains of the calibrators among them; None for no calibrators. All others have the gain of the image.

        Returns
        -------
        (n,) — the same measurements; columns ``…_raw`` stay NaN where nothing changed.
        """
        columns: dict[str, Array] = {}
        if self.astrometry.is_applied:
            ra, dec = self.astrometry.displacement.correct(measured.ra, measured.dec)
            columns |= {"ra": ra, "dec": dec, "ra_raw": measured.ra, "dec_raw": measured.dec}
        if self.flux_scale.is_applied:
            columns |= self._scaled(measured, own)
        return measured.with_columns(**columns) if columns else measured

    def _scaled(self, measured: Measurements, own: OwnGains | None) -> dict[str, Array]:
        """Return the flux columns of measurements on the scale of the reference."""
        scale = self.flux_scale
        gain, gain_err = np.full(len(measured), scale.gain), np.full(len(measured), scale.gain_err)
        if own is not None:
            gain[own.rows], gain_err[own.rows] = own.gain, own.gain_err
        relative_err = gain_err / gain
        return {
            "f_peak": (measured.f_peak - scale.offset) / gain,
            "f_int": (measured.f_int - scale.offset) / gain,
            "f_peak_err": measured.f_peak_err / gain,
            "f_int_err": measured.f_int_err / gain,
            "rms": measured.rms / scale.gain,
            "f_peak_raw": measured.f_peak,
            "f_int_raw": measured.f_int,
            "gain_err": relative_err,
        }

    def as_in_image(self, measured: Measurements) -> Measurements:
        """Return corrected measurements with positions and flux densities as the image shows them.

        Parameters
        ----------
        measured
            (n,) — measurements that :meth:`correct` returned.
        """
        columns: dict[str, Array] = {}
        if self.astrometry.is_applied:
            columns |= {"ra": measured.ra_raw, "dec": measured.dec_raw}
        if self.flux_scale.is_applied:
            gain = self.flux_scale.gain
            columns |= {"f_peak": measured.f_peak_raw, "f_int": measured.f_int_raw}
            columns |= {name: getattr(measured, name) * gain for name in ("f_peak_err", "f_int_err", "rms")}
        return measured.with_columns(**columns) if columns else measured

    def requests_in_image(self, requests: FitRequests, mean_shift: tuple[float, float] = (0.0, 0.0)) -> FitRequests:
        """Return requests of forced fits with the positions where the image shows the sources.

        Parameters
        ----------
        requests
            Requests with positions of the catalogue, and with monitored positions on the true sky.
        mean_shift
            arcsec — mean displacement of the images from the catalogue, to the east and to the north. A position on the
            true sky is displaced by its negative in the catalogue.
        """
        if not self.astrometry.is_applied:
            return requests
        is_on_sky = (requests.kind == int(ExtractType.MONITORED)) & (self.astrometry.reference == CATALOGUE)
        east, north = (np.where(is_on_sky, -shift / 3600, 0.0) for shift in mean_shift)
        ra, dec = angles.move(requests.ra, requests.dec, east, north)
        ra, dec = self.astrometry.displacement.to_image(ra, dec)
        return requests.with_columns(ra=ra, dec=dec)

    def correct_fits(self, fits: Measurements, requests: FitRequests) -> Measurements:
        """Correct forced fits; their positions are the requested ones.

        Parameters
        ----------
        fits
            (n,) — fits at the positions of :meth:`requests_in_image`.
        requests
            (n,) — the requests before their conversion.
        """
        corrected = self.correct(fits)
        return corrected.with_columns(ra=requests.ra, dec=requests.dec) if self.astrometry.is_applied else corrected


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnGains:
    """Gains of calibrators from all other calibrators, so that no source takes part in its own correction.

    Parameters
    ----------
    rows
        (n,) — rows of the calibrators among the measurements.
    gain, gain_err
        (n,) — gain of the image without the calibrator, and its 1σ error.
    """

    rows: Indices
    gain: Array
    gain_err: Array


UNCALIBRATED = ImageCalibration()
"""The calibration of an image that nothing is known about."""
