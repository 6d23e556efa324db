"""Recovery of runs whose process has died: they are marked as crashed, and runs of deployments are started again.

Prefect marks a run as crashed if its worker notices the death of the process, but not the subflows and tasks of the
run, which stay Running. If the worker dies too, nothing is marked. This flow marks all of them: after a crash, when a
worker starts, and by a schedule. Running it twice changes nothing. A run that is started again continues after the last
stored timestep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar
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
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed, Crashed, Scheduled

from flows.service.identity import has_died
from flows.service.log import events_in_run_log, shorten_tracebacks
from flows.tasks.policies import FLOW, GROUP_FLOW, RUN

if TYPE_CHECKING:
    from prefect.client.schemas.objects import TaskRun

__all__ = ["Recovered", "delete_service_runs", "recover", "recover_runs"]

log = structlog.get_logger(__name__)

T = TypeVar("T")

UNFINISHED = [StateType.RUNNING, StateType.PENDING, StateType.CANCELLING]
"""States of runs whose process should be alive."""
OUR_FLOWS = FlowFilter(name=FlowFilterName(any_=[FLOW, GROUP_FLOW]))
SERVICES = FlowFilter(name=FlowFilterName(any_=["take-in-images", "recover-runs"]))
SERVICE_AGE = timedelta(days=1)
"""Age at which the completed runs of services are deleted."""
HORIZON = timedelta(days=1)
"""Maximum age of a crash after which a run is started again; older ones are left to people."""
PAGE = 200
"""Maximum number of runs in a reply of the server."""


@dataclass(slots=True)
class Recovered:
    """The changes that a recovery made.

    Parameters
    ----------
    died
        Names of runs whose process had died without a mark.
    left_behind
        Number of subflow runs and task runs whose parent had ended.
    restarted
        Names of runs that will be started again.
    """

    died: list[str] = field(default_factory=list)
    left_behind: int = 0
    restarted: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{len(self.died)} dead runs, {self.left_behind} left behind, {len(self.restarted)} restarted"


def _run_name() -> str:
    """Return the name of a run that is about to begin."""
    return f"look for crashed runs, {datetime.now(UTC):%Y-%m-%d %H:%M:%S}"


@flow(name="recover-runs", flow_run_name=_run_name, persist_result=False)
def recover_runs() -> State[Any]:
    """Mark runs whose process has died, with their subflows and tasks, and start runs of deployments again.

    Completed runs of the services, such as this one, are deleted after a day, since they fill the list of runs.
    """
    shorten_tracebacks()
    with events_in_run_log(), get_client(sync_client=True) as client:
        now = datetime.now(UTC)
        recovered = recover(client, now=now)
        n_deleted = delete_service_runs(client, now=now)
        return Completed(message=f"{recovered}, {n_deleted} old service runs deleted")


def delete_service_runs(client: SyncPrefectClient, *, now: datetime) -> int:
    """Delete the completed runs of the sensor and of the recovery that are older than a day; return their number.

    Parameters
    ----------
    client
        Client of the server.
    now
        The current time.
    """
    old = FlowRunFilter(state=_in([StateType.COMPLETED]), end_time=FlowRunFilterEndTime(before_=now - SERVICE_AGE))
    # One reply is enough: the other runs are deleted by the next recovery.
    runs = client.read_flow_runs(flow_filter=SERVICES, flow_run_filter=old, limit=PAGE)
    for run in runs:
        with suppress(ObjectNotFound):  # another recovery has deleted it
            client.delete_flow_run(run.id)
    return len(runs)


def recover(client: SyncPrefectClient, *, now: datetime) -> Recovered:
    """Correct the states that dead processes left on a server.

    Parameters
    ----------
    client
        Client of the server.
    now
        The current time.

    Returns
    -------
    The changes.
    """
    recovered = Recovered()
    # All are read before any is changed: runs that begin later must not be mistaken for leftovers of a dead process.
    runs = list(_runs(client, FlowRunFilter(state=_in(UNFINISHED))))
    tasks = list(_tasks(client))
    for run in runs:
        if run.parent_task_run_id is None and _has_died(run):
            log.warning("run_died", run=run.name, id=str(run.id))
            client.set_flow_run_state(run.id, Crashed(message="its process is gone"), force=True)
            recovered.died.append(run.name)
    recovered.left_behind = _clear_up(client, runs, tasks)
    for run in _crashed(client, now):
        state = client.read_flow_run(run.id).state
        if state is None or not state.is_crashed():  # another recovery has started it again
            continue
        client.set_flow_run_state(run.id, _next_attempt(run, now), force=True)
        log.warning("run_restarted", run=run.name, id=str(run.id), attempt=run.run_count + 1)
        recovered.restarted.append(run.name)
    return recovered


def _has_died(run: FlowRun) -> bool:
    """Return whether the process of a run has died; a run that is pending still has the labels of its last process."""
    return run.state_type is not StateType.PENDING and has_died(run.labels, run.run_count)


def _clear_up(client: SyncPrefectClient, runs: list[FlowRun], tasks: list[TaskRun]) -> int:
    """Mark the subflow runs and task runs whose flow run has ended as crashed, and return their number."""
    ended: set[UUID | None] = set()
    ended |= _ended(client, {task.flow_run_id for task in tasks if task.flow_run_id is not None})
    # The parent of a subflow is a task run, whose parent is a flow run: ends are propagated from the top down.
    parents: dict[UUID | None, UUID | None] = {task.id: task.flow_run_id for task in tasks}
    orphaned_runs: list[FlowRun] = []
    while more := [run for run in runs if run not in orphaned_runs and parents.get(run.parent_task_run_id) in ended]:
        orphaned_runs += more
        ended |= {run.id for run in more}
    for run in orphaned_runs:
        client.set_flow_run_state(run.id, Crashed(message="its parent run has ended"), force=True)
    orphaned_tasks = [task for task in tasks if task.flow_run_id in ended]
    for task in orphaned_tasks:
        client.set_task_run_state(task.id, Crashed(message="its flow run has ended"), force=True)
    return len(orphaned_runs) + len(orphaned_tasks)


def _crashed(client: SyncPrefectClient, now: datetime) -> Iterator[FlowRun]:
    """Yield the runs of deployments that have crashed recently, and not too often."""
    recently = FlowRunFilterEndTime(after_=now - HORIZON)
    for run in _runs(client, FlowRunFilter(state=_in([StateType.CRASHED]), end_time=recently)):
        is_whole = run.deployment_id is not None and run.parent_task_run_id is None
        if is_whole and run.run_count <= RUN.crash_retries:
            yield run


def _next_attempt(run: FlowRun, now: datetime) -> State[Any]:
    """Return the state of a crashed run that waits for its next attempt."""
    delay = RUN.crash_delay_seconds * 2 ** max(run.run_count - 1, 0)
    message = f"restarted after a crash, attempt {run.run_count + 1} of {RUN.crash_retries + 1}"
    return Scheduled(name="AwaitingRetry", scheduled_time=now + timedelta(seconds=delay), message=message)


def _ended(client: SyncPrefectClient, ids: set[UUID]) -> set[UUID]:
    """Return the ids of the flow runs that have ended or were deleted."""
    ordered, alive = sorted(ids), set()
    for start in range(0, len(ordered), PAGE):
        page = FlowRunFilter(id=FlowRunFilterId(any_=ordered[start : start + PAGE]))
        alive |= {run.id for run in _runs(client, page) if run.state is None or not run.state.is_final()}
    return ids - alive


def _runs(client: SyncPrefectClient, selection: FlowRunFilter) -> Iterator[FlowRun]:
    """Yield the selected runs of our flows."""
    return _paged(
        lambda offset: client.read_flow_runs(
            flow_filter=OUR_FLOWS, flow_run_filter=selection, sort=FlowRunSort.ID_DESC, limit=PAGE, offset=offset
        )
    )


def _tasks(client: SyncPrefectClient) -> Iterator[TaskRun]:
    """Yield the unfinished task runs of our flows."""
    selection = TaskRunFilter(state=TaskRunFilterState(type=TaskRunFilterStateType(any_=UNFINISHED)))
    return _paged(
        lambda offset: client.read_task_runs(
            flow_filter=OUR_FLOWS, task_run_filter=selection, sort=TaskRunSort.ID_DESC, limit=PAGE, offset=offset
        )
    )


def _paged(read: Callable[[int], list[T]]) -> Iterator[T]:
    """Yield everything that the server returns page by page."""
    offset = 0
    while page := read(offset):
        yield from page
        offset += PAGE


def _in(states: list[StateType]) -> FlowRunFilterState:
    return FlowRunFilterState(type=FlowRunFilterStateType(any_=states))
