"""Blocks of a crowd: a group of overlapping sources too large for one matrix is solved piece by piece.

Positions of a dense list overlap, so that a group may hold all of an image. The matrix of n sources has
n² numbers: 8 GB for 30,000 sources. A source depends on others near it, though. Therefore a group is cut into blocks of
neighbours, and each block is solved with a rim of the sources around it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trap.kernels.peaks import overlapping_pairs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from trap.typing import Array, Indices


__all__ = ["MAX_JOINT", "Blocks", "cut_into_blocks"]

MAX_JOINT = 256
"""Number of sources that are solved in one matrix."""
BLOCK = 64
"""Largest number of sources of a block, without its rim."""
MAX_RIM = 256
"""Largest number of sources of a rim, the nearest ones."""
RIM_OVERLAP = 1e-3
"""Correlation of two sources from which one is in the rim of the other's block: within 5 σ of the beam."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blocks:
    """Blocks of sources, each with its rim.

    Parameters
    ----------
    first
        (n_blocks + 1,) — the members of block i are ``first[i]`` to ``first[i + 1]``.
    member
        (n_members,) — number of the source.
    is_core
        (n_members,) — whether the source belongs to the block, not to its rim. Each source belongs to one block.
    """

    first: Indices
    member: Indices
    is_core: NDArray[np.bool_]

    def batches(self, n_members: int) -> Iterator[tuple[Indices, Indices]]:
        """Yield consecutive blocks of about so many members: their offsets, and the places of their members."""
        start = 0
        while start < self.first.size - 1:
            stop = max(start + 1, int(np.searchsorted(self.first, self.first[start] + n_members)))
            stop = min(stop, self.first.size - 1)
            yield self.first[start : stop + 1] - self.first[start], np.arange(self.first[start], self.first[stop])
            start = stop


def cut_into_blocks(parameters: Array) -> Blocks:
    """Cut a crowd into blocks of neighbours, by halves along the longer side.

    Parameters
    ----------
    parameters
        (n, 6) — peak, x, y, a, b, c of the sources.
    """
    cores = list(_halves(parameters[:, 1:3]))
    block = np.empty(len(parameters), np.intp)
    for number, core in enumerate(cores):
        block[core] = number
    one, other = overlapping_pairs(parameters, RIM_OVERLAP)
    # Each source of a pair is in the rim of the other one's block.
    rims = np.unique(
        np.concatenate([np.column_stack([block[one], other]), np.column_stack([block[other], one])]), axis=0
    )
    rims = rims[block[rims[:, 1]] != rims[:, 0]]
    first_of_rim = np.searchsorted(rims[:, 0], np.arange(len(cores) + 1))
    members, sizes = [], []
    for number, core in enumerate(cores):
        rim = rims[first_of_rim[number] : first_of_rim[number + 1], 1]
        if rim.size > MAX_RIM:
            distance = parameters[rim, 1:3] - parameters[core, 1:3].mean(axis=0)
            rim = np.sort(rim[np.argsort((distance**2).sum(axis=1), kind="stable")[:MAX_RIM]])
        members += [core, rim]
        sizes += [core.size, rim.size]
    return Blocks(
        first=np.concatenate([[0], np.cumsum(sizes)[1::2]]),
        member=np.concatenate(members),
        is_core=np.repeat(np.tile([True, False], len(cores)), sizes),
    )


def _halves(places: Array) -> Iterator[Indices]:
    """Yield the numbers of neighbouring places, in parts of at most :data:`BLOCK`."""
    waiting = [np.arange(len(places))]
    while waiting:
        part = waiting.pop()
        if part.size <= BLOCK:
            yield part
            continue
        axis = int(np.argmax(np.ptp(places[part], axis=0)))
        order = part[np.argsort(places[part, axis], kind="stable")]
        waiting += [np.sort(order[order.size // 2 :]), np.sort(order[: order.size // 2])]
