"""A run that is killed again and again leaves what one leaves that never was.

A run of thirty timesteps is killed forty times with SIGKILL and started again each time. Some of the processes that are
killed run the Prefect flow, with its server and its workers; most run the same order of stages (:mod:`trap.pipeline`)
without them, forked from a warm process, so that a start costs a fraction of a second. Moments are random: before or
after any statement, while an image is measured, just before a commit, during it, just after it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from trap.config import PipelineConfig
from trap.db.comparison import Side, Tolerances, compare_datasets
from trap.db.engine import make_engine, reading
from trap.db.models import Base
from trap.db.overview import list_datasets
from trap.db.runs import run_table
from trap.db.upkeep import check_database
from trap.simulation.survey import SurveyConfig, simulate_survey

pytestmark = [pytest.mark.usefixtures("server"), pytest.mark.timeout(1800)]

N_TIMESTEPS = 30
N_KILLS = 40
KILLS_OF_THE_FLOW = (7, 19, 31)
RUNNER = Path(__file__).parents[1] / "crash_runner.py"
TOLD_BY_THE_CLOCK = {"process_start_ts", "process_end_ts", "stored_ts", "seconds", "rerun", "run"}


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    settings = SurveyConfig(
        n_timesteps=N_TIMESTEPS, n_bands=1, size=96, n_steady=5, n_variables=1, n_transients=2, seed=6
    )
    return simulate_survey(tmp_path_factory.mktemp("survey"), settings).directory


@pytest.fixture(scope="module")
def warm():
    """The process that forks runs."""
    with subprocess.Popen([sys.executable, str(RUNNER)], stdin=-1, stdout=-1, text=True) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def make_config(images):
    def make(database):
        return PipelineConfig().with_options(
            source_extraction={"detection_threshold": 5.0, "back_size_x": 32, "back_size_y": 32, "margin": 4},
            execution={
                "images": (f"{images}/t*.fits",),
                "database": database,
                "n_workers": 1,
                "group_size": 1,
                "report": False,
                # A server may need a moment to notice that the run before was killed, and has its lock until then.
                "wait_for_dataset": True,
            },
        )

    return make


@contextmanager
def started(warm, config, runner, path=None):
    """Start a run; gives its process and the wire it reports at."""
    order = {"config": config.model_dump(mode="json"), "runner": runner, "socket": path and str(path)}
    with socket.socket(socket.AF_UNIX) as listener:
        if path:
            path.unlink(missing_ok=True)
            listener.bind(str(path))
            listener.listen()
        warm.stdin.write(json.dumps(order) + "\n")
        warm.stdin.flush()
        pid = int(warm.stdout.readline())
        if not path:
            yield pid, None
            return
        listener.settimeout(60)
        with closing(listener.accept()[0]) as wire:
            yield pid, wire


def ended(warm):
    return int(warm.stdout.readline())


def stored(engine):
    """Number of stored timesteps."""
    with reading(engine) as connection:
        return sum(dataset["n_timesteps"] for dataset in list_datasets(connection))


def kill_somewhere(warm, config, runner, path, moments, *, may_store):
    """Start a run, let it do so much, and kill it before it has said that it is done.

    ``may_store`` commits of timesteps are let through; then follows a random number of events, of which the last
    may be the next commit, which may or may not happen.
    """
    with started(warm, config, runner, path) as (pid, wire):
        is_begun = False
        events = moments.integers(1, 60)
        while True:
            what = wire.recv(1)
            assert what, "the run came to its end"
            is_begun = is_begun or what == b"g"
            # Commits before the first group open the dataset and its run.
            is_timestep = what == b"c" and is_begun
            if may_store:
                may_store -= is_timestep
            else:
                events -= 1
                if is_timestep and moments.random() < 0.5:
                    wire.send(b"g")
                    time.sleep(moments.uniform(0, 0.003))  # in the midst of the commit, or just after it
                if is_timestep or events <= 0:
                    break
            if what == b"c":
                wire.send(b"g")
        os.kill(pid, signal.SIGKILL)
    assert os.WTERMSIG(ended(warm)) == signal.SIGKILL


def rows_of(engine):
    """Every row of a database, the clock and the runs aside."""
    with reading(engine) as connection:
        return {
            name: [
                {key: value for key, value in row._mapping.items() if key not in TOLD_BY_THE_CLOCK}
                for row in connection.execute(table.select().order_by(*table.primary_key))
            ]
            for name, table in Base.metadata.tables.items()
            if name != "run"
        }


def test_run_killed_at_forty_moments_leaves_what_an_untroubled_run_leaves(
    warm, make_config, dialect, database_url, tmp_path, request
):
    untroubled = make_engine(f"sqlite:///{tmp_path / 'untroubled.db'}")
    with started(warm, make_config(str(untroubled.url)), "local"):
        assert ended(warm) == 0
    moments = np.random.default_rng(20)
    config = make_config(database_url)
    engine = make_engine(database_url)
    n_stored = []
    for kill in range(N_KILLS):
        runner = "prefect" if kill in KILLS_OF_THE_FLOW else "local"
        behind = stored(engine) < (N_TIMESTEPS - 2) * kill / N_KILLS
        kill_somewhere(warm, config, runner, tmp_path / "wire", moments, may_store=int(behind))
        n_stored.append(stored(engine))
        if kill % 10 == 0:
            assert check_database(engine) == []
    assert n_stored == sorted(n_stored)
    assert 20 <= n_stored[-1] < N_TIMESTEPS
    with started(warm, config, "local"):
        assert ended(warm) == 0

    assert check_database(engine) == []
    with reading(engine) as ours, reading(untroubled) as theirs:
        (dataset,) = list_datasets(ours)
        assert (dataset["state"], dataset["n_timesteps"], dataset["n_failed"]) == ("done", N_TIMESTEPS, 0)
        assert dataset["n_entries"] > 5
        exactly = Tolerances(position_arcsec=1e-6, relative=0.0)
        assert compare_datasets(Side(ours, dataset["id"]), Side(theirs, 1), exactly) == []
        states = run_table(ours, dataset["id"])["state"].tolist()
        assert states[-1] == "done"
        assert set(states[:-1]) == {"killed"}
    if dialect == "sqlite":  # whose row numbers come back when a transaction is undone
        assert rows_of(engine) == rows_of(untroubled)
        with closing(sqlite3.connect(engine.url.database)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    for each in (engine, untroubled):
        each.dispose()
