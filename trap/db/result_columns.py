"""The tables of results that users read: their columns, and the queries behind them.

Tables of the database refer to each other by row numbers. A result table joins them, and has the names, units and
meanings of their columns: a column is described once, in its model. A join is made only if a column of it is read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import Integer, Text, cast, func, select

from trap.catalogues import VarMetrics
from trap.db.models import (
    AssocXtrSource,
    Calibration,
    ExtractedSource,
    FrequencyBand,
    Image,
    Monitor,
    NewSource,
    Rejection,
    RejectReason,
    RmsMap,
    RunningCatalog,
    RunningCatalogFlux,
    SkyRegion,
    VarMetric,
)
from trap.signs import Signs
from trap.tables import Column

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement
    from sqlalchemy.orm import InstrumentedAttribute

    from trap.db.models import Base

    Attribute = InstrumentedAttribute[Any]

__all__ = ["QUERIED", "Join", "Query", "ResultTable", "result_table"]

_DTYPES = {float: "f8", int: "i8", bool: "?", datetime: "M8[us]", str: "O"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Join:
    """A table that is joined when a column of it is read; at most one of its rows belongs to a row of the result.

    Parameters
    ----------
    model
        Joined table.
    on
        Condition of the join.
    is_outer
        Whether rows without a partner are kept.
    """

    model: type[Base]
    on: ColumnElement[bool]
    is_outer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Query:
    """The query of a result table.

    Parameters
    ----------
    root
        Table with one row for each row of the result.
    joins
        Further tables, each after the tables that its condition needs.
    fields
        Selected values, by the name of the column.
    dataset, time, band, stokes
        Columns that the filters of these names compare.
    parent
        Field with the row number by which the result is read in chunks; a chunk has all rows of its parents.
    order
        Fields that order the rows of one parent.
    place
        Table whose position the cone compares: with ``x``, ``y``, ``z`` and a declination; or the sky regions.
    entry, flags
        Columns of the entry and of the flags; None if the table has none.
    where
        Conditions that all rows meet.
    """

    root: type[Base]
    joins: tuple[Join, ...]
    fields: Mapping[str, Any]
    dataset: Attribute
    time: Attribute
    band: Attribute
    stokes: Attribute
    parent: str
    order: tuple[str, ...]
    place: type[Base]
    entry: Attribute | None = None
    flags: Attribute | None = None
    where: tuple[ColumnElement[bool], ...] = ()

    @property
    def natural_order(self) -> list[Any]:
        """Columns in whose order the rows come."""
        return [self.fields[name] for name in (self.parent, *self.order)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResultTable:
    """A table of results.

    Parameters
    ----------
    name
        Name, a plural noun.
    description
        One sentence.
    columns
        Dtype, unit, meaning and UCD of each column, by name, in order. Text has the dtype object.
    nullable
        Names of columns of whole numbers with missing values; they are masked arrays.
    query
        Query of the rows; None for a table that is computed from the searched areas.
    """

    name: str
    description: str
    columns: Mapping[str, Column]
    nullable: frozenset[str] = frozenset()
    query: Query | None = field(default=None, repr=False)


def result_table(name: str, description: str, query: Query, /, **made: Column) -> ResultTable:
    """Describe the columns of a query as their models do.

    Parameters
    ----------
    name, description, query
        Name and description of the table, and its query.
    made
        Columns whose values are computed: those that no model describes.
    """
    outer = {join.model.__tablename__ for join in query.joins if join.is_outer}
    columns, nullable = {}, set()
    for field_name, element in query.fields.items():
        if field_name in made:
            columns[field_name] = made[field_name]
            continue
        stored = element.property.columns[0]
        columns[field_name] = _described(field_name, stored)
        if columns[field_name].dtype.kind == "i" and (stored.nullable or stored.table.name in outer):
            nullable.add(field_name)
    rest = {key: column for key, column in made.items() if key not in columns}
    return ResultTable(
        name=name, description=description, columns={**columns, **rest}, nullable=frozenset(nullable), query=query
    )


def _described(name: str, stored: Any) -> Column:  # noqa: ANN401 (a column of SQLAlchemy)
    """Return the description of a stored column; exports have letters in place of the numbers of Stokes parameters."""
    doc, dtype = stored.doc or "", _DTYPES[stored.type.python_type]
    if name.endswith("stokes"):
        doc, dtype = f"{doc.split(',', maxsplit=1)[0]}, as a letter.", "O"
    unit = stored.info.get("unit", "")
    # Numbers of σ have no dimension; no library of units has them.
    return Column(np.dtype(dtype), "" if unit == "sigma" else unit, doc, ucd=stored.info.get("ucd", ""))


def _named(model: type[Base], *names: str) -> dict[str, Any]:
    return {name: getattr(model, name) for name in names}


def _sources() -> ResultTable:
    """Describe the sources: the running catalogue, with metrics, candidates and names of monitored positions."""
    entry, metric, candidate, flux = RunningCatalog, VarMetric, NewSource, RunningCatalogFlux
    # Metrics of early versions do not count points.
    counted = select(func.max(flux.f_datapoints)).where(flux.runcat == metric.runcat, flux.band == metric.band)
    n_points = func.coalesce(metric.f_datapoints, counted.correlate(metric).scalar_subquery())
    monitored = select(func.min(Monitor.name)).where(Monitor.runcat == entry.id).correlate(entry).scalar_subquery()
    metrics = [name for name in VarMetrics.columns() if name not in ("entry", "band", "stokes", "f_datapoints")]
    query = Query(
        root=entry,
        joins=(
            Join(model=metric, on=metric.runcat == entry.id, is_outer=True),
            Join(model=FrequencyBand, on=FrequencyBand.id == metric.band, is_outer=True),
            Join(model=candidate, on=candidate.id == metric.newsource, is_outer=True),
        ),
        fields={
            "dataset": entry.dataset,
            "runcat": entry.id,
            "name": cast(monitored, Text),
            **_named(entry, "wm_ra", "wm_decl", "wm_uncertainty_ew", "wm_uncertainty_ns", "datapoints"),
            **_named(entry, "forcedfits_count", "first_seen", "mon_src", "is_blend", "blend"),
            "band": metric.band,
            "freq_central": FrequencyBand.freq_central,
            "stokes": metric.stokes,
            "f_datapoints": cast(n_points, Integer),
            **_named(metric, *metrics, "lightcurve_median", "newsource"),
            **_named(candidate, "score", "grade", "newness", "noise_peaks"),
            **_named(metric, "sigma_rms_min", "sigma_rms_max"),
        },
        dataset=entry.dataset,
        time=entry.first_seen,
        band=metric.band,
        stokes=metric.stokes,
        parent="runcat",
        order=(),
        place=entry,
        entry=entry.id,
    )
    return result_table(
        "sources",
        "Sources: entries of the running catalogue, with the variability in their brightest band.",
        query,
        name=Column(np.dtype("O"), "", "Name of the monitored position; empty for other sources.", ucd="meta.id"),
        f_datapoints=_described("f_datapoints", metric.f_datapoints.property.columns[0]),
    )


_OF_IMAGE = ("taustart_ts", "tau_time", "band", "stokes", "freq_eff")
_FLUXES = ("f_int", "f_int_err", "f_peak", "f_peak_err", "rms", "det_sigma")
_RAW = ("gain_err", "ra_raw", "decl_raw", "f_peak_raw", "f_int_raw")
_BAND = Join(model=FrequencyBand, on=FrequencyBand.id == Image.band, is_outer=True)  # see trap.db.lightcurves


def _measurements() -> ResultTable:
    """Describe the measurements of images."""
    source = ExtractedSource
    query = Query(
        root=source,
        joins=(Join(model=Image, on=Image.id == source.image), _BAND),
        fields={
            "dataset": Image.dataset,
            "xtrsrc": source.id,
            "image": source.image,
            **_named(Image, *_OF_IMAGE),
            "freq_central": FrequencyBand.freq_central,
            **_named(
                source, "ra", "decl", "uncertainty_ew", "uncertainty_ns", *_FLUXES, "semimajor", "semiminor", "pa"
            ),
            **_named(source, "x_pix", "y_pix", "chisq", "reduced_chisq", "extract_type", "fit_type", "island", "flags"),
            **_named(source, "ff_runcat", "ff_monitor", *_RAW),
        },
        dataset=Image.dataset,
        time=Image.taustart_ts,
        band=Image.band,
        stokes=Image.stokes,
        parent="image",
        order=("xtrsrc",),
        place=source,
        flags=source.flags,
    )
    return result_table("measurements", "Measurements, blind and forced, of all images.", query)


def _lightcurves() -> ResultTable:
    """Describe the points of light curves, whose position in a cone is that of their source."""
    point, source, entry = AssocXtrSource, ExtractedSource, RunningCatalog
    query = Query(
        root=point,
        joins=(
            Join(model=entry, on=entry.id == point.runcat),
            Join(model=source, on=source.id == point.xtrsrc),
            Join(model=Image, on=Image.id == source.image),
            _BAND,
        ),
        fields={
            "dataset": entry.dataset,
            "runcat": point.runcat,
            "xtrsrc": point.xtrsrc,
            "image": source.image,
            **_named(Image, *_OF_IMAGE),
            "freq_central": FrequencyBand.freq_central,
            **_named(source, *_FLUXES, "ra", "decl", "uncertainty_ew", "uncertainty_ns"),
            **_named(point, "type"),
            **_named(source, "extract_type", "flags"),
            **_named(point, "v_int", "eta_int", "f_datapoints"),
            **_named(source, *_RAW),
        },
        dataset=entry.dataset,
        time=Image.taustart_ts,
        band=Image.band,
        stokes=Image.stokes,
        parent="runcat",
        order=("taustart_ts", "freq_central", "stokes", "xtrsrc"),
        place=entry,
        entry=point.runcat,
        flags=source.flags,
    )
    return result_table("lightcurves", "Points of light curves: measurements of a source, in order of time.", query)


def _images() -> ResultTable:
    """Describe the images, with their sky region, calibration and rejection."""
    rejected = Rejection
    counted = select(func.count()).where(ExtractedSource.image == Image.id, ExtractedSource.extract_type == 0)
    query = Query(
        root=Image,
        joins=(
            Join(model=FrequencyBand, on=FrequencyBand.id == Image.band, is_outer=True),
            Join(model=SkyRegion, on=SkyRegion.id == Image.skyrgn),
            Join(model=RmsMap, on=RmsMap.image == Image.id, is_outer=True),
            Join(model=Calibration, on=Calibration.image == Image.id, is_outer=True),
            Join(model=rejected, on=rejected.image == Image.id, is_outer=True),
            Join(model=RejectReason, on=RejectReason.id == rejected.rejectreason, is_outer=True),
        ),
        fields={
            "dataset": Image.dataset,
            "image": Image.id,
            **_named(Image, "url", *_OF_IMAGE, "freq_bw"),
            "freq_central": FrequencyBand.freq_central,
            **_named(SkyRegion, "centre_ra", "centre_decl", "xtr_radius"),
            **_named(Image, "rb_smaj", "rb_smin", "rb_pa", "fwhm_arcsec", "deltax", "deltay"),
            **_named(RmsMap, "nx", "ny"),
            **_named(Image, "rms_qc", "rms_min", "rms_max", "detection_thresh", "analysis_thresh"),
            **_named(Image, "n_pixels", "n_beams", "n_negative"),
            "n_sources": cast(counted.correlate(Image).scalar_subquery(), Integer),
            **_named(Calibration, "flux_applied", "gain", "gain_err", "position_applied", "shift_ew", "shift_ns"),
            **_named(Image, "telescope", "late"),
            "reason": RejectReason.description,
            "comment": rejected.comment,
        },
        dataset=Image.dataset,
        time=Image.taustart_ts,
        band=Image.band,
        stokes=Image.stokes,
        parent="image",
        order=(),
        place=SkyRegion,
    )
    number = Column(np.dtype("i8"), "", "Number of blind measurements.", ucd="meta.number;src")
    return result_table("images", "Images, with their noise and calibration, and reasons of rejections.", query,
                        n_sources=number)  # fmt: skip


def _transients() -> ResultTable:
    """Describe the transient candidates, with their detections and the metrics of their sources."""
    candidate, entry, source, metric = NewSource, RunningCatalog, ExtractedSource, VarMetric
    query = Query(
        root=candidate,
        joins=(
            Join(model=entry, on=entry.id == candidate.runcat),
            Join(model=source, on=source.id == candidate.trigger_xtrsrc),
            Join(model=Image, on=Image.id == source.image),
            _BAND,
            Join(model=metric, on=metric.newsource == candidate.id),
        ),
        fields={
            "dataset": entry.dataset,
            "newsource": candidate.id,
            "runcat": candidate.runcat,
            "xtrsrc": candidate.trigger_xtrsrc,
            **_named(entry, "wm_ra", "wm_decl"),
            **_named(Image, "taustart_ts", "band", "stokes"),
            "freq_central": FrequencyBand.freq_central,
            "freq_eff": Image.freq_eff,
            **_named(source, "flags", "f_peak", "f_peak_err", "f_int", "f_int_err", "det_sigma"),
            "newsource_type": candidate.newsource_type,
            **_named(metric, "sigma_rms_min", "sigma_rms_max"),
            **_named(candidate, "sigma_local", "n_looks", "n_measured", "newness", "upper_limit", "noise_peaks"),
            **_named(candidate, "grade", *Signs.columns()),
            **_named(metric, "v_int", "eta_int"),
            "metric_stokes": metric.stokes,
            "datapoints": entry.datapoints,
            "previous_limits_image": candidate.previous_limits_image,
            "image": source.image,
            "url": Image.url,
        },
        dataset=entry.dataset,
        time=Image.taustart_ts,
        band=Image.band,
        stokes=Image.stokes,
        parent="newsource",
        order=(),
        place=entry,
        entry=candidate.runcat,
        flags=source.flags,
    )
    signs = Column(np.dtype("O"), "", "Names of the signs of artefacts; empty without any.")
    return result_table("transients", "Transient candidates, those with the highest score first.", query, signs=signs)


QUERIED = {table.name: table for table in (_sources(), _measurements(), _lightcurves(), _images(), _transients())}
"""The tables that have a query, by name."""
