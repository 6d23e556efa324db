"""Tables of the sources: measurements, the running catalogue, light curves, candidates, variability."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from trap.association.entries import ENTRY_COLUMNS
from trap.catalogues import Associations, Measurements, MonitorPositions, NewSources, RegionLinks, VarMetrics
from trap.db.models.base import IDENTIFIER, Base, described, identifier, reference, stored, stores
from trap.variability.metrics import FLUX_COLUMNS

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
    ra: Mapped[float] = stored(Measurements, "ra")
    decl: Mapped[float] = stored(Measurements, "dec")
    uncertainty_ew: Mapped[float | None] = described(
        "Position error along east-west, a true angle, as associated.", "deg"
    )
    uncertainty_ns: Mapped[float | None] = described("Position error along north-south, as associated.", "deg")
    ra_err: Mapped[float | None] = described("Error of the right ascension, a difference of coordinates.", "deg")
    decl_err: Mapped[float | None] = described("Error of the declination.", "deg")
    ra_fit_err: Mapped[float | None] = described("The same without systematic errors.", "deg")
    decl_fit_err: Mapped[float | None] = stored(Measurements, "ns_fit_err")
    ew_sys_err: Mapped[float] = stored(Measurements, "ew_sys_err")
    ns_sys_err: Mapped[float] = stored(Measurements, "ns_sys_err")
    error_radius: Mapped[float | None] = described("Distance of a corner of the box of fit errors.", "arcsec")
    x: Mapped[float] = described("Unit vector: cos δ cos α.")
    y: Mapped[float] = described("Unit vector: cos δ sin α.")
    z: Mapped[float] = described("Unit vector: sin δ.")
    racosdecl: Mapped[float] = described("α cos δ.", "deg")
    margin: Mapped[bool] = described("Not used; kept from TraP.", default=False)
    det_sigma: Mapped[float | None] = stored(Measurements, "significance")
    semimajor: Mapped[float | None] = stored(Measurements, "semimajor")
    semiminor: Mapped[float | None] = stored(Measurements, "semiminor")
    pa: Mapped[float | None] = stored(Measurements, "pa")
    f_peak: Mapped[float | None] = stored(Measurements, "f_peak")
    f_peak_err: Mapped[float | None] = stored(Measurements, "f_peak_err")
    f_int: Mapped[float | None] = stored(Measurements, "f_int")
    f_int_err: Mapped[float | None] = stored(Measurements, "f_int_err")
    chisq: Mapped[float | None] = stored(Measurements, "chisq")
    reduced_chisq: Mapped[float | None] = stored(Measurements, "reduced_chisq")
    extract_type: Mapped[int] = stored(Measurements, "extract_type")
    fit_type: Mapped[int] = stored(Measurements, "fit_type")
    x_pix: Mapped[float | None] = stored(Measurements, "x")
    y_pix: Mapped[float | None] = stored(Measurements, "y")
    rms: Mapped[float | None] = stored(Measurements, "rms")
    island: Mapped[int] = stored(Measurements, "island", default=0)
    flags: Mapped[int] = stored(Measurements, "flags", default=0)


class RunningCatalog(Base):
    """An entry of the running catalogue: what all measurements of one source say together."""

    __tablename__ = "runningcatalog"
    __table_args__ = (Index(None, "dataset", "wm_decl"),)
    id: Mapped[int] = identifier()
    xtrsrc: Mapped[int] = reference(
        "extractedsource", "First measurement, or that which forked the entry.", unique=True
    )
    dataset: Mapped[int] = reference("dataset", "Whose catalogue.", index=False)
    datapoints: Mapped[int] = stored(ENTRY_COLUMNS, "datapoints")
    zone: Mapped[int] = described("Whole degrees of declination, rounded down.")
    wm_ra: Mapped[float] = stored(ENTRY_COLUMNS, "wm_ra")
    wm_decl: Mapped[float] = stored(ENTRY_COLUMNS, "wm_dec")
    wm_uncertainty_ew: Mapped[float] = described("Error of the mean along east-west, a true angle.", "deg")
    wm_uncertainty_ns: Mapped[float] = described("Error of the mean along north-south.", "deg")
    avg_ra_err: Mapped[float] = stored(ENTRY_COLUMNS, "avg_ra_err")
    avg_decl_err: Mapped[float] = stored(ENTRY_COLUMNS, "avg_dec_err")
    avg_wra: Mapped[float] = described("Weighted mean of the right ascension times the mean weight.", "deg-1")
    avg_wdecl: Mapped[float] = described("Weighted mean of the declination times the mean weight.", "deg-1")
    avg_weight_ra: Mapped[float] = described("Mean of 1/σ² along east-west.", "deg-2")
    avg_weight_decl: Mapped[float] = described("Mean of 1/σ² along north-south.", "deg-2")
    x: Mapped[float] = described("Unit vector of the mean: cos δ cos α.")
    y: Mapped[float] = described("Unit vector of the mean: cos δ sin α.")
    z: Mapped[float] = described("Unit vector of the mean: sin δ.")
    inactive: Mapped[bool] = described("Not used; kept from TraP.", default=False)
    mon_src: Mapped[bool] = stored(ENTRY_COLUMNS, "mon_src", default=False)
    forcedfits_count: Mapped[int] = stored(ENTRY_COLUMNS, "forcedfits_count", default=0)
    weight_ew: Mapped[float] = stored(ENTRY_COLUMNS, "weight_ew")
    weight_ns: Mapped[float] = stored(ENTRY_COLUMNS, "weight_ns")
    first_seen: Mapped[datetime] = stored(ENTRY_COLUMNS, "first_seen")
    parent: Mapped[int | None] = described("Entry that this one was forked from, which is deleted then.")
    blend: Mapped[int | None] = mapped_column(IDENTIFIER, doc="Entry of the blend that it is a part of.")
    is_blend: Mapped[bool] = stored(ENTRY_COLUMNS, "is_blend", default=False)


@stores(FLUX_COLUMNS, default=0)
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
    f_datapoints: Mapped[int] = stored(FLUX_COLUMNS, "n")
    avg_f_peak: Mapped[float] = stored(FLUX_COLUMNS, "mean_f_peak")
    avg_f_peak_sq: Mapped[float] = described("Mean of I².", "Jy2/beam2")
    avg_f_peak_weight: Mapped[float] = described("Mean weight w = 1/σ².", "beam2/Jy2")
    avg_weighted_f_peak: Mapped[float] = described("Mean of wI.", "beam/Jy")
    avg_weighted_f_peak_sq: Mapped[float] = described("Mean of wI².")
    avg_f_int: Mapped[float] = stored(FLUX_COLUMNS, "mean_f_int")
    avg_f_int_sq: Mapped[float] = described("Mean of I².", "Jy2")
    avg_f_int_weight: Mapped[float] = described("Mean weight w = 1/σ².", "Jy-2")
    avg_weighted_f_int: Mapped[float] = described("Mean of wI.", "Jy-1")
    avg_weighted_f_int_sq: Mapped[float] = described("Mean of wI².")
    m2_f_peak: Mapped[float] = stored(FLUX_COLUMNS, "m2_f_peak")
    wsum_f_peak: Mapped[float] = stored(FLUX_COLUMNS, "wsum_f_peak")
    wmean_f_peak: Mapped[float] = stored(FLUX_COLUMNS, "wmean_f_peak")
    wm2_f_peak: Mapped[float] = stored(FLUX_COLUMNS, "wm2_f_peak")
    m2_f_int: Mapped[float] = stored(FLUX_COLUMNS, "m2_f_int")
    wsum_f_int: Mapped[float] = stored(FLUX_COLUMNS, "wsum_f_int")
    wmean_f_int: Mapped[float] = stored(FLUX_COLUMNS, "wmean_f_int")
    wm2_f_int: Mapped[float] = stored(FLUX_COLUMNS, "wm2_f_int")
    max_f_int: Mapped[float] = stored(FLUX_COLUMNS, "max_f_int")
    err2_f_int: Mapped[float] = stored(FLUX_COLUMNS, "err2_f_int", default=0)
    vs_f_int: Mapped[float] = stored(FLUX_COLUMNS, "vs_f_int", default=0)
    m_f_int: Mapped[float] = stored(FLUX_COLUMNS, "m_f_int", default=0)


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
    type: Mapped[int] = stored(Associations, "type")
    distance_arcsec: Mapped[float | None] = stored(Associations, "distance_arcsec")
    r: Mapped[float | None] = stored(Associations, "de_ruiter_radius")
    loglr: Mapped[float | None] = described("Not used; kept from TraP.")
    v_int: Mapped[float | None] = stored(Associations, "v_int")
    eta_int: Mapped[float | None] = stored(Associations, "eta_int")
    f_datapoints: Mapped[int] = stored(Associations, "f_datapoints")


class AssocSkyRegion(Base):
    """An entry that lies in a sky region."""

    __tablename__ = "assocskyrgn"
    __table_args__ = (UniqueConstraint("runcat", "skyrgn"),)
    id: Mapped[int] = identifier()
    runcat: Mapped[int] = reference("runningcatalog", "Which entry.", index=False)
    skyrgn: Mapped[int] = reference("skyregion", "Which region.")
    distance_deg: Mapped[float | None] = stored(RegionLinks, "distance")


class NewSource(Base):
    """A transient candidate: a new entry that an earlier image should have shown."""

    __tablename__ = "newsource"
    id: Mapped[int] = identifier()
    runcat: Mapped[int] = reference("runningcatalog", "Its entry.")
    trigger_xtrsrc: Mapped[int] = reference("extractedsource", "Measurement that triggered it.")
    previous_limits_image: Mapped[int] = reference("image", "Best earlier look at its position.")
    newsource_type: Mapped[int] = stored(NewSources, "newsource_type")
    sigma_local: Mapped[float | None] = stored(NewSources, "sigma_local")
    n_looks: Mapped[int] = stored(NewSources, "n_looks", default=0)
    newness: Mapped[float | None] = stored(NewSources, "newness")
    upper_limit: Mapped[float | None] = stored(NewSources, "upper_limit")


class Monitor(Base):
    """A position that is measured in every image."""

    __tablename__ = "monitor"
    id: Mapped[int] = identifier()
    dataset: Mapped[int] = reference("dataset", "In the images of which dataset.")
    runcat: Mapped[int | None] = reference(
        "runningcatalog", "Its entry; NULL before the first fit.", on_delete="SET NULL"
    )
    ra: Mapped[float] = stored(MonitorPositions, "ra")
    decl: Mapped[float] = stored(MonitorPositions, "dec")
    name: Mapped[str] = stored(MonitorPositions, "name", default="''")


@stores(VarMetrics, besides=("entry", "band"))
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
    v_int: Mapped[float | None] = stored(VarMetrics, "v_int")
    eta_int: Mapped[float | None] = stored(VarMetrics, "eta_int")
    band: Mapped[int] = reference("frequencyband", "Band of all numbers in this row.", index=False)
    newsource: Mapped[int | None] = reference(
        "newsource", "Its candidate; NULL where it is none.", on_delete="SET NULL", index=False
    )
    sigma_rms_max: Mapped[float | None] = stored(NewSources, "sigma_rms_max", "NULL if the entry is no candidate.")
    sigma_rms_min: Mapped[float | None] = stored(NewSources, "sigma_rms_min", "NULL if the entry is no candidate.")
    lightcurve_max: Mapped[float] = stored(VarMetrics, "lightcurve_max")
    lightcurve_avg: Mapped[float] = stored(VarMetrics, "lightcurve_avg")
    lightcurve_median: Mapped[float | None] = described("Median integrated flux density in the band.", "Jy")
    f_datapoints: Mapped[int | None] = stored(VarMetrics, "f_datapoints")
    v_peak: Mapped[float | None] = stored(VarMetrics, "v_peak")
    eta_peak: Mapped[float | None] = stored(VarMetrics, "eta_peak")
    eta_p_value: Mapped[float | None] = stored(VarMetrics, "eta_p_value")
    modulation: Mapped[float | None] = stored(VarMetrics, "modulation")
    modulation_err: Mapped[float | None] = stored(VarMetrics, "modulation_err")
    vs_max: Mapped[float | None] = stored(VarMetrics, "vs_max")
    m_max: Mapped[float | None] = stored(VarMetrics, "m_max")
    lightcurve_wavg: Mapped[float | None] = stored(VarMetrics, "lightcurve_wavg")
    spectral_index: Mapped[float | None] = stored(VarMetrics, "spectral_index")
    spectral_index_err: Mapped[float | None] = stored(VarMetrics, "spectral_index_err")
    sigma_local: Mapped[float | None] = stored(NewSources, "sigma_local", "NULL if the entry is no candidate.")
    newness: Mapped[float | None] = stored(NewSources, "newness", "NULL if the entry is no candidate.")


class Lineage(Base):
    """Where an entry came from. What was forked is deleted, but remembered here."""

    __tablename__ = "lineage"
    id: Mapped[int] = identifier()
    timestep: Mapped[int] = reference("timestep", "When.")
    runcat: Mapped[int] = mapped_column(IDENTIFIER, doc="Which entry.", index=True)
    origin: Mapped[int] = mapped_column(IDENTIFIER, doc="From which entry.")
    kind: Mapped[int] = described("0 a fork of it, 1 a part of it that was seen apart, 2 a blend of it and others.")
