"""Steps as Prefect tasks: the third place where the pipeline can run them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from flows.tasks import POLICIES, Policy, Work, call_task, make_task

if TYPE_CHECKING:
    from prefect import Task

    from trap.executors import Executor, Result

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
        task, label = self._task(step, *args, **kwargs)
        work = partial(_result_of, partial(self._workers.submit, step, *args, **kwargs))
        return cast("Result[T]", task.submit(label, work))

    def call(self, step: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Run the step as a task here and now."""
        task, label = self._task(step, *args, **kwargs)
        return cast("T", call_task(task, label, partial(step, *args, **kwargs)))

    def _task(self, step: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> tuple[Task[[str, Work], Any], str]:
        name = step.__name__
        policy = POLICIES.get(name, Policy())
        if name not in self._tasks:
            self._tasks[name] = make_task(name, policy)
        return self._tasks[name], f"{name} {policy.label(*args, **kwargs)}".rstrip()


def _result_of(submit: Callable[[], Result[T]]) -> T:
    return submit().result()
