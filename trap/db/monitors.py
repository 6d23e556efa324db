"""Monitored positions of a dataset: places on the sky that are measured in every image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import select

from trap.db.bulk import insert_columns, is_among, reserve_ids
from trap.db.models import ExtractedSource, Monitor

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from trap.catalogues import MonitorPositions
    from trap.typing import Ids

__all__ = ["add_monitors", "missing_monitors", "monitor_names", "seen_monitors"]


def missing_monitors(connection: Connection, dataset_id: int, monitors: MonitorPositions) -> MonitorPositions:
    """Return the positions that a dataset does not monitor yet, whatever their names.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    monitors
        Positions and names.
    """
    rows = connection.execute(select(Monitor.ra, Monitor.decl).where(Monitor.dataset == dataset_id))
    stored = {tuple(row) for row in rows}
    positions = zip(monitors.ra.tolist(), monitors.dec.tolist(), strict=True)
    return monitors.take(np.array([position not in stored for position in positions], bool))


def add_monitors(connection: Connection, dataset_id: int, monitors: MonitorPositions) -> Ids:
    """Add positions that are measured in every later image of a dataset.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    monitors
        Positions [deg] and names.

    Returns
    -------
    (n,) — row numbers of the positions.
    """
    ids = reserve_ids(connection, Monitor, len(monitors))
    columns = {"id": ids, "dataset": dataset_id, "ra": monitors.ra, "decl": monitors.dec, "name": monitors.name}
    insert_columns(connection, Monitor, columns)
    return ids


def monitor_names(connection: Connection, dataset_id: int) -> list[str]:
    """Return the names of the monitored positions of a dataset, in alphabetical order, without empty ones.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    """
    rows = select(Monitor.name).where(Monitor.dataset == dataset_id, Monitor.name != "").distinct()
    return sorted(connection.execute(rows).scalars())


def seen_monitors(connection: Connection, ids: Ids) -> set[int]:
    """Return the monitored positions that lie on an image, if only outside its searched area.

    Parameters
    ----------
    connection, ids
        Open connection, and (n,) — row numbers of monitored positions.
    """
    fits = select(ExtractedSource.ff_monitor).where(is_among(connection, ExtractedSource.ff_monitor, ids))
    return {number for number in connection.execute(fits.distinct()).scalars() if number is not None}
