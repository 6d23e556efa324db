"""Tables that the stages pass to each other.

Names, codes and meanings of the columns follow TraP's database where it has them, so that a column
has the same name in memory, in the database and in an exported file. The sentences here are read in
``docs/reference/database.md`` and in VOTables.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.codes import UNSOUND, AssociationType, ExtractType, FitType, Flag, Grade, codes_text
from trap.config import stokes_letter
from trap.signs import Signs
from trap.tables import ColumnTable, column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.typing import Columns

__all__ = [
    "UNSOUND",
    "VARIABLE_P",
    "AssociationType",
    "Associations",
    "ExtractType",
    "FitRequests",
    "FitType",
    "Flag",
    "Grade",
    "Measurements",
    "MonitorPositions",
    "NewSources",
    "RegionLinks",
    "VarMetrics",
    "with_stokes_letters",
]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measurements(ColumnTable):
    """Sources measured in one image, blind or forced, one per row."""

    x: NDArray[np.float64] = column(
        "f8", "pix", "Column of the centre; the centre of the first pixel is 0.", ucd="pos.cartesian.x;instr.pixel"
    )
    y: NDArray[np.float64] = column(
        "f8", "pix", "Row of the centre; the centre of the first pixel is 0.", ucd="pos.cartesian.y;instr.pixel"
    )
    ra: NDArray[np.float64] = column("f8", "deg", "Right ascension, ICRS.", ucd="pos.eq.ra;meta.main")
    dec: NDArray[np.float64] = column("f8", "deg", "Declination, ICRS.", ucd="pos.eq.dec;meta.main")
    ew_fit_err: NDArray[np.float64] = column(
        "f8", "deg", "1σ error of the fit along east-west, a true angle.", ucd="stat.error;pos.eq.ra"
    )
    ns_fit_err: NDArray[np.float64] = column(
        "f8", "deg", "1σ error of the fit along north-south.", ucd="stat.error;pos.eq.dec"
    )
    ew_sys_err: NDArray[np.float64] = column(
        "f8", "arcsec", "Systematic position error along east-west.", default=0.0, ucd="stat.error.sys;pos.eq.ra"
    )
    ns_sys_err: NDArray[np.float64] = column(
        "f8", "arcsec", "Systematic position error along north-south.", default=0.0, ucd="stat.error.sys;pos.eq.dec"
    )
    f_peak: NDArray[np.float64] = column(
        "f8",
        "Jy/beam",
        "Peak flux density; NaN if it could not be measured.",
        ucd="phot.flux.density;stat.max;em.radio",
    )
    f_peak_err: NDArray[np.float64] = column(
        "f8", "Jy/beam", "1σ error of the peak flux density.", ucd="stat.error;phot.flux.density;em.radio"
    )
    f_int: NDArray[np.float64] = column(
        "f8", "Jy", "Integrated flux density; NaN if it could not be measured.", ucd="phot.flux.density;em.radio"
    )
    f_int_err: NDArray[np.float64] = column(
        "f8", "Jy", "1σ error of the integrated flux density.", ucd="stat.error;phot.flux.density;em.radio"
    )
    rms: NDArray[np.float64] = column(
        "f8", "Jy/beam", "Local noise at the position.", ucd="instr.background;stat.stdev"
    )
    significance: NDArray[np.float64] = column(
        "f8",
        "",
        "Highest ratio of pixel value to local noise in the component; for forced fits, peak over local noise.",
        ucd="stat.snr",
    )
    semimajor: NDArray[np.float64] = column(
        "f8", "arcsec", "Fitted semi-major axis at half maximum.", ucd="phys.angSize.smajAxis"
    )
    semiminor: NDArray[np.float64] = column(
        "f8", "arcsec", "Fitted semi-minor axis at half maximum.", ucd="phys.angSize.sminAxis"
    )
    pa: NDArray[np.float64] = column(
        "f8", "deg", "Position angle of the major axis, north through east.", ucd="pos.posAng"
    )
    chisq: NDArray[np.float64] = column(
        "f8",
        "",
        "Sum of (residual / local noise)² over the pixels of the component, or of the box of a forced fit.",
        default=np.nan,
        ucd="stat.fit.chi2",
    )
    reduced_chisq: NDArray[np.float64] = column(
        "f8",
        "",
        "chisq divided by the number of beam areas that these pixels cover.",
        default=np.nan,
        ucd="stat.fit.goodness",
    )
    extract_type: NDArray[np.int16] = column("i2", "", f"Origin: {codes_text(ExtractType)}.", default=0)
    fit_type: NDArray[np.int16] = column("i2", "", f"Method: {codes_text(FitType)}.", default=1)
    island: NDArray[np.int32] = column("i4", "", "Number of the island within its image; 0 for forced fits.", default=0)
    flags: NDArray[np.int32] = column(
        "i4", "", f"Sum of warnings: {codes_text(Flag)}.", default=0, ucd="meta.code.qual"
    )
    ra_raw: NDArray[np.float64] = column(
        "f8", "deg", "Right ascension before calibration.", default=np.nan, ucd="pos.eq.ra"
    )
    dec_raw: NDArray[np.float64] = column(
        "f8", "deg", "Declination before calibration.", default=np.nan, ucd="pos.eq.dec"
    )
    f_peak_raw: NDArray[np.float64] = column(
        "f8",
        "Jy/beam",
        "Peak flux density before calibration.",
        default=np.nan,
        ucd="phot.flux.density;stat.max;em.radio",
    )
    f_int_raw: NDArray[np.float64] = column(
        "f8", "Jy", "Integrated flux density before calibration.", default=np.nan, ucd="phot.flux.density;em.radio"
    )
    gain_err: NDArray[np.float64] = column(
        "f8",
        "",
        "1σ relative error of the gain, common to the sources of the image.",
        default=0.0,
        ucd="stat.error;arith.ratio",
    )

    @property
    def uncertainty_ew(self) -> NDArray[np.float64]:
        """(n,) deg — total 1σ position error along east-west: fit and systematic error in quadrature."""
        total: NDArray[np.float64] = np.hypot(self.ew_fit_err, self.ew_sys_err / 3600.0)
        return total

    @property
    def uncertainty_ns(self) -> NDArray[np.float64]:
        """(n,) deg — total 1σ position error along north-south."""
        total: NDArray[np.float64] = np.hypot(self.ns_fit_err, self.ns_sys_err / 3600.0)
        return total

    @property
    def error_radius(self) -> NDArray[np.float64]:
        """(n,) arcsec — distance of a corner of the 1σ box of the fit, as TraP defines it."""
        corner: NDArray[np.float64] = np.hypot(self.ew_fit_err, self.ns_fit_err) * 3600.0
        return corner

    @property
    def is_measured(self) -> NDArray[np.bool_]:
        """(n,) — rows with finite flux densities and finite, positive errors."""
        errors = (self.f_peak_err, self.f_int_err, self.uncertainty_ew, self.uncertainty_ns)
        usable: NDArray[np.bool_] = np.isfinite(self.f_peak) & np.isfinite(self.f_int)
        for error in errors:
            usable &= np.isfinite(error) & (error > 0)
        return usable

    @property
    def is_sound(self) -> NDArray[np.bool_]:
        """(n,) — measured rows of whole sources with a fit: none of :data:`UNSOUND` is flagged."""
        sound: NDArray[np.bool_] = self.is_measured & (self.flags & int(UNSOUND) == 0)
        return sound


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MonitorPositions(ColumnTable):
    """Positions that are measured in every image at the user's request."""

    id: NDArray[np.int64] = column("i8", "", "Row of table monitor; 0 before it is stored.", default=0)
    ra: NDArray[np.float64] = column("f8", "deg", "Right ascension, ICRS.", ucd="pos.eq.ra;meta.main")
    dec: NDArray[np.float64] = column("f8", "deg", "Declination, ICRS.", ucd="pos.eq.dec;meta.main")
    name: NDArray[Any] = column("U100", "", "Name for people; may be empty.", ucd="meta.id")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FitRequests(ColumnTable):
    """Positions of forced fits in one image."""

    ra: NDArray[np.float64] = column("f8", "deg", "Right ascension, ICRS.")
    dec: NDArray[np.float64] = column("f8", "deg", "Declination, ICRS.")
    kind: NDArray[np.int16] = column(
        "i2",
        "",
        f"Reason: {int(ExtractType.NULL_DETECTION)} null detection, {int(ExtractType.MONITORED)} monitored, "
        f"{int(ExtractType.JOINT)} member of a crowded group.",
    )
    target: NDArray[np.int64] = column(
        "i8",
        "",
        "Row of the running catalogue, or of the monitored positions (monitored); -1 for a component that is no entry.",
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Associations(ColumnTable):
    """Measurements of one image joined to entries: the new points of the light curves."""

    entry: NDArray[np.int64] = column("i8", "", "Row of the running catalogue.")
    measurement: NDArray[np.int64] = column("i8", "", "Row of the image's measurements.")
    type: NDArray[np.int16] = column("i2", "", f"Type of association: {codes_text(AssociationType)}.")
    de_ruiter_radius: NDArray[np.float64] = column(
        "f8", "", "De Ruiter radius: distance_arcsec in units of its error; 0 if not matched by position."
    )
    distance_arcsec: NDArray[np.float64] = column(
        "f8", "arcsec", "Distance from the entry's position before this point; 0 if not matched by position."
    )
    v_int: NDArray[np.float64] = column(
        "f8", "", "V of the integrated flux density in this band up to this point; NaN if the mean is zero."
    )
    eta_int: NDArray[np.float64] = column("f8", "", "η of the integrated flux density in this band up to this point.")
    f_datapoints: NDArray[np.int32] = column("i4", "", "Number of flux points in this band up to this one.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NewSources(Signs):
    """Transient candidates of one image, with their signs: new entries that an earlier image should have shown."""

    entry: NDArray[np.int64] = column("i8", "", "Row of the running catalogue.")
    measurement: NDArray[np.int64] = column("i8", "", "Row of the measurement that triggered the candidate.")
    newsource_type: NDArray[np.int16] = column(
        "i2", "", "1 if the peak exceeds the limit of the earlier image at its highest noise too, else 0, as in TraP."
    )
    previous_limits_image: NDArray[np.int64] = column(
        "i8", "", "Row of table image: the most sensitive earlier image of the position."
    )
    sigma_rms_min: NDArray[np.float64] = column(
        "f8", "", "Absolute integrated flux density of the candidate over the lowest noise of the earlier image."
    )
    sigma_rms_max: NDArray[np.float64] = column(
        "f8", "", "Absolute integrated flux density of the candidate over the highest noise of the earlier image."
    )
    sigma_local: NDArray[np.float64] = column(
        "f8",
        "",
        "Absolute peak flux density of the candidate over the lowest earlier noise at its position; NaN if unknown.",
    )
    n_looks: NDArray[np.int32] = column("i4", "", "Number of earlier images of the band that cover the position.")
    n_measured: NDArray[np.int32] = column(
        "i4", "", "Number of earlier images measured at the position; 0 if newness is inferred from looks.", default=0
    )
    newness: NDArray[np.float64] = column(
        "f8", "", "Significance in σ of the source being new, against a steady source that all earlier images missed."
    )
    upper_limit: NDArray[np.float64] = column(
        "f8", "Jy/beam", "Detection threshold times the lowest earlier noise at the position; NaN if that is unknown."
    )
    noise_peaks: NDArray[np.float64] = column(
        "f8", "", "Number of noise peaks as high that were to be expected in all images of its band up to its own."
    )
    grade: NDArray[np.int16] = column("i2", "", f"Grade, by noise_peaks: {codes_text(Grade)}.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RegionLinks(ColumnTable):
    """Links between entries and sky regions that became known in a timestep."""

    entry: NDArray[np.int64] = column("i8", "", "Row of the running catalogue.")
    region: NDArray[np.int64] = column("i8", "", "Number of the sky region that the entry lies in.")
    distance: NDArray[np.float64] = column(
        "f8", "deg", "Distance of the entry from the region's centre; NaN for the region of first detection."
    )


VARIABLE_P = 1e-4
"""Probability of η below which a light curve counts as variable, unless a query chooses another one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VarMetrics(ColumnTable):
    """Variability of every entry with a new point: one row per entry, for its brightest band and Stokes parameter.

    Of the images of the latest timestep, the one with the brightest point of the entry sets both.
    :func:`trap.variability.metrics.light_curve_metrics` computes the metrics of single light curves; the
    database has a column for each column of this table.
    """

    entry: NDArray[np.int64] = column("i8", "", "Row of the running catalogue.")
    band: NDArray[np.int64] = column("i8", "", "Number of the band among the bands of the dataset.")
    stokes: NDArray[np.int16] = column("i2", "", "Stokes parameter of all metrics in this row, as numbered in FITS.")
    v_int: NDArray[np.float64] = column(
        "f8",
        "",
        "V of the integrated flux density, its standard deviation over its mean; NaN if the mean is zero.",
        ucd="stat.stdev;arith.ratio;phot.flux.density",
    )
    eta_int: NDArray[np.float64] = column(
        "f8",
        "",
        "η of the integrated flux density, the reduced χ² of a constant source.",
        ucd="stat.fit.goodness;phot.flux.density",
    )
    lightcurve_max: NDArray[np.float64] = column(
        "f8", "Jy", "Highest integrated flux density, forced fits included.", ucd="phot.flux.density;stat.max;em.radio"
    )
    lightcurve_avg: NDArray[np.float64] = column(
        "f8", "Jy", "Mean integrated flux density, forced fits included.", ucd="phot.flux.density;stat.mean;em.radio"
    )
    lightcurve_wavg: NDArray[np.float64] = column(
        "f8",
        "Jy",
        "Mean integrated flux density weighted by 1/σ², forced fits included.",
        ucd="phot.flux.density;stat.mean;em.radio",
    )
    f_datapoints: NDArray[np.int32] = column(
        "i4", "", "Number of flux points in the band, forced fits included.", ucd="meta.number"
    )
    v_peak: NDArray[np.float64] = column(
        "f8", "", "V of the peak flux density; NaN if its mean is zero.", ucd="stat.stdev;arith.ratio;phot.flux.density"
    )
    eta_peak: NDArray[np.float64] = column(
        "f8", "", "η of the peak flux density.", ucd="stat.fit.goodness;phot.flux.density"
    )
    eta_p_value: NDArray[np.float64] = column(
        "f8",
        "",
        "Probability of an η_int at least as high if the source is constant; NaN for one point. Errors that"
        " neighbouring epochs share lower its degrees of freedom.",
        ucd="stat.probability",
    )
    modulation: NDArray[np.float64] = column(
        "f8",
        "",
        "Relative scatter of the integrated flux density beyond its errors; NaN for one point, or without a mean.",
        ucd="src.var.amplitude",
    )
    modulation_err: NDArray[np.float64] = column(
        "f8", "", "1σ error of modulation.", ucd="stat.error;src.var.amplitude"
    )
    vs_max: NDArray[np.float64] = column(
        "f8",
        "",
        "Largest step of the integrated flux density from the mean before it, over the error of the step; signed.",
    )
    m_max: NDArray[np.float64] = column(
        "f8",
        "",
        "The step of vs_max over the average of the new flux density and the mean before it; NaN if that is zero.",
    )
    spectral_index: NDArray[np.float64] = column(
        "f8",
        "",
        "α of S ∝ ν^α, fitted to the weighted mean flux densities of all bands; NaN for one band.",
        ucd="spect.index",
    )
    spectral_index_err: NDArray[np.float64] = column(
        "f8", "", "1σ error of spectral_index.", ucd="stat.error;spect.index"
    )


def with_stokes_letters(columns: Columns) -> dict[str, NDArray[Any]]:
    """Convert the numbers of Stokes parameters to letters, for people and exports.

    Parameters
    ----------
    columns
        (n,) values by name. The columns ``stokes`` and ``metric_stokes`` have numbers of FITS; a missing one becomes
        empty text.
    """
    return {
        name: np.array(["" if code is None else stokes_letter(code) for code in values.tolist()], str)
        if name in ("stokes", "metric_stokes")
        else values
        for name, values in columns.items()
    }
