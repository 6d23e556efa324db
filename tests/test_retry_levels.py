"""Each failure is retried at one level: with the same attempts and waiting times in every way of running the pipeline.

Waiting times are recorded in place of waiting. Prefect's retries are imitated by the waiting times and the condition
that a task passes to Prefect; real ones are in tests/e2e/test_prefect.py.
"""

from __future__ import annotations

import functools
import threading
from concurrent.futures import ThreadPoolExecutor, wait
from types import SimpleNamespace

import pytest
from prefect.states import Failed

from flows import live as live_flow
from flows.service.stopping import StopRequests
from flows.tasks import executors, groups
from flows.tasks.granularity import Granularity
from flows.tasks.tasks import is_transient
from trap import pipeline, retry
from trap.catalogues import MonitorPositions
from trap.config import LiveConfig, PipelineConfig
from trap.db import dataset_state, storing
from trap.errors import TransientError
from trap.live import live_run as live
from trap.pipeline import open_run
from trap.run import image_measurement
from trap.simulation.survey import SurveyConfig, simulate_survey
from trap.steps import forced_fitting
from trap.workers.executors import SerialExecutor

MONITORS = MonitorPositions.of(ra=[0.0], dec=[45.0], name=["watched"])


class Workers(SerialExecutor):
    """Workers in this process; one thread at a time, since the first call compiles the kernels."""

    n_workers = 1

    def __init__(self, *_, **__):
        self.submitting = threading.Lock()

    def submit(self, step, /, *args, **kwargs):
        with self.submitting:
            return super().submit(step, *args, **kwargs)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Make two timesteps of one image each."""
    sky = SurveyConfig(n_timesteps=2, n_bands=1, size=96, n_steady=3, n_variables=0, n_transients=0)
    return simulate_survey(tmp_path_factory.mktemp("survey"), sky).directory


@pytest.fixture
def config(folder, tmp_path):
    return PipelineConfig().with_options(
        execution={"database": f"sqlite:///{tmp_path / 'trap.db'}", "images": (f"{folder}/t*.fits",)},
        source_extraction={"extraction_radius_pix": 0.0},
    )


@pytest.fixture
def waits(monkeypatch):
    """Return the list of all waiting times, in order."""
    seconds = []
    monkeypatch.setattr(retry, "time", SimpleNamespace(sleep=seconds.append))
    return seconds


@pytest.fixture(autouse=True)
def _without_servers(monkeypatch, waits):
    """Replace tasks of Prefect by threads, and worker processes by this process."""
    with ThreadPoolExecutor(8) as threads:

        class Task:
            def __init__(self, _name, policy):
                self.policy = policy

            def __call__(self, _label, work):
                for delay in self.policy.delays:
                    try:
                        return work()
                    except Exception as error:
                        if not is_transient(None, None, Failed(data=error)):
                            raise
                        waits.append(delay)
                return work()

            def submit(self, label, work):
                future = threads.submit(self, label, work)
                return SimpleNamespace(result=future.result, wait=lambda: wait([future]))

        for module in (executors, groups, live_flow):
            monkeypatch.setattr(module, "make_task", Task)
        for module in (pipeline, live):
            monkeypatch.setattr(module, "open_workers", Workers)
        monkeypatch.setattr(live, "warm_up", lambda: None)
        yield


def locally(config):
    pipeline.run_locally(config, monitors=MONITORS)


def in_tasks(granularity, seconds_per_timestep, config):
    with open_run(config, monitors=MONITORS) as dataset:
        runner = groups.GroupRunner(dataset, Workers(), StopRequests(None))
        runner.pace._seconds_per_timestep = seconds_per_timestep
        for group in dataset.plan.groups:
            runner.process(group, granularity)


def live_settings(config):
    (pattern,) = config.execution.images
    folder, _, name = pattern.rpartition("/")
    return LiveConfig(folder=folder, patterns=(name,), settle_seconds=0.05, images_per_timestep=1, idle_seconds=2.0)


def live_locally(config):
    live.run_live_locally(config, live_settings(config), monitors=MONITORS)


def live_in_tasks(config):
    workers = Workers()
    with live.open_live(config, live_settings(config), workers, monitors=MONITORS) as run:
        subflow = live_flow._group_flow(run, workers, None, [])
        for closed in run.timesteps():
            subflow.fn(live_flow._Opaque(closed), "")


WAYS = {
    "local": locally,
    "step by step": functools.partial(in_tasks, Granularity.IMAGE, None),
    "steps that share tasks": functools.partial(in_tasks, Granularity.IMAGE, 0.01),
    "whole timesteps": functools.partial(in_tasks, Granularity.TIMESTEP, None),
    "timesteps that share a task": functools.partial(in_tasks, Granularity.TIMESTEP, 0.01),
    "live": live_locally,
    "live with Prefect": live_in_tasks,
}


def failing(monkeypatch, module, name, *, at=lambda *_: True):
    """Let a function always fail with a transient error; return its calls."""
    calls, function = [], getattr(module, name)

    @functools.wraps(function)
    def fail(*args, **kwargs):
        if not at(*args):
            return function(*args, **kwargs)
        calls.append(args)
        raise TransientError("away")

    monkeypatch.setattr(module, name, fail)
    return calls


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(("module", "name"), [(storing, "store_timestep"), (dataset_state, "load_state")])
def test_a_database_that_is_away_is_waited_for_about_a_minute(config, monkeypatch, waits, way, module, name):
    calls = failing(monkeypatch, module, name)
    with pytest.raises(TransientError, match="away"):
        WAYS[way](config)
    assert len(calls) == 1 + len(retry.STORE_DELAYS)
    assert waits == list(retry.STORE_DELAYS)
    assert 50 < sum(waits) < 70


@pytest.mark.parametrize("way", WAYS)
def test_an_image_that_cannot_be_read_is_retried_by_its_own_waiting_times(config, monkeypatch, waits, way):
    calls = failing(monkeypatch, image_measurement, "read_image", at=lambda url, _: "t0000" in url)
    with pytest.raises(TransientError, match="away"):
        WAYS[way](config)
    assert len(calls) == 1 + len(retry.IMAGE_DELAYS)
    assert waits == list(retry.IMAGE_DELAYS)


@pytest.mark.parametrize("way", WAYS)
def test_a_fit_that_fails_is_retried_by_the_waiting_times_of_images(config, monkeypatch, waits, way):
    calls = failing(monkeypatch, forced_fitting, "perform_forced_fits")
    with pytest.raises(TransientError, match="away"):
        WAYS[way](config)
    assert len(calls) == 1 + len(retry.IMAGE_DELAYS)
    assert waits == list(retry.IMAGE_DELAYS)
