"""The tables that flow between the stages, and the codes that stand in them.

Column names, codes and meanings follow TraP's database wherever it has them, so that what is in
memory, in the database and in an export is called the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.tables import ColumnTable, column

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "Association",
    "Associations",
    "ExtractType",
    "FitRequests",
    "FitType",
    "Flag",
    "Measurements",
    "MonitorPositions",
    "NewSources",
    "VarMetrics",
]


class ExtractType(IntEnum):
    """How a measurement came about (column ``extract_type``)."""

    BLIND = 0
    NULL_DETECTION = 1
    MONITORED = 2


class FitType(IntEnum):
    """What the numbers of a measurement are from (column ``fit_type``)."""

    MOMENTS = 0
    GAUSSIAN = 1


class Association(IntEnum):
    """How a measurement joined a catalogue entry (column ``assocxtrsource.type``)."""

    FORKED = 2
    ONE_TO_ONE = 3
    NEW_SOURCE = 4
    INHERITED = 6
    NULL_DETECTION = 7
    MONITOR_FIRST = 8
    MONITOR = 9
    PART = 10
    """First point of a part of a blend: a known entry is seen to be several."""
    BLEND = 11
    """First point of a blend: known entries are seen as one."""
    BACKWARD = 12
    """Forced fit in an image earlier than that in which the entry was found."""


class Flag(IntFlag):
    """What to know about a measurement before trusting it (column ``flags``)."""

    FIT_FAILED = 1
    """The Gaussian fit did not converge: the numbers are from moments, or missing (NaN) from a forced fit."""
    BLENDED = 2
    """Fitted together with other components of one island."""
    EDGE = 4
    """The island or the fitting box touches the edge of the measured area."""
    MASKED_PIXELS = 8
    """Pixels without a value lie within the island or the fitting box."""
    OUTSIDE = 16
    """The position lies outside the measured area: a forced fit has no flux (NaN), a blind one is not associated."""
    POINT_LIKE = 32
    """The shape was free, but is the restoring beam's as far as the noise lets one tell: that was fitted."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measurements(ColumnTable):
    """Sources measured in one image, blind or forced: one row each."""

    x: NDArray[np.float64] = column("f8", "pix", "Column of the centre; the centre of the first pixel is 0.")
    y: NDArray[np.float64] = column("f8", "pix", "Row of the centre; the centre of the first pixel is 0.")
    ra: NDArray[np.float64] = column("f8", "deg", "Right ascension, ICRS.")
    dec: NDArray[np.float64] = column("f8", "deg", "Declination, ICRS.")
    ew_fit_err: NDArray[np.float64] = column("f8", "deg", "1σ error of the fit along east-west, a true angle.")
    ns_fit_err: NDArray[np.float64] = column("f8", "deg", "1σ error of the fit along north-south.")
    ew_sys_err: NDArray[np.float64] = column("f8", "arcsec", "Systematic position error along east-west.", default=0.0)
    ns_sys_err: NDArray[np.float64] = column(
        "f8", "arcsec", "Systematic position error along north-south.", default=0.0
    )
    f_peak: NDArray[np.float64] = column("f8", "Jy/beam", "Peak flux density; NaN where it could not be measured.")
    f_peak_err: NDArray[np.float64] = column("f8", "Jy/beam", "1σ error of the peak flux density.")
    f_int: NDArray[np.float64] = column("f8", "Jy", "Integrated flux density; NaN where it could not be measured.")
    f_int_err: NDArray[np.float64] = column("f8", "Jy", "1σ error of the integrated flux density.")
    rms: NDArray[np.float64] = column("f8", "Jy/beam", "Local noise at the position.")
    significance: NDArray[np.float64] = column("f8", "", "Highest pixel of the island over the local noise there.")
    semimajor: NDArray[np.float64] = column("f8", "arcsec", "Fitted semi-major axis at half maximum.")
    semiminor: NDArray[np.float64] = column("f8", "arcsec", "Fitted semi-minor axis at half maximum.")
    pa: NDArray[np.float64] = column("f8", "deg", "Position angle of the major axis, north through east.")
    chisq: NDArray[np.float64] = column("f8", "", "Sum of squared residuals over the local noise.", default=np.nan)
    reduced_chisq: NDArray[np.float64] = column("f8", "", "The same per independent beam area.", default=np.nan)
    extract_type: NDArray[np.int16] = column("i2", "", "Code of :class:`ExtractType`.", default=0)
    fit_type: NDArray[np.int16] = column("i2", "", "Code of :class:`FitType`.", default=1)
    island: NDArray[np.int32] = column("i4", "", "Number of the island within its image; 0 for forced fits.", default=0)
    flags: NDArray[np.int32] = column("i4", "", "Bits of :class:`Flag`.", default=0)

    @property
    def uncertainty_ew(self) -> NDArray[np.float64]:
        """(n,) deg — total 1σ position error along east-west: fit and systematics in quadrature."""
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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MonitorPositions(ColumnTable):
    """Positions that the user wants measured in every image."""

    id: NDArray[np.int64] = column("i8", "", "Row of table ``monitor``; 0 before it is stored.", default=0)
    ra: NDArray[np.float64] = column("f8", "deg", "Right ascension, ICRS.")
    dec: NDArray[np.float64] = column("f8", "deg", "Declination, ICRS.")
    name: NDArray[Any] = column("U100", "", "Name for people; may be empty.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FitRequests(ColumnTable):
    """Positions of one image at which a forced fit is wanted."""

    ra: NDArray[np.float64] = column("f8", "deg", "Right ascension, ICRS.")
    dec: NDArray[np.float64] = column("f8", "deg", "Declination, ICRS.")
    kind: NDArray[np.int16] = column("i2", "", "Why: ``ExtractType.NULL_DETECTION`` or ``MONITORED``.")
    target: NDArray[np.int64] = column(
        "i8", "", "Row of the running catalogue (null detection), or of the monitored positions (monitored)."
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Associations(ColumnTable):
    """Measurements of one image joined to entries: the new points of the light curves."""

    entry: NDArray[np.int64] = column("i8", "", "Row of the running catalogue.")
    measurement: NDArray[np.int64] = column("i8", "", "Row of the image's measurements.")
    type: NDArray[np.int16] = column("i2", "", "Code of :class:`Association`.")
    de_ruiter_radius: NDArray[np.float64] = column("f8", "", "Distance in units of its error; 0 where not matched.")
    distance_arcsec: NDArray[np.float64] = column("f8", "arcsec", "Great-circle distance to the entry; 0 where new.")
    v_int: NDArray[np.float64] = column("f8", "", "V of the integrated flux density up to this point, in its band.")
    eta_int: NDArray[np.float64] = column("f8", "", "η of the integrated flux density up to this point, in its band.")
    f_datapoints: NDArray[np.int32] = column("i4", "", "Number of flux points up to this one, in its band.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NewSources(ColumnTable):
    """Transient candidates of one image: new entries that an earlier image should have shown."""

    entry: NDArray[np.int64] = column("i8", "", "Row of the running catalogue.")
    measurement: NDArray[np.int64] = column("i8", "", "Row of the measurement that triggered it.")
    newsource_type: NDArray[np.int16] = column("i2", "", "1 above the limit at the worst noise too (likely), else 0.")
    previous_limits_image: NDArray[np.int64] = column("i8", "", "Row of table ``image``: the best earlier look.")
    sigma_rms_min: NDArray[np.float64] = column(
        "f8", "", "Integrated flux density over the lowest noise of that image."
    )
    sigma_rms_max: NDArray[np.float64] = column(
        "f8", "", "Integrated flux density over the highest noise of that image."
    )
    sigma_local: NDArray[np.float64] = column(
        "f8", "", "Peak flux density over the best earlier noise at the position; NaN where that is not known."
    )
    n_looks: NDArray[np.int32] = column("i4", "", "Earlier images of the band that looked at the position.")
    significance: NDArray[np.float64] = column(
        "f8", "", "Of its being new, in sigma: against a steady source that all earlier looks missed."
    )
    upper_limit: NDArray[np.float64] = column(
        "f8", "Jy/beam", "Detection threshold times the best earlier noise at the position."
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VarMetrics(ColumnTable):
    """How each touched entry varies: one row per entry, from its brightest band of the latest timestep."""

    entry: NDArray[np.int64] = column("i8", "", "Row of the running catalogue.")
    band: NDArray[np.int64] = column("i8", "", "Number of the band among the survey's bands.")
    v_int: NDArray[np.float64] = column("f8", "", "V of the integrated flux density; NaN where its mean is zero.")
    eta_int: NDArray[np.float64] = column("f8", "", "η of the integrated flux density.")
    lightcurve_max: NDArray[np.float64] = column("f8", "Jy", "Highest integrated flux density, forced fits included.")
    lightcurve_avg: NDArray[np.float64] = column("f8", "Jy", "Mean integrated flux density, forced fits included.")
    lightcurve_wavg: NDArray[np.float64] = column("f8", "Jy", "The same, weighted by 1/σ².")
    f_datapoints: NDArray[np.int32] = column("i4", "", "Number of flux points, forced fits included.")
    v_peak: NDArray[np.float64] = column("f8", "", "V of the peak flux density.")
    eta_peak: NDArray[np.float64] = column("f8", "", "η of the peak flux density.")
    eta_p_value: NDArray[np.float64] = column(
        "f8", "", "Probability of so high an η_int if the source is constant; NaN for one point."
    )
    modulation: NDArray[np.float64] = column(
        "f8", "", "Relative scatter of the integrated flux density beyond its errors; NaN for one point."
    )
    modulation_err: NDArray[np.float64] = column("f8", "", "Its 1σ error.")
    vs_max: NDArray[np.float64] = column("f8", "", "Largest step from the mean before, over its error; signed.")
    m_max: NDArray[np.float64] = column("f8", "", "That step over the mean of before and after.")
    spectral_index: NDArray[np.float64] = column(
        "f8", "", "α of S ∝ ν^α through the weighted means of all bands; NaN for one band."
    )
    spectral_index_err: NDArray[np.float64] = column("f8", "", "Its 1σ error.")
