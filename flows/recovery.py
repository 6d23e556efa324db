"""Runs whose process has died: called what they are, cleared up after, and begun again.

Prefect marks a run as crashed if its worker sees it die, but not what it leaves behind: subflows and
tasks stay Running for ever. If the worker dies with it, nobody marks anything. This flow does, after a
crash, when a worker starts, and now and then; doing it twice changes nothing. A run that is begun again
goes on after the last timestep that is stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog
from prefect import flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import (
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterEndTime,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.sorting import FlowRunSort, TaskRunSort
from prefect.states import Completed, Crashed, Scheduled

from flows.service.identity import has_died
from flows.service.log import events_in_run_log
from flows.tasks.policies import FLOW, GROUP_FLOW, RUN

if TYPE_CHECKING:
    from prefect.client.schemas.objects import TaskRun

__all__ = ["Recovered", "recover", "recover_runs"]

log = structlog.get_logger(__name__)

UNFINISHED = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
OURS = FlowFilter(name=FlowFilterName(any_=[FLOW, GROUP_FLOW]))
HORIZON = timedelta(days=1)
"""A run that crashed longer ago is left to people: they have looked at it, or nobody waits for it."""
PAGE = 200


@dataclass(slots=True)
class Recovered:
    """What was found and put right.

    Parameters
    ----------
    died
        Runs that nobody had marked.
    left_behind
        Subflow runs and task runs whose parent had ended.
    begun_again
        Runs that will go on.
    """

    died: list[str] = field(default_factory=list)
    left_behind: int = 0
    begun_again: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{len(self.died)} dead runs, {self.left_behind} left behind, {len(self.begun_again)} begun again"


@flow(name="recover-runs", persist_result=False)
def recover_runs() -> State[Any]:
    """Mark runs whose process has died, clear up after them, and begin those of deployments again."""
    with events_in_run_log(), get_client(sync_client=True) as client:
        return Completed(message=str(recover(client, now=datetime.now(UTC))))


def recover(client: SyncPrefectClient, *, now: datetime) -> Recovered:
    """Put right what dead processes left on a server.

    Parameters
    ----------
    client
        Of the server.
    now
        The time.
    """
    found = Recovered()
    # Read first: what is begun meanwhile must not be taken for what a dead process left behind.
    runs = list(_runs(client, FlowRunFilter(state=_in(UNFINISHED)), OURS))
    tasks = list(_tasks(client))
    for run in runs:
        if run.parent_task_run_id is None and _has_died(run):
            log.warning("run_died", run=run.name, id=str(run.id))
            client.set_flow_run_state(run.id, Crashed(message="its process is gone"), force=True)
            found.died.append(run.name)
    found.left_behind = _clear_up(client, runs, tasks)
    for run in _crashed(client, now):
        client.set_flow_run_state(run.id, _next_attempt(run, now), force=True)
        log.warning("run_begun_again", run=run.name, id=str(run.id), attempt=run.run_count + 1)
        found.begun_again.append(run.name)
    return found


def _has_died(run: FlowRun) -> bool:
    """Tell whether the process of a run is gone; one that is about to begin again has the labels of its last one."""
    return run.state_type is not StateType.PENDING and has_died(run.labels, run.run_count)


def _clear_up(client: SyncPrefectClient, runs: list[FlowRun], tasks: list[TaskRun]) -> int:
    """Mark subflow runs and task runs as crashed whose flow run has ended; returns how many there were."""
    ended: set[UUID | None] = set()
    ended |= _ended(client, {task.flow_run_id for task in tasks if task.flow_run_id is not None})
    # A subflow hangs on a task run of its parent, and its own tasks on it: from the top down.
    parents: dict[UUID | None, UUID | None] = {task.id: task.flow_run_id for task in tasks}
    behind: list[FlowRun] = []
    while fresh := [run for run in runs if run not in behind and parents.get(run.parent_task_run_id) in ended]:
        behind += fresh
        ended |= {run.id for run in fresh}
    for run in behind:
        client.set_flow_run_state(run.id, Crashed(message="its parent run has ended"), force=True)
    orphans = [task for task in tasks if task.flow_run_id in ended]
    for task in orphans:
        client.set_task_run_state(task.id, Crashed(message="its flow run has ended"), force=True)
    return len(behind) + len(orphans)


def _crashed(client: SyncPrefectClient, now: datetime) -> Iterator[FlowRun]:
    """Find the runs of deployments that have crashed lately, and not too often."""
    lately = FlowRunFilterEndTime(after_=now - HORIZON)
    for run in _runs(client, FlowRunFilter(state=_in([StateType.CRASHED]), end_time=lately), OURS):
        is_whole = run.deployment_id is not None and run.parent_task_run_id is None
        if is_whole and run.run_count <= RUN.crash_retries:
            yield run


def _next_attempt(run: FlowRun, now: datetime) -> State[Any]:
    delay = RUN.crash_delay_seconds * 2 ** max(run.run_count - 1, 0)
    message = f"begun again after a crash, attempt {run.run_count + 1} of {RUN.crash_retries + 1}"
    return Scheduled(name="AwaitingRetry", scheduled_time=now + timedelta(seconds=delay), message=message)


def _ended(client: SyncPrefectClient, ids: set[UUID]) -> set[UUID]:
    """Leave out the runs that have not ended; one that was deleted has."""
    listed, alive = sorted(ids), set()
    for start in range(0, len(listed), PAGE):
        chosen = FlowRunFilter(id=FlowRunFilterId(any_=listed[start : start + PAGE]))
        alive |= {run.id for run in _runs(client, chosen, OURS) if run.state is None or not run.state.is_final()}
    return ids - alive


def _runs(client: SyncPrefectClient, chosen: FlowRunFilter, flows: FlowFilter) -> Iterator[FlowRun]:
    offset = 0
    while page := client.read_flow_runs(
        flow_filter=flows, flow_run_filter=chosen, sort=FlowRunSort.ID_DESC, limit=PAGE, offset=offset
    ):
        yield from page
        offset += PAGE


def _tasks(client: SyncPrefectClient) -> Iterator[TaskRun]:
    """Find unfinished task runs of our flow runs."""
    unfinished = TaskRunFilter(state=TaskRunFilterState(type=TaskRunFilterStateType(any_=UNFINISHED)))
    offset = 0
    while page := client.read_task_runs(
        flow_filter=OURS,
        task_run_filter=unfinished,
        sort=TaskRunSort.ID_DESC,
        limit=PAGE,
        offset=offset,
    ):
        yield from page
        offset += PAGE


def _in(states: list[StateType]) -> FlowRunFilterState:
    return FlowRunFilterState(type=FlowRunFilterStateType(any_=states))
