"""Disjoint sets as trees (union-find), shared by the kernels that join basins of islands or overlapping Gaussians.

An array holds the parent of each member; a root is its own parent, and two members with one root are in one set.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trap.kernels.compiled import compiled

if TYPE_CHECKING:
    from trap.typing import Indices

__all__ = ["find_root", "join_sets"]


@compiled
def find_root(parent: Indices, member: int) -> int:
    """Find the root of a member's tree.

    Members on the way are attached to their grandparents, which shortens later searches.

    Parameters
    ----------
    parent
        (n,) — parent of each member; changed.
    member
        Where the search starts.
    """
    while parent[member] != member:
        parent[member] = parent[parent[member]]
        member = parent[member]
    return member


@compiled
def join_sets(parent: Indices, one: int, other: int) -> None:
    """Join the sets of two members; the root of the second becomes the root of both.

    Parameters
    ----------
    parent
        (n,) — parent of each member; changed.
    one, other
        The members.
    """
    parent[find_root(parent, one)] = find_root(parent, other)
