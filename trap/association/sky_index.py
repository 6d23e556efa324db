"""Search for catalogue entries near a position, at a cost that hardly depends on their number.

A k-d tree on unit vectors finds them anywhere on the sphere, but takes a second to build for a
million entries, which move a little with every measurement. So the tree is built rarely. Entries
that are new, or have moved too far since, go into a small second tree (they are set *aside*) until
they are many. The result equals a search in a tree that contains all current positions.
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

MAX_DRIFT = 1e-6
"""Distance on the unit sphere (0.2 arcsec) that an entry may move before it is set aside; it widens searches."""
REBUILD_RATIO = 8
"""Number of entries per entry aside at which the tree is rebuilt; its cost is proportional to their number."""
MIN_ASIDE = 1000
"""Number of entries aside up to which the tree is not rebuilt."""
ROUNDING = 1e-12
"""Largest rounding error of a distance on the unit sphere."""


def chord_of(angle: float) -> float:
    """Return the straight distance on the unit sphere between two directions an angle [deg] apart."""
    return float(2 * np.sin(np.radians(min(angle, 180.0)) / 2))


class SkyIndex:
    """Positions of entries by row; rows are added in order and may move."""

    def __init__(self) -> None:
        self._vectors = np.empty((0, 3))
        self._n = 0
        self._tree: cKDTree | None = None
        self._is_aside = np.empty(0, bool)
        self._aside: list[Indices] = []
        self._n_aside = 0
        self._small_tree: tuple[cKDTree, Indices] | None = None

    def add(self, ra: ArrayLike, dec: ArrayLike) -> None:
        """Add entries at the next rows.

        Parameters
        ----------
        ra, dec
            (n,) deg
        """
        vectors = unit_vectors(ra, dec)
        rows = np.arange(self._n, self._n + len(vectors))
        self._n += len(vectors)
        if self._n > len(self._vectors):
            self._vectors = np.concatenate([self._vectors, np.empty((2 * self._n - len(self._vectors), 3))])
            self._is_aside = np.concatenate([self._is_aside, np.zeros(2 * self._n - len(self._is_aside), bool)])
        self._vectors[rows] = vectors
        self._set_aside(rows)

    def move(self, rows: Indices, ra: ArrayLike, dec: ArrayLike) -> None:
        """Move entries.

        Parameters
        ----------
        rows
            (n,) — each at most once.
        ra, dec
            (n,) deg — new positions.
        """
        self._vectors[rows] = unit_vectors(ra, dec)
        settled = rows[~self._is_aside[rows]]
        if self._tree is not None:
            drift = np.linalg.norm(self._vectors[settled] - self._tree.data[settled], axis=1)
            self._set_aside(settled[drift > MAX_DRIFT])
        self._small_tree = None

    def near(self, ra: ArrayLike, dec: ArrayLike, radius: float) -> tuple[Indices, Indices]:
        """Find all entries within an angle of each position, and perhaps a few beyond.

        Parameters
        ----------
        ra, dec
            (n,) deg
        radius
            deg — no nearer entry is missed; entries farther by up to the tolerated drift may be
            included, so the caller has to check distances.

        Returns
        -------
        positions, rows
            (n_pairs,) — pairs, each once, ordered by position and then by row.
        """
        self._settle()
        vectors = unit_vectors(ra, dec)
        targets = cKDTree(vectors)
        chord = chord_of(radius)
        parts = []
        if self._tree is not None:
            positions, rows = _pairs(targets, self._tree, chord + MAX_DRIFT + ROUNDING)
            # The large tree still holds the old positions of the entries aside.
            is_current = ~self._is_aside[rows]
            parts.append((positions[is_current], rows[is_current]))
        if self._n_aside:
            small_tree, rows_aside = self._small()
            positions, numbers = _pairs(targets, small_tree, chord + ROUNDING)
            parts.append((positions, rows_aside[numbers]))
        positions = np.concatenate([np.empty(0, np.intp), *(part for part, _ in parts)])
        rows = np.concatenate([np.empty(0, np.intp), *(part for _, part in parts)])
        order = np.lexsort((rows, positions))
        return positions[order], rows[order]

    def _set_aside(self, rows: Indices) -> None:
        """Move entries to the small tree."""
        if rows.size:
            self._is_aside[rows] = True
            self._aside.append(rows)
            self._n_aside += rows.size
            self._small_tree = None

    def _settle(self) -> None:
        """Rebuild the tree if too many entries are aside."""
        if self._n_aside <= max(MIN_ASIDE, self._n // REBUILD_RATIO):
            return
        self._tree = cKDTree(self._vectors[: self._n].copy())
        self._is_aside[:] = False
        self._aside, self._n_aside, self._small_tree = [], 0, None

    def _small(self) -> tuple[cKDTree, Indices]:
        """Return the tree of the entries aside, built if they changed, and the rows of these entries."""
        if self._small_tree is None:
            rows = np.concatenate(self._aside)
            self._aside = [rows]
            self._small_tree = cKDTree(self._vectors[rows]), rows
        return self._small_tree


def _pairs(targets: cKDTree, tree: cKDTree, chord: float) -> tuple[Indices, Indices]:
    """Return numbers of targets and numbers in the tree that are closer than a chord."""
    if targets.n == 1:
        # A single circle may be wide; this search makes no table of distances.
        numbers = np.sort(np.array(tree.query_ball_point(targets.data[0], chord), np.intp))
        return np.zeros(len(numbers), np.intp), numbers
    near = targets.sparse_distance_matrix(tree, chord, output_type="ndarray")
    return near["i"], near["j"]
