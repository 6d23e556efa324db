"""Steps on a Dask cluster: the same results, and workers that hang, die or are others than they should be."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
import structlog
from distributed import Client
from sqlalchemy import text
from structlog.testing import capture_logs

from trap import pipeline
from trap.config import PipelineConfig
from trap.db.engine import make_engine, reading
from trap.errors import ConfigError, ImageError, WorkerLostError
from trap.simulation.survey import SurveyConfig, simulate_survey
from trap.workers import dask_executor
from trap.workers.dask_executor import DaskExecutor, _DaskResult
from trap.workers.executors import ProcessExecutor, SerialExecutor
from trap.workers.pools import open_workers

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


def by_value(step):
    """Let a step travel to the workers as it is: they cannot import this module."""
    step.__module__ = "__main__"
    return step


@by_value
def double(value):
    structlog.get_logger().warning("doubled", value=value)
    return 2 * value


@by_value
def refuse(url):
    raise ImageError("no beam", url)


@by_value
def hang():
    time.sleep(600)


@by_value
def die():
    os.kill(os.getpid(), signal.SIGKILL)


@by_value
def late():
    raise TimeoutError("of the step itself")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A scheduler and two workers, each a process under a nanny that starts it anew; the address of the scheduler."""
    folder = tmp_path_factory.mktemp("dask")
    file = folder / "scheduler.json"
    environment = {**os.environ, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
    options = ["--scheduler-file", str(file), "--no-dashboard"]
    commands = [
        ["distributed.cli.dask_scheduler", "--port", "0", "--host", "127.0.0.1", *options],
        ["distributed.cli.dask_worker", "--nworkers", "2", "--nthreads", "1", "--host", "127.0.0.1", *options],
    ]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", *words], cwd=folder, env=environment, stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        for words in commands
    ]  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while not file.exists() or not file.read_text().endswith("}"):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        address = json.loads(file.read_text())["address"]
        with Client(address, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=120)
        yield address
    finally:
        for process in reversed(started):
            process.terminate()
            process.wait(30)


@pytest.fixture
def workers(cluster):
    with DaskExecutor(cluster, timeout_seconds=120.0) as executor:
        yield executor


def test_steps_run_on_the_cluster_and_what_they_log_comes_back(workers):
    with capture_logs() as logs:
        futures = [workers.submit(double, value) for value in range(8)]
        assert [future.result() for future in futures] == [2 * value for value in range(8)]
    assert [log["value"] for log in logs] == list(range(8))
    assert workers.submit(os.getpid).result() != os.getpid()
    assert workers.call(os.getpid) == os.getpid()
    assert workers.n_workers == 2


def test_error_of_a_step_keeps_its_type_and_its_image(workers):
    with pytest.raises(ImageError, match=r"a\.fits: no beam"):
        workers.submit(refuse, "a.fits").result()
    with pytest.raises(TimeoutError, match="of the step itself"):
        workers.submit(late).result()


class Future:
    """A future of Dask whose step ends just after the first tick."""

    def __init__(self, result, status="finished"):
        self.status, self.key, self._result, self._final = "pending", "step-1", result, status

    def done(self):
        return self.status != "pending"

    def result(self, timeout):
        if not self.done():
            self.status = self._final
            raise TimeoutError(f"timed out after {timeout} s.")
        if isinstance(self._result, Exception):
            raise self._result
        return self._result


CLIENT = SimpleNamespace(processing=dict)


def test_a_step_that_ends_just_after_a_tick_has_its_result_or_its_own_error():
    assert _DaskResult(CLIENT, Future((8, [])), "double", 30.0).result() == 8
    for error in (ImageError("no beam", "a.fits"), TimeoutError("of the step itself")):
        with pytest.raises(type(error), match=str(error)):
            _DaskResult(CLIENT, Future(error, "error"), "refuse", 30.0).result()


def test_a_result_that_does_not_arrive_is_a_lost_worker():
    with pytest.raises(WorkerLostError, match="the result of double did not arrive within 30 s"):
        _DaskResult(CLIENT, Future(TimeoutError("timed out after 30 s.")), "double", 30.0).result()


def test_a_worker_that_dies_is_reported_and_the_cluster_continues(workers):
    with pytest.raises(WorkerLostError, match="the Dask worker of die died") as lost:
        workers.submit(die).result()
    assert lost.value.is_culprit
    living = [workers.submit(double, value) for value in range(4)]
    assert [future.result() for future in living] == [0, 2, 4, 6]


def test_a_step_that_hangs_is_ended_and_its_worker_started_anew(cluster):
    with DaskExecutor(cluster, timeout_seconds=5.0) as workers:
        start = time.monotonic()
        with pytest.raises(WorkerLostError, match="hang was ended after 5 s"):
            workers.submit(hang).result()
        assert time.monotonic() - start < 300
        assert [workers.submit(double, value).result() for value in range(3)] == [0, 2, 4]


def test_a_worker_of_another_version_is_refused(cluster, monkeypatch):
    monkeypatch.setattr(dask_executor, "__version__", "99.0")
    with pytest.raises(ConfigError, match=r"has version .* and this process 99\.0"):
        DaskExecutor(cluster)


def test_a_cluster_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setattr(dask_executor, "CONNECT_SECONDS", 0.5)
    with pytest.raises(ConfigError, match="no Dask cluster answers at tcp://127"):
        DaskExecutor("tcp://127.0.0.1:1")


def test_settings_choose_the_workers(cluster):
    settings = PipelineConfig().with_options(execution={"dask": cluster}).execution
    with open_workers(settings) as chosen:
        assert isinstance(chosen, DaskExecutor)
    with open_workers(PipelineConfig().with_options(execution={"n_workers": 1}).execution) as chosen:
        assert isinstance(chosen, ProcessExecutor)
    with pytest.raises(ConfigError, match=r"execution\.dask"):
        PipelineConfig().with_options(execution={"dask": "localhost"})


def measured(database):
    """Every measurement in a database, in order."""
    engine = make_engine(database)
    with reading(engine) as connection:
        rows = connection.execute(
            text("SELECT image, ra, decl, f_int, f_int_err, rms, extract_type FROM extractedsource ORDER BY id")
        ).all()
    engine.dispose()
    return [tuple(row) for row in rows]


def test_results_are_those_of_a_local_run(cluster, tmp_path):
    sky = SurveyConfig(n_timesteps=3, n_bands=2, size=128, n_steady=6, n_variables=1, n_transients=1, seed=3)
    images = tuple(map(str, simulate_survey(tmp_path / "survey", sky).images))
    config = PipelineConfig().with_options(execution={"images": images, "dask": cluster})
    there = config.with_options(execution={"database": f"sqlite:///{tmp_path}/there.db"})
    here = config.with_options(execution={"database": f"sqlite:///{tmp_path}/here.db"})
    assert pipeline.run_locally(there).exit_code == 0
    with pipeline.open_run(here) as dataset:
        for group in dataset.plan.groups:
            dataset.process_group(group, SerialExecutor())
    expected = measured(here.execution.database)
    assert len(expected) > 10
    assert measured(there.execution.database) == expected
