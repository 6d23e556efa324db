"""The executor that runs steps as Prefect tasks: each call of a step has its own task, or short calls share a task.

A task costs more (:mod:`flows.tasks.granularity`) than many a step takes for a small image.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar, cast

import structlog
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.tasks.policies import Policy, policy_of
from flows.tasks.tasks import Work, call_task, make_task
from trap.retry import call_with_retries
from trap.run.look_ahead import LookAhead

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prefect import Task
    from prefect.futures import PrefectFuture

    from trap.dataset.records import ImageResult, UnreadableImage
    from trap.run.planning import TimestepGroup
    from trap.workers.executors import Executor, Result

__all__ = ["PrefectExecutor"]

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger(__name__)


class PrefectExecutor:
    """Run steps as tasks of the current flow run; a context manager, which ends the tasks that are still open.

    Steps for worker processes become tasks in threads, which wait for our own pool: a task costs 4 ms then, while
    Prefect's process pool takes 80 ms and cannot end a worker that hangs.

    A shared task begins with a call of its step. It ends with the first call that returns after ``shared_seconds``, or
    with one that fails, and then the task has failed. Retries happen within the shared task, call by call, after the
    waiting times of the step's policy. Prefect's time-outs do not apply to it.

    Parameters
    ----------
    workers
        Executor for the steps that take a core for themselves.
    shared_seconds
        Minimum duration [s] of a task that all calls of a step share; 0 gives each call its own task.
    """

    def __init__(self, workers: Executor, shared_seconds: float = 0.0) -> None:
        self._workers = workers
        self._shared_seconds = shared_seconds
        self._tasks: dict[str, Task[[str, Work], Any]] = {}
        self._open: dict[str, _SharedTask] = {}
        self._ended: list[_SharedTask] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for name in list(self._open):
            self._end(name)
        for shared_task in self._ended:
            shared_task.wait()

    def submit(self, step: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Result[T]:
        """Queue the step for a worker. Its task waits for the worker, and queues the step again at every retry.

        Parameters
        ----------
        step, args, kwargs
            Function to be called, and its arguments.
        """
        first_attempt = [self._workers.submit(step, *args, **kwargs)]

        def attempt() -> T:
            result = first_attempt.pop() if first_attempt else self._workers.submit(step, *args, **kwargs)
            return result.result()

        return self._submit_work(step.__name__, attempt, *args, **kwargs)

    def call(self, step: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the step as a task, in this thread.

        Parameters
        ----------
        step, args, kwargs
            Function to be called, and its arguments.
        """
        name, work = step.__name__, partial(step, *args, **kwargs)
        if self._shared_seconds:
            return self._call_in_shared_task(name, policy_of(name).label(*args, **kwargs), work)
        return cast("T", call_task(self._task(name), _label(name, *args, **kwargs), work))

    def look_ahead(self, measurements: LookAhead, group: TimestepGroup) -> LookAhead:
        """Return the measurements of a group's images, with a task ``measure_image`` for each.

        There are two windows then. ``measurements`` keeps the worker processes busy and reaches beyond the group. The
        returned window reaches two timesteps ahead; its tasks only wait for images that ``measurements`` has begun, or
        have it begin them again at a retry. So each image is measured once, and its retries are shown by its task.

        Parameters
        ----------
        measurements
            Images under way in worker processes.
        group
            Timesteps of the current subflow.
        """
        largest = max(len(timestep.urls) for timestep in group.timesteps)

        def measure(url: str) -> Result[ImageResult | UnreadableImage]:
            return self._submit_work("measure_image", partial(measurements.attempt, url), url)

        return LookAhead(measure, group.urls, depth=2 * largest)

    def _submit_work(self, name: str, work: Callable[[], T], /, *args: object, **kwargs: object) -> Result[T]:
        """Begin a task in a thread that calls ``work``; a shared task calls it when its result is needed.

        Parameters
        ----------
        name
            Name of the step.
        work
            Waits for the step; called again at a retry.
        args, kwargs
            Arguments of the step, for the name of the task run.
        """
        if self._shared_seconds:
            return _Deferred(partial(self._call_in_shared_task, name, policy_of(name).label(*args, **kwargs), work))
        return cast("Result[T]", self._task(name).submit(_label(name, *args, **kwargs), work))

    def _task(self, name: str) -> Task[[str, Work], Any]:
        """Return the task of a step; all calls of the step are runs of it."""
        if name not in self._tasks:
            # A shared task lasts for many calls: Prefect must not repeat it, or end it by the time-out of one call.
            policy = Policy() if self._shared_seconds else policy_of(name)
            self._tasks[name] = make_task(name, policy)
        return self._tasks[name]

    def _call_in_shared_task(self, name: str, label: str, work: Callable[[], T]) -> T:
        """Call the work of a step, with retries, while the open task of the step runs."""
        shared_task = self._open.get(name) or self._begin(name, label)
        shared_task.note(label)
        try:
            result = call_with_retries(work, policy_of(name).delays)
        except BaseException as error:
            self._end(name, error)
            raise
        if shared_task.seconds >= self._shared_seconds:
            self._end(name)
        return result

    def _begin(self, name: str, label: str) -> _SharedTask:
        task = self._task(name)
        # Listed before its thread starts: if an interrupt comes in between, the task is ended all the same.
        shared_task = self._open[name] = _SharedTask()
        shared_task.begin(task, f"{name} from {label}".removesuffix(" from "))
        return shared_task

    def _end(self, name: str, error: BaseException | None = None) -> None:
        shared_task = self._open[name]
        shared_task.end(error)
        self._ended.append(self._open.pop(name))


class _Deferred(Generic[T]):
    """A result that is computed on request. Call ``result`` only once, since each call repeats the work."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work

    def result(self) -> T:
        return self._work()


class _SharedTask:
    """A task run in a thread that waits for its end, while the calls are made in the thread of the flow."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._labels: list[str] = []
        self._ends: SimpleQueue[str] = SimpleQueue()
        self._future: PrefectFuture[Any] | None = None

    def begin(self, task: Task[[str, Work], Any], label: str) -> None:
        self._future = task.submit(label, self._wait_for_end)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def note(self, label: str) -> None:
        self._labels.append(label)

    def end(self, error: BaseException | None) -> None:
        # Text: the exception itself is raised where the call was made, and would carry the frames of that thread here.
        self._ends.put("" if error is None else f"{type(error).__name__}: {error}")

    def wait(self) -> None:
        if self._future is None:
            return
        try:
            self._future.wait()
        except Exception as error:  # noqa: BLE001 (the calls have been made; their display is not worth a run)
            log.warning("task_not_ended", reason=f"{type(error).__name__}: {error}")

    def _wait_for_end(self) -> State[Any]:
        failure = self._ends.get()
        if failure:
            return Failed(message=failure)
        return Completed(message=_count_calls(self._labels))


def _count_calls(labels: Sequence[str]) -> str:
    if len(labels) < 2:
        return "1 call" if labels else "no call"
    return f"{len(labels)} calls" + (f", the last for {labels[-1]}" if labels[-1] else "")


def _label(name: str, *args: object, **kwargs: object) -> str:
    return f"{name} {policy_of(name).label(*args, **kwargs)}".rstrip()
