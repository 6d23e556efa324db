"""Work that falls into independent parts is shared among threads: islands, bands of rows, cells of a mesh.

Kernels, sorts and transforms hold no lock of Python's. What comes out does not depend on the number of threads, to
the last bit.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["side_by_side"]

T = TypeVar("T")

MOST_THREADS = 4
"""Images are measured in several processes at once as a rule."""


def side_by_side(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Make independent calls, in threads if there are several; returns the results in order."""
    if len(calls) == 1:
        return [calls[0]()]
    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as threads:
        return [promise.result() for promise in [threads.submit(call) for call in calls]]
