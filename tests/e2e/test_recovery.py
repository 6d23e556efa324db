"""What dead processes leave on a server, and that it is put right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from prefect import Flow, Task
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import StateType
from prefect.exceptions import ObjectNotFound
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Completed, Crashed, Pending, Running

from flows.recovery import delete_service_runs, recover
from flows.service.identity import PROCESS, process_labels
from flows.tasks.policies import FLOW, GROUP_FLOW, RUN

NOW = datetime.now(UTC)


def work():
    """Stand for any flow or task."""


WHOLE, GROUP, STEP = Flow(work, name=FLOW), Flow(work, name=GROUP_FLOW), Task(work, name="measure_image")


@pytest.fixture
def client(server):
    with temporary_settings({PREFECT_API_URL: server.api_url}), get_client(sync_client=True) as made:
        yield made


def begin(client, labels, *, name):
    """Begin a run as a process leaves it that is killed within a step of a subflow."""
    run = client.create_flow_run(WHOLE, name=name, state=Running())
    client.update_flow_run_labels(run.id, labels)
    tracking = client.create_task_run(Task(work, name=GROUP_FLOW), run.id, dynamic_key="0", state=Running())
    group = client.create_flow_run(GROUP, parent_task_run_id=tracking.id, state=Running())
    step = client.create_task_run(STEP, group.id, dynamic_key="0", state=Running())
    return run.id, group.id, tracking.id, step.id


def states(client, run, group, tracking, step):
    found = [
        client.read_flow_run(run),
        client.read_flow_run(group),
        client.read_task_run(tracking),
        client.read_task_run(step),
    ]
    return [one.state.type for one in found]


def dead_labels():
    """Of a process of this machine that has ended: this one's number, another start."""
    labels = process_labels(1)
    return labels | {PROCESS: f"{labels[PROCESS].partition(':')[0]}:0"}


def test_a_run_whose_process_is_gone_is_marked_with_all_that_it_left(client):
    ids = begin(client, dead_labels(), name="dead")
    found = recover(client, now=NOW)
    assert "dead" in found.died
    assert found.left_behind >= 3
    assert states(client, *ids) == [StateType.CRASHED] * 4


def test_a_run_that_is_alive_is_left_alone(client):
    ids = begin(client, process_labels(1), name="alive")
    assert "alive" not in recover(client, now=NOW).died
    assert states(client, *ids) == [StateType.RUNNING] * 4
    client.set_flow_run_state(ids[0], Crashed(), force=True)
    recover(client, now=NOW)
    assert states(client, *ids) == [StateType.CRASHED] * 4


def test_a_run_that_is_about_to_begin_again_is_not_taken_for_its_last_attempt(client):
    run = client.create_flow_run(WHOLE, name="again", state=Running())
    client.update_flow_run_labels(run.id, dead_labels())
    client.set_flow_run_state(run.id, Pending(), force=True)
    assert "again" not in recover(client, now=NOW).died
    client.set_flow_run_state(run.id, Running(), force=True)
    assert client.read_flow_run(run.id).run_count == 2
    assert "again" not in recover(client, now=NOW).died


def test_doing_it_twice_changes_nothing(client):
    begin(client, dead_labels(), name="once")
    recover(client, now=NOW)
    again = recover(client, now=NOW)
    assert (again.died, again.left_behind) == ([], 0)


def crash(client, deployment_id, *, times):
    """Let a run of a deployment crash some times over."""
    run = client.create_flow_run_from_deployment(deployment_id, name=f"crashed {times} times")
    for _ in range(times):
        client.set_flow_run_state(run.id, Running(), force=True)
        client.set_flow_run_state(run.id, Crashed(), force=True)
    return run.id


def test_a_run_of_a_deployment_is_begun_again_as_often_as_the_policy_says(client):
    flow_id = client.create_flow(WHOLE)
    deployment_id = client.create_deployment(flow_id, "by nobody", entrypoint="flows.process_dataset.process_dataset")
    first, last = crash(client, deployment_id, times=1), crash(client, deployment_id, times=RUN.crash_retries + 1)
    now = datetime.now(UTC)
    found = recover(client, now=now)
    assert "crashed 1 times" in found.restarted
    state = client.read_flow_run(first).state
    assert (state.type, state.name) == (StateType.SCHEDULED, "AwaitingRetry")
    waiting = state.state_details.scheduled_time - now
    assert waiting == timedelta(seconds=RUN.crash_delay_seconds)
    assert client.read_flow_run(last).state.type is StateType.CRASHED


def test_a_run_that_crashed_long_ago_is_left_to_people(client):
    flow_id = client.create_flow(WHOLE)
    deployment_id = client.create_deployment(flow_id, "by nobody", entrypoint="flows.process_dataset.process_dataset")
    run_id = crash(client, deployment_id, times=1)
    recover(client, now=datetime.now(UTC) + timedelta(days=2))
    assert client.read_flow_run(run_id).state.type is StateType.CRASHED


def test_old_completed_runs_of_services_are_deleted_and_no_others(client):
    def completed(name):
        run = client.create_flow_run(Flow(work, name=name))
        for state in (Running(), Completed()):
            client.set_flow_run_state(run.id, state, force=True)
        return run.id

    service, ours = completed("take-in-images"), completed(FLOW)
    failed = client.create_flow_run(Flow(work, name="take-in-images"), state=Running()).id
    assert delete_service_runs(client, now=datetime.now(UTC)) == 0
    assert delete_service_runs(client, now=datetime.now(UTC) + timedelta(days=2)) >= 1
    assert client.read_flow_run(ours).state.is_completed()
    assert client.read_flow_run(failed).state.is_running()
    with pytest.raises(ObjectNotFound):
        client.read_flow_run(service)
