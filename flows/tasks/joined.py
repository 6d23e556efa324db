"""One task for the calls of a step that are made within some seconds, where each takes a moment only.

What a task costs (:mod:`flows.tasks.pace`) is more than many a step takes for a small image.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar

import structlog
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.tasks.policies import Policy, policy_of
from flows.tasks.tasks import make_task
from trap.retry import call_with_retries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prefect import Task
    from prefect.futures import PrefectFuture

    from flows.tasks.tasks import Work
    from trap.workers.executors import Executor, Result

__all__ = ["JoinedExecutor"]

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger(__name__)


class JoinedExecutor:
    """Runs steps as :class:`~flows.tasks.executors.PrefectExecutor` does, but many calls of a step are one task.

    The task of a step begins with a call of it. It ends with the first one that comes to its end some seconds
    later, or that fails, and then it has failed. What may pass is tried again within the task, as often and as late as
    its policy says, one call after the other; a time-out of Prefect's there is not.

    Parameters
    ----------
    workers
        Runs the steps that take a core for themselves.
    seconds
        How long a task takes at the least, unless the executor is closed before.
    """

    def __init__(self, workers: Executor, seconds: float) -> None:
        self._workers = workers
        self._seconds = seconds
        self._tasks: dict[str, Task[[str, Work], Any]] = {}
        self._open: dict[str, _Span] = {}
        self._ended: list[_Span] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for name in list(self._open):
            self._end(name)
        for span in self._ended:
            span.wait()

    def submit(self, step: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Result[T]:
        """Hand the step to a worker now; a task has it when the result is asked for."""
        begun = [self._workers.submit(step, *args, **kwargs)]

        def attempt() -> T:
            return (begun.pop() if begun else self._workers.submit(step, *args, **kwargs)).result()

        return self.submit_work(step.__name__, attempt, *args, **kwargs)

    def call(self, step: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the step here and now."""
        return self.submit_work(step.__name__, partial(step, *args, **kwargs), *args, **kwargs).result()

    def submit_work(self, name: str, work: Callable[[], T], /, *args: object, **kwargs: object) -> Result[T]:
        """Wait for a step when its result is called for; see :class:`~flows.tasks.executors.PrefectExecutor`."""
        return _Later(partial(self._call, name, policy_of(name).label(*args, **kwargs), work))

    def _call(self, name: str, label: str, work: Callable[[], T]) -> T:
        span = self._open.get(name) or self._begin(name, label)
        span.note(label)
        try:
            result = call_with_retries(work, policy_of(name).delays)
        except BaseException as error:
            self._end(name, error)
            raise
        if span.seconds >= self._seconds:
            self._end(name)
        return result

    def _begin(self, name: str, label: str) -> _Span:
        if name not in self._tasks:
            self._tasks[name] = make_task(name, Policy())
        # Known before its thread waits: whatever comes in between, it will be told to end.
        span = self._open[name] = _Span()
        span.begin(self._tasks[name], f"{name} from {label}".removesuffix(" from "))
        return span

    def _end(self, name: str, error: BaseException | None = None) -> None:
        span = self._open[name]
        span.end(error)
        self._ended.append(self._open.pop(name))


class _Later(Generic[T]):
    """A result that is worked for when it is asked for, which is to be once."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work

    def result(self) -> T:
        return self._work()


class _Span:
    """A task that lasts until it is told to end."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._calls: list[str] = []
        self._ends: SimpleQueue[str] = SimpleQueue()
        self._future: PrefectFuture[Any] | None = None

    def begin(self, task: Task[[str, Work], Any], label: str) -> None:
        self._future = task.submit(label, self._until_the_end)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def note(self, label: str) -> None:
        self._calls.append(label)

    def end(self, error: BaseException | None) -> None:
        # Words: the exception itself is raised where the call was made, and would carry that thread's frames here.
        self._ends.put("" if error is None else f"{type(error).__name__}: {error}")

    def wait(self) -> None:
        if self._future is None:
            return
        try:
            self._future.wait()
        except Exception as error:  # noqa: BLE001 (the calls have been made: what is shown of them is not worth a run)
            log.warning("task_not_ended", reason=f"{type(error).__name__}: {error}")

    def _until_the_end(self) -> State[Any]:
        reason = self._ends.get()
        if reason:
            return Failed(message=reason)
        return Completed(message=_counted(self._calls))


def _counted(calls: Sequence[str]) -> str:
    if len(calls) < 2:
        return "1 call" if calls else "no call"
    return f"{len(calls)} calls" + (f", the last for {calls[-1]}" if calls[-1] else "")
