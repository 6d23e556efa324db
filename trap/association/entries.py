"""Entries of the running catalogue, and the changes that a timestep can make to them.

Entries are addressed by their row in the catalogue; a row never moves and is never reused, so that
all other rows stay valid after a fork or a removal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trap.tables import Column

if TYPE_CHECKING:
    from collections.abc import Mapping

    from trap.typing import Indices


__all__ = ["ENTRY", "ENTRY_COLUMNS", "NOT_PART", "CatalogueChanges", "Descent", "Fork", "Kin", "LightCurveKey"]

NOT_PART = -1
"""Value of ``blend`` for an entry that is not a part of a blend."""

_DOUBLE, _FLAG = np.dtype("f8"), np.dtype("?")

ENTRY_COLUMNS: Mapping[str, Column] = {
    "id": Column(np.dtype("i8"), "", "Number of the row in the database; 0 before it is stored."),
    "wm_ra": Column(_DOUBLE, "deg", "Right ascension, mean weighted by 1/σ².", ucd="pos.eq.ra;meta.main"),
    "wm_dec": Column(_DOUBLE, "deg", "Declination, mean weighted by 1/σ².", ucd="pos.eq.dec;meta.main"),
    "weight_ew": Column(_DOUBLE, "deg-2", "Sum of 1/σ² along east-west."),
    "weight_ns": Column(_DOUBLE, "deg-2", "Sum of 1/σ² along north-south."),
    "avg_ra_err": Column(_DOUBLE, "deg", "Mean position error along east-west.", ucd="stat.error;pos.eq.ra"),
    "avg_dec_err": Column(_DOUBLE, "deg", "Mean position error along north-south.", ucd="stat.error;pos.eq.dec"),
    "datapoints": Column(np.dtype("i4"), "", "Number of averaged positions, of all bands, without null detections."),
    "forcedfits_count": Column(np.dtype("i4"), "", "Number of forced fits since the last blind detection."),
    "first_seen": Column(np.dtype("M8[us]"), "", "Start of the image of the first detection, UTC.", ucd="time.epoch"),
    "blend": Column(np.dtype("i8"), "", "Row of the blend that the entry is a part of."),
    "is_blend": Column(_FLAG, "", "Whether the entry is the blend of other entries."),
    "mon_src": Column(_FLAG, "", "Whether the entry is a monitored position."),
    "active": Column(_FLAG, "", "Whether the entry is in the catalogue; forks replace entries."),
}
"""State of one entry of the running catalogue.

Table ``runningcatalog`` stores all but ``active``, and takes units and sentences from here."""

ENTRY = np.dtype([(name, spec.dtype) for name, spec in ENTRY_COLUMNS.items()])
"""Record of one entry: :data:`ENTRY_COLUMNS`. ``blend`` is :data:`NOT_PART` for most entries."""


class LightCurveKey(NamedTuple):
    """Band and Stokes parameter of a light curve; an entry has one light curve for each key."""

    band: int
    stokes: int


class Fork(NamedTuple):
    """An entry that several measurements matched, and one of the entries that replace it.

    Parameters
    ----------
    parent, clone
        Rows of the replaced entry and of the new one.
    generation
        1 if the parent is older than this timestep; one more than the parent's if it is a clone itself.
    """

    parent: int
    clone: int
    generation: int


class Descent(IntEnum):
    """Relation of an entry to the entry that it came from (column ``lineage.kind``)."""

    FORKED = 0
    """It replaces the other, which several measurements matched, and inherits its light curve."""
    PART = 1
    """It is a part of the other, a blend; both stay."""
    BLEND = 2
    """It is the blend of the other and of further entries; all stay."""
    NEIGHBOUR = 3
    """It is a source next to the other, which an image shows apart from it; both stay."""


class Kin(NamedTuple):
    """An entry and one that it came from."""

    entry: int
    origin: int
    kind: Descent


@dataclass(slots=True)
class CatalogueChanges:
    """Changes of a timestep to the running catalogue: the rows that have to be stored.

    Parameters
    ----------
    n_before
        Number of entries before the timestep; later rows are new.
    """

    n_before: int
    created: list[tuple[Indices, int, Indices]] = field(default_factory=list)
    """Rows of new entries, number of the image within the timestep, and rows of the reference measurements."""
    touched: list[Indices] = field(default_factory=list)
    """Rows of entries with a new point or a new relation."""
    forks: list[Fork] = field(default_factory=list)
    """Forks, in order of time."""
    blends: list[Kin] = field(default_factory=list)
    """New relations of blends and their parts, and of neighbours."""

    @property
    def removed(self) -> Indices:
        """Rows that a fork removed from the catalogue, whether they are older than the timestep or not."""
        return np.unique(np.array([fork.parent for fork in self.forks], np.intp))

    @property
    def updated(self) -> Indices:
        """Rows older than the timestep that are still in the catalogue and were changed."""
        rows = np.unique(np.concatenate([np.empty(0, np.intp), *self.touched]))
        return np.setdiff1d(rows[rows < self.n_before], self.removed)

    @property
    def lineage(self) -> list[Kin]:
        """New relations between entries, forks first."""
        return [*(Kin(fork.clone, fork.parent, Descent.FORKED) for fork in self.forks), *self.blends]
