"""Steps as Prefect tasks: the third place where the pipeline can run them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from flows.tasks import POLICIES, Policy, Work, make_task
from trap.executors import SerialExecutor

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
        self._here = SerialExecutor()
        self._tasks: dict[str, Task[[str, Work], Any]] = {}

    def submit(self, step: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Result[T]:
        """Run the step as a task; one that is not for worker processes is done when this returns."""
        name = step.__name__
        policy = POLICIES.get(name, Policy())
        label = f"{name} {policy.label(*args, **kwargs)}".rstrip()
        if policy.in_worker:
            work = partial(self._in_worker, partial(self._workers.submit, step, *args, **kwargs))
            return cast("Result[T]", self._task(name, policy).submit(label, work))
        return self._here.submit(self._task(name, policy), label, partial(step, *args, **kwargs))

    def _task(self, name: str, policy: Policy) -> Task[[str, Work], Any]:
        if name not in self._tasks:
            self._tasks[name] = make_task(name, policy)
        return self._tasks[name]

    @staticmethod
    def _in_worker(submit: Callable[[], Result[T]]) -> T:
        """Have the step done by a worker; called anew at every attempt."""
        return submit().result()
