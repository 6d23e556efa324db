"""The source of a dataset that is nearest to a position, at any distance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import select

from trap import angles
from trap.db.models import RunningCatalog

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["nearest_entry"]


def nearest_entry(connection: Connection, dataset_id: int, ra: float, dec: float) -> dict[str, Any] | None:
    """Return the entry of a dataset that is nearest to a position.

    The whole catalogue is compared, in the database: half a million entries take a second.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    ra, dec
        deg, ICRS — position.

    Returns
    -------
    ``id``, ``wm_ra`` and ``wm_decl`` [deg], and ``distance_deg``; None if the dataset has no entry.
    """
    entry = RunningCatalog
    x, y, z = (float(value) for value in angles.unit_vectors(np.array([ra]), np.array([dec]))[0])
    cosine = entry.x * x + entry.y * y + entry.z * z
    rows = select(entry.id, entry.wm_ra, entry.wm_decl).where(entry.dataset == dataset_id)
    row = connection.execute(rows.order_by(cosine.desc(), entry.id).limit(1)).mappings().first()
    if row is None:
        return None
    distance = angles.separation(np.array([row["wm_ra"]]), np.array([row["wm_decl"]]), ra, dec)
    return {**row, "distance_deg": float(distance[0])}
