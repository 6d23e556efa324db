"""Steps as Prefect tasks: the third place where the pipeline can run them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from flows.tasks.policies import policy_of
from flows.tasks.tasks import Work, call_task, make_task

if TYPE_CHECKING:
    from prefect import Task

    from trap.workers.executors import Executor, Result

__all__ = ["PrefectExecutor"]

P = ParamSpec("P")
T = TypeVar("T")


class PrefectExecutor:
    """Runs every step as a task of the flow that it is used in.

    Steps for worker processes become tasks in threads, which wait for our own pool: a task costs 4 ms
    then, where Prefect's process pool takes 80 and cannot end a worker that hangs.

    Parameters
    ----------
    workers
        Runs the steps that take a core for themselves.
    """

    def __init__(self, workers: Executor) -> None:
        self._workers = workers
        self._tasks: dict[str, Task[[str, Work], Any]] = {}

    def submit(self, step: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Result[T]:
        """Run the step as a task in a thread, which hands it to a worker at every attempt."""
        return self.submit_work(step.__name__, partial(self._run, step, *args, **kwargs), *args, **kwargs)

    def call(self, step: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the step as a task here and now."""
        label = _label(step.__name__, *args, **kwargs)
        return cast("T", call_task(self._task(step.__name__), label, partial(step, *args, **kwargs)))

    def submit_work(self, name: str, work: Callable[[], T], /, *args: object, **kwargs: object) -> Result[T]:
        """Run, as a task in a thread, what waits for a step that a worker may have begun already.

        Parameters
        ----------
        name
            The step.
        work
            Waits for the step, or does it again.
        args, kwargs
            Arguments of the step, which the run is called after.
        """
        return cast("Result[T]", self._task(name).submit(_label(name, *args, **kwargs), work))

    def _run(self, step: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._workers.submit(step, *args, **kwargs).result()

    def _task(self, name: str) -> Task[[str, Work], Any]:
        if name not in self._tasks:
            self._tasks[name] = make_task(name, policy_of(name))
        return self._tasks[name]


def _label(name: str, *args: object, **kwargs: object) -> str:
    return f"{name} {policy_of(name).label(*args, **kwargs)}".rstrip()
