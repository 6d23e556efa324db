"""The most variable sources of a dataset: cuts, order and number in SQL, so that no more rows are read than are shown.

One pass over the narrow table of the metrics finds them, whatever the column that sorts them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, func, select

from trap.catalogues import VarMetrics
from trap.db.bulk import is_among, read_columns
from trap.db.models import Dataset, FrequencyBand, Image, RunningCatalog, RunningCatalogFlux, VarMetric

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Connection
    from sqlalchemy.orm import InstrumentedAttribute

    from trap.typing import Columns, Ids

__all__ = ["MetricCuts", "most_variable", "n_points", "of_dataset", "only_light_curves"]

MIN_POINTS = 2
"""Smallest number of flux points of a variable source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricCuts:
    """Cuts on the metrics of light curves; a source is selected if it meets all of them.

    Parameters
    ----------
    max_p
        Largest probability of an η as high if the source is constant. 1 includes sources without one.
    min_eta, min_v
        Smallest η, and smallest V; for Stokes parameters other than I, whose mean may be negative, smallest absolute V.
    min_modulation
        Smallest relative scatter beyond the errors; 0 includes sources without one.
    """

    max_p: float = 1.0
    min_eta: float = 0.0
    min_v: float = 0.0
    min_modulation: float = 0.0


def only_light_curves(connection: Connection, dataset_id: int) -> tuple[int, int] | None:
    """Return the band and Stokes parameter of all images of a dataset; None if they have several, or there are none.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    """
    keys = select(Image.band, Image.stokes).where(Image.dataset == dataset_id).distinct().limit(2)
    found = connection.execute(keys).all()
    return (found[0].band, found[0].stokes) if len(found) == 1 else None


def most_variable(
    connection: Connection,
    dataset_id: int,
    cuts: MetricCuts,
    *,
    sort: str = "eta_int",
    limit: int | None = 100,
    entries: Ids | None = None,
) -> tuple[Columns, int]:
    """Return the most variable sources that meet some cuts, each by the metrics of its brightest band.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    cuts
        Cuts on the metrics.
    sort
        Column of the metrics that sorts them: ``eta_p_value`` from low to high, any other by its absolute value from
        high to low. Of equal ones, the source with the higher η is the first.
    limit
        Largest number of sources; None for all.
    entries
        Row numbers of the running catalogue; None chooses from all.

    Returns
    -------
    sources
        Columns of :func:`trap.db.lightcurves.variables`.
    n_found
        Number of all sources that meet the cuts.
    """
    metric, entry = VarMetric, RunningCatalog
    where = [*of_dataset(connection, dataset_id), *_conditions(cuts)]
    if entries is not None:
        where.append(is_among(connection, metric.runcat, entries))
    order = [*_sorted_by(sort), metric.eta_int.desc().nulls_last(), metric.runcat]
    chosen = select(metric.id).where(*where).order_by(*order).limit(limit).subquery()
    rows = (
        select(
            *(metric.runcat, entry.wm_ra, entry.wm_decl, metric.band),
            *(getattr(metric, name) for name in VarMetrics.columns() if name not in ("entry", "band", "f_datapoints")),
            *(FrequencyBand.freq_central, n_points().label("f_datapoints")),
            *(metric.lightcurve_median, metric.newsource, entry.mon_src),
        )
        .join(chosen, chosen.c.id == metric.id)
        .join(entry, entry.id == metric.runcat)
        .outerjoin(FrequencyBand, FrequencyBand.id == metric.band)
        .order_by(*order)
    )
    sources = read_columns(connection, rows)
    n_found = len(sources["runcat"])
    if limit is not None and n_found == limit:
        n_found = int(connection.execute(select(func.count()).select_from(metric).where(*where)).scalar_one())
    return sources, n_found


def of_dataset(
    connection: Connection, dataset_id: int, runcat: InstrumentedAttribute[int] = VarMetric.runcat
) -> Sequence[ColumnElement[bool]]:
    """Return the condition that metrics belong to a dataset; none if there is only one dataset.

    It is evaluated after the cuts, row by row: an index of all entries of the dataset would be the slower way.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    runcat
        Column with the row numbers of the entries.
    """
    if connection.execute(select(func.count()).select_from(Dataset)).scalar_one() == 1:
        return []
    entry = RunningCatalog
    return [exists().where(entry.id == runcat, (entry.dataset + 0) == dataset_id)]


def _conditions(cuts: MetricCuts) -> list[ColumnElement[bool]]:
    """Return the cuts as conditions; NULL meets none."""
    metric = VarMetric
    found = [
        metric.eta_int >= cuts.min_eta,
        (metric.v_int >= cuts.min_v) | ((metric.stokes != 1) & (metric.v_int <= -cuts.min_v)),
        n_points() >= MIN_POINTS,
    ]
    if cuts.max_p < 1:
        found.insert(0, metric.eta_p_value <= cuts.max_p)
    if cuts.min_modulation > 0:
        found.append(metric.modulation >= cuts.min_modulation)
    return found


def n_points() -> ColumnElement[Any]:
    """Return the number of points of the light curve of a metric. Metrics of early versions do not count them."""
    metric, flux = VarMetric, RunningCatalogFlux
    n_stored = select(func.max(flux.f_datapoints)).where(flux.runcat == metric.runcat, flux.band == metric.band)
    return func.coalesce(metric.f_datapoints, n_stored.correlate(metric).scalar_subquery())


def _sorted_by(name: str) -> list[ColumnElement[Any]]:
    column = VarMetric.__table__.c[name]
    return [(column.asc() if name == "eta_p_value" else func.abs(column).desc()).nulls_last()]
