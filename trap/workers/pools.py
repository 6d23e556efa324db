"""The workers of a run by its settings: processes on this machine, or a Dask cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

from trap.errors import ConfigError
from trap.software import install_command
from trap.workers.executors import Executor, ProcessExecutor
from trap.workers.limits import HEADER_MEMORY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trap.config import ExecutionConfig

__all__ = ["Workers", "open_reader", "open_workers"]

HEADER_SECONDS = 60.0
"""Time limit of a header in live mode, where the next images wait for it."""


class Workers(Executor, Protocol):
    """An executor that has its own cores, and is closed at the end."""

    n_workers: int

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...


def open_workers(settings: ExecutionConfig, *, preload: Sequence[str] = ()) -> Workers:
    """Open the workers that the settings name.

    Parameters
    ----------
    settings
        Number and time limit of processes, or the address of a cluster.
    preload
        Names of modules that worker processes import once for all; a cluster imports its modules itself.

    Returns
    -------
    The workers, a context manager.

    Raises
    ------
    ConfigError
        If the Dask cluster cannot be used, or Dask is not installed.
    """
    timeout = settings.image_timeout_seconds
    if not settings.dask:
        return ProcessExecutor(settings.n_workers, timeout_seconds=timeout, preload=preload)
    try:
        from trap.workers.dask_executor import DaskExecutor
    except ImportError as error:
        msg = f"for --dask {settings.dask}, install Dask: {install_command('dask')} ({error})"
        raise ConfigError(msg) from error
    return DaskExecutor(settings.dask, timeout_seconds=timeout)


def open_reader(settings: ExecutionConfig) -> Workers:
    """Open one worker process of this machine that reads headers, with limits of time and memory.

    Parameters
    ----------
    settings
        Time limit of an image, which also holds for a header if it is below a minute.

    Returns
    -------
    The worker, a context manager.
    """
    timeout = min(settings.image_timeout_seconds, HEADER_SECONDS)
    return ProcessExecutor(1, timeout_seconds=timeout, memory=HEADER_MEMORY)
