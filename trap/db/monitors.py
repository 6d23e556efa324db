"""Monitored positions of a dataset: places on the sky that are measured in every image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from trap.db.bulk import insert_columns
from trap.db.models import Monitor

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from trap.catalogues import MonitorPositions

__all__ = ["add_monitors", "has_monitors"]


def has_monitors(connection: Connection, dataset_id: int, monitors: MonitorPositions) -> bool:
    """Return whether a dataset has exactly these monitored positions, in any order.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    monitors
        Positions and names.
    """
    rows = select(Monitor.ra, Monitor.decl, Monitor.name).where(Monitor.dataset == dataset_id)
    stored = sorted(tuple(row) for row in connection.execute(rows))
    positions = zip(monitors.ra.tolist(), monitors.dec.tolist(), monitors.name.tolist(), strict=True)
    return stored == sorted(positions)


def add_monitors(connection: Connection, dataset_id: int, monitors: MonitorPositions) -> None:
    """Add positions that are measured in every later image of a dataset.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    monitors
        Positions [deg] and names.
    """
    columns = {"dataset": dataset_id, "ra": monitors.ra, "decl": monitors.dec, "name": monitors.name}
    insert_columns(connection, Monitor, columns)
