"""Steps made Prefect tasks, by their policies.

The steps themselves know nothing of Prefect, and Prefect sees nothing of their arguments: it would
walk through them (a survey, ten thousand measurements) in search of futures, at every call. What a
task gets is the name of its run and something to call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.task_engine import TaskRunTimeoutError

from flows.tasks import policies
from flows.tasks.policies import Policy
from trap.retry import is_retryable

__all__ = ["Work", "call_task", "is_transient", "make_task"]

Work = Callable[[], Any]
"""A step with its arguments, ready to be called."""


def is_transient(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Return whether a task may be retried: after a time-out, or an error that may pass and was not retried yet."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, TaskRunTimeoutError) or is_retryable(error)


def make_task(name: str, policy: Policy) -> Task[[str, Work], Any]:
    """Make the Prefect task of a step.

    Parameters
    ----------
    name
        The step.
    policy
        How often it is tried, and how long.

    Returns
    -------
    A task of the name of its run, and the work.
    """

    def step(label: str, work: Work) -> Any:  # noqa: ANN401, ARG001 (whatever the step returns; Prefect reads the label)
        return work()

    step.__name__ = step.__qualname__ = name
    return Task(
        step,
        name=name,
        task_run_name="{label}",
        retries=len(policy.delays),
        retry_delay_seconds=list(policy.delays),
        retry_jitter_factor=policies.JITTER,
        timeout_seconds=policy.timeout_seconds,
        retry_condition_fn=is_transient,
        cache_policy=NO_CACHE,  # anything else would hash the arguments
        persist_result=False,
    )


def call_task(task: Task[[str, Work], Any], label: str, work: Work) -> Any:  # noqa: ANN401 (whatever the work returns)
    """Run a task here and now; raises what the work raised at its last attempt."""
    # Prefect declares the result of every task as possibly awaitable.
    return task(label, work)
