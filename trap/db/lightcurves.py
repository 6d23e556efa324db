"""Queries of the results: light curves, sources near a position, transients, variables.

Results are columns by name (see :func:`trap.db.bulk.read_columns`), ready for plots and tables.

Every image has a band, but bands are outer-joined: an outer join cannot be the first table of a query plan. With
statistics from a time with a single band, PostgreSQL would otherwise loop over the bands and read all other tables
again for each of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sqlalchemy import func, select
from sqlalchemy.orm import aliased

from trap import angles
from trap.association.noise_peaks import rank_candidates
from trap.catalogues import VarMetrics
from trap.db.bulk import is_among, read_columns
from trap.db.models import (
    AssocXtrSource,
    ExtractedSource,
    FrequencyBand,
    Image,
    Monitor,
    NewSource,
    RunningCatalog,
    RunningCatalogFlux,
    VarMetric,
)
from trap.db.models.base import stored_names
from trap.flux_statistics import FLUX_COLUMNS, FLUX_STATISTICS
from trap.signs import Signs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from numpy.typing import NDArray
    from sqlalchemy import Connection, Select

    from trap.typing import Ids

    Columns = dict[str, NDArray[Any]]

__all__ = [
    "LightCurvePoint",
    "entries_named",
    "entries_near",
    "light_curve",
    "light_curve_statistics",
    "lightcurve",
    "runcat_entries",
    "transients",
    "variables",
]


def light_curve(connection: Connection, entry: int) -> Columns:
    """Return all points of an entry in every band, in order of time and frequency.

    Parameters
    ----------
    connection, entry
        Connection in a transaction of the caller, and row number of the running catalogue.

    Returns
    -------
    ``taustart_ts`` (UTC), ``tau_time`` [s], ``band``, ``stokes``, ``freq_central`` (of the
    band) and ``freq_eff`` (of the image) [Hz], flux densities
    ``f_int`` [Jy] and ``f_peak`` [Jy/beam] with errors, local ``rms`` [Jy/beam], ``det_sigma``, position
    ``ra``, ``decl`` [deg], ``type`` (:class:`~trap.catalogues.AssociationType`), ``extract_type``
    (:class:`~trap.catalogues.ExtractType`), ``flags``, ``v_int`` and ``eta_int`` up to the point,
    ``f_datapoints``, ``xtrsrc``, ``image`` and its ``url``. Before calibration, and NaN where it changed nothing:
    ``ra_raw``, ``decl_raw``, ``f_peak_raw``, ``f_int_raw``; ``gain_err``, the relative error of the gain.
    """
    point, source = AssocXtrSource, ExtractedSource
    rows = (
        select(
            *(Image.taustart_ts, Image.tau_time, Image.band, Image.stokes, FrequencyBand.freq_central, Image.freq_eff),
            *(source.f_int, source.f_int_err, source.f_peak, source.f_peak_err, source.rms, source.det_sigma),
            *(source.ra, source.decl, point.type, source.extract_type, source.flags),
            *(point.v_int, point.eta_int, point.f_datapoints, point.xtrsrc, source.image, Image.url),
            *(source.ra_raw, source.decl_raw, source.f_peak_raw, source.f_int_raw, source.gain_err),
        )
        .join(source, source.id == point.xtrsrc)
        .join(Image, Image.id == source.image)
        .outerjoin(FrequencyBand, FrequencyBand.id == Image.band)
        .where(point.runcat == entry)
        .order_by(Image.taustart_ts, FrequencyBand.freq_central, Image.stokes, source.id)
    )
    return read_columns(connection, rows)


def entries_near(connection: Connection, dataset_id: int, ra: float, dec: float, *, radius: float) -> Columns:
    """Return the entries of a dataset around a position, nearest first.

    Parameters
    ----------
    connection, dataset_id
        Open connection, and number of the dataset that is searched.
    ra, dec
        deg, ICRS — position.
    radius
        deg — largest distance.

    Returns
    -------
    Columns of :func:`runcat_entries`, and ``distance_deg``.
    """
    entry = RunningCatalog
    # The index on declination selects a strip; the strip is then filtered by distance, which wraps at RA 0.
    rows = _entries(dataset_id).where(entry.wm_decl.between(dec - radius, dec + radius))
    columns = read_columns(connection, rows)
    distance = angles.separation(columns["wm_ra"], columns["wm_decl"], ra, dec)
    order = np.argsort(distance, kind="stable")
    order = order[distance[order] <= radius]
    return {**{name: values[order] for name, values in columns.items()}, "distance_deg": distance[order]}


def entries_named(
    connection: Connection,
    dataset_id: int,
    *,
    entry: int | None = None,
    candidate: int | None = None,
    name: str | None = None,
) -> Columns:
    """Return the entries of a dataset with a number, a candidate, or the name of a monitored position.

    Parameters
    ----------
    connection, dataset_id
        Open connection, and number of the dataset that is searched.
    entry
        Row number of the running catalogue; None for any.
    candidate
        Number of a transient candidate; None for any.
    name
        Name of a monitored position; None for any.

    Returns
    -------
    Columns of :func:`runcat_entries`.
    """
    rows = _entries(dataset_id)
    if entry is not None:
        rows = rows.where(RunningCatalog.id == entry)
    if candidate is not None:
        rows = rows.where(RunningCatalog.id.in_(select(NewSource.runcat).where(NewSource.id == candidate)))
    if name is not None:
        rows = rows.where(RunningCatalog.id.in_(select(Monitor.runcat).where(Monitor.name == name)))
    return read_columns(connection, rows.order_by(RunningCatalog.id))


def transients(connection: Connection, dataset_id: int, *, entries: Sequence[int] | Ids | None = None) -> Columns:
    """Return the transient candidates of a dataset, those with the highest score first.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    entries
        Row numbers of the running catalogue; None returns the candidates of all entries.

    Returns
    -------
    ``newsource``, ``runcat``, ``xtrsrc``, mean position ``wm_ra`` and ``wm_decl`` [deg], ``taustart_ts``,
    ``band``, ``stokes``, ``freq_central`` and ``freq_eff`` [Hz], and ``flags`` of the detection, its flux densities
    with errors and its ``det_sigma``, ``newsource_type`` (TraP's), ``sigma_rms_min`` and
    ``sigma_rms_max`` (over the noise of the earlier image), ``sigma_local`` (peak over the best earlier noise at the
    position), ``n_looks`` (earlier images that looked there) and ``n_measured`` (earlier images that were measured
    there), ``newness`` (significance of its being new, in σ),
    ``upper_limit`` (of the best earlier look, Jy/beam), ``noise_peaks`` (as high, expected so far) and ``grade``, all
    of :class:`~trap.signs.Signs`, ``v_int`` and ``eta_int`` as of now and their ``metric_stokes``, ``datapoints``,
    ``previous_limits_image``, ``image`` and its ``url``.
    """
    rows = _candidates(dataset_id).order_by(NewSource.id)
    if entries is not None:
        rows = rows.where(is_among(connection, NewSource.runcat, entries))
    columns = read_columns(connection, rows)
    order = rank_candidates(*(columns[name] for name in ("score", "grade", "noise_peaks", "newness")))
    return {name: values[order] for name, values in columns.items()}


def _candidates(dataset_id: int) -> Select[Any]:
    """Select the transient candidates of a dataset with their detections and metrics."""
    candidate, entry, source, metric = NewSource, RunningCatalog, ExtractedSource, VarMetric
    return (
        select(
            *(candidate.id.label("newsource"), candidate.runcat, candidate.trigger_xtrsrc.label("xtrsrc")),
            *(entry.wm_ra, entry.wm_decl, Image.taustart_ts, Image.band, Image.stokes, FrequencyBand.freq_central),
            *(Image.freq_eff, source.flags),
            *(source.f_peak, source.f_peak_err, source.f_int, source.f_int_err, source.det_sigma),
            *(candidate.newsource_type, metric.sigma_rms_min, metric.sigma_rms_max),
            *(candidate.sigma_local, candidate.n_looks, candidate.n_measured, candidate.newness, candidate.upper_limit),
            *(candidate.noise_peaks, candidate.grade),
            *(getattr(candidate, name) for name in Signs.columns()),
            *(metric.v_int, metric.eta_int, metric.stokes.label("metric_stokes")),
            *(entry.datapoints, candidate.previous_limits_image, source.image, Image.url),
        )
        .join(entry, entry.id == candidate.runcat)
        .join(source, source.id == candidate.trigger_xtrsrc)
        .join(Image, Image.id == source.image)
        .outerjoin(FrequencyBand, FrequencyBand.id == Image.band)
        .join(metric, metric.newsource == candidate.id)
        .where(entry.dataset == dataset_id)
    )


def variables(
    connection: Connection,
    dataset_id: int,
    *,
    min_v: float = 0.0,
    min_eta: float = 0.0,
    max_p: float = 1.0,
    min_datapoints: int = 2,
    limit: int | None = 100,
) -> Columns:
    """Return the most variable entries, highest η first.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    min_v, min_eta
        Smallest η, and smallest V; for Stokes parameters other than I, whose mean may be negative, smallest absolute V.
    max_p
        Largest probability of an η as high if the source is constant. 1 includes entries without one.
    min_datapoints
        Smallest number of flux points, forced fits included, in the band of V and η.
    limit
        Largest number of entries; None for all.

    Returns
    -------
    ``runcat``, ``wm_ra`` and ``wm_decl`` [deg], ``band``, all metrics of :class:`~trap.catalogues.VarMetrics`,
    ``freq_central`` [Hz], ``f_datapoints``, ``lightcurve_median`` [Jy], ``newsource`` (None if it is no
    candidate), ``mon_src``.
    """
    metric, entry, flux = VarMetric, RunningCatalog, RunningCatalogFlux
    # Metrics of early versions do not count points. These are counted entry by entry in order of the index on η, since
    # counting them in advance would read the whole table.
    n_stored = select(func.max(flux.f_datapoints)).where(flux.runcat == metric.runcat, flux.band == metric.band)
    n_points = func.coalesce(metric.f_datapoints, n_stored.correlate(metric).scalar_subquery())
    rows = (
        select(
            *(metric.runcat, entry.wm_ra, entry.wm_decl, metric.band),
            *(getattr(metric, name) for name in VarMetrics.columns() if name not in ("entry", "band", "f_datapoints")),
            *(FrequencyBand.freq_central, n_points.label("f_datapoints")),
            *(metric.lightcurve_median, metric.newsource, entry.mon_src),
        )
        .join(entry, entry.id == metric.runcat)
        .outerjoin(FrequencyBand, FrequencyBand.id == metric.band)
        .where(entry.dataset == dataset_id, metric.eta_int >= min_eta)
        .where((metric.v_int >= min_v) | ((metric.stokes != 1) & (metric.v_int <= -min_v)))
        .where(n_points >= min_datapoints, *([metric.eta_p_value <= max_p] if max_p < 1 else []))
        .order_by(metric.eta_int.desc(), metric.runcat)
        .limit(limit)
    )
    return read_columns(connection, rows)


def light_curve_statistics(
    connection: Connection, dataset_id: int, *, stokes: int | None = None
) -> tuple[Columns, NDArray[Any]]:
    """Return the flux statistics of every light curve of a dataset: of each entry in each band and Stokes parameter.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    stokes
        Stokes parameter as FITS numbers it; None returns all.

    Returns
    -------
    columns
        ``runcat``, ``wm_ra`` and ``wm_decl`` [deg], ``band``, ``stokes``, ``freq_central`` [Hz], ``newsource`` (None
        if it is no candidate), ``mon_src``; (n,) each.
    statistics
        (n,) of :data:`trap.catalogues.FLUX_STATISTICS`.
    """
    flux, entry = RunningCatalogFlux, RunningCatalog
    stored = stored_names(RunningCatalogFlux, FLUX_COLUMNS)
    rows = (
        select(
            *(flux.runcat, entry.wm_ra, entry.wm_decl, flux.band, flux.stokes, FrequencyBand.freq_central),
            *(VarMetric.newsource, entry.mon_src),
            *(getattr(flux, column).label(f"sum_{name}") for name, column in stored.items()),
        )
        .join(entry, entry.id == flux.runcat)
        .outerjoin(VarMetric, VarMetric.runcat == entry.id)
        .outerjoin(FrequencyBand, FrequencyBand.id == flux.band)
        .where(entry.dataset == dataset_id, *([] if stokes is None else [flux.stokes == stokes]))
        .order_by(flux.runcat, flux.band, flux.stokes)
    )
    columns = read_columns(connection, rows)
    statistics = np.empty(len(columns["runcat"]), FLUX_STATISTICS)
    for name in FLUX_COLUMNS:
        statistics[name] = columns.pop(f"sum_{name}")
    return columns, statistics


def _entries(dataset_id: int) -> Any:  # noqa: ANN401 (a select of many columns)
    entry = RunningCatalog
    return select(
        *(entry.id, entry.xtrsrc, entry.datapoints, entry.wm_ra, entry.wm_decl),
        *(entry.wm_uncertainty_ew, entry.wm_uncertainty_ns, entry.mon_src, entry.forcedfits_count, entry.first_seen),
    ).where(entry.dataset == dataset_id)


# TraP's interface, kept for scripts written for TraP. The pipeline does not call these functions.


class LightCurvePoint(NamedTuple):
    """A point of a light curve in the form of TraP.

    Parameters
    ----------
    taustart_ts
        Start of the image.
    tau_time
        s — integration time.
    f_int, f_int_err
        Jy — integrated flux density and its error.
    xtrsrc
        Row number of the measurement.
    band
        Row number of the band.
    stokes
        Stokes parameter, as FITS numbers it.
    freq_central
        Hz — centre of the band.
    """

    taustart_ts: datetime
    tau_time: float
    f_int: float
    f_int_err: float
    xtrsrc: int
    band: int
    stokes: int
    freq_central: float


def lightcurve(connection: Connection, xtrsrc: int) -> list[LightCurvePoint]:
    """Return the light curve that contains a measurement, as TraP's ``db.general.lightcurve`` did.

    Parameters
    ----------
    connection, xtrsrc
        Connection in a transaction of the caller, and row number of the measurement.

    Returns
    -------
    Points in order of time. A measurement in several light curves gives the points of all of them, shared points once.
    """
    mine, point, source = aliased(AssocXtrSource), AssocXtrSource, ExtractedSource
    rows = (
        select(Image.taustart_ts, Image.tau_time, source.f_int, source.f_int_err, source.id, Image.band, Image.stokes)
        .add_columns(FrequencyBand.freq_central)
        .join(point, point.xtrsrc == source.id)
        .join(mine, mine.runcat == point.runcat)
        .join(Image, Image.id == source.image)
        .outerjoin(FrequencyBand, FrequencyBand.id == Image.band)
        .where(mine.xtrsrc == xtrsrc)
        .distinct()
        .order_by(Image.taustart_ts, FrequencyBand.freq_central, source.id)
    )
    return [LightCurvePoint(*row) for row in connection.execute(rows)]


def runcat_entries(connection: Connection, dataset_id: int) -> Columns:
    """Return the running catalogue of a dataset in order of row numbers, as TraP's ``db.general.runcat_entries`` did.

    Parameters
    ----------
    connection, dataset_id
        Open connection, and number of the dataset whose catalogue is read.

    Returns
    -------
    ``id``, ``xtrsrc``, ``datapoints``, ``wm_ra`` and ``wm_decl`` [deg] with ``wm_uncertainty_ew`` and ``_ns``,
    ``mon_src``, ``forcedfits_count``, ``first_seen``.
    """
    return read_columns(connection, _entries(dataset_id).order_by(RunningCatalog.id))
