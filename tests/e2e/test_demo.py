"""The demo as a user types it, only smaller."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from trap.cli import main

TRAP = Path(sys.executable).with_name("transients")
SMALL = (
    *("--timesteps", "8", "--bands", "1", "--size", "192", "--no-prefect"),
    *("--steady", "10", "--variables", "2", "--transients", "3"),
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """Folder of a demo, and the finished process."""
    directory = tmp_path_factory.mktemp("demo") / "new"
    return directory, subprocess.run([TRAP, "demo", directory, *SMALL], capture_output=True, text=True, check=False)


def test_demo_finds_what_was_injected(demo):
    _, done = demo
    assert (done.returncode, done.stdout.splitlines()[-2]) == (0, "no problems"), done.stdout + done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    names = [line[0] for line in lines if line and line[0] in {"T0001", "T0002", "T0003", "V0001", "V0002"}]
    assert names == ["T0001", "T0002", "T0003", "V0001", "V0002"]
    assert "0 false transients" in done.stdout


def test_demo_ends_with_the_command_that_shows_its_pages(demo):
    directory, done = demo
    # The program is named by its path from the working folder, if that is shorter.
    program, rest = done.stdout.splitlines()[-1].removeprefix("now: ").split(maxsplit=1)
    assert Path(program).samefile(TRAP)
    assert rest == f"serve {directory / 'trap.db'} --open"


def test_demo_leaves_a_database_and_figures(demo):
    directory, done = demo
    for name in ("trap.db", "lightcurves.png", "eta_v.png"):
        assert (directory / name).stat().st_size > 0
        assert str(directory / name) in done.stdout


@pytest.mark.parametrize("seed", ["2", "3", "7", "10", "11"])
def test_demo_meets_its_demands_on_other_skies(tmp_path, seed, capsys):
    """Sources cut by the border and peaks of the noise made candidates of some of these; benchmarks/ runs more."""
    options = ("--timesteps", "8", "--bands", "1", "--size", "256", "--steady", "40", "--no-prefect", "--seed", seed)
    status = main(["demo", str(tmp_path), *options])  # a new process would import for most of its time
    output = capsys.readouterr().out
    assert (status, output.splitlines()[-2]) == (0, "no problems"), output
