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
    """Tell whether the monitored positions of a dataset are these, in whatever order."""
    rows = select(Monitor.ra, Monitor.decl, Monitor.name).where(Monitor.dataset == dataset_id)
    stored = sorted(tuple(row) for row in connection.execute(rows))
    given = zip(monitors.ra.tolist(), monitors.dec.tolist(), monitors.name.tolist(), strict=True)
    return stored == sorted(given)


def add_monitors(connection: Connection, dataset_id: int, monitors: MonitorPositions) -> None:
    """Add positions to be measured in every image of a dataset from now on."""
    columns = {"dataset": dataset_id, "ra": monitors.ra, "decl": monitors.dec, "name": monitors.name}
    insert_columns(connection, Monitor, columns)
