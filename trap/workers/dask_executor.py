"""Steps on other machines: a Dask cluster that somebody runs, given by its address.

The cluster brings the cores, nothing else: images are read by its workers under the same paths as
here, association and the database stay where the run is. So results are those of a local run, and a
worker that is lost costs the step that it ran.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar

from distributed import Client, KilledWorker
from distributed.comm.core import CommClosedError

from trap import __version__
from trap.errors import ConfigError, WorkerLostError
from trap.workers.worker_log import call_recorded, log_context, tell_again, told_before

if TYPE_CHECKING:
    from collections.abc import Callable

    from distributed import Future

    from trap.workers.executors import Result

__all__ = ["DaskExecutor"]

P = ParamSpec("P")
T = TypeVar("T")

CONNECT_SECONDS = 30.0
TICK_SECONDS = 0.5


class DaskExecutor:
    """Runs steps on a Dask cluster.

    Parameters
    ----------
    address
        Of the scheduler: ``tcp://host:port``.
    timeout_seconds
        Time of running, not of waiting, after which the worker of a step is started anew and the step
        raises :class:`~trap.errors.WorkerLostError`.

    Raises
    ------
    ConfigError
        If there is no cluster at the address, it has no workers, or they have another version of this
        software: results would not be the same.
    """

    def __init__(self, address: str, *, timeout_seconds: float = 600.0) -> None:
        try:
            self._client = Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError, TimeoutError) as error:
            msg = f"no Dask cluster answers at {address}: {error}"
            raise ConfigError(msg) from error
        self._timeout = timeout_seconds
        try:
            self.n_workers = self._check_workers(address)
        except BaseException:
            self._client.close()
            raise

    def submit(self, step: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Result[T]:
        """Queue the step for the next free worker of the cluster."""
        # A step is not pure for Dask: asked again after a failure it is to be run again. A worker that dies
        # costs one attempt, and it is the caller who decides on the next.
        future = self._client.submit(call_recorded, log_context(), step, *args, **kwargs, pure=False, retries=0)
        return _DaskResult(self._client, future, getattr(step, "__name__", repr(step)), self._timeout)

    def call(self, step: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the step now, in this process."""
        return step(*args, **kwargs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._client.close()

    def _check_workers(self, address: str) -> int:
        """Return the number of cores of the cluster, whose workers must be what this process is."""
        try:
            # Those that were lost a moment ago come back.
            self._client.wait_for_workers(1, timeout=CONNECT_SECONDS)
        except TimeoutError as error:
            msg = f"the Dask cluster at {address} has no workers"
            raise ConfigError(msg) from error
        threads: dict[str, int] = self._client.nthreads()
        try:
            versions: dict[str, str] = self._client.run(_version)
        except ImportError as error:
            msg = f"the workers of the Dask cluster at {address} lack this software: {error}"
            raise ConfigError(msg) from error
        for worker, version in versions.items():
            if version != __version__:
                msg = f"the Dask worker {worker} has version {version} of this software, and here is {__version__}"
                raise ConfigError(msg)
        return sum(threads.values())


class _DaskResult(Generic[T]):
    """A Dask future whose losses are told in our own words, and whose step does not hang for ever."""

    def __init__(self, client: Client, future: Future, step: str, timeout: float) -> None:
        self._client = client
        self._future = future
        self._step = step
        self._timeout = timeout

    def result(self) -> T:
        value, events = self._wait()
        tell_again(events)
        events.clear()
        return value

    def _wait(self) -> tuple[T, list[Any]]:
        since: float | None = None
        while True:
            try:
                found: tuple[T, list[Any]] = self._future.result(timeout=TICK_SECONDS)
            except TimeoutError as error:
                if self._future.done():
                    raise  # the step's own
                since = self._running_since(since)
                if since is not None and time.monotonic() - since > self._timeout:
                    self._end_worker()
                    msg = f"{self._step} was ended after {self._timeout:g} s"
                    raise WorkerLostError(msg, is_culprit=True) from error
            except KilledWorker as error:
                msg = f"the Dask worker of {self._step} died: {' '.join(str(error).split())}"
                raise WorkerLostError(msg, is_culprit=True) from error
            except CommClosedError as error:
                msg = f"the Dask cluster was lost while {self._step} ran: {error}"
                raise WorkerLostError(msg) from error
            except Exception as error:
                tell_again(told_before(error))
                raise
            else:
                return found

    def _running_since(self, since: float | None) -> float | None:
        """When the step began to run, as far as this was seen; None while it waits."""
        workers = self._client.processing()
        running = any(self._future.key in keys for keys in workers.values())
        return (since or time.monotonic()) if running else None

    def _end_worker(self) -> None:
        for worker, keys in self._client.processing().items():
            if self._future.key in keys:
                self._future.cancel()
                with suppress(OSError, TimeoutError, ValueError):
                    self._client.restart_workers([worker], timeout=CONNECT_SECONDS)


def _version() -> str:
    return __version__
