"""Table ``varmetric``: the points that its values are computed from, and its only writers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import func, select, update

from trap.db.bulk import is_among, nullable, read_columns, upsert_columns
from trap.db.models import (
    AssocXtrSource,
    ExtractedSource,
    Image,
    NewSource,
    RunningCatalog,
    RunningCatalogFlux,
    VarMetric,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, ScalarSelect

    from trap.association.entries import CatalogueChanges
    from trap.catalogues import VarMetrics
    from trap.typing import Ids

__all__ = ["Summarise", "light_curve_points", "refresh_metrics", "save_metrics", "save_varmetric"]

Summarise = Callable[[Mapping[str, NDArray[Any]]], Mapping[str, NDArray[Any]]]
"""Function from the points of whole light curves, as :func:`light_curve_points` yields them, to columns of
``varmetric``."""


def refresh_metrics(connection: Connection, dataset_id: int, summarise: Summarise) -> None:
    """Recompute the variability metrics of all light curves of a dataset from their stored points.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    summarise
        Function from the points of whole light curves to the columns of ``varmetric``; called once for each piece
        of the dataset.
    """
    for points in light_curve_points(connection, dataset_id):
        save_varmetric(connection, summarise(points))


def light_curve_points(
    connection: Connection, dataset_id: int, *, n_points: int = 500_000
) -> Iterator[dict[str, NDArray[Any]]]:
    """Read all light curves of a dataset in pieces of whole light curves.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    n_points
        Approximate number of points in memory at a time.

    Yields
    ------
    ``runcat``, ``band``, ``stokes``, ``f_int`` and ``f_int_err`` [Jy], ``taustart_ts``; in order of the
    first three and of time.
    """
    point, source, flux = AssocXtrSource, ExtractedSource, RunningCatalogFlux
    in_dataset = RunningCatalog.dataset == dataset_id
    lengths = (
        select(flux.runcat, func.sum(flux.f_datapoints).label("n"))
        .join(RunningCatalog, RunningCatalog.id == flux.runcat)
        .where(in_dataset)
        .group_by(flux.runcat)
        .order_by(flux.runcat)
    )
    counts = connection.execute(lengths).all()
    piece = np.cumsum([int(row.n) for row in counts]) // n_points
    entries = np.array([row.runcat for row in counts], np.int64)
    for number in np.unique(piece):
        members = entries[piece == number]
        rows = (
            select(point.runcat, Image.band, Image.stokes, source.f_int, source.f_int_err, Image.taustart_ts)
            .join(source, source.id == point.xtrsrc)
            .join(Image, Image.id == source.image)
            .join(RunningCatalog, RunningCatalog.id == point.runcat)
            .where(in_dataset, point.runcat.between(int(members[0]), int(members[-1])))
            .order_by(point.runcat, Image.band, Image.stokes, Image.taustart_ts, source.id)
        )
        yield read_columns(connection, rows)


def save_varmetric(connection: Connection, columns: Mapping[str, Any]) -> None:
    """Insert or update the metrics of entries.

    Parameters
    ----------
    connection
        Open connection; the caller owns the transaction.
    columns
        ``runcat`` and any of the columns of table ``varmetric``; for a new entry ``band``, ``lightcurve_max`` and
        ``lightcurve_avg`` are required.
    """
    upsert_columns(connection, VarMetric, columns, key=("runcat",))


def save_metrics(
    connection: Connection, metrics: VarMetrics, changes: CatalogueChanges, ids: Ids, bands: Sequence[int]
) -> None:
    """Store the metrics of the light curves that changed in a timestep.

    The median is NULL until the end of the run, since it cannot be updated point by point.

    Parameters
    ----------
    connection, metrics
        Connection in a transaction of the caller, and metrics of the changed entries.
    changes
        Changes of the running catalogue.
    ids
        (n_all,) — row number of every entry.
    bands
        Row number of every band of the dataset.
    """
    columns = {
        "runcat": ids[metrics.entry],
        "band": np.array(bands, np.int64)[metrics.band],
        "lightcurve_median": None,
        **{name: nullable(values) for name, values in metrics.as_dict().items() if name not in ("entry", "band")},
    }
    upsert_columns(connection, VarMetric, columns, key=("runcat",))
    _link_candidates(connection, ids[changes.n_before :])


def _link_candidates(connection: Connection, entries: Ids) -> None:
    """Copy the candidate of each new entry, and its ratios to the earlier noise, into its metrics."""
    if not len(entries):
        return

    def candidate(value: Any) -> ScalarSelect[Any]:  # noqa: ANN401 (any column)
        """Select a value of the first candidate of an entry."""
        return (
            select(value)
            .select_from(NewSource)
            .join(ExtractedSource, ExtractedSource.id == NewSource.trigger_xtrsrc)
            .join(Image, Image.id == NewSource.previous_limits_image)
            .where(NewSource.runcat == VarMetric.runcat)
            .order_by(NewSource.id)
            .limit(1)
            .correlate(VarMetric)
            .scalar_subquery()
        )

    values = {
        "newsource": candidate(NewSource.id),
        "sigma_rms_min": candidate(func.abs(ExtractedSource.f_int) / func.nullif(Image.rms_min, 0.0)),
        "sigma_rms_max": candidate(func.abs(ExtractedSource.f_int) / func.nullif(Image.rms_max, 0.0)),
        "sigma_local": candidate(NewSource.sigma_local),
        "newness": candidate(NewSource.newness),
    }
    connection.execute(update(VarMetric).where(is_among(connection, VarMetric.runcat, entries)).values(values))
