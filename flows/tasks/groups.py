"""The groups of a run: each a subflow, in which the steps or whole timesteps are tasks."""

from __future__ import annotations

from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from prefect import Flow
from prefect.client.schemas.objects import State
from prefect.exceptions import CancelledRun, FailedRun
from prefect.task_runners import ThreadPoolTaskRunner

from flows.pages.artifacts import store_group_table
from flows.pages.progress import publish_timesteps
from flows.pages.states import group_state
from flows.tasks.executors import PrefectExecutor
from flows.tasks.granularity import Granularity, choose_granularity
from flows.tasks.joined import JoinedExecutor
from flows.tasks.pace import Pace
from flows.tasks.policies import GROUP_FLOW, POLICIES, TIMESTEP, time_label, timestep_label
from flows.tasks.tasks import call_task, make_task
from trap.errors import TrapError
from trap.retry import IMAGE_DELAYS
from trap.run.look_ahead import LookAhead

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from prefect.futures import PrefectFuture
    from prefect.task_runners import TaskRunner

    from flows.pages.candidates import CandidatePages
    from flows.service.stopping import StopRequests
    from trap.dataset.outcomes import TimestepOutcome
    from trap.dataset.records import ImageResult, UnreadableImage
    from trap.pipeline import DatasetRun
    from trap.run.planning import Timestep
    from trap.workers.executors import Result
    from trap.workers.pools import Workers

__all__ = ["process_groups"]


def process_groups(dataset: DatasetRun, workers: Workers, stops: StopRequests) -> CandidatePages:
    """Process all groups, each as a subflow, until the plan is done or somebody wants the run to stop.

    Returns
    -------
    The pages of the new sources that were found.
    """
    pages = publish_timesteps(dataset, workers)
    pace = Pace(dataset.plan, is_fixed=bool(dataset.config.execution.group_size))
    subflow = _group_flow(dataset, workers, stops, pages, pace)
    for group in pace.groups():
        if stops.is_stopped():
            break
        first, last = (time_label(group.timesteps[end].taustart_ts) for end in (0, -1))
        # Timesteps that failed or were not begun are in the summary; anything else that ends a group ends the run.
        with suppress(FailedRun, CancelledRun), stops.around_subflow():
            subflow(group.number, first, last, len(group.urls))
    return pages


def _group_flow(
    dataset: DatasetRun, workers: Workers, stops: StopRequests, pages: CandidatePages, pace: Pace
) -> Flow[[int, str, str, int], State[Any]]:
    """Make the subflow of a run; the run itself is no parameter, which Prefect would take apart and store."""
    ahead = dataset.look_ahead(workers, n_workers=workers.n_workers, retry_delays=IMAGE_DELAYS)
    # A thread only waits, for a worker or until many calls have been made; some more, for further attempts.
    n_threads = 2 * workers.n_workers + len(POLICIES)
    threads = cast("TaskRunner[PrefectFuture[Any]]", ThreadPoolTaskRunner(max_workers=n_threads))

    def timestep_group(number: int, first: str, last: str, images: int) -> State[Any]:  # noqa: ARG001 (for Prefect)
        """Process consecutive timesteps: images side by side, timesteps in order."""
        group = pace.group
        granularity = choose_granularity(dataset.config.execution, dataset.plan, dataset.outcomes, workers.n_workers)
        with stops.finishing_timestep():
            if granularity is Granularity.IMAGE:
                outcomes = _process_step_by_step(dataset, pace, workers, ahead, stops)
            else:
                outcomes = _process_whole_timesteps(dataset, pace.tasks(group.timesteps), workers, ahead, stops)
            store_group_table(dataset.dataset_id, outcomes)
            pages.store_new()
        return group_state(outcomes, len(group.timesteps))

    return Flow(
        timestep_group,
        name=GROUP_FLOW,
        flow_run_name="{first} to {last}, {images} images",
        task_runner=threads,
        validate_parameters=False,
        persist_result=False,
    )


def _process_step_by_step(
    dataset: DatasetRun, pace: Pace, workers: Workers, ahead: LookAhead, stops: StopRequests
) -> list[TimestepOutcome]:
    """Process a group with tasks for every step; those that measure wait for what began before the group."""
    seconds, group = pace.task_seconds, pace.group
    largest = max(len(timestep.urls) for timestep in group.timesteps)

    def measure(url: str) -> Result[ImageResult | UnreadableImage]:
        return steps.submit_work("measure_image", partial(ahead.attempt, url), url)

    with JoinedExecutor(workers, seconds) if seconds else nullcontext(PrefectExecutor(workers)) as steps:
        shown = LookAhead(measure, group.urls, depth=2 * largest)
        return dataset.process_group(group, steps, ahead=shown, is_stopped=stops.is_stopped)


def _process_whole_timesteps(
    dataset: DatasetRun, tasks: Iterable[Sequence[Timestep]], workers: Workers, ahead: LookAhead, stops: StopRequests
) -> list[TimestepOutcome]:
    """Process a group with one task per timestep, or for several that are short; tasks run the steps by themselves."""
    task = make_task("process_timestep", TIMESTEP)
    of_several = make_task("process_timestep", replace(TIMESTEP, delays=()))  # they are tried again one by one
    outcomes: list[TimestepOutcome] = []
    for timesteps in tasks:
        if stops.is_stopped():
            break
        if len(timesteps) == 1:
            (timestep,) = timesteps
            in_task = partial(call_task, task, timestep_label(timestep))
            outcomes.append(dataset.attempt(timestep, ahead, workers, wrap=in_task))
        else:
            first, last = (time_label(timesteps[end].taustart_ts) for end in (0, -1))
            several = partial(_process_several, dataset, timesteps, workers, ahead, stops, outcomes)
            # What failed is in the outcomes, and has made the task fail.
            with suppress(TimestepsFailedError):
                call_task(of_several, f"timesteps {first} to {last}, {len(timesteps)} timesteps", several)
    return outcomes


class TimestepsFailedError(TrapError):
    """Some timesteps of a task failed."""


def _process_several(
    dataset: DatasetRun,
    timesteps: Sequence[Timestep],
    workers: Workers,
    ahead: LookAhead,
    stops: StopRequests,
    outcomes: list[TimestepOutcome],
) -> None:
    """Process timesteps one after the other."""
    failed = []
    for timestep in timesteps:
        if stops.is_stopped():
            break
        outcome = dataset.attempt(timestep, ahead, workers, retry_delays=IMAGE_DELAYS)
        outcomes.append(outcome)
        if outcome.failure is not None:
            failed.append(f"{time_label(timestep.taustart_ts)}: {outcome.failure}")
    if failed:
        msg = f"{len(failed)} of {len(timesteps)} timesteps failed; {'; '.join(failed)}"
        raise TimestepsFailedError(msg)
