"""A small simulated survey, and a dataset made of it, for all commands."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from trap.cli import main
from trap.pipeline import open_run
from trap.workers.executors import SerialExecutor

SURVEY = ("--timesteps", "4", "--bands", "1", "--size", "128", "--steady", "8", "--variables", "2", "--transients", "2")


def run_here(config, *, monitors=None, progress=None):
    """Run the pipeline in this process: worker processes take seconds to start."""
    with open_run(config, monitors=monitors, progress=progress) as dataset:
        for group in dataset.plan.groups:
            dataset.process_group(group, SerialExecutor())
        return dataset.summary()


@pytest.fixture(scope="session")
def runner_here():
    """Return the runner of this process, for fixtures of several tests."""
    return run_here


@pytest.fixture(scope="session")
def survey(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a simulated survey; not to be changed."""
    directory = tmp_path_factory.mktemp("survey")
    assert main(["simulate", str(directory), *SURVEY]) == 0
    return directory


class OneProcess(SerialExecutor):
    """Workers that are none: a command that inspects or searches an image takes a second longer with processes."""

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        pass


@pytest.fixture(autouse=True)
def _commands_in_one_process(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands work on images in this process, in tests without the mark ``own_workers``."""
    if "own_workers" not in request.keywords:
        for command in ("inspect", "extract.command"):
            monkeypatch.setattr(f"trap.cli.{command}.open_image_workers", lambda *_, **__: OneProcess())


@pytest.fixture
def run_in_process(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make every command run the pipeline in this process; the names of the runners asked for."""
    asked = []

    def find_runner(name):
        asked.append(name)
        return run_here

    monkeypatch.setattr("trap.cli.run.find_runner", find_runner)
    return asked


@pytest.fixture(scope="session")
def _processed(survey: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    database = tmp_path_factory.mktemp("database") / "trap.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trap.cli.run.find_runner", lambda _name: run_here)
        assert main(["run", "--images", f"{survey}/t*.fits", "--database", f"sqlite:///{database}"]) == 0
    return database


@pytest.fixture
def database(_processed: Path, tmp_path: Path) -> str:
    """URL of a database with the survey as dataset 1; the test's own."""
    shutil.copy(_processed, tmp_path / "trap.db")
    return f"sqlite:///{tmp_path / 'trap.db'}"
