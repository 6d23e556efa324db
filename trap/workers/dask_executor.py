"""An executor for other machines: an existing Dask cluster, named by its address.

The cluster provides cores only. Its workers read images under the same paths as this machine; association and the
database stay in the process of the run. The results equal the results of a local run, and the loss of a worker costs
its step.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from distributed import Client, KilledWorker
from distributed.comm.core import CommClosedError

from trap import __version__
from trap.errors import ConfigError, WorkerLostError
from trap.workers.executors import DirectCalls
from trap.workers.worker_log import RecordedResult, call_recorded, log_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from distributed import Future

    from trap.workers.executors import Result

__all__ = ["DaskExecutor"]

P = ParamSpec("P")
T = TypeVar("T")

CONNECT_SECONDS = 30.0
"""Time limit of a connection to the cluster, and of the start of a worker."""
TICK_SECONDS = 0.5
"""Time between two checks whether a step has ended or runs too long."""


class DaskExecutor(DirectCalls):
    """Run steps on a Dask cluster.

    Parameters
    ----------
    address
        Address of the scheduler, ``tcp://host:port``.
    timeout_seconds
        s — running time, without the time in the queue, after which the worker of a step is restarted and the step
        raises :class:`~trap.errors.WorkerLostError`.

    Raises
    ------
    ConfigError
        If there is no cluster at the address, it has no workers, or they have another version of this software,
        whose results may differ.
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
        """Queue the step for the next free worker of the cluster.

        Parameters
        ----------
        step, args, kwargs
            Function to be called, and its arguments.
        """
        # A step is not "pure" for Dask, which would then return the failure of the first attempt to a second one.
        # A worker that dies costs one attempt; the caller decides about further ones.
        future = self._client.submit(call_recorded, log_context(), step, *args, **kwargs, pure=False, retries=0)
        return _DaskResult(self._client, future, getattr(step, "__name__", repr(step)), self._timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._client.close()

    def _check_workers(self, address: str) -> int:
        """Return the number of cores of the cluster, after comparing the version of its workers with this one."""
        try:
            # Workers that were lost a moment ago return.
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
                msg = f"the Dask worker {worker} has version {version} and this process {__version__} of this software"
                raise ConfigError(msg)
        return sum(threads.values())


class _DaskResult(RecordedResult[T]):
    """A future of Dask, with a time limit. The loss of its worker raises a :class:`~trap.errors.WorkerLostError`."""

    def __init__(self, client: Client, future: Future, step: str, timeout: float) -> None:
        self._client = client
        self._future = future
        self._step = step
        self._timeout = timeout

    def _wait(self) -> tuple[T, list[Any]]:
        """Wait for the step, and end its worker if it runs for longer than the time limit."""
        since: float | None = None
        while True:
            # A step may end just after a tick, and its result may take longer than a tick to arrive.
            has_ended = self._future.done()
            try:
                recorded: tuple[T, list[Any]] = self._future.result(
                    timeout=self._timeout if has_ended else TICK_SECONDS
                )
            except TimeoutError as error:
                if has_ended and self._future.status == "error":
                    raise  # The step itself has raised it.
                if has_ended:
                    msg = f"the result of {self._step} did not arrive within {self._timeout:g} s"
                    raise WorkerLostError(msg) from error
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
            else:
                return recorded

    def _running_since(self, since: float | None) -> float | None:
        """Return the first time at which the step was seen running; None while it is queued."""
        workers = self._client.processing()
        running = any(self._future.key in keys for keys in workers.values())
        return (since or time.monotonic()) if running else None

    def _end_worker(self) -> None:
        """Restart the worker of the step."""
        for worker, keys in self._client.processing().items():
            if self._future.key in keys:
                self._future.cancel()
                with suppress(OSError, TimeoutError, ValueError):
                    self._client.restart_workers([worker], timeout=CONNECT_SECONDS)


def _version() -> str:
    return __version__
