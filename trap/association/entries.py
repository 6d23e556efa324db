"""What an entry of the running catalogue holds, and what a timestep can do to entries.

Entries are addressed by their row in the catalogue; a row never moves and is never reused, so that
a fork or a removal leaves every other row valid.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from trap.typing import Indices


__all__ = ["ENTRY", "NOT_PART", "CatalogueChanges", "Descent", "Fork", "Kin", "LightCurveKey"]

ENTRY = np.dtype(
    [
        ("id", "i8"),
        ("wm_ra", "f8"),
        ("wm_dec", "f8"),
        ("weight_ew", "f8"),
        ("weight_ns", "f8"),
        ("avg_ra_err", "f8"),
        ("avg_dec_err", "f8"),
        ("datapoints", "i4"),
        ("forcedfits_count", "i4"),
        ("first_seen", "M8[us]"),
        ("blend", "i8"),
        ("is_blend", "?"),
        ("mon_src", "?"),
        ("active", "?"),
    ]
)
"""State of one entry: ``id`` in the database (0 before it is stored), weighted mean position [deg],
Σ 1/σ² along east-west and north-south [deg⁻²], mean position errors [deg], number of positions,
forced fits since the last blind detection, time when it was first seen [UTC], the row of the blend
that it is a part of (:data:`NOT_PART` for most), whether it is a blend itself, whether it is
a monitored position, and whether it is still in the catalogue (a forked entry is not)."""

NOT_PART = -1


class LightCurveKey(NamedTuple):
    """Which light curve of an entry: one per band and Stokes parameter."""

    band: int
    stokes: int


class Fork(NamedTuple):
    """An entry that several measurements claimed, and one of the entries that replace it."""

    parent: int
    clone: int
    generation: int


class Descent(IntEnum):
    """How an entry came from another (column ``lineage.kind``)."""

    FORKED = 0
    """It replaces the other, which several measurements claimed, and has its light curve up to then."""
    PART = 1
    """It is one of the parts that the other, a blend, was seen to have; both stay."""
    BLEND = 2
    """It is the blend of the other and of more, which were seen as one; all stay."""


class Kin(NamedTuple):
    """An entry and one that it came from."""

    entry: int
    origin: int
    kind: Descent


@dataclass(slots=True)
class CatalogueChanges:
    """What a timestep changed: exactly what has to be stored."""

    n_before: int
    created: list[tuple[Indices, int, Indices]] = field(default_factory=list)
    """Indices made, the number of the image within the timestep, and the reference measurements."""
    touched: list[Indices] = field(default_factory=list)
    forks: list[Fork] = field(default_factory=list)
    blends: list[Kin] = field(default_factory=list)
    """Parts of blends, and blends of parts, that became known."""

    @property
    def removed(self) -> Indices:
        """Indices that a fork has taken out of the catalogue, whether made before or now."""
        return np.unique(np.array([fork.parent for fork in self.forks], np.intp))

    @property
    def updated(self) -> Indices:
        """Indices made before this timestep, still there, and changed in it."""
        rows = np.unique(np.concatenate([np.empty(0, np.intp), *self.touched]))
        return np.setdiff1d(rows[rows < self.n_before], self.removed)

    @property
    def lineage(self) -> list[Kin]:
        """What became known of where entries came from, forks first."""
        return [*(Kin(fork.clone, fork.parent, Descent.FORKED) for fork in self.forks), *self.blends]
