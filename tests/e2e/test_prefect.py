"""Runs on a real Prefect server: what it shows, what is tried again, and that the results are the same."""

from __future__ import annotations

import functools
import itertools
import os
import shutil
import signal
import sqlite3
from collections import Counter
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import structlog

from flows.live import run_live_with_prefect as run_live
from flows.process_dataset import run_with_prefect as run
from flows.service import server as flows_server
from flows.service.identity import dataset_label
from flows.tasks import groups, policies
from flows.tasks.granularity import Pace
from trap import pipeline
from trap.catalogues import MonitorPositions
from trap.config import LiveConfig
from trap.dataset.outcomes import ExitCode
from trap.db.store import Store
from trap.errors import ConfigError, DatabaseError, DatasetNotFoundError, TransientError, WorkerLostError
from trap.steps import association
from trap.workers.executors import ProcessExecutor

pytestmark = pytest.mark.usefixtures("server")

CLOCK = {"process_start_ts", "process_end_ts", "stored_ts", "seconds"}
IMAGES_PER_TIMESTEP = 2


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    short = {name: replace(policy, delays=(0.05,) * len(policy.delays)) for name, policy in policies.POLICIES.items()}
    monkeypatch.setattr(policies, "POLICIES", short)
    monkeypatch.setattr(groups, "TIMESTEP", replace(policies.TIMESTEP, delays=(0.05,) * len(policies.TIMESTEP.delays)))
    structlog.reset_defaults()  # a test of the command line leaves its own, which prints to where nobody reads


def rows(config):
    """Everything in a database but when it was written, and by which runs."""
    path = config.execution.database.removeprefix("sqlite:///")
    with sqlite3.connect(path) as connection:
        connection.row_factory = sqlite3.Row
        tables = [row["name"] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            table: [
                {key: row[key] for key in row.keys() if key not in CLOCK}  # noqa: SIM118 (a Row iterates over values)
                for row in connection.execute(f"SELECT * FROM {table}")
            ]
            for table in tables
            if table != "run"
        }


def failing(step, times, error, *, on):
    """Make a step fail at some of its calls, which are counted from 1, for the first so many of them."""
    calls = itertools.count(1)

    @functools.wraps(step)
    def fail(*args, **kwargs):
        if next(calls) in range(on, on + times):
            raise error
        return step(*args, **kwargs)

    return fail


def kinds(tasks):
    """Count task runs by the name of their step and the name of their state."""
    return Counter((task["name"].split(" ")[0], task["state_name"]) for task in tasks)


def test_every_step_of_every_image_is_a_task_in_the_api(api, make_config):
    summary = run(make_config("by image", granularity="image"))
    n_fitted = sum(image.n_requested > 0 for image in summary.images)
    whole = api.run_of("by image")
    groups = api.subflows(whole)
    assert (whole["name"], whole["state_name"]) == (f"by image, dataset {summary.dataset_id}", "Completed")
    assert [(group["name"], group["state_name"]) for group in groups] == [
        ("2026-01-01 00:00:00 to 2026-01-01 01:00:00, 4 images", "Completed"),
        ("2026-01-01 02:00:00 to 2026-01-01 03:00:00, 4 images", "Completed"),
    ]
    # The transient of the survey is new in both bands of one timestep, after the first.
    n_backward = 2
    # Its image is examined if it is a candidate; the other band shows it too, and needs no fit.
    n_examined = sum(len(image.new_sources) > 0 for image in summary.images)
    n_preview = 6  # the first image of each band is compared with those after it
    tasks = api.tasks(*groups, n=21 + n_fitted + n_backward + n_examined + 2 * n_preview)
    assert n_fitted > 0
    assert n_examined > 0
    assert kinds(tasks) == {
        ("load_state", "Completed"): 1,
        ("measure_image", "Completed"): 8,
        ("calibrate_images", "Completed"): 4,
        ("associate_extracted_sources", "Completed"): 4,
        ("perform_forced_fits", "Completed"): n_fitted,
        ("perform_backward_fits", "Completed"): n_backward,
        ("examine_candidates", "Completed"): n_examined,
        ("preview_header", "Completed"): n_preview,
        ("preview_noise", "Completed"): n_preview,
        ("store_timestep", "Completed"): 4,
    }
    assert "measure_image t0002_b01.fits" in {task["name"] for task in tasks}


def test_a_whole_timestep_is_a_task_in_the_api(api, make_config):
    run(make_config("by timestep", granularity="timestep"))
    groups = api.subflows(api.run_of("by timestep"))
    assert [(task["name"], task["state_name"]) for task in api.tasks(*groups, n=4)] == [
        (f"timestep 2026-01-01 0{hour}:00:00, 2 images", "Completed") for hour in range(4)
    ]


def test_a_run_tells_its_progress_and_leaves_its_events_and_tables_with_prefect(api, make_config):
    told = []
    config = make_config("to be read", granularity="timestep", report=True)
    summary = run(config, progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    whole = api.run_of("to be read")
    groups = api.subflows(whole)
    pages = {page["key"]: page["data"] for page in api.artifacts(whole, *groups)}
    key = f"dataset-{dataset_label(config, summary.dataset_id)}"
    assert "| images accepted | 8 |" in pages[key]
    assert float(pages[f"{key}-progress"]) == 100.0
    report = Path(f"{config.execution.database.removeprefix('sqlite:///')}.dataset-{summary.dataset_id}.html")
    assert f"    {report}" in pages[f"{key}-report"].splitlines()
    assert "<h1>to be read, dataset 1</h1>" in report.read_text("utf-8")
    assert f"report: {report}" in summary.watch
    tables = [page for page in api.artifacts(*groups) if page["key"] == f"{key}-images"]
    assert len(tables) == len(groups)
    assert sum("run_planned" in line for line in api.logs(whole, "run_planned")) == 1
    with sqlite3.connect(config.execution.database.removeprefix("sqlite:///")) as connection:
        ((page,),) = connection.execute("SELECT page FROM run").fetchall()
    assert page.endswith(f"/runs/flow-run/{whole['id']}")


@pytest.mark.parametrize("granularity", ["image", "timestep"])
def test_without_prefect_the_rows_are_the_same(make_config, granularity, capfd):
    monitors = MonitorPositions.of(ra=[0.01], dec=[45.0], name=["watched"])
    config = make_config("same", granularity=granularity)
    alone = make_config("same", database=config.execution.database.replace("same", "alone"))
    summary, expected = run(config, monitors=monitors), pipeline.run_locally(alone, monitors=monitors)
    assert summary.exit_code == expected.exit_code == ExitCode.COMPLETE
    ours, theirs = rows(config), rows(alone)
    assert len(theirs["extractedsource"]) > 20
    assert ours == theirs
    assert "Finished in state" not in capfd.readouterr().err


@pytest.mark.parametrize(("granularity", "task"), [("image", "store_timestep"), ("timestep", "timestep")])
def test_a_step_that_fails_once_is_tried_again_and_the_run_completes(api, make_config, monkeypatch, granularity, task):
    busy = failing(Store.store_timestep, 1, TransientError("the database is busy"), on=2)
    monkeypatch.setattr(Store, "store_timestep", busy)
    config = make_config(f"busy {granularity}", granularity=granularity)
    summary = run(config)
    assert summary.exit_code is ExitCode.COMPLETE
    n_tasks = 4 if granularity == "timestep" else 17 + sum(image.n_requested > 0 for image in summary.images)
    whole = api.run_of(f"busy {granularity}")
    assert whole["state_name"] == "Completed"
    tasks = [each for each in api.tasks(*api.subflows(whole), n=n_tasks) if each["name"].startswith(task)]
    assert [(each["run_count"], each["state_name"]) for each in tasks] == [
        (1, "Completed"),
        (2, "Completed"),
        (1, "Completed"),
        (1, "Completed"),
    ]
    assert len(rows(config)["timestep"]) == 4


def test_a_measurement_whose_worker_died_is_made_again(api, make_config, monkeypatch):
    lost = Future()
    lost.set_exception(WorkerLostError("the worker died", is_culprit=True))
    calls, submit = itertools.count(1), ProcessExecutor.submit
    monkeypatch.setattr(
        ProcessExecutor, "submit", lambda *args, **kw: lost if next(calls) == 3 else submit(*args, **kw)
    )
    assert run(make_config("lost", granularity="image")).exit_code is ExitCode.COMPLETE
    tasks = api.tasks(*api.subflows(api.run_of("lost")), n=17)
    assert sum(task["run_count"] == 2 for task in tasks if task["name"].startswith("measure_image")) == 1


@pytest.mark.parametrize("granularity", ["image", "timestep"])
def test_a_step_that_fails_for_good_fails_its_timestep_and_no_other(api, make_config, monkeypatch, granularity):
    broken = failing(association.associate_extracted_sources, 1, ValueError("no such thing"), on=3)
    monkeypatch.setattr(association, "associate_extracted_sources", broken)
    config = make_config(f"broken {granularity}", granularity=granularity)
    summary = run(config)
    assert summary.exit_code is ExitCode.TIMESTEPS_FAILED
    assert [outcome.failure is None for outcome in summary.outcomes] == [True, True, False, True]
    whole = api.run_of(f"broken {granularity}")
    groups = api.subflows(whole)
    assert [run_["state_name"] for run_ in (whole, *groups)] == ["Failed", "Completed", "Failed"]
    assert "2026-01-01 02:00:00: ValueError: no such thing" in groups[1]["state"]["message"]
    tasks = api.tasks(*groups, n=4 if granularity == "timestep" else 15)
    failed = [(task["run_count"], task["name"].split(" ")[0]) for task in tasks if task["state_type"] == "FAILED"]
    assert failed == [(1, "associate_extracted_sources" if granularity == "image" else "timestep")]
    stored = rows(config)
    assert [row["state"] for row in sorted(stored["timestep"], key=lambda row: row["taustart_ts"])].count("failed") == 1
    assert len(stored["image"]) == 3 * IMAGES_PER_TIMESTEP
    assert not any("02:00:00" in row["taustart_ts"] for row in stored["image"])


def test_short_timesteps_share_a_task_which_fails_with_one_of_them(api, make_config, monkeypatch):
    monkeypatch.setattr("trap.run.planning.MIN_GROUP", 2)
    monkeypatch.setattr("flows.tasks.granularity.TASK_SECONDS", 1e6)
    broken = failing(association.associate_extracted_sources, 1, ValueError("no such thing"), on=3)
    monkeypatch.setattr(association, "associate_extracted_sources", broken)
    monkeypatch.setattr("flows.tasks.granularity.FEW_TIMESTEPS", 0)
    config = make_config("short", granularity="auto", group_size=0)
    summary = run(config)
    assert summary.exit_code is ExitCode.TIMESTEPS_FAILED
    assert [outcome.failure is None for outcome in summary.outcomes] == [True, True, False, True]
    groups = api.subflows(api.run_of("short"))
    assert [group["state_name"] for group in groups] == ["Completed", "Failed"]
    tasks = api.tasks(*groups, n=3)
    assert [(task["name"].split(" ")[0], task["run_count"], task["state_name"]) for task in tasks] == [
        ("timestep", 1, "Completed"),
        ("timestep", 1, "Completed"),
        ("timesteps", 1, "Failed"),
    ]
    (failed,) = (task for task in tasks if task["state_name"] == "Failed")
    assert "1 of 2 timesteps failed; 2026-01-01 02:00:00: ValueError: no such thing" in failed["state"]["message"]
    assert len(rows(config)["image"]) == 3 * IMAGES_PER_TIMESTEP


def test_short_steps_share_tasks_and_one_that_fails_ends_its_task_alone(api, make_config, monkeypatch):
    monkeypatch.setattr("trap.run.planning.MIN_GROUP", 2)
    monkeypatch.setattr("flows.tasks.granularity.TASK_SECONDS", 1e6)
    broken = failing(association.associate_extracted_sources, 1, ValueError("no such thing"), on=3)
    monkeypatch.setattr(association, "associate_extracted_sources", broken)
    monkeypatch.setattr(Store, "store_timestep", failing(Store.store_timestep, 1, TransientError("busy"), on=3))
    config = make_config("short steps", granularity="auto", group_size=0)
    summary = run(config)
    assert [outcome.failure is None for outcome in summary.outcomes] == [True, True, False, True]
    first, second = api.subflows(api.run_of("short steps"))
    assert (first["state_name"], second["state_name"]) == ("Completed", "Failed")
    n_fitted = any(image.n_requested for image in summary.outcomes[3].images)
    tasks = api.tasks(second, n=6 + n_fitted)
    assert kinds(tasks) == {
        ("load_state", "Completed"): 1,
        ("measure_image", "Completed"): 1,
        ("calibrate_images", "Completed"): 1,
        ("associate_extracted_sources", "Failed"): 1,
        ("associate_extracted_sources", "Completed"): 1,
        ("store_timestep", "Completed"): 1,
        **({("perform_forced_fits", "Completed"): 1} if n_fitted else {}),
    }
    messages = {task["name"]: task["state"]["message"] for task in tasks}
    assert messages["measure_image from t0002_b00.fits"] == "4 calls, the last for t0003_b01.fits"
    assert "no such thing" in messages["associate_extracted_sources from 2026-01-01 02:00:00"]
    assert len(rows(config)["image"]) == 3 * IMAGES_PER_TIMESTEP


def test_steps_that_share_tasks_leave_the_same_rows(make_config, monkeypatch):
    monkeypatch.setattr("trap.run.planning.MIN_GROUP", 2)
    monkeypatch.setattr("flows.tasks.granularity.TASK_SECONDS", 1e6)
    config = make_config("shared", granularity="auto", group_size=0)
    alone = make_config("shared", database=config.execution.database.replace("shared", "unshared"), group_size=0)
    run(config)
    pipeline.run_locally(alone)
    ours, theirs = rows(config), rows(alone)
    assert len(theirs["extractedsource"]) > 20
    assert ours == theirs


def test_a_failure_that_cannot_be_recorded_ends_the_run(api, make_config, monkeypatch):
    broken = failing(association.associate_extracted_sources, 1, ValueError("no such thing"), on=1)
    monkeypatch.setattr(association, "associate_extracted_sources", broken)
    lost = failing(Store.record_failure, 1, DatabaseError("the database is gone"), on=1)
    monkeypatch.setattr(Store, "record_failure", lost)
    with pytest.raises(DatabaseError, match="the database is gone"):
        run(make_config("gone", granularity="timestep"))
    whole = api.run_of("gone")
    assert [each["state_name"] for each in (whole, *api.subflows(whole))] == ["Failed", "Failed"]


def test_a_step_that_does_not_recover_in_time_ends_the_run_and_the_next_one_goes_on(api, make_config, monkeypatch):
    config = make_config("full", granularity="timestep")
    with monkeypatch.context() as patch:
        full = failing(Store.store_timestep, 100, TransientError("disk full"), on=2)
        patch.setattr(Store, "store_timestep", full)
        with pytest.raises(TransientError, match="disk full"):
            run(config)
    whole = api.run_of("full")
    assert whole["state_name"] == "Failed"
    tasks = api.tasks(*api.subflows(whole), n=2)
    assert [(task["run_count"], task["state_name"]) for task in tasks] == [(1, "Completed"), (4, "Failed")]
    stored = rows(config)
    assert [row["state"] for row in stored["timestep"]] == ["done", "failed"]
    assert len(stored["image"]) == IMAGES_PER_TIMESTEP
    again = run(config.with_options(persistence={"description": "full"}))
    assert again.exit_code is ExitCode.COMPLETE
    assert len(rows(config)["image"]) == 4 * IMAGES_PER_TIMESTEP


def iter_images(make_config):
    """Images of the survey, in order."""
    (pattern,) = make_config("x").execution.images
    return iter(sorted(Path(pattern).parent.glob("*.fits")))


@pytest.mark.parametrize("is_cancelled", [True, False])
def test_a_run_terminated_while_prefect_begins_a_subflow_stops_as_it_should(
    api, make_config, monkeypatch, is_cancelled
):
    config = make_config(f"terminated-{is_cancelled}")
    choose = Pace.granularity
    calls = itertools.count(1)

    def terminate(*given):
        # A group asks this while Prefect's own handler of the signal is in place.
        if next(calls) == 2:
            if is_cancelled:
                run_id = api.run_of(f"terminated-{is_cancelled}%")["id"]
                cancelling = {"state": {"type": "CANCELLING", "name": "Cancelling"}}
                httpx.post(f"{api.url}/flow_runs/{run_id}/set_state", json=cancelling, trust_env=False)
            os.kill(os.getpid(), signal.SIGTERM)
        return choose(*given)

    monkeypatch.setattr(Pace, "granularity", terminate)
    summary = run(config)
    assert len(summary.outcomes) == 2
    flow_run = api.run_of(f"terminated-{is_cancelled}%")
    said = "stopped after 2 of 4 timesteps" if is_cancelled else "terminated after 2 of 4 timesteps"
    assert flow_run["state_name"] == ("Cancelled" if is_cancelled else "Crashed")
    assert said in flow_run["state"]["message"]
    again = run(config.with_options(persistence={"dataset_id": 1}))
    assert (again.exit_code, len(again.outcomes)) == (ExitCode.COMPLETE, 2)


def test_images_left_out_make_a_run_partial(api, make_config, tmp_path):
    (tmp_path / "torn.fits").write_bytes(b"SIMPLE  =")
    config = make_config(
        "torn", images=(*map(str, itertools.islice(iter_images(make_config), 2)), str(tmp_path / "torn.fits"))
    )
    assert run(config).exit_code is ExitCode.IMAGES_LEFT_OUT
    whole = api.run_of("torn")
    assert (whole["state_type"], whole["state_name"]) == ("COMPLETED", "Partial")
    assert "torn.fits" in whole["state"]["message"]


def test_a_second_run_adds_nothing_and_says_so(api, make_config):
    config = make_config("again")
    first = run(config)
    before = rows(config) | {"dataset": None}
    second = run(config.with_options(persistence={"dataset_id": first.dataset_id, "description": "again, later"}))
    assert (second.outcomes, len(second.already_known), second.exit_code) == ((), 8, ExitCode.COMPLETE)
    assert rows(config) | {"dataset": None} == before  # which counts its runs
    assert "8 already in the dataset" in api.run_of("again, later")["state"]["message"]


def test_what_keeps_a_run_from_starting_is_raised_as_it_is(make_config, capfd):
    config = make_config("unknown").with_options(persistence={"dataset_id": 99})
    with pytest.raises(DatasetNotFoundError):
        run(config)
    assert "Traceback" not in capfd.readouterr().err
    with pytest.raises(ConfigError):
        run(make_config("none", images=()))


def test_later_runs_find_the_server_that_an_earlier_one_started(server):
    assert flows_server.ensure_server() == server


def test_scripts_of_other_sites_cannot_use_the_server(api, server):
    # Before a browser sends JSON for a script of another site, it asks the server whether it may.
    def may(origin):
        asking = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        answer = httpx.options(f"{api.url}/flow_runs/filter", headers=asking, trust_env=False)
        return answer.headers.get("Access-Control-Allow-Origin") == origin

    assert may(server.ui_url)
    assert not may("http://elsewhere.example")


def test_images_that_arrive_are_processed_in_subflows_with_a_task_a_timestep(api, make_config, monkeypatch, tmp_path):
    busy = failing(Store.store_timestep, 1, TransientError("the database is busy"), on=2)
    monkeypatch.setattr(Store, "store_timestep", busy)
    shutil.copytree(next(iter_images(make_config)).parent, tmp_path / "in")
    monkeypatch.setattr("flows.live.TIMESTEP", groups.TIMESTEP)
    settings = LiveConfig(folder=str(tmp_path / "in"), settle_seconds=0.1, images_per_timestep=2, idle_seconds=3.0)
    config = make_config("live", images=())
    tally = run_live(config, settings)
    assert (tally.stored, tally.left_out, tally.exit_code) == (4, 0, ExitCode.COMPLETE)
    (whole,) = api.find("flow_runs", flows={"name": {"any_": ["live-dataset"]}})
    assert whole["state_name"] == "Completed"
    tasks = api.tasks(*api.subflows(whole), n=4)
    assert [(task["name"], task["run_count"]) for task in tasks] == [
        (f"timestep 2026-01-01 0{hour}:00:00, 2 images", 1 + (hour == 1)) for hour in range(4)
    ]
    pages = {page["key"]: page["data"] for page in api.artifacts(*api.subflows(whole))}
    assert "timesteps waiting" in pages[f"dataset-{dataset_label(config, tally.dataset_id)}-live"]
