"""Deployments on a real server with a process worker: started by clock, by hand and by images; killed and cancelled."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from trap.simulation.survey import SurveyConfig, simulate_survey

pytestmark = pytest.mark.timeout(1200)

TRAP = Path(sys.executable).with_name("transients")
PATIENCE_SECONDS = 420.0
N_LONG = 40
NAME = "field-1"
MANUAL, INCOMING = f"process-dataset/{NAME}-manual", f"process-dataset/{NAME}-incoming"
SENSOR = f"take-in-images/{NAME}-look-for-images"


def wait_for(what, *, seconds=PATIENCE_SECONDS):
    """Wait until there is something, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(0.25)
    return found


def processes_below(number):
    """Numbers of all processes that a process has started, and those have."""
    parents = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(status.parent.name))
    below, fresh = [], [number]
    while fresh:
        fresh = [child for parent in fresh for child in parents.get(parent, [])]
        below += fresh
    return below


@dataclass
class Observatory:
    """An installation: a folder to work in, the server, and programs that are running."""

    folder: Path
    api_url: str
    programs: list[subprocess.Popen]

    @property
    def incoming(self):
        return self.folder / "incoming"

    @property
    def environment(self):
        return os.environ | {
            "PREFECT_API_URL": self.api_url,
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "OMP_NUM_THREADS": "1",
        }

    def run(self, *command):
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=240, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, *command):
        with (self.folder / "programs.log").open("ab") as output:
            program = subprocess.Popen(
                command, cwd=self.folder, env=self.environment, stdout=output, stderr=output, start_new_session=True
            )
        self.programs.append(program)
        return program

    def start_worker(self):
        return self.start(str(TRAP), "worker", "--name", NAME)

    def start_watcher(self):
        return self.start(str(TRAP), "watch", str(self.incoming), "--settle", "1")

    def stop(self, program):
        program.send_signal(signal.SIGINT)
        program.wait(timeout=120)
        self.programs.remove(program)

    def kill(self, program):
        """End a program and all that it has started, without a word."""
        for number in [program.pid, *processes_below(program.pid)]:
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        program.wait()
        self.programs.remove(program)

    def ask(self, method, path, **content):
        """Ask the server; one that is busy is asked again."""

        def answered():
            try:
                answer = httpx.request(method, f"{self.api_url}{path}", **content, trust_env=False, timeout=60)
            except httpx.TransportError:
                return None
            return None if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR else answer

        return wait_for(answered)

    def post(self, path, **content):
        answer = self.ask("POST", path, json=content)
        answer.raise_for_status()
        return answer.json()

    def deployment(self, name):
        return self.ask("GET", f"/deployments/name/{name}").raise_for_status().json()

    def runs(self, name, *states, **filters):
        chosen = {"deployment_id": {"any_": [self.deployment(name)["id"]]}} | filters
        if states:
            chosen["state"] = {"name": {"any_": list(states)}}
        return self.post("/flow_runs/filter", flow_runs=chosen, sort="EXPECTED_START_TIME_ASC")

    def start_run(self, name, **parameters):
        return self.post(f"/deployments/{self.deployment(name)['id']}/create_flow_run", parameters=parameters)["id"]

    def state_of(self, run_id, *states):
        """Wait for a run to be in one of some states."""

        def look():
            run = self.ask("GET", f"/flow_runs/{run_id}").raise_for_status().json()
            return run if run["state_name"] in states else None

        return wait_for(look)

    def rows(self, query, database="trap.db"):
        if not (self.folder / database).exists():
            return []
        with sqlite3.connect(f"file:{self.folder / database}?mode=ro", uri=True) as connection:
            try:
                return connection.execute(query).fetchall()
            except sqlite3.OperationalError:
                return []  # its tables are being made

    def n_stored(self, database):
        return len(self.rows("SELECT 1 FROM timestep WHERE state = 'done'", database))


@pytest.fixture(scope="module")
def observatory(server, tmp_path_factory):
    """Deployments made by one command, and a worker."""
    made = Observatory(tmp_path_factory.mktemp("observatory"), server.api_url, [])
    made.incoming.mkdir()
    try:
        made.deployed = made.run(str(TRAP), "deploy", "--name", NAME, "--incoming", "incoming", "--every", "30")
        made.start_worker()
        yield made
    finally:
        for log in (made.folder / "programs.log", Path(os.environ["PREFECT_HOME"]) / "trap-server.log"):
            sys.stdout.write(f"{log}:\n{log.read_text()[-20_000:]}\n")
        for program in list(made.programs):
            made.kill(program)


@pytest.fixture(scope="module")
def long_survey(tmp_path_factory):
    """So many timesteps that a run of them can be stopped half-way."""
    settings = SurveyConfig(n_timesteps=N_LONG, n_bands=1, size=96, n_steady=4, n_variables=0, n_transients=0)
    return simulate_survey(tmp_path_factory.mktemp("long"), settings).directory


def settings_of(folder, database, pattern="*.fits", **sections):
    """Parameters of a run that takes a while: every step is a task."""
    execution = {
        "images": [f"{folder}/{pattern}"],
        "database": f"sqlite:///{database}",
        "n_workers": 1,
        "report": False,
    }
    return {"execution": execution | {"granularity": "image", "group_size": 10}, **sections}


def test_one_command_makes_pool_deployments_and_automations(observatory):
    assert f"deployed: {MANUAL}, {INCOMING}, {SENSOR}" in observatory.deployed
    sensor = observatory.deployment(SENSOR)
    assert sensor["work_pool_name"] == f"{NAME}-process"
    assert [schedule["active"] for schedule in sensor["schedules"]] == [True, True]
    names = {automation["name"] for automation in observatory.post("/automations/filter")}
    kinds = ("silent-runs", "images-arrived", "run-ended", "run-crashed", "worker-started")
    assert names >= {f"{NAME}-{kind}" for kind in kinds}


def test_other_folders_leave_a_live_installation_as_it_is(observatory, tmp_path):
    def run_there(*words):
        command = (str(TRAP), *words, "--incoming", str(tmp_path / "incoming"))
        return subprocess.run(
            command, cwd=tmp_path, env=observatory.environment, capture_output=True, text=True, timeout=240, check=False
        )

    before = observatory.deployment(SENSOR)
    for command in (("deploy", "--name", NAME), ("ui", "--no-browser", "--name", NAME)):
        refused = run_there(*command)
        assert refused.returncode == 1
        assert "belongs to an installation with another database or folder" in refused.stderr
        assert "Traceback" not in refused.stderr
    # Under a name of its own, it serves its own deployments, and pauses them in the end.
    own = observatory.start(
        str(TRAP), "ui", "--no-browser", "--name", "guest", "--incoming", str(tmp_path / "incoming")
    )
    # The interrupt may come before the runner of the deployments runs.
    wait_for(lambda: observatory.ask("GET", "/deployments/name/take-in-images/guest-look-for-images").is_success)
    observatory.stop(own)
    assert observatory.deployment("take-in-images/guest-look-for-images")["paused"]
    after = observatory.deployment(SENSOR)
    assert not after["paused"]
    assert (after["parameters"], after["work_pool_name"]) == (before["parameters"], before["work_pool_name"])


def test_ui_of_a_deployed_installation_opens_pages_only(observatory):
    shown = observatory.run(str(TRAP), "ui", "--no-browser", "--name", NAME)
    assert "only the pages are opened" in shown
    assert not observatory.deployment(SENSOR)["paused"]


def test_a_scheduled_run_executes(observatory):
    (run, *_) = wait_for(lambda: observatory.runs(SENSOR, "Completed"))
    assert run["auto_scheduled"]
    # From here on only events start it: the schedules would hide whether they do.
    sensor = observatory.deployment(SENSOR)
    for schedule in sensor["schedules"]:
        path = f"/deployments/{sensor['id']}/schedules/{schedule['id']}"
        observatory.ask("PATCH", path, json={"active": False}).raise_for_status()


def test_a_run_started_by_hand_takes_the_parameters_of_its_form(observatory, survey):
    config = settings_of(survey, "manual.db", source_extraction={"detection_threshold": 6.5})
    config["persistence"] = {"description": "by hand"}
    run = observatory.state_of(observatory.start_run(MANUAL, config=config), "Completed", "Failed", "Crashed")
    assert run["state_name"] == "Completed", run["state"]["message"]
    assert run["name"] == "by hand, dataset 1"
    assert set(run["tags"]) == {
        "trap",
        f"installation:{NAME}",
        "dataset:1",
        "telescope:SIMULATED",
        "band:1280 MHz",
        "band:1480 MHz",
    }
    assert observatory.rows("SELECT detection_threshold FROM dataset", "manual.db") == [(6.5,)]
    assert observatory.n_stored("manual.db") == 4


def test_parameters_that_cannot_be_right_are_refused_with_the_reason(observatory):
    number = observatory.deployment(MANUAL)["id"]
    wrong = {"config": {"source_extraction": {"detection_threshold": -1}}}
    answer = observatory.ask("POST", f"/deployments/{number}/create_flow_run", json={"parameters": wrong})
    assert answer.status_code == 409
    assert "detection_threshold" in answer.text


def test_images_that_arrive_are_processed_exactly_once_whether_the_watcher_is_up_or_down(observatory, survey):
    timesteps = [sorted(survey.glob(f"t000{number}_*.fits")) for number in range(4)]

    def drop(images):
        for image in images:
            shutil.copy(image, observatory.incoming / f"{image.name}.part")
            (observatory.incoming / f"{image.name}.part").rename(observatory.incoming / image.name)

    def stored():
        return [Path(url).name for (url,) in observatory.rows("SELECT url FROM image ORDER BY url")]

    def ended():
        return observatory.runs(INCOMING, "Completed", "Partial", "Failed", "Crashed")

    watcher = observatory.start_watcher()
    drop(timesteps[0])
    wait_for(lambda: len(stored()) == 2)
    observatory.stop(watcher)
    drop([*timesteps[1], *timesteps[2], *timesteps[3]])
    watcher = observatory.start_watcher()
    wait_for(lambda: len(stored()) == 8 and not observatory.runs(INCOMING, "Running", "Pending"))
    observatory.stop(watcher)
    runs = ended()
    assert [run["state_name"] for run in runs] == ["Completed"] * len(runs)
    assert len(runs) in {2, 3}  # the first two images may have been seen at one look, or at two
    assert stored() == sorted(image.name for images in timesteps for image in images)
    assert observatory.rows("SELECT COUNT(DISTINCT dataset), COUNT(*) FROM image") == [(1, 8)]
    assert observatory.rows("SELECT COUNT(DISTINCT batch), COUNT(*) FROM arrival") == [(len(runs), 8)]
    # Whoever starts the sensor once more finds nothing to do.
    again = observatory.state_of(observatory.start_run(SENSOR), "Completed", "Failed")
    assert again["state"]["message"] == "0 images handed over, 0 waiting"
    assert len(ended()) == len(runs)


def test_a_run_whose_worker_was_killed_is_resumed_by_the_next_worker(observatory, long_survey):
    run_id = observatory.start_run(MANUAL, config=settings_of(long_survey, "killed.db", "t00[01]*.fits"))
    wait_for(lambda: observatory.n_stored("killed.db") > 10)  # amid the second group of two
    observatory.kill(observatory.programs[0])
    n_before = observatory.n_stored("killed.db")
    assert n_before < 20
    observatory.start_worker()
    run = observatory.state_of(run_id, "Completed", "Failed", "Partial")
    assert (run["state_name"], run["run_count"]) == ("Completed", 2), run["state"]["message"]
    assert observatory.n_stored("killed.db") == 20
    assert observatory.rows("SELECT id, state FROM dataset", "killed.db") == [(1, "done")]
    assert observatory.rows("SELECT COUNT(*), COUNT(DISTINCT content_hash) FROM image", "killed.db") == [(20, 20)]
    # Nothing that the killed process had begun is shown as running.
    subflows = {"parent_flow_run_id": {"any_": [run_id]}, "state": {"type": {"any_": ["RUNNING", "PENDING"]}}}
    assert observatory.post("/flow_runs/filter", flow_runs=subflows) == []
    unfinished = {"state": {"type": {"any_": ["RUNNING", "PENDING"]}}}
    ours = {"name": {"any_": ["process-dataset", "timestep-group"]}}
    wait_for(lambda: not observatory.post("/task_runs/filter", flows=ours, task_runs=unfinished))


def test_a_cancelled_run_stops_after_a_timestep_and_can_be_resumed(observatory, long_survey):
    config = settings_of(long_survey, "cancelled.db")
    run_id = observatory.start_run(MANUAL, config=config)
    wait_for(lambda: observatory.n_stored("cancelled.db") >= 5)
    observatory.post(f"/flow_runs/{run_id}/set_state", state={"type": "CANCELLING", "name": "Cancelling"})
    run = observatory.state_of(run_id, "Cancelled", "Completed", "Crashed", "Failed")
    assert run["state_name"] == "Cancelled"
    n_before = observatory.n_stored("cancelled.db")
    assert n_before < N_LONG
    # By the run itself; or by Prefect, if its signal came after the run had closed its dataset, or between two groups.
    own, prefects = f"stopped after {n_before} of {N_LONG} timesteps", "Flow run was cancelled successfully."
    assert own in run["state"]["message"] or run["state"]["message"] == prefects
    assert observatory.rows("SELECT COUNT(*) FROM dataset WHERE state = 'running'", "cancelled.db") == [(0,)]
    assert observatory.rows("SELECT COUNT(*) FROM timestep WHERE state = 'failed'", "cancelled.db") == [(0,)]
    config["persistence"] = {"dataset_id": 1}
    again = observatory.state_of(observatory.start_run(MANUAL, config=config), "Completed", "Failed", "Crashed")
    assert f"{N_LONG - n_before} timesteps" in again["state"]["message"]
    assert observatory.n_stored("cancelled.db") == N_LONG


@pytest.mark.parametrize("kind", ["docker", "kubernetes"])
def test_the_server_takes_deployments_for_containers(observatory, kind):
    observatory.run(str(TRAP), "deploy", "--name", NAME, "--type", kind, "--image", "registry/trap:1")
    deployment = observatory.deployment(MANUAL)
    pool, image = deployment["work_pool_name"], deployment["job_variables"]["image"]
    assert (pool, image) == (f"{NAME}-{kind}", "registry/trap:1")
    assert "PREFECT_FLOWS_HEARTBEAT_FREQUENCY" in json.dumps(deployment["job_variables"]["env"])
