"""Search for catalogue entries near a position, at a cost that hardly depends on their number.

A k-d tree on unit vectors finds them anywhere on the sphere, but takes a second to build for a
million entries, which move a little with every measurement. So there are several trees, each much
smaller than the one before it. Entries that are new, or have moved too far since their tree was built,
go into a new small tree, and trees are merged when their sizes become alike: an entry is put
into a tree some ten times while the catalogue grows a thousandfold. The result equals a search in one tree
that contains all current positions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from trap.angles import unit_vectors

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from trap.typing import Indices


__all__ = ["SkyIndex", "chord_of"]

MAX_DRIFT = 1e-6
"""Distance on the unit sphere (0.2 arcsec) that an entry may move within a tree. It widens searches."""
MERGE_RATIO = 4
"""Ratio of the sizes of a tree and the next one up to which the two are merged."""
ROUNDING = 1e-12
"""Largest rounding error of a distance on the unit sphere."""
NO_LAYER = -1


def chord_of(angle: float) -> float:
    """Return the straight distance on the unit sphere between two directions an angle [deg] apart."""
    return float(2 * np.sin(np.radians(min(angle, 180.0)) / 2))


@dataclass(frozen=True, slots=True)
class _Layer:
    """A tree of some entries, with its number and their rows. Entries that a later layer holds are left in it."""

    number: int
    tree: cKDTree
    rows: Indices

    def is_near(self, low: NDArray[np.float64], high: NDArray[np.float64], chord: float) -> bool:
        """Return whether the box around the tree comes closer than a chord to another box."""
        return bool((self.tree.mins <= high + chord).all() and (self.tree.maxes >= low - chord).all())


class SkyIndex:
    """Positions of entries by row; rows are added in order and may move."""

    def __init__(self) -> None:
        self._n = 0
        self._vectors = np.empty((0, 3))
        self._in_tree = np.empty((0, 3))
        self._layer = np.empty(0, np.int64)
        self._layers: list[_Layer] = []
        self._n_layers = 0
        self._waiting: list[Indices] = []

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
            more = 2 * self._n - len(self._vectors)
            self._vectors = np.concatenate([self._vectors, np.empty((more, 3))])
            self._in_tree = np.concatenate([self._in_tree, np.empty((more, 3))])
            self._layer = np.concatenate([self._layer, np.full(more, NO_LAYER)])
        self._vectors[rows] = vectors
        self._waiting.append(rows)

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
        settled = rows[self._layer[rows] != NO_LAYER]
        drift = np.linalg.norm(self._vectors[settled] - self._in_tree[settled], axis=1)
        moved = settled[drift > MAX_DRIFT]
        self._layer[moved] = NO_LAYER
        self._waiting.append(moved)

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
        if not len(vectors):
            return np.empty(0, np.intp), np.empty(0, np.intp)
        targets, chord = cKDTree(vectors), chord_of(radius) + MAX_DRIFT + ROUNDING
        parts = [(np.empty(0, np.intp), np.empty(0, np.intp))]
        for layer in self._layers:
            if layer.is_near(targets.mins, targets.maxes, chord):
                positions, numbers = _pairs(targets, layer.tree, chord)
                rows = layer.rows[numbers]
                is_current = self._layer[rows] == layer.number
                parts.append((positions[is_current], rows[is_current]))
        positions, rows = (np.concatenate(columns) for columns in zip(*parts, strict=True))
        order = np.lexsort((rows, positions))
        return positions[order], rows[order]

    def _settle(self) -> None:
        """Put the entries that wait into a tree, merged with trees that are not much larger."""
        rows = np.concatenate([np.empty(0, np.intp), *self._waiting])
        self._waiting = []
        if not rows.size:
            return
        while self._layers and len(self._layers[-1].rows) <= MERGE_RATIO * len(rows):
            layer = self._layers.pop()
            rows = np.concatenate([layer.rows[self._layer[layer.rows] == layer.number], rows])
        self._in_tree[rows] = self._vectors[rows]
        self._layer[rows] = self._n_layers
        self._layers.append(_Layer(self._n_layers, cKDTree(self._vectors[rows]), rows))
        self._n_layers += 1


def _pairs(targets: cKDTree, tree: cKDTree, chord: float) -> tuple[Indices, Indices]:
    """Return numbers of targets and numbers in the tree that are closer than a chord."""
    if targets.n == 1:
        # A single circle may be wide; this search makes no table of distances.
        numbers = np.sort(np.array(tree.query_ball_point(targets.data[0], chord), np.intp))
        return np.zeros(len(numbers), np.intp), numbers
    near = targets.sparse_distance_matrix(tree, chord, output_type="ndarray")
    return near["i"], near["j"]
