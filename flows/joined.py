"""One task for the calls of a step that are made within some seconds, where each takes a moment only.

What a task costs, some 0.03 s of computing, is more than many a step takes for a small image.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, Self, TypeVar

from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.policies import Policy, policy_of
from flows.tasks import make_task
from trap.patience import call_patiently

if TYPE_CHECKING:
    from prefect import Task
    from prefect.futures import PrefectFuture

    from flows.tasks import Work
    from trap.workers.executors import Executor, Result

__all__ = ["JoinedExecutor"]

P = ParamSpec("P")
T = TypeVar("T")


class JoinedExecutor:
    """Runs steps as :class:`~flows.executors.PrefectExecutor` does, but many calls of a step are one task.

    The task of a step begins with a call of it. It ends with the first one that comes to its end some seconds
    later, or that fails, and then it has failed. What may pass is tried again within the task, as often and as late as
    its policy says; a time-out of Prefect's there is not.

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

    def __exit__(self, _type: object, error: BaseException | None, _traceback: object) -> None:
        for name in list(self._open):
            self._end(name, error)
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
        """Do, when the result is asked for, what waits for a step; see :class:`~flows.executors.PrefectExecutor`."""
        return _Later(partial(self._call, name, policy_of(name).label(*args, **kwargs), work))

    def _call(self, name: str, label: str, work: Callable[[], T]) -> T:
        policy = policy_of(name)
        if name not in self._open:
            task = self._tasks.setdefault(name, make_task(name, Policy()))
            self._open[name] = _Span(task, f"{name} from {label}".removesuffix(" from "))
        span = self._open[name]
        span.note(label)
        try:
            result = call_patiently(work, policy.delays)
        except Exception as error:
            self._end(name, error)
            raise
        if span.seconds >= self._seconds:
            self._end(name)
        return result

    def _end(self, name: str, error: BaseException | None = None) -> None:
        span = self._open.pop(name)
        span.end(error)
        self._ended.append(span)


class _Later(Generic[T]):
    """A result that is worked for when it is asked for, which is to be once."""

    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work

    def result(self) -> T:
        return self._work()


class _Span:
    """A task that lasts until it is told to end."""

    def __init__(self, task: Task[[str, Work], Any], label: str) -> None:
        self._began = time.monotonic()
        self._calls: list[str] = []
        self._ends: SimpleQueue[BaseException | None] = SimpleQueue()
        self._future: PrefectFuture[Any] = task.submit(label, self._until_the_end)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def note(self, label: str) -> None:
        self._calls.append(label)

    def end(self, error: BaseException | None) -> None:
        self._ends.put(error)

    def wait(self) -> None:
        self._future.wait()

    def _until_the_end(self) -> State[Any]:
        error = self._ends.get()
        if error is not None:
            raise error
        n, last = len(self._calls), self._calls[-1]
        return Completed(message=f"{n} calls" + (f", the last for {last}" if last else ""))
