"""Who is near whom among the positions of a forced fit, as the beam sees it, and what follows for the fit.

Distances are in units of the beam's σ in their direction: a plane in which the beam is round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from trap.extraction.celestial import HWHM_PER_SIGMA

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.typing import Array


__all__ = ["FREE_NEIGHBOUR", "Roles", "assign_roles", "beam_plane", "is_within"]

COINCIDENT = HWHM_PER_SIGMA
"""Half a beam width: two positions nearer than this are one source to the beam."""
FREE_NEIGHBOUR = 4.0
"""1.7 beam widths: found sources nearer than this are measured anew together with a position."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Roles:
    """How the positions and the found sources enter the fit.

    Parameters
    ----------
    is_leader
        (n_targets,) — whether a position has a Gaussian of its own in the joint solution. The others
        lie on a found source or on a leader and are measured after it.
    is_free
        (n_found,) — whether a found source is measured anew, being close to a leader.
    shared
        (n_pairs, 2) — for the positions that are no leaders, what they lie on: index of the target, and index
        among all found sources followed by all targets.
    """

    is_leader: NDArray[np.bool_]
    is_free: NDArray[np.bool_]
    shared: NDArray[np.intp]


def beam_plane(x: Array, y: Array, beam: Array) -> Array:
    """(n, 2) — positions (pix) in the plane in which the beam is round with σ = 1."""
    root = np.linalg.cholesky(np.array([[beam[0], beam[1]], [beam[1], beam[2]]]))
    places: Array = np.column_stack([x, y]) @ root
    return places


def is_within(points: Array, others: Array, distance: float) -> NDArray[np.bool_]:
    """(n,) — whether any of the others is nearer to a point than ``distance``; what is NaN is near nothing."""
    others = others[np.isfinite(others).all(axis=1)]
    near: NDArray[np.bool_] = np.asarray(np.isfinite(points).all(axis=1))
    if not others.size:
        return np.zeros(len(points), bool)
    near[near] = cKDTree(others).query(points[near])[0] < distance
    return near


def assign_roles(targets: Array, found: Array) -> Roles:
    """Decide who is solved for, from the places in the beam's plane.

    Parameters
    ----------
    targets, found
        (n, 2) — from :func:`beam_plane`; of two coinciding targets the earlier one leads.
    """
    is_leader = ~is_within(targets, found, COINCIDENT)
    tree = cKDTree(targets)
    pairs = tree.query_pairs(COINCIDENT, output_type="ndarray")
    # In the order of the later one: whoever could lead it is decided by then.
    for earlier, later in pairs[np.lexsort((pairs[:, 0], pairs[:, 1]))]:
        is_leader[later] &= not is_leader[earlier]
    followers = np.flatnonzero(~is_leader)
    sources = np.concatenate([found, np.where(is_leader[:, np.newaxis], targets, 1e9)])
    near = cKDTree(targets[followers]).sparse_distance_matrix(cKDTree(sources), COINCIDENT, output_type="ndarray")
    return Roles(
        is_leader=is_leader,
        is_free=is_within(found, targets[is_leader], FREE_NEIGHBOUR),
        shared=np.column_stack([followers[near["i"]], near["j"]]),
    )
