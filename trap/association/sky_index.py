"""Which catalogue entries lie near a position, however many entries there are.

A k-d tree on unit vectors answers that anywhere on the sphere, but takes a second to build for a
million entries, which move a little with every measurement. So the tree is built rarely: entries
that have moved too far since, or are new, are kept aside in a small tree of their own until they
are many. An answer is the same as that of a tree built just now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from trap.angles import unit_vectors

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from trap.typing import Indices


__all__ = ["SkyIndex", "chord_of"]

TOLERATED_DRIFT = 1e-6
"""How far an entry may move, on the unit sphere (0.2 arcsec), before it is kept aside; searches allow for it."""
SHARE_ASIDE = 8
"""The tree is built anew when one entry in this many is aside: its cost is then shared by as many additions."""
FEW = 1000
"""So few entries are always kept aside."""
ROUNDING = 1e-12
"""What rounding can do to a distance on the unit sphere."""


def chord_of(angle: float) -> float:
    """Straight distance on the unit sphere between two directions an angle [deg] apart."""
    return float(2 * np.sin(np.radians(min(angle, 180.0)) / 2))


class SkyIndex:
    """Positions of entries, by row; rows are added in order and may be moved."""

    def __init__(self) -> None:
        self._vectors = np.empty((0, 3))
        self._n = 0
        self._tree: cKDTree | None = None
        self._is_aside = np.empty(0, bool)
        self._aside: list[Indices] = []
        self._n_aside = 0
        self._small_tree: tuple[cKDTree, Indices] | None = None

    def add(self, ra: ArrayLike, dec: ArrayLike) -> None:
        """Add entries at the next rows; (n,) deg."""
        vectors = unit_vectors(ra, dec)
        rows = np.arange(self._n, self._n + len(vectors))
        self._n += len(vectors)
        if self._n > len(self._vectors):
            self._vectors = np.concatenate([self._vectors, np.empty((2 * self._n - len(self._vectors), 3))])
            self._is_aside = np.concatenate([self._is_aside, np.zeros(2 * self._n - len(self._is_aside), bool)])
        self._vectors[rows] = vectors
        self._set_aside(rows)

    def move(self, rows: Indices, ra: ArrayLike, dec: ArrayLike) -> None:
        """Move entries, each named once; (n,) deg."""
        self._vectors[rows] = unit_vectors(ra, dec)
        settled = rows[~self._is_aside[rows]]
        if self._tree is not None:
            drift = np.linalg.norm(self._vectors[settled] - self._tree.data[settled], axis=1)
            self._set_aside(settled[drift > TOLERATED_DRIFT])
        self._small_tree = None

    def near(self, ra: ArrayLike, dec: ArrayLike, radius: float) -> tuple[Indices, Indices]:
        """Find all entries within an angle of each of some positions, and perhaps a few beyond.

        Parameters
        ----------
        ra, dec
            (n,) deg
        radius
            deg — nothing nearer is missed; what is farther by up to the tolerated drift may be
            among the answers, so distances are to be checked.

        Returns
        -------
        positions, rows
            (n_pairs,) — pairs, each once, ordered by position and then by row.
        """
        self._settle()
        vectors = unit_vectors(ra, dec)
        asked = cKDTree(vectors)
        chord = chord_of(radius)
        found = []
        if self._tree is not None:
            positions, rows = _pairs(asked, self._tree, chord + TOLERATED_DRIFT + ROUNDING)
            known = ~self._is_aside[rows]
            found.append((positions[known], rows[known]))
        if self._n_aside:
            small, numbers = self._small()
            positions, rows = _pairs(asked, small, chord + ROUNDING)
            found.append((positions, numbers[rows]))
        positions = np.concatenate([np.empty(0, np.intp), *(p for p, _ in found)])
        rows = np.concatenate([np.empty(0, np.intp), *(r for _, r in found)])
        order = np.lexsort((rows, positions))
        return positions[order], rows[order]

    def _set_aside(self, rows: Indices) -> None:
        if rows.size:
            self._is_aside[rows] = True
            self._aside.append(rows)
            self._n_aside += rows.size
            self._small_tree = None

    def _settle(self) -> None:
        """Build the tree anew if too many entries are aside."""
        if self._n_aside <= max(FEW, self._n // SHARE_ASIDE):
            return
        self._tree = cKDTree(self._vectors[: self._n].copy())
        self._is_aside[:] = False
        self._aside, self._n_aside, self._small_tree = [], 0, None

    def _small(self) -> tuple[cKDTree, Indices]:
        if self._small_tree is None:
            rows = np.concatenate(self._aside)
            self._aside = [rows]
            self._small_tree = cKDTree(self._vectors[rows]), rows
        return self._small_tree


def _pairs(asked: cKDTree, tree: cKDTree, chord: float) -> tuple[Indices, Indices]:
    """Positions and tree numbers closer than a chord."""
    if asked.n == 1:
        # One circle, perhaps a wide one: no table of distances.
        numbers = np.sort(np.array(tree.query_ball_point(asked.data[0], chord), np.intp))
        return np.zeros(len(numbers), np.intp), numbers
    near = asked.sparse_distance_matrix(tree, chord, output_type="ndarray")
    return near["i"], near["j"]
