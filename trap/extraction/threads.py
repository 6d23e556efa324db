"""Work that falls into independent parts is shared among threads: islands, bands of rows, cells of a mesh.

Kernels, sorts and transforms hold no lock of Python's. What comes out does not depend on the number of threads, to
the last bit.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Indices = NDArray[np.intp]

__all__ = ["over_islands", "side_by_side"]

T = TypeVar("T")

PART = 1000
"""Islands that a thread takes at a time; fewer are not worth one. Pipelines measure small images side by side."""
MOST_THREADS = 4
"""Images are measured in several processes at once as a rule."""


def side_by_side(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Make independent calls, in threads if there are several; returns the results in order."""
    if len(calls) == 1:
        return [calls[0]()]
    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as threads:
        return [promise.result() for promise in [threads.submit(call) for call in calls]]


def over_islands(kernel: Callable[[Indices, Indices], Array], offsets: Indices, first: Indices) -> Array:
    """Call a kernel on all islands, in parts if they are many.

    Parameters
    ----------
    kernel
        Takes the (n + 1,) offsets of some islands' pixels and of their components, and gives a row for each of these
        components.
    offsets, first
        (n_islands + 1,) — of all islands.

    Returns
    -------
    (n_components, ...)
    """
    cuts = [*range(0, offsets.size - 1, PART), offsets.size - 1] if offsets.size > 1 else [0, 0]
    parts = [slice(low, high + 1) for low, high in pairwise(cuts)]
    return np.concatenate(side_by_side([partial(kernel, offsets[part], first[part]) for part in parts]))
