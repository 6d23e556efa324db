"""The entries of several datasets, merged by position into sources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import select

from trap.angles import separation
from trap.association.merging import MergeLimits, merge_catalogues
from trap.association.pairs import Positions
from trap.db.bulk import is_among, read_columns
from trap.db.models import RunningCatalog
from trap.tables import ColumnTable, column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from trap.typing import Columns

__all__ = ["POSITION_COLUMNS", "MergedEntries", "merge_entries", "read_entries"]

MARGIN = 4
"""Distance around a cone, in search radii, from which entries are merged too: the chains of pairs are shorter."""
POSITION_COLUMNS = (
    *(RunningCatalog.id, RunningCatalog.dataset, RunningCatalog.wm_ra, RunningCatalog.wm_decl),
    *(RunningCatalog.wm_uncertainty_ew, RunningCatalog.wm_uncertainty_ns),
)
"""Columns of entries that :func:`merge_entries` needs."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MergedEntries(ColumnTable):
    """Entries of several datasets, and the source that each of them is."""

    source: NDArray[np.int64] = column("i8", "", "Row of the entry that the source has in the first dataset with it.")
    dataset: NDArray[np.int64] = column("i8", "", "Dataset of the entry.")
    entry: NDArray[np.int64] = column("i8", "", "Row of the running catalogue.")
    ra: NDArray[np.float64] = column("f8", "deg", "Right ascension of the source, ICRS, mean weighted by 1/σ².")
    dec: NDArray[np.float64] = column("f8", "deg", "Declination of the source.")

    def distance_from(self, ra: float, dec: float) -> NDArray[np.float64]:
        """Return the distances of the sources from a position.

        Parameters
        ----------
        ra, dec
            deg, ICRS

        Returns
        -------
        (n,) deg
        """
        distance: NDArray[np.float64] = separation(self.ra, self.dec, ra, dec)
        return distance


def read_entries(
    connection: Connection,
    datasets: Sequence[int],
    limits: MergeLimits,
    near: tuple[float, float, float] | None = None,
) -> MergedEntries:
    """Read the entries of datasets, merged by position.

    Parameters
    ----------
    connection, datasets
        Connection in a transaction of the caller, and numbers of the datasets in the order of merging.
    limits
        Limits of pairs of entries.
    near
        deg — right ascension, declination and radius of a cone; None for the whole sky.

    Returns
    -------
    Entries of the sources within the cone, in order of the sources; the nearest source first if there is a cone.
    """
    rows = select(*POSITION_COLUMNS).where(is_among(connection, RunningCatalog.dataset, datasets))
    if near is None:
        merged = merge_entries(read_columns(connection, rows.order_by(RunningCatalog.id)), datasets, limits)
        return merged.take(np.argsort(merged.source, kind="stable"))
    ra, dec, radius = map(float, near)  # the driver knows no numpy numbers
    reach = radius + MARGIN * limits.search_radius
    rows = rows.where(RunningCatalog.wm_decl.between(dec - reach, dec + reach)).order_by(RunningCatalog.id)
    columns = read_columns(connection, rows)
    is_near = separation(columns["wm_ra"], columns["wm_decl"], ra, dec) <= reach
    merged = merge_entries({name: values[is_near] for name, values in columns.items()}, datasets, limits)
    distance = merged.distance_from(ra, dec)
    order = np.lexsort((merged.source, distance))
    return merged.take(order[distance[order] <= radius])


def merge_entries(found: Columns, datasets: Sequence[int], limits: MergeLimits) -> MergedEntries:
    """Merge entries by position.

    Parameters
    ----------
    found
        :data:`POSITION_COLUMNS` of each entry.
    datasets
        Numbers of the datasets in the order of merging.
    limits
        Limits of pairs of entries.
    """
    rows = [np.flatnonzero(found["dataset"] == dataset) for dataset in datasets]
    positions = Positions.of(
        ra=found["wm_ra"],
        dec=found["wm_decl"],
        uncertainty_ew=found["wm_uncertainty_ew"],
        uncertainty_ns=found["wm_uncertainty_ns"],
    )
    sources, means = merge_catalogues([positions.take(one) for one in rows], limits)
    order, source = np.concatenate(rows), np.concatenate(sources)
    # The number of an entry does not depend on the other sources that are read, such as those of a cone.
    _, first = np.unique(source, return_index=True)
    return MergedEntries.of(
        source=found["id"][order[first[source]]] if len(source) else source,
        dataset=found["dataset"][order],
        entry=found["id"][order],
        ra=means.ra[source],
        dec=means.dec[source],
    )
