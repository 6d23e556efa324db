"""A Prefect server of our own, and surveys small enough to be processed many times."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from prefect.logging.handlers import APILogHandler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from flows.service.server import Server
    from trap.config import PipelineConfig

PATIENCE_SECONDS = 120.0


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """The local background server, started by a process that has ended since, and stopped by Prefect's own command."""
    from flows.service.server import ensure_server, stop_server  # noqa: PLC0415 (tests without Prefect do not wait for it)

    # Its output is read to the end: a server that held on to it would make this hang.
    _python("-c", "from flows.service.server import ensure_server; ensure_server()")
    try:
        yield ensure_server()
        APILogHandler().flush()
        _python("-m", "prefect", "server", "stop")
    finally:
        stop_server()


def _python(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True, timeout=240)


@dataclass
class Api:
    """What a Prefect server knows of runs."""

    url: str

    def find(self, what: str, **filters: Any) -> list[dict[str, Any]]:
        """Ask for ``flow_runs``, ``task_runs``, ``artifacts`` or ``logs``."""
        answer = httpx.post(f"{self.url}/{what}/filter", json=filters, trust_env=False, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def run_of(self, description: str) -> dict[str, Any]:
        """Find the flow run of a dataset by the description."""
        runs = self.find("flow_runs", flow_runs={"name": {"like_": description}})
        (run,) = (run for run in runs if run["parent_task_run_id"] is None)
        return run

    def subflows(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        """List the subflow runs of a flow run, in order."""
        return self.find("flow_runs", flow_runs={"parent_flow_run_id": {"any_": [run["id"]]}}, sort="START_TIME_ASC")

    def tasks(self, *runs: dict[str, Any], n: int) -> list[dict[str, Any]]:
        """List the task runs of flow runs, once the server has recorded the end of so many."""
        ids = [run["id"] for run in runs]
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            # States of tasks are sent beside the run, and written in batches.
            found = self.find("task_runs", flow_runs={"id": {"any_": ids}}, sort="NAME_ASC")
            if sum(task["state_type"] in {"COMPLETED", "FAILED", "CRASHED"} for task in found) >= n:
                return found
            assert time.monotonic() < deadline, [(task["name"], task["state_name"]) for task in found]
            time.sleep(0.2)

    def artifacts(self, *runs: dict[str, Any]) -> list[dict[str, Any]]:
        """List the artifacts of flow runs."""
        return self.find("artifacts", artifacts={"flow_run_id": {"any_": [run["id"] for run in runs]}})

    def logs(self, run: dict[str, Any], wanted: str) -> list[str]:
        """List the lines of a run's log, once a wanted one is there: they are sent in batches."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            lines = [line["message"] for line in self.find("logs", logs={"flow_run_id": {"any_": [run["id"]]}})]
            if any(wanted in line for line in lines) or time.monotonic() > deadline:
                return lines
            time.sleep(0.2)


@pytest.fixture(scope="session")
def api(server: Server) -> Api:
    """The server's interface."""
    return Api(server.api_url)


@pytest.fixture(scope="session")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four timesteps in two bands, with a variable and a transient."""
    from trap.simulation.survey import SurveyConfig, simulate_survey  # noqa: PLC0415

    settings = SurveyConfig(n_timesteps=4, n_bands=2, size=128, n_steady=6, n_variables=1, n_transients=1)
    return simulate_survey(tmp_path_factory.mktemp("survey"), settings).directory


@pytest.fixture
def make_config(survey: Path, tmp_path: Path) -> Callable[..., PipelineConfig]:
    """Make settings for the survey: two groups of two timesteps, and an SQLite file by name."""
    from trap.config import PipelineConfig  # noqa: PLC0415

    def make(name: str, **execution: Any) -> PipelineConfig:
        options = {
            "images": (str(survey / "*.fits"),),
            "database": f"sqlite:///{tmp_path / name}.db",
            "n_workers": 2,
            "group_size": 2,
            "report": False,
        }
        return PipelineConfig().with_options(execution=options | execution, persistence={"description": name})

    return make
