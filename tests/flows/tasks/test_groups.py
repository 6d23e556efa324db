"""The groups of a run whose Prefect server is lost: all timesteps are processed, each once."""

from __future__ import annotations

import httpx
import pytest

from flows.service.outage import MAX_FAILURES, ServerWatch
from flows.service.stopping import StopRequests
from flows.tasks import groups
from trap.config import PipelineConfig
from trap.pipeline import open_run
from trap.simulation.survey import SurveyConfig, simulate_survey
from trap.workers.executors import SerialExecutor

N_TIMES = 6


class Workers(SerialExecutor):
    n_workers = 1


@pytest.fixture
def dataset(tmp_path):
    simulate_survey(tmp_path, SurveyConfig(n_timesteps=N_TIMES, n_bands=1, size=64, n_steady=2, n_variables=0))
    execution = {"database": f"sqlite:///{tmp_path / 'trap.db'}", "images": (f"{tmp_path}/*.fits",), "group_size": 2}
    with open_run(PipelineConfig().with_options(execution=execution)) as opened:
        yield opened


@pytest.mark.parametrize("begins_lost", [True, False])
@pytest.mark.parametrize("fails", ["before its timesteps", "amid its timesteps", "after its timesteps"])
def test_timesteps_are_processed_once_whenever_the_server_is_lost(dataset, monkeypatch, begins_lost, fails):
    watch = ServerWatch(lambda: False)
    for _ in range(MAX_FAILURES if begins_lost else 0):
        watch.check()
    begun = []

    def subflow(number, *_):
        begun.append(number)
        group = dataset.plan.groups[number - dataset.plan.groups[0].number]
        n_done = {"before its timesteps": 0, "amid its timesteps": 1, "after its timesteps": 2}[fails]
        for timestep in group.timesteps[:n_done]:
            dataset.attempt(timestep, dataset.look_ahead(Workers(), [timestep]), Workers())
        msg = "Connection refused"
        raise httpx.ConnectError(msg)

    monkeypatch.setattr(groups, "publish_timesteps", lambda *_: None)
    monkeypatch.setattr(groups, "_group_flow", lambda *_: subflow)
    groups.process_groups(dataset, Workers(), StopRequests(None), watch)
    assert len(begun) == (0 if begins_lost else 1)  # later groups have no subflow
    times = [outcome.taustart_ts for outcome in dataset.outcomes]
    assert times == sorted(set(times))
    assert len(times) == N_TIMES
    assert all(outcome.failure is None for outcome in dataset.outcomes)


def test_a_run_that_is_to_stop_without_its_server_leaves_the_rest(dataset, monkeypatch):
    watch = ServerWatch(lambda: False)
    for _ in range(MAX_FAILURES):
        watch.check()
    monkeypatch.setattr(groups, "publish_timesteps", lambda *_: None)
    stops = StopRequests(None, is_server_lost=lambda: watch.is_lost, stops_without_server=True)
    groups.process_groups(dataset, Workers(), stops, watch)
    assert dataset.outcomes == []
