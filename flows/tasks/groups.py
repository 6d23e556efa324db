"""The groups of a run: each is a subflow, with steps or whole timesteps as tasks."""

from __future__ import annotations

from contextlib import suppress
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
from flows.service.identity import dataset_label
from flows.tasks.executors import PrefectExecutor
from flows.tasks.granularity import Granularity, Pace
from flows.tasks.policies import GROUP_FLOW, POLICIES, TIMESTEP, time_label, timestep_label
from flows.tasks.tasks import call_task, make_task
from trap.errors import TrapError
from trap.retry import IMAGE_DELAYS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prefect.futures import PrefectFuture
    from prefect.task_runners import TaskRunner

    from flows.pages.candidates import CandidatePages
    from flows.service.outage import ServerWatch
    from flows.service.stopping import StopRequests
    from trap.dataset.outcomes import TimestepOutcome
    from trap.pipeline import DatasetRun
    from trap.run.planning import Timestep, TimestepGroup
    from trap.workers.pools import Workers

__all__ = ["GroupRunner", "process_groups"]


def process_groups(dataset: DatasetRun, workers: Workers, stops: StopRequests, server: ServerWatch) -> CandidatePages:
    """Process all groups, each as a subflow, until the plan is done or the run is to stop.

    While the server is lost, groups have no subflows.

    Parameters
    ----------
    dataset
        The run; called within its flow run.
    workers
        Worker processes that measure images, fit sources and draw pictures.
    stops
        Requests to stop, checked between timesteps.
    server
        Watch of the Prefect server.

    Returns
    -------
    The pages of the new sources.
    """
    pages = publish_timesteps(dataset, workers)
    runner = GroupRunner(dataset, workers, stops)
    subflow = _group_flow(runner, pages)
    for group in runner.pace.groups():
        if stops.is_stopped():
            break
        first, last = (time_label(group.timesteps[end].taustart_ts) for end in (0, -1))
        n_before = len(dataset.outcomes)
        if not server.is_lost:
            # Timesteps that failed or were not begun are in the summary; anything else that ends a group ends the run.
            with suppress(FailedRun, CancelledRun), stops.around_subflow(), server.tolerating():
                subflow(group.number, first, last, len(group.urls))
        runner.process_alone(group.timesteps[len(dataset.outcomes) - n_before :])
    return pages


def _group_flow(runner: GroupRunner, pages: CandidatePages) -> Flow[[int, str, str, int], State[Any]]:
    """Make the subflow of a run. The run itself is not a parameter: Prefect would traverse and store it."""
    # A thread only waits, for a worker or until many calls have been made; a few more serve further attempts.
    n_threads = 2 * runner.n_workers + len(POLICIES)
    threads = cast("TaskRunner[PrefectFuture[Any]]", ThreadPoolTaskRunner(max_workers=n_threads))

    def timestep_group(number: int, first: str, last: str, images: int) -> State[Any]:  # noqa: ARG001 (for Prefect)
        """Process consecutive timesteps: images in parallel, timesteps in order."""
        group, granularity = runner.pace.group, runner.pace.granularity(runner.dataset.outcomes)
        with runner.stops.finishing_timestep():
            outcomes = runner.process(group, granularity)
            store_group_table(dataset_label(runner.dataset.config, runner.dataset.dataset_id), outcomes)
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


class GroupRunner:
    """Process the groups of a run in tasks of the granularity that fits.

    Parameters
    ----------
    dataset
        The run.
    workers
        Worker processes; images are measured ahead in them, across the ends of groups.
    stops
        Requests to stop, checked between timesteps.

    Attributes
    ----------
    pace
        Division of the run into groups and tasks.
    n_workers
        Number of worker processes.
    """

    def __init__(self, dataset: DatasetRun, workers: Workers, stops: StopRequests) -> None:
        self.dataset = dataset
        self.stops = stops
        self.n_workers = workers.n_workers
        self.pace = Pace(dataset.plan, dataset.config.execution, workers.n_workers)
        self._workers = workers
        self._measurements = dataset.look_ahead(workers, n_workers=workers.n_workers, retry_delays=IMAGE_DELAYS)

    def process(self, group: TimestepGroup, granularity: Granularity) -> list[TimestepOutcome]:
        """Process the timesteps of a group, within its flow run.

        Parameters
        ----------
        group
            Consecutive timesteps.
        granularity
            Unit of work that is a task.

        Returns
        -------
        Outcomes of the timesteps that were begun; fewer than the group has if the run is to stop.
        """
        if granularity is Granularity.IMAGE:
            return self._process_step_by_step(group)
        return self._process_whole_timesteps(group)

    def process_alone(self, timesteps: Sequence[Timestep]) -> None:
        """Process timesteps without tasks, when the server has been lost.

        Parameters
        ----------
        timesteps
            Timesteps of a group that its subflow has left.
        """
        with self.stops.finishing_timestep():
            for timestep in timesteps:
                if self.stops.is_stopped():
                    break
                self.dataset.attempt(timestep, self._measurements, self._workers, retry_delays=IMAGE_DELAYS)

    def _process_step_by_step(self, group: TimestepGroup) -> list[TimestepOutcome]:
        """Process a group with tasks for its steps. Their policies retry; the timestep as a whole is not retried."""
        with PrefectExecutor(self._workers, self.pace.shared_seconds) as steps:
            measurements = steps.look_ahead(self._measurements, group)
            return self.dataset.process_group(group, steps, ahead=measurements, is_stopped=self.stops.is_stopped)

    def _process_whole_timesteps(self, group: TimestepGroup) -> list[TimestepOutcome]:
        """Process a group with tasks for whole timesteps, which short ones share."""
        task = make_task("process_timestep", TIMESTEP)
        shared_task = make_task("process_timestep", replace(TIMESTEP, delays=()))  # retries each timestep within
        outcomes: list[TimestepOutcome] = []
        for timesteps in self.pace.tasks(group.timesteps):
            if self.stops.is_stopped():
                break
            if len(timesteps) == 1:
                (timestep,) = timesteps
                in_task = partial(call_task, task, timestep_label(timestep))
                outcomes.append(self.dataset.attempt(timestep, self._measurements, self._workers, wrap=in_task))
            else:
                first, last = (time_label(timesteps[end].taustart_ts) for end in (0, -1))
                label = f"timesteps {first} to {last}, {len(timesteps)} timesteps"
                # The outcomes hold the failures, which have also made the task fail.
                with suppress(TimestepsFailedError):
                    call_task(shared_task, label, partial(self._process_in_one_task, timesteps, outcomes))
        return outcomes

    def _process_in_one_task(self, timesteps: Sequence[Timestep], outcomes: list[TimestepOutcome]) -> None:
        """Process timesteps one after the other, and append their outcomes."""
        failures = []
        for timestep in timesteps:
            if self.stops.is_stopped():
                break
            outcome = self.dataset.attempt(timestep, self._measurements, self._workers, retry_delays=IMAGE_DELAYS)
            outcomes.append(outcome)
            if outcome.failure is not None:
                failures.append(f"{time_label(timestep.taustart_ts)}: {outcome.failure}")
        if failures:
            msg = f"{len(failures)} of {len(timesteps)} timesteps failed; {'; '.join(failures)}"
            raise TimestepsFailedError(msg)


class TimestepsFailedError(TrapError):
    """Some timesteps of a task failed."""
