"""Tables of the sources: measurements, the running catalogue, light curves, candidates, variability."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from trap.db.models.base import IDENTIFIER, Base, described, identifier, reference

__all__ = [
    "AssocSkyRegion",
    "AssocXtrSource",
    "ExtractedSource",
    "Lineage",
    "Monitor",
    "NewSource",
    "RunningCatalog",
    "RunningCatalogFlux",
    "VarMetric",
]


class ExtractedSource(Base):
    """A source measured in one image, blind or forced."""

    # Every index is paid for with every measurement. TraP has eight; positions are searched by declination.
    __tablename__ = "extractedsource"
    __table_args__ = (
        Index(None, "decl"),
        *(
            Index(None, name, sqlite_where=text(f"{name} IS NOT NULL"), postgresql_where=text(f"{name} IS NOT NULL"))
            for name in ("ff_runcat", "ff_monitor")
        ),
    )
    id: Mapped[int] = identifier()
    image: Mapped[int] = reference("image", "In which image.")
    ff_runcat: Mapped[int | None] = reference(
        "runningcatalog", "Entry that a null detection was fitted for.", on_delete="SET NULL", index=False
    )
    ff_monitor: Mapped[int | None] = reference(
        "monitor", "Monitored position that was fitted.", on_delete="SET NULL", index=False
    )
    zone: Mapped[int] = described("Whole degrees of declination, rounded down.")
    ra: Mapped[float] = described("Right ascension, ICRS.", "deg")
    decl: Mapped[float] = described("Declination, ICRS.", "deg")
    uncertainty_ew: Mapped[float | None] = described(
        "Position error along east-west, a true angle, as associated.", "deg"
    )
    uncertainty_ns: Mapped[float | None] = described("Position error along north-south, as associated.", "deg")
    ra_err: Mapped[float | None] = described("Error of the right ascension, a difference of coordinates.", "deg")
    decl_err: Mapped[float | None] = described("Error of the declination.", "deg")
    ra_fit_err: Mapped[float | None] = described("The same without systematic errors.", "deg")
    decl_fit_err: Mapped[float | None] = described("The same without systematic errors.", "deg")
    ew_sys_err: Mapped[float] = described("Systematic position error along east-west.", "arcsec")
    ns_sys_err: Mapped[float] = described("Systematic position error along north-south.", "arcsec")
    error_radius: Mapped[float | None] = described("Distance of a corner of the box of fit errors.", "arcsec")
    x: Mapped[float] = described("Unit vector: cos δ cos α.")
    y: Mapped[float] = described("Unit vector: cos δ sin α.")
    z: Mapped[float] = described("Unit vector: sin δ.")
    racosdecl: Mapped[float] = described("α cos δ.", "deg")
    margin: Mapped[bool] = described("Not used; kept from TraP.", default=False)
    det_sigma: Mapped[float | None] = described("Highest pixel over the local noise there.")
    semimajor: Mapped[float | None] = described("Fitted semi-major axis at half maximum.", "arcsec")
    semiminor: Mapped[float | None] = described("Fitted semi-minor axis at half maximum.", "arcsec")
    pa: Mapped[float | None] = described("Position angle of the major axis, north through east.", "deg")
    f_peak: Mapped[float | None] = described("Peak flux density.", "Jy/beam")
    f_peak_err: Mapped[float | None] = described("Its 1σ error.", "Jy/beam")
    f_int: Mapped[float | None] = described("Integrated flux density.", "Jy")
    f_int_err: Mapped[float | None] = described("Its 1σ error.", "Jy")
    chisq: Mapped[float | None] = described("Sum of squared residuals over the local noise.")
    reduced_chisq: Mapped[float | None] = described("The same per independent beam area.")
    extract_type: Mapped[int] = described("0 blind, 1 null detection, 2 monitored.")
    fit_type: Mapped[int] = described("0 moments, 1 Gaussian fit.")
    x_pix: Mapped[float | None] = described("Column of the centre; the centre of the first pixel is 0.", "pix")
    y_pix: Mapped[float | None] = described("Row of the centre; the centre of the first pixel is 0.", "pix")
    rms: Mapped[float | None] = described("Local noise.", "Jy/beam")
    island: Mapped[int] = described("Number of the island within the image; 0 for forced fits.", default=0)
    flags: Mapped[int] = described("Bits of trap.catalogues.Flag.", default=0)


class RunningCatalog(Base):
    """An entry of the running catalogue: what all measurements of one source say together."""

    __tablename__ = "runningcatalog"
    __table_args__ = (Index(None, "dataset", "wm_decl"),)
    id: Mapped[int] = identifier()
    xtrsrc: Mapped[int] = reference(
        "extractedsource", "First measurement, or that which forked the entry.", unique=True
    )
    dataset: Mapped[int] = reference("dataset", "Whose catalogue.", index=False)
    datapoints: Mapped[int] = described("Positions averaged, of all bands; null detections do not count.")
    zone: Mapped[int] = described("Whole degrees of declination, rounded down.")
    wm_ra: Mapped[float] = described("Right ascension, mean weighted by 1/σ².", "deg")
    wm_decl: Mapped[float] = described("Declination, mean weighted by 1/σ².", "deg")
    wm_uncertainty_ew: Mapped[float] = described("Error of the mean along east-west, a true angle.", "deg")
    wm_uncertainty_ns: Mapped[float] = described("Error of the mean along north-south.", "deg")
    avg_ra_err: Mapped[float] = described("Mean position error along east-west.", "deg")
    avg_decl_err: Mapped[float] = described("Mean position error along north-south.", "deg")
    avg_wra: Mapped[float] = described("Weighted mean of the right ascension times the mean weight.", "deg-1")
    avg_wdecl: Mapped[float] = described("Weighted mean of the declination times the mean weight.", "deg-1")
    avg_weight_ra: Mapped[float] = described("Mean of 1/σ² along east-west.", "deg-2")
    avg_weight_decl: Mapped[float] = described("Mean of 1/σ² along north-south.", "deg-2")
    x: Mapped[float] = described("Unit vector of the mean: cos δ cos α.")
    y: Mapped[float] = described("Unit vector of the mean: cos δ sin α.")
    z: Mapped[float] = described("Unit vector of the mean: sin δ.")
    inactive: Mapped[bool] = described("Not used; kept from TraP.", default=False)
    mon_src: Mapped[bool] = described("Whether it is a monitored position.", default=False)
    forcedfits_count: Mapped[int] = described("Forced fits since the last blind detection.", default=0)
    weight_ew: Mapped[float] = described("Sum of 1/σ² along east-west, exactly as in memory.", "deg-2")
    weight_ns: Mapped[float] = described("Sum of 1/σ² along north-south, exactly as in memory.", "deg-2")
    first_seen: Mapped[datetime] = described("Start of the image of measurement xtrsrc.")
    parent: Mapped[int | None] = described("Entry that this one was forked from, which is deleted then.")
    blend: Mapped[int | None] = mapped_column(IDENTIFIER, doc="Entry of the blend that it is a part of.")
    is_blend: Mapped[bool] = described("Whether it is the blend of other entries.", default=False)


class RunningCatalogFlux(Base):
    """Flux density statistics of an entry in one band and Stokes parameter.

    ``m2``, ``wsum``, ``wmean`` and ``wm2`` are the streamed sums from which V and η follow without
    cancellation; TraP's averages, which are made of them, are there to be read.
    """

    __tablename__ = "runningcatalog_flux"
    __table_args__ = (UniqueConstraint("runcat", "band", "stokes"),)
    id: Mapped[int] = identifier()
    runcat: Mapped[int] = reference("runningcatalog", "Which entry.", index=False)
    band: Mapped[int] = reference("frequencyband", "Which band.", index=False)
    stokes: Mapped[int] = described("Stokes parameter as FITS numbers it.", default=1)
    f_datapoints: Mapped[int] = described("Number of points, null detections included.")
    avg_f_peak: Mapped[float] = described("Mean peak flux density I.", "Jy/beam")
    avg_f_peak_sq: Mapped[float] = described("Mean of I².", "Jy2/beam2")
    avg_f_peak_weight: Mapped[float] = described("Mean weight w = 1/σ².", "beam2/Jy2")
    avg_weighted_f_peak: Mapped[float] = described("Mean of wI.", "beam/Jy")
    avg_weighted_f_peak_sq: Mapped[float] = described("Mean of wI².")
    avg_f_int: Mapped[float] = described("Mean integrated flux density I.", "Jy")
    avg_f_int_sq: Mapped[float] = described("Mean of I².", "Jy2")
    avg_f_int_weight: Mapped[float] = described("Mean weight w = 1/σ².", "Jy-2")
    avg_weighted_f_int: Mapped[float] = described("Mean of wI.", "Jy-1")
    avg_weighted_f_int_sq: Mapped[float] = described("Mean of wI².")
    m2_f_peak: Mapped[float] = described("Sum of squared deviations from the mean, peak.", "Jy2/beam2")
    wsum_f_peak: Mapped[float] = described("Sum of the weights, peak.", "beam2/Jy2")
    wmean_f_peak: Mapped[float] = described("Weighted mean, peak.", "Jy/beam")
    wm2_f_peak: Mapped[float] = described("Weighted sum of squared deviations from it, peak.")
    m2_f_int: Mapped[float] = described("Sum of squared deviations from the mean, integrated.", "Jy2")
    wsum_f_int: Mapped[float] = described("Sum of the weights, integrated.", "Jy-2")
    wmean_f_int: Mapped[float] = described("Weighted mean, integrated.", "Jy")
    wm2_f_int: Mapped[float] = described("Weighted sum of squared deviations from it, integrated.")
    max_f_int: Mapped[float] = described("Highest integrated flux density.", "Jy")
    err2_f_int: Mapped[float] = described("Sum of squared errors, integrated.", "Jy2", default=0)
    vs_f_int: Mapped[float] = described("Largest step from the mean before, over its error; signed.", default=0)
    m_f_int: Mapped[float] = described("That step over the mean of before and after.", default=0)


class AssocXtrSource(Base):
    """A point of a light curve: a measurement that belongs to an entry."""

    __tablename__ = "assocxtrsource"
    # A light curve's points come one by one and lie far apart: found in the index, their rows need not be read.
    __table_args__ = (
        UniqueConstraint("runcat", "xtrsrc", postgresql_include=["type", "v_int", "eta_int", "f_datapoints"]),
    )
    id: Mapped[int] = identifier()
    runcat: Mapped[int] = reference("runningcatalog", "Which entry.", index=False)
    xtrsrc: Mapped[int] = reference("extractedsource", "Which measurement.")
    type: Mapped[int] = described("How it was joined: a code of trap.catalogues.Association.")
    distance_arcsec: Mapped[float | None] = described("Distance from the entry before this point.", "arcsec")
    r: Mapped[float | None] = described("De Ruiter radius: that distance in units of its error.")
    loglr: Mapped[float | None] = described("Not used; kept from TraP.")
    v_int: Mapped[float | None] = described("V of the light curve in this band up to this point.")
    eta_int: Mapped[float | None] = described("η of the light curve in this band up to this point.")
    f_datapoints: Mapped[int] = described("Number of points in this band up to this one.")


class AssocSkyRegion(Base):
    """An entry that lies in a sky region."""

    __tablename__ = "assocskyrgn"
    __table_args__ = (UniqueConstraint("runcat", "skyrgn"),)
    id: Mapped[int] = identifier()
    runcat: Mapped[int] = reference("runningcatalog", "Which entry.", index=False)
    skyrgn: Mapped[int] = reference("skyregion", "Which region.")
    distance_deg: Mapped[float | None] = described("From its centre; NULL for the region of first detection.", "deg")


class NewSource(Base):
    """A transient candidate: a new entry that an earlier image should have shown."""

    __tablename__ = "newsource"
    id: Mapped[int] = identifier()
    runcat: Mapped[int] = reference("runningcatalog", "Its entry.")
    trigger_xtrsrc: Mapped[int] = reference("extractedsource", "Measurement that triggered it.")
    previous_limits_image: Mapped[int] = reference("image", "Best earlier look at its position.")
    newsource_type: Mapped[int] = described("1 above that image's limit at its worst noise too (likely), else 0.")
    sigma_local: Mapped[float | None] = described("Peak flux density over the best earlier noise at the position.")
    n_looks: Mapped[int] = described("Earlier images of the band that looked at the position.", default=0)
    significance: Mapped[float | None] = described("Of its being new, in sigma, given all earlier looks.")
    upper_limit: Mapped[float | None] = described("What the best earlier look would have found there.", "Jy/beam")


class Monitor(Base):
    """A position that is measured in every image."""

    __tablename__ = "monitor"
    id: Mapped[int] = identifier()
    dataset: Mapped[int] = reference("dataset", "In the images of which dataset.")
    runcat: Mapped[int | None] = reference(
        "runningcatalog", "Its entry; NULL before the first fit.", on_delete="SET NULL"
    )
    ra: Mapped[float] = described("Right ascension, ICRS.", "deg")
    decl: Mapped[float] = described("Declination, ICRS.", "deg")
    name: Mapped[str] = described("Name for people; may be empty.", default="''")


class VarMetric(Base):
    """How much an entry varies, as of its latest point."""

    __tablename__ = "varmetric"
    __table_args__ = (
        Index(None, "v_int"),
        Index(None, "eta_int"),
        Index(
            None,
            "newsource",
            sqlite_where=text("newsource IS NOT NULL"),
            postgresql_where=text("newsource IS NOT NULL"),
        ),
    )
    id: Mapped[int] = identifier()
    runcat: Mapped[int] = reference("runningcatalog", "Which entry.", unique=True)
    v_int: Mapped[float | None] = described("V, the scatter of its flux density over the mean.")
    eta_int: Mapped[float | None] = described("η, the reduced χ² of a constant flux density.")
    band: Mapped[int] = reference("frequencyband", "Band of all numbers in this row.", index=False)
    newsource: Mapped[int | None] = reference(
        "newsource", "Its candidate; NULL where it is none.", on_delete="SET NULL", index=False
    )
    sigma_rms_max: Mapped[float | None] = described("Candidate's flux density over the earlier image's highest noise.")
    sigma_rms_min: Mapped[float | None] = described("Candidate's flux density over the earlier image's lowest noise.")
    lightcurve_max: Mapped[float] = described("Highest integrated flux density in the band.", "Jy")
    lightcurve_avg: Mapped[float] = described("Mean integrated flux density in the band.", "Jy")
    lightcurve_median: Mapped[float | None] = described("Median integrated flux density in the band.", "Jy")
    f_datapoints: Mapped[int | None] = described("Number of points in the band, forced fits included.")
    v_peak: Mapped[float | None] = described("V of the peak flux density.")
    eta_peak: Mapped[float | None] = described("η of the peak flux density.")
    eta_p_value: Mapped[float | None] = described("Probability of so high an η_int of a constant source.")
    modulation: Mapped[float | None] = described("Scatter beyond the errors over the mean flux density.")
    modulation_err: Mapped[float | None] = described("Its 1σ error.")
    vs_max: Mapped[float | None] = described("Largest step from the mean before, over its error; signed.")
    m_max: Mapped[float | None] = described("That step over the mean of before and after.")
    lightcurve_wavg: Mapped[float | None] = described("Mean integrated flux density, weighted by 1/σ².", "Jy")
    spectral_index: Mapped[float | None] = described("α of S ∝ ν^α through all bands; NULL for one band.")
    spectral_index_err: Mapped[float | None] = described("Its 1σ error.")
    sigma_local: Mapped[float | None] = described("Candidate's peak over the best earlier noise at its position.")
    significance: Mapped[float | None] = described("Of the candidate's being new, in sigma.")


class Lineage(Base):
    """Where an entry came from. What was forked is deleted, but remembered here."""

    __tablename__ = "lineage"
    id: Mapped[int] = identifier()
    timestep: Mapped[int] = reference("timestep", "When.")
    runcat: Mapped[int] = mapped_column(IDENTIFIER, doc="Which entry.", index=True)
    origin: Mapped[int] = mapped_column(IDENTIFIER, doc="From which entry.")
    kind: Mapped[int] = described("0 a fork of it, 1 a part of it that was seen apart, 2 a blend of it and others.")
