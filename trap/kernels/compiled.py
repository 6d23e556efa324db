"""Compilation of kernels: once for all runs, and without blocking other threads."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

__all__ = ["compiled", "is_compiled"]

_KERNELS = Path(__file__).parent

_numba: Any = numba.config  # its settings have no types

_Function = TypeVar("_Function", bound=Callable[..., object])


def compiled(function: _Function) -> _Function:
    """Compile a function on its first call, and cache the machine code on disk.

    The cache is next to the module, or in another folder; see :func:`_choose_cache`. Division by zero gives infinity or
    NaN, as in numpy. Kernels are serial: the processes of the pipeline work on several images at once.
    """
    return cast("_Function", numba.njit(cache=True, nogil=True, error_model="numpy")(function))


def is_compiled() -> bool:
    """Return whether the cache holds machine code; the first run of an installation compiles it."""
    return any(_cache().glob("*.nbi"))


def _cache() -> Path:
    """Return the folder of the machine code; numba names it by the folder of the modules."""
    if not _numba.CACHE_DIR:
        return _KERNELS / "__pycache__"
    hashed = hashlib.sha1(str(_KERNELS.absolute()).encode(), usedforsecurity=False).hexdigest()
    return Path(_numba.CACHE_DIR) / f"{_KERNELS.name}_{hashed}"


def _choose_cache() -> None:
    """Choose a cache for a user who cannot write to the installation, and fill it with the code compiled there.

    Without such a folder numba refuses to define the kernels at all.
    """
    installed = _KERNELS / "__pycache__"
    if _numba.CACHE_DIR or os.access(installed if installed.is_dir() else _KERNELS, os.W_OK):
        return
    home = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))  # noqa: PTH111 (never fails)
    try:
        folder = home / "transients"
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            _numba.CACHE_DIR = str(folder)
    except OSError:
        _numba.CACHE_DIR = tempfile.mkdtemp(prefix="transients-")
    if not is_compiled():
        _cache().mkdir(parents=True, exist_ok=True)
        for file in installed.glob("*.nb[ci]"):
            with suppress(OSError):
                shutil.copy2(file, _cache())


_choose_cache()
