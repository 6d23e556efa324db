"""How a kernel is compiled: once for all runs, and without holding up other threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

__all__ = ["compiled"]

_Function = TypeVar("_Function", bound=Callable[..., object])


def compiled(function: _Function) -> _Function:
    """Compile a function when it is first called; the machine code is kept on disk beside the module.

    Division by zero gives infinity or NaN, as in numpy. Not parallel: images are, in processes.
    """
    return cast("_Function", njit(cache=True, nogil=True, error_model="numpy")(function))
