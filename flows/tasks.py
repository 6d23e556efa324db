"""Which steps are Prefect tasks, what each run of them is called, and which are tried again.

The steps themselves know nothing of Prefect, and Prefect sees nothing of their arguments: it would
walk through them (a survey, ten thousand measurements) in search of futures, at every call. What a
task gets is the name of its run and something to call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prefect import Task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import exponential_backoff

from trap.errors import TransientError

__all__ = ["POLICIES", "TIMESTEP", "Policy", "Work", "call_task", "is_transient", "make_task", "time_label"]

FIRST_DELAY_SECONDS = 2.0
"""Waiting time before the first retry; it doubles from one to the next."""
JITTER = 0.5
"""Waiting times vary by half, so that steps that failed together do not come back together."""

Work = Callable[[], Any]
"""A step with its arguments, ready to be called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How Prefect runs one step.

    There is no time-out of Prefect's: it would end nothing that sits in compiled code. Hung workers
    are killed by :class:`~trap.executors.ProcessExecutor`, which is a transient error.

    Parameters
    ----------
    retries
        How often the step is tried again after a :class:`~trap.errors.TransientError`.
    tags
        The stage, to find its runs by, and to limit how many of them run at once on a server. Any tag
        makes Prefect ask the server for such limits, which adds 7 ms to a task of 4.
    label
        Tells, from the step's arguments, what a run of it works on.
    """

    retries: int = 0
    tags: tuple[str, ...] = ()
    label: Callable[..., str] = lambda *_, **__: ""


def time_label(moment: datetime) -> str:
    """Write a time in UTC for people, no finer than it is."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")


def _image_label(url: str, *_: object) -> str:
    return Path(url).name


def _fits_label(requests: Any, url: str, *_: object, **__: object) -> str:  # noqa: ANN401 (a table, of which the length)
    return f"{Path(url).name}, {len(requests)} positions"


def _backward_label(positions: Any, image: Any, *_: object) -> str:  # noqa: ANN401
    return f"{Path(image.url).name}, {len(positions)} positions"


def _association_label(_survey: object, results: Any) -> str:  # noqa: ANN401
    return time_label(results[0].metadata.taustart_ts) if len(results) else "no images"


def _store_label(_engine: object, _dataset: int, record: Any, *_: object) -> str:  # noqa: ANN401
    return time_label(record.taustart_ts)


POLICIES = {
    "measure_image": Policy(retries=3, tags=("source_extraction",), label=_image_label),
    "perform_forced_fits": Policy(retries=3, tags=("forced_fitting",), label=_fits_label),
    "perform_backward_fits": Policy(retries=3, tags=("forced_fitting",), label=_backward_label),
    "load_survey": Policy(retries=3, tags=("persistence",)),
    # Association changes the survey in memory. Done twice it would add every point twice, so it is never tried again
    # by itself: if it fails, so does its timestep, and the state is loaded anew from the database.
    "associate_extracted_sources": Policy(tags=("association",), label=_association_label),
    # One transaction, which leaves nothing behind when it fails, and changes nothing in memory.
    "store_timestep": Policy(retries=5, tags=("persistence",), label=_store_label),
}
"""By the name of the step. One that is not named here is tried once."""

TIMESTEP = Policy(retries=3)
"""A whole timestep as one task; every attempt starts from the state that the database holds. It is the choice at
high cadence, and so has no tag."""


def is_transient(_task: Task[..., Any], _run: TaskRun, state: State[Any]) -> bool:
    """Tell Prefect whether trying again may help: bad data stays bad."""
    return isinstance(state.result(raise_on_failure=False), TransientError)


def make_task(name: str, policy: Policy) -> Task[[str, Work], Any]:
    """Make the Prefect task of a step.

    Parameters
    ----------
    name
        The step.
    policy
        How often it is tried.

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
        tags=policy.tags,
        retries=policy.retries,
        retry_delay_seconds=exponential_backoff(FIRST_DELAY_SECONDS),
        retry_jitter_factor=JITTER,
        retry_condition_fn=is_transient,
        cache_policy=NO_CACHE,  # anything else would hash the arguments
        persist_result=False,
    )


def call_task(task: Task[[str, Work], Any], label: str, work: Work) -> Any:  # noqa: ANN401 (whatever the work returns)
    """Run a task here and now; raises what the work raised at its last attempt."""
    # Prefect declares the result of every task as possibly awaitable.
    return task(label, work)
