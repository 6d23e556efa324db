"""Compilation of kernels: once for all runs, and without blocking other threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

__all__ = ["compiled"]

_Function = TypeVar("_Function", bound=Callable[..., object])


def compiled(function: _Function) -> _Function:
    """Compile a function on its first call, and cache the machine code on disk next to the module.

    Division by zero gives infinity or NaN, as in numpy. Kernels are serial: the processes of the pipeline work on
    several images at once.
    """
    return cast("_Function", njit(cache=True, nogil=True, error_model="numpy")(function))
