"""The wheel installs under every Python that its metadata name, and the core of the program runs there."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import httpx
import pytest
from installed_program import ROOT, Installation, install

pytestmark = pytest.mark.timeout(1200)  # each Python compiles the packages and the kernels anew

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
VERSIONS = [
    name.rpartition(" ")[2]
    for name in PROJECT["classifiers"]
    if name.startswith("Programming Language :: Python :: 3.")
]
OTHERS = [version for version in VERSIONS if version != f"3.{sys.version_info.minor}"]
STEPS = (
    "candidates 1 --database first.db",
    "lightcurve 1 --entry 1 --database first.db",
    "export 1 --what sources --format votable --output sources.xml --database first.db",
)


def interpreter_of(version):
    """Return an interpreter of a version that runs, or None: a shim on the path may lead to none."""
    below_home = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for path in (shutil.which(f"python{version}"), *map(str, below_home)):
        code = "import sys; print(sys.executable, *sys.version_info[:2], sep='|')"
        done = path and subprocess.run([path, "-c", code], capture_output=True, text=True, check=False)
        if done and done.returncode == 0 and done.stdout.strip().endswith(f"|{version.replace('.', '|')}"):
            return done.stdout.partition("|")[0]
    return None


@pytest.mark.parametrize("version", OTHERS)
def test_wheel_runs_under_another_python(version, wheel, tmp_path):
    python = interpreter_of(version)
    if python is None:
        pytest.skip(f"this machine has no Python {version}")
    install(wheel, tmp_path / "environment", python, "--constraint", str(ROOT / "requirements.lock"))
    # The kernels are compiled under the newest Python, without optimisation, and run as plain Python under the others.
    variables = {"NUMBA_OPT": "0"} if version == OTHERS[-1] else {"NUMBA_DISABLE_JIT": "1"}
    installation = Installation(tmp_path / "environment", tmp_path, variables)
    installation.compile_kernels()
    for step, (code, output, messages) in installation.run_all(STEPS).items():
        assert code == 0, f"{step}\n{output}\n{messages}"
    with installation.started("serve", "first.db", "--port", "0") as process:
        address = process.stdout.readline().rsplit(": ", 1)[-1].strip()
        assert httpx.get(address, trust_env=False, timeout=60).status_code == httpx.codes.OK
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=280) == 0
    done = installation.call("python", "-c", "import flows.process_dataset, flows.live, flows.service.commands")
    assert done.returncode == 0, done.stderr


def test_the_python_of_the_tests_is_one_of_the_metadata():
    assert f"3.{sys.version_info.minor}" in VERSIONS
    assert PROJECT["requires-python"] == f">={VERSIONS[0]}"
