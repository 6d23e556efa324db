"""Prefect tasks for the steps, by their policies.

The steps do not depend on Prefect, and their arguments are hidden from it: Prefect would traverse them (the state of a
dataset, ten thousand measurements) in search of futures at every call. A task gets the name of its run and a function
without arguments.
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
"""A step with its arguments bound."""


def is_transient(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Return whether a task may be retried: after a time-out, or an error that may pass and was not retried yet."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, TaskRunTimeoutError) or is_retryable(error)


def make_task(name: str, policy: Policy) -> Task[[str, Work], Any]:
    """Make the Prefect task of a step.

    Parameters
    ----------
    name
        Name of the step.
    policy
        Its retries and its time-out.

    Returns
    -------
    A task whose parameters are the name of its run and the work.
    """

    def step(label: str, work: Work) -> Any:  # noqa: ANN401, ARG001 (the value of any step; Prefect reads the label)
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
        cache_policy=NO_CACHE,  # any other policy hashes the arguments
        persist_result=False,
    )


def call_task(task: Task[[str, Work], Any], label: str, work: Work) -> Any:  # noqa: ANN401 (the value of any step)
    """Run a task in this thread, and return the value of its work.

    Parameters
    ----------
    task
        Task of the step.
    label
        Name of the task run.
    work
        The step with its arguments.

    Raises
    ------
    Exception
        The error of the last attempt.
    """
    # Prefect declares the result of every task as possibly awaitable.
    return task(label, work)
