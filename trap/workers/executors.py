"""Executors of the steps: in this process at once, or in worker processes that can be ended.

The pipeline submits steps to an executor, in the manner of :class:`concurrent.futures.Executor`, and waits for their
results. It does not depend on processes, on Prefect or on Dask.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import forkserver, resource_tracker
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, Self, TypeVar
from weakref import WeakSet

import psutil
from pebble import ProcessExpired, ProcessPool

from trap.errors import WorkerLostError
from trap.log import configure_logging
from trap.retry import START_DELAYS, call_with_retries
from trap.workers.limits import end_with_parent, limit_memory, machine_memory
from trap.workers.worker_log import RecordedResult, call_recorded, log_context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from trap.workers.worker_log import Events

__all__ = ["DirectCalls", "Executor", "ProcessExecutor", "Result", "SerialExecutor"]

P = ParamSpec("P")
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Result(Protocol[T_co]):
    """The result of a step that was submitted to an executor."""

    def result(self) -> T_co:
        """Wait for the step and return its value, or raise its exception."""


class Executor(Protocol):
    """Runs steps: pure functions in any process, and in this thread the steps that change the state in memory."""

    def submit(self, step: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Result[T]:
        """Run ``step(*args, **kwargs)``, a pure function, possibly in another process.

        Parameters
        ----------
        step, args, kwargs
            Function to be called, and its arguments.
        """

    def call(self, step: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``step(*args, **kwargs)`` in this thread, and return its value.

        Parameters
        ----------
        step, args, kwargs
            Function to be called, and its arguments.
        """


class DirectCalls:
    """The part of an executor that runs steps in the thread of the caller."""

    def call(self, step: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the step in this thread.

        Parameters
        ----------
        step, args, kwargs
            Function to be called, and its arguments.
        """
        return step(*args, **kwargs)


class SerialExecutor(DirectCalls):
    """Run every step immediately, in this process."""

    def submit(self, step: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Result[T]:
        """Run the step immediately; an exception is raised by the result.

        Parameters
        ----------
        step, args, kwargs
            Function to be called, and its arguments.
        """
        future: Future[T] = Future()
        try:
            future.set_result(step(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 (the result raises any exception of the step)
            future.set_exception(error)
        return future


class ProcessExecutor(DirectCalls):
    """Run steps in worker processes. A process that hangs or dies costs its step only.

    Compiled code cannot be ended in a thread, nor by a Prefect time-out; a process can be killed.

    Parameters
    ----------
    n_workers
        Number of processes; 0 starts one for each core that this process may use.
    timeout_seconds
        s — time after which a worker is killed and its step raises :class:`~trap.errors.WorkerLostError`.
    preload
        Names of modules that all workers share: a server process imports them once, before it forks the workers.
    memory
        bytes — memory that a worker may allocate before its step raises a ``MemoryError``; 0 is all memory of the
        machine.
    """

    def __init__(
        self, n_workers: int = 0, *, timeout_seconds: float = 600.0, preload: Sequence[str] = (), memory: int = 0
    ) -> None:
        self.n_workers = n_workers or len(os.sched_getaffinity(0))
        self._timeout = timeout_seconds
        self._preload = list(preload)
        self._memory = memory or machine_memory()
        self._is_broken = False
        self._futures: WeakSet[Future[Any]] = WeakSet()
        self._pool = call_with_retries(self._new_pool, START_DELAYS)
        self._renewing = threading.Lock()

    def submit(self, step: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Result[T]:
        """Queue the step for the next free worker.

        Parameters
        ----------
        step, args, kwargs
            Function to be called, and its arguments.

        Raises
        ------
        WorkerLostError
            If no worker can be started, for ten seconds.
        """
        work = partial(self._submit_once, log_context(), step, *args, **kwargs)
        with self._renewing:
            future = call_with_retries(work, START_DELAYS)
            self._futures.add(future)
        return _WorkerResult(future, getattr(step, "__name__", repr(step)), self._timeout)

    def cancel(self) -> None:
        """End the steps that run or wait; each of them raises a :class:`~trap.errors.WorkerLostError`.

        It may be called in any thread. Later steps run as usual.
        """
        with self._renewing:
            futures = list(self._futures)
        for future in futures:
            future.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if exception[0] is None:
            self._pool.close()  # type: ignore[no-untyped-call]
        else:
            if exception[0] is KeyboardInterrupt:
                _stop_forking()
            self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()

    def _submit_once(
        self, context: dict[str, Any], step: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> Future[tuple[T, Events]]:
        """Queue the step in the pool, or in a new one if the pool is broken; starting processes may fail."""
        with _starting():
            if self._is_broken or not self._pool.active:
                # A worker that dies while it sends its answer breaks the whole pool.
                self._pool, self._is_broken = self._new_pool(), False
            self._is_broken = True  # unless the next line succeeds
            future = self._pool.submit(call_recorded, self._timeout, context, step, *args, **kwargs)
            self._is_broken = False
        return future

    def _new_pool(self) -> ProcessPool:
        """Make a pool, whose processes start with the first steps."""
        with _starting():
            return self._make_pool()

    def _make_pool(self) -> ProcessPool:
        """Start the server of the workers, and make a pool."""
        # Forking a process that has threads, as a Prefect client does, can deadlock the child. Workers are
        # therefore forked from a server process without threads. All pools of a process share that server.
        context = multiprocessing.get_context("forkserver")
        if self._preload:
            context.set_forkserver_preload(self._preload)
        resource_tracker.ensure_running()  # before the block: it would let interrupts through again
        with _interrupts_held_back():
            forkserver.ensure_running()
        return ProcessPool(
            max_workers=self.n_workers,
            context=context,
            initializer=_prepare_worker,
            initargs=(os.getpid(), self._memory),
        )


class _WorkerResult(RecordedResult[T]):
    """A future of the pool. The loss of its worker raises a :class:`~trap.errors.WorkerLostError`."""

    def __init__(self, future: Future[tuple[T, Events]], step: str, timeout: float) -> None:
        self._future = future
        self._step = step
        self._timeout = timeout

    def _wait(self) -> tuple[T, Events]:
        """Wait for the step, and turn losses of its worker into errors of the pipeline."""
        try:
            return self._future.result()
        except TimeoutError as error:
            if error.__cause__ is not None:  # an error of the step has the traceback of its process as its cause
                raise
            msg = f"{self._step} was ended after {self._timeout:g} s"
            raise WorkerLostError(msg, is_culprit=True) from error
        except (BrokenProcessPool, CancelledError) as error:
            msg = f"the worker processes were lost while {self._step} ran"
            raise WorkerLostError(msg) from error
        except ProcessExpired as error:
            msg = f"the worker process of {self._step} died (exit code {error.exitcode})"
            raise WorkerLostError(msg, is_culprit=True) from error


@contextmanager
def _starting() -> Iterator[None]:
    """Convert errors at the start of processes: a limit of processes or memory, or a server that died."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        cause = error.__cause__ if isinstance(error, BrokenProcessPool) and error.__cause__ else error
        reason = "their server died" if isinstance(cause, EOFError) else getattr(cause, "strerror", None) or str(cause)
        msg = f"worker processes cannot be started: {reason}"
        raise WorkerLostError(msg) from error


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Hold interrupts back in the block, and permanently in the processes that it starts.

    An interrupt from the keyboard reaches every process of the group, also a server of workers that still imports its
    modules. This process alone decides how the run ends.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _stop_forking() -> None:
    """Kill the server of workers; the next pool starts another one.

    A server that still imports its modules would fork a worker afterwards, which would print that this process is gone.
    """
    for child in psutil.Process().children():
        with suppress(psutil.Error):
            if any("multiprocessing.forkserver" in word for word in child.cmdline()):
                child.kill()


def _prepare_worker(parent: int, memory: int) -> None:
    """Configure a worker: log to standard error, leave interrupts to the parent, end with it, and limit the memory."""
    configure_logging()
    # An interrupt is sent to the process group of the run; the current timestep still needs its images then.
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent(parent)
    limit_memory(memory)
