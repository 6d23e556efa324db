"""Islands are independent of each other: kernels that loop over them share the work among threads.

They hold no lock of Python's. What comes out does not depend on the number of threads, to the last bit.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Indices = NDArray[np.intp]

__all__ = ["over_islands"]

PART = 1000
"""Islands that a thread takes at a time; fewer are not worth one. Pipelines measure small images side by side."""
MOST_THREADS = 4
"""Images are measured in several processes at once as a rule."""


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
    n = offsets.size - 1
    if n <= PART:
        return kernel(offsets, first)
    cuts = [*range(0, n, PART), n]
    parts = [slice(low, high + 1) for low, high in pairwise(cuts)]
    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as threads:
        results = list(threads.map(lambda part: kernel(offsets[part], first[part]), parts))
    return np.concatenate(results)
