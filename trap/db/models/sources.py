"""Tables of the sources: measurements, the running catalogue, light curves, candidates, variability."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from trap.association.entries import ENTRY_COLUMNS
from trap.catalogues import Associations, Measurements, MonitorPositions, NewSources, RegionLinks, VarMetrics
from trap.db.models.base import IDENTIFIER, Base, described, identifier, reference, stored, stores
from trap.flux_statistics import FLUX_COLUMNS

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

    # Each index slows down every insertion. TraP has eight; here positions are searched by declination, image by image:
    # the rows of a new image are the last ones of that index, while an index of all declinations changes all over.
    __tablename__ = "extractedsource"
    __table_args__ = (
        Index(None, "image", "decl"),
        *(
            Index(None, name, sqlite_where=text(f"{name} IS NOT NULL"), postgresql_where=text(f"{name} IS NOT NULL"))
            for name in ("ff_runcat", "ff_monitor")
        ),
    )
    id: Mapped[int] = identifier()
    image: Mapped[int] = reference("image", "Image of the measurement.", index=False)
    ff_runcat: Mapped[int | None] = reference(
        "runningcatalog", "Entry of a null detection; NULL for other measurements.", on_delete="SET NULL", index=False
    )
    ff_monitor: Mapped[int | None] = reference(
        "monitor", "Monitored position of a forced fit; NULL for other measurements.", on_delete="SET NULL", index=False
    )
    zone: Mapped[int] = described("Whole degrees of declination, rounded down.")
    ra: Mapped[float] = stored(Measurements, "ra")
    decl: Mapped[float] = stored(Measurements, "dec")
    uncertainty_ew: Mapped[float | None] = described(
        "1σ position error along east-west, a true angle, systematic error included.", "deg", ucd="stat.error;pos.eq.ra"
    )
    uncertainty_ns: Mapped[float | None] = described(
        "1σ position error along north-south, systematic error included.", "deg", ucd="stat.error;pos.eq.dec"
    )
    ra_err: Mapped[float | None] = described(
        "1σ error of the right ascension, a difference of coordinates, systematic error included.", "deg"
    )
    decl_err: Mapped[float | None] = described("1σ error of the declination, systematic error included.", "deg")
    ra_fit_err: Mapped[float | None] = described(
        "1σ error of the fitted right ascension, a difference of coordinates.", "deg"
    )
    decl_fit_err: Mapped[float | None] = stored(Measurements, "ns_fit_err")
    ew_sys_err: Mapped[float] = stored(Measurements, "ew_sys_err")
    ns_sys_err: Mapped[float] = stored(Measurements, "ns_sys_err")
    error_radius: Mapped[float | None] = described(
        "Distance of a corner of the 1σ box of the fit, without systematic errors.", "arcsec"
    )
    x: Mapped[float] = described("x of the unit vector, cos δ cos α.")
    y: Mapped[float] = described("y of the unit vector, cos δ sin α.")
    z: Mapped[float] = described("z of the unit vector, sin δ.")
    racosdecl: Mapped[float] = described("Right ascension times the cosine of the declination.", "deg")
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
    ra_raw: Mapped[float | None] = stored(Measurements, "ra_raw", "NULL if positions were not corrected.")
    decl_raw: Mapped[float | None] = stored(Measurements, "dec_raw", "NULL if positions were not corrected.")
    f_peak_raw: Mapped[float | None] = stored(
        Measurements, "f_peak_raw", "NULL if flux densities were not corrected, or were not measured."
    )
    f_int_raw: Mapped[float | None] = stored(
        Measurements, "f_int_raw", "NULL if flux densities were not corrected, or were not measured."
    )
    gain_err: Mapped[float | None] = stored(Measurements, "gain_err", "NULL if flux densities were not corrected.")


class RunningCatalog(Base):
    """An entry of the running catalogue: one source, with the mean of its positions."""

    __tablename__ = "runningcatalog"
    __table_args__ = (Index(None, "dataset", "wm_decl"),)
    id: Mapped[int] = identifier()
    xtrsrc: Mapped[int] = reference(
        "extractedsource", "First measurement, or the measurement that forked the entry.", unique=True
    )
    dataset: Mapped[int] = reference("dataset", "Dataset of the entry.", index=False)
    datapoints: Mapped[int] = stored(ENTRY_COLUMNS, "datapoints")
    zone: Mapped[int] = described("Whole degrees of declination, rounded down.")
    wm_ra: Mapped[float] = stored(ENTRY_COLUMNS, "wm_ra")
    wm_decl: Mapped[float] = stored(ENTRY_COLUMNS, "wm_dec")
    wm_uncertainty_ew: Mapped[float] = described(
        "1σ error of the mean position along east-west, a true angle.", "deg", ucd="stat.error;pos.eq.ra"
    )
    wm_uncertainty_ns: Mapped[float] = described(
        "1σ error of the mean position along north-south.", "deg", ucd="stat.error;pos.eq.dec"
    )
    avg_ra_err: Mapped[float] = stored(ENTRY_COLUMNS, "avg_ra_err")
    avg_decl_err: Mapped[float] = stored(ENTRY_COLUMNS, "avg_dec_err")
    avg_wra: Mapped[float] = described("Weighted mean of the right ascension times the mean weight.", "deg-1")
    avg_wdecl: Mapped[float] = described("Weighted mean of the declination times the mean weight.", "deg-1")
    avg_weight_ra: Mapped[float] = described("Mean of 1/σ² along east-west.", "deg-2")
    avg_weight_decl: Mapped[float] = described("Mean of 1/σ² along north-south.", "deg-2")
    x: Mapped[float] = described("x of the unit vector of the mean position.")
    y: Mapped[float] = described("y of the unit vector of the mean position.")
    z: Mapped[float] = described("z of the unit vector of the mean position.")
    inactive: Mapped[bool] = described("Not used; kept from TraP.", default=False)
    mon_src: Mapped[bool] = stored(ENTRY_COLUMNS, "mon_src", default=False)
    forcedfits_count: Mapped[int] = stored(ENTRY_COLUMNS, "forcedfits_count", default=0)
    weight_ew: Mapped[float] = stored(ENTRY_COLUMNS, "weight_ew")
    weight_ns: Mapped[float] = stored(ENTRY_COLUMNS, "weight_ns")
    first_seen: Mapped[datetime] = stored(ENTRY_COLUMNS, "first_seen")
    parent: Mapped[int | None] = described(
        "Number of the entry that this one replaced in a fork; that entry is deleted."
    )
    blend: Mapped[int | None] = mapped_column(
        IDENTIFIER, doc="Number of the blend that the entry is a part of; NULL otherwise."
    )
    is_blend: Mapped[bool] = stored(ENTRY_COLUMNS, "is_blend", default=False)


@stores(FLUX_COLUMNS, default=0)
class RunningCatalogFlux(Base):
    """Flux density statistics of an entry in one band and Stokes parameter.

    V and η follow without cancellation from the streamed ``m2``, ``wsum``, ``wmean`` and ``wm2``;
    TraP's averages are computed from them for queries written for TraP.
    """

    __tablename__ = "runningcatalog_flux"
    __table_args__ = (UniqueConstraint("runcat", "band", "stokes"),)
    id: Mapped[int] = identifier()
    runcat: Mapped[int] = reference("runningcatalog", "Entry of the running catalogue.", index=False)
    band: Mapped[int] = reference("frequencyband", "Frequency band.", index=False)
    stokes: Mapped[int] = described("Stokes parameter, as numbered in FITS.", default=1)
    f_datapoints: Mapped[int] = stored(FLUX_COLUMNS, "n")
    avg_f_peak: Mapped[float] = stored(FLUX_COLUMNS, "mean_f_peak")
    avg_f_peak_sq: Mapped[float] = described("Mean of I², peak.", "Jy2/beam2")
    avg_f_peak_weight: Mapped[float] = described("Mean weight w = 1/σ², peak.", "beam2/Jy2")
    avg_weighted_f_peak: Mapped[float] = described("Mean of wI, peak.", "beam/Jy")
    avg_weighted_f_peak_sq: Mapped[float] = described("Mean of wI², peak.")
    avg_f_int: Mapped[float] = stored(FLUX_COLUMNS, "mean_f_int")
    avg_f_int_sq: Mapped[float] = described("Mean of I², integrated.", "Jy2")
    avg_f_int_weight: Mapped[float] = described("Mean weight w = 1/σ², integrated.", "Jy-2")
    avg_weighted_f_int: Mapped[float] = described("Mean of wI, integrated.", "Jy-1")
    avg_weighted_f_int_sq: Mapped[float] = described("Mean of wI², integrated.")
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
    # The rows of a light curve lie far apart. PostgreSQL reads their columns from the index instead.
    __table_args__ = (
        UniqueConstraint("runcat", "xtrsrc", postgresql_include=["type", "v_int", "eta_int", "f_datapoints"]),
    )
    id: Mapped[int] = identifier()
    runcat: Mapped[int] = reference("runningcatalog", "Entry of the running catalogue.", index=False)
    xtrsrc: Mapped[int] = reference("extractedsource", "Measurement that is the point.")
    type: Mapped[int] = stored(Associations, "type")
    distance_arcsec: Mapped[float | None] = stored(Associations, "distance_arcsec")
    r: Mapped[float | None] = stored(Associations, "de_ruiter_radius")
    loglr: Mapped[float | None] = described("Not used; kept from TraP.")
    v_int: Mapped[float | None] = stored(Associations, "v_int")
    eta_int: Mapped[float | None] = stored(Associations, "eta_int")
    f_datapoints: Mapped[int] = stored(Associations, "f_datapoints")


class AssocSkyRegion(Base):
    """Membership of an entry in a sky region."""

    __tablename__ = "assocskyrgn"
    __table_args__ = (UniqueConstraint("runcat", "skyrgn"),)
    id: Mapped[int] = identifier()
    runcat: Mapped[int] = reference("runningcatalog", "Entry of the running catalogue.", index=False)
    skyrgn: Mapped[int] = reference("skyregion", "Sky region.")
    distance_deg: Mapped[float | None] = stored(RegionLinks, "distance")


@stores(NewSources, besides=("entry", "measurement", "previous_limits_image", "sigma_rms_min", "sigma_rms_max"))
class NewSource(Base):
    """A transient candidate: a new entry that an earlier image should have shown."""

    __tablename__ = "newsource"
    id: Mapped[int] = identifier()
    runcat: Mapped[int] = reference("runningcatalog", "Entry of the candidate.")
    trigger_xtrsrc: Mapped[int] = reference("extractedsource", "Measurement that triggered the candidate.")
    previous_limits_image: Mapped[int] = reference("image", "Most sensitive earlier image of the position.")
    newsource_type: Mapped[int] = stored(NewSources, "newsource_type")
    sigma_local: Mapped[float | None] = stored(NewSources, "sigma_local")
    n_looks: Mapped[int] = stored(NewSources, "n_looks", default=0)
    newness: Mapped[float | None] = stored(NewSources, "newness")
    upper_limit: Mapped[float | None] = stored(NewSources, "upper_limit")
    noise_peaks: Mapped[float | None] = stored(
        NewSources, "noise_peaks", "NULL for candidates of earlier versions, as the grade."
    )
    grade: Mapped[int | None] = stored(NewSources, "grade")
    n_measured: Mapped[int] = stored(NewSources, "n_measured", default=0)
    score: Mapped[float | None] = stored(NewSources, "score")


class Monitor(Base):
    """A position that is measured in every image."""

    __tablename__ = "monitor"
    id: Mapped[int] = identifier()
    dataset: Mapped[int] = reference("dataset", "Dataset whose images are measured.")
    runcat: Mapped[int | None] = reference(
        "runningcatalog", "Entry of the position; NULL before the first fit.", on_delete="SET NULL"
    )
    ra: Mapped[float] = stored(MonitorPositions, "ra")
    decl: Mapped[float] = stored(MonitorPositions, "dec")
    name: Mapped[str] = stored(MonitorPositions, "name", default="''")


@stores(VarMetrics, besides=("entry", "band"))
class VarMetric(Base):
    """Variability of an entry, up to its latest point."""

    __tablename__ = "varmetric"
    # The values change with every point, so that an index by V or η would change all over with every image. A search
    # for the most variable entries reads the table, which is narrow: half a second for half a million entries.
    __table_args__ = (
        Index(
            None,
            "newsource",
            sqlite_where=text("newsource IS NOT NULL"),
            postgresql_where=text("newsource IS NOT NULL"),
        ),
    )
    id: Mapped[int] = identifier()
    runcat: Mapped[int] = reference("runningcatalog", "Entry of the running catalogue.", unique=True)
    v_int: Mapped[float | None] = stored(VarMetrics, "v_int")
    eta_int: Mapped[float | None] = stored(VarMetrics, "eta_int")
    band: Mapped[int] = reference(
        "frequencyband",
        "Band of all metrics in this row: the brightest one at the latest time of the entry.",
        index=False,
    )
    newsource: Mapped[int | None] = reference(
        "newsource", "Transient candidate of the entry; NULL if it is no candidate.", on_delete="SET NULL", index=False
    )
    sigma_rms_max: Mapped[float | None] = stored(NewSources, "sigma_rms_max", "NULL if the entry is no candidate.")
    sigma_rms_min: Mapped[float | None] = stored(NewSources, "sigma_rms_min", "NULL if the entry is no candidate.")
    lightcurve_max: Mapped[float] = stored(VarMetrics, "lightcurve_max")
    lightcurve_avg: Mapped[float] = stored(VarMetrics, "lightcurve_avg")
    lightcurve_median: Mapped[float | None] = described(
        "Median integrated flux density in the band; NULL until the end of a run.", "Jy"
    )
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
    stokes: Mapped[int | None] = stored(VarMetrics, "stokes", "NULL if an early version stored several in the band.")


class Lineage(Base):
    """Origin of an entry. Rows of forked entries stay here after the entries are deleted."""

    __tablename__ = "lineage"
    id: Mapped[int] = identifier()
    timestep: Mapped[int] = reference("timestep", "Timestep of the change.")
    runcat: Mapped[int] = mapped_column(IDENTIFIER, doc="Entry of the running catalogue.", index=True)
    origin: Mapped[int] = mapped_column(IDENTIFIER, doc="Entry that it came from.")
    kind: Mapped[int] = described(
        "Relation to the origin: 0 fork, 1 part of the blend, 2 blend of the origin and other entries, 3 neighbour."
    )
