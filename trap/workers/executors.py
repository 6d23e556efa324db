"""Where the steps run: here and now, or in worker processes that can be ended.

The pipeline asks an executor, in the manner of :class:`concurrent.futures.Executor`, to run a step
and waits for what it returns. It knows nothing of processes, of Prefect or of Dask.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Generic, ParamSpec, Protocol, Self, TypeVar

from pebble import ProcessExpired, ProcessPool

from trap.errors import WorkerLostError
from trap.log import configure_logging
from trap.workers.worker_log import call_recorded, log_context, tell_again, told_before

if TYPE_CHECKING:
    from collections.abc import Callable

    from trap.workers.worker_log import Events

__all__ = ["Executor", "ProcessExecutor", "SerialExecutor"]

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Result(Protocol[T_co]):
    """What an executor gives back: a promise of what the step returns."""

    def result(self) -> T_co:
        """Wait for the step and return its value, or raise what it raised."""


class Executor(Protocol):
    """Runs steps: pure ones wherever there is room, and here those that change the state in memory."""

    def submit(self, step: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Result[T]:
        """Run ``step(*args, **kwargs)``, a pure function, perhaps in another process."""

    def call(self, step: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``step(*args, **kwargs)`` here and now."""


class SerialExecutor:
    """Runs every step at once, in this process."""

    def submit(self, step: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Result[T]:
        """Run the step now; an exception is kept until the result is asked for."""
        future: Future[T] = Future()
        try:
            future.set_result(step(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 (a future carries whatever the step raises)
            future.set_exception(error)
        return future

    def call(self, step: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the step now."""
        return step(*args, **kwargs)


class ProcessExecutor:
    """Runs steps in worker processes; one that hangs or dies costs that step and nothing else.

    A thread or a Prefect time-out ends nothing that sits in compiled code; a process can be killed.

    Parameters
    ----------
    n_workers
        Processes; 0 takes one per core that this process may use.
    timeout_seconds
        Time after which a worker is killed and its step raises
        :class:`~trap.errors.WorkerLostError`.
    """

    def __init__(self, n_workers: int = 0, *, timeout_seconds: float = 600.0) -> None:
        self.n_workers = n_workers or len(os.sched_getaffinity(0))
        self._timeout = timeout_seconds
        self._pool = self._new_pool()
        self._renewing = threading.Lock()

    def submit(self, step: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Result[T]:
        """Queue the step for the next free worker."""
        with self._renewing:
            if not self._pool.active:
                # The pool gives up as a whole when a worker dies in the middle of an answer.
                self._pool = self._new_pool()
            future = self._pool.submit(call_recorded, self._timeout, log_context(), step, *args, **kwargs)
        return _WorkerResult(future, getattr(step, "__name__", repr(step)), self._timeout)

    def call(self, step: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the step now, in this process."""
        return step(*args, **kwargs)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if exception[0] is None:
            self._pool.close()  # type: ignore[no-untyped-call]
        else:
            self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()

    def _new_pool(self) -> ProcessPool:
        # Forking a process that has threads (a Prefect client's, for one) can deadlock the child, so
        # workers are forked from a server process without any, which imports what they need once.
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["trap.pipeline"])
        return ProcessPool(
            max_workers=self.n_workers, context=context, initializer=_prepare_worker, initargs=(os.getpid(),)
        )


class _WorkerResult(Generic[T]):
    """A pool's future whose losses are told in our own words."""

    def __init__(self, future: Future[tuple[T, Events]], step: str, timeout: float) -> None:
        self._future = future
        self._step = step
        self._timeout = timeout

    def result(self) -> T:
        value, events = self._wait()
        # Asked again, it has nothing new to say.
        tell_again(events)
        events.clear()
        return value

    def _wait(self) -> tuple[T, Events]:
        try:
            return self._future.result()
        except TimeoutError as error:
            msg = f"{self._step} was ended after {self._timeout:g} s"
            raise WorkerLostError(msg, is_culprit=True) from error
        except (BrokenProcessPool, CancelledError) as error:
            msg = f"the worker processes were lost while {self._step} ran"
            raise WorkerLostError(msg) from error
        except ProcessExpired as error:
            msg = f"the worker process of {self._step} died (exit code {error.exitcode})"
            raise WorkerLostError(msg, is_culprit=True) from error
        except Exception as error:
            tell_again(told_before(error))
            raise


def _prepare_worker(parent: int) -> None:
    """Make a worker write its log to standard error, leave interrupts to its parent, and not outlive it."""
    configure_logging()
    # Whoever asks the run to stop asks its process group; the timestep in hand still needs its images.
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_without, args=(parent,), daemon=True).start()


def _exit_without(parent: int) -> None:
    while _is_alive(parent):
        time.sleep(1.0)
    os._exit(1)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
