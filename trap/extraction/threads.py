"""Independent parts of one image's work in several threads: islands, bands of rows, cells of a mesh.

Compiled kernels, sorts and Fourier transforms release Python's global lock. Results do not depend on the number of
threads, to the last bit.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["side_by_side"]

T = TypeVar("T")

MAX_THREADS = 4
"""Largest number of threads. Pipelines measure several images at once, in processes."""


def side_by_side(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Make independent calls, in threads if there are several.

    Parameters
    ----------
    calls
        Functions without arguments, for instance from ``partial``.

    Returns
    -------
    list
        Their results, in the order of the calls.
    """
    if len(calls) == 1:
        return [calls[0]()]
    with ThreadPoolExecutor(min(MAX_THREADS, os.cpu_count() or 1)) as threads:
        futures = [threads.submit(call) for call in calls]
        return [future.result() for future in futures]
