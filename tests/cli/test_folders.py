"""Accounts without a home folder that can be written, as in containers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import trap
from trap.cli.folders import provide_folders

ROOT = str(Path(trap.__file__).parents[1])


@pytest.mark.parametrize("home", [None, "/proc/none", "/proc"], ids=["no HOME", "missing", "read-only"])
@pytest.mark.parametrize("known", ["XDG_CACHE_HOME", "PREFECT_HOME"])
def test_libraries_write_to_a_temporary_folder(home, known, tmp_path, monkeypatch):
    variables = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR", "PREFECT_HOME")
    for name in ("HOME", *variables):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr("pwd.getpwuid", lambda _uid: {}["nobody"])
    if home is not None:
        monkeypatch.setenv("HOME", home)
    monkeypatch.setenv(known, str(tmp_path / "own"))
    monkeypatch.setattr("os.access", lambda path, _mode: str(path) != "/proc")
    provide_folders()
    folder = tmp_path / f"transients-{os.getuid()}"
    assert os.environ["HOME"] == ("/proc" if home == "/proc" else str(folder))
    assert os.environ[known] == str(tmp_path / "own")
    for name in set(variables) - {known}:
        assert Path(os.environ[name]).parent == folder
        assert Path(os.environ[name]).is_dir()


def test_command_runs_without_a_home(survey, tmp_path):
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ROOT, "TMPDIR": str(tmp_path), "HOME": str(tmp_path / "none")}
    words = ["inspect", str(min(survey.glob("t*.fits")))]
    run = subprocess.run(
        [sys.executable, "-m", "trap", *words],
        check=False,
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert (run.returncode, "Traceback" in run.stderr) == (0, False)
    assert [path.name for path in tmp_path.iterdir()] == [f"transients-{os.getuid()}"]


@pytest.mark.parametrize(("options", "variables"), [([], {"PYTHONOPTIMIZE": "2"}), (["-OO"], {})])
def test_program_needs_docstrings_and_gets_them_or_explains(tmp_path, options, variables):
    file = tmp_path / "trap.toml"
    words = [sys.executable, *options, "-m", "trap", "config", "init", str(file)]
    done = subprocess.run(words, env=os.environ | variables, capture_output=True, text=True, check=False)
    if options:
        assert done.returncode == 1
        assert done.stderr.startswith("transients: python -OO drops docstrings, which photutils needs")
        assert len(done.stderr.splitlines()) == 1
    else:
        assert (done.returncode, done.stderr) == (0, "")
        assert "# Which new catalogue entries become transient candidates." in file.read_text("utf-8")
