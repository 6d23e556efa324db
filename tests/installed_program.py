"""The wheel, installed into an environment of its own, and its programs."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["ROOT", "SERVICES", "Installation", "build", "install", "interpreter"]

ROOT = Path(__file__).parents[1]
SERVICES = ("live", "serve", "ui", "deploy", "worker", "watch")
"""Commands that run until they are stopped, or need a server, in ``packaging/test_installed_services.py``."""
UV = next(iter(ROOT.glob(".tools/uv-*/bin/uv")), None) or shutil.which("uv")

DRIVER = """\
import json, os, sys
from trap.cli import main
results, standard = [], [os.dup(1), os.dup(2)]
for words in json.load(sys.stdin):
    for number in (1, 2):
        sys.stdout.flush()
        file = os.open(f"{number}.txt", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
        os.close(file)
    try:
        code = main(words)
    except SystemExit as end:
        code = end.code
    sys.stdout.flush()
    results.append([code, open("1.txt").read(), open("2.txt").read()])
for number in (1, 2):
    os.dup2(standard[number - 1], number)
json.dump(results, sys.stdout)
"""
"""A program that calls the command line again and again, since the imports take most of the time of a command."""


@dataclass
class Installation:
    """An environment with the program in it, and a folder to work in."""

    environment: Path
    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def programs(self) -> Path:
        """Folder of the programs."""
        return self.environment / "bin"

    @property
    def packages(self) -> Path:
        """Folder of the installed packages."""
        return next(self.environment.glob("lib/python3.*/site-packages"))

    def all_variables(self, **variables: str) -> dict[str, str]:
        """Return the environment of the programs: nothing of the tests' own, and a home of its own."""
        return {
            "PATH": f"{self.programs}:/usr/bin:/bin",
            "HOME": str(self.folder / "home"),
            "TMPDIR": os.environ.get("TMPDIR", "/tmp"),  # noqa: S108 (the default of all programs)
            "LANG": "C.UTF-8",
            "OMP_NUM_THREADS": "1",
            "DO_NOT_TRACK": "1",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_HOME": str(self.folder / "home" / "prefect"),
            **self.variables,
            **variables,
        }

    def run(self, *words: str, code: int = 0, **options: object) -> str:
        """Run ``transients``, and return its output; its exit code is as expected."""
        done = self.call("transients", *words, **options)
        assert done.returncode == code, f"{words}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr, done.stderr
        return done.stdout

    def call(self, program: str, *words: str, **options: object) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment to its end."""
        settings = {"cwd": self.folder, "env": self.all_variables(), "timeout": 280} | options
        return subprocess.run(
            [self.programs / program, *words], capture_output=True, text=True, check=False, **settings
        )

    def run_all(self, commands: Sequence[str]) -> dict[str, tuple[int, str, str]]:
        """Run commands of ``transients`` in one process; return the exit code, output and messages of each."""
        done = self.call(
            "python", "-c", DRIVER, input=json.dumps([shlex.split(words) for words in commands]), timeout=1000
        )
        assert done.returncode == 0, done.stderr
        return dict(zip(commands, json.loads(done.stdout), strict=True))

    def take_kernels(self) -> None:
        """Take the machine code of the kernels of this checkout, if there is any; numba checks the source and itself.

        Its index names a module by the time of its last change, so that the installed one is given the same.
        """
        source, installed = ROOT / "trap" / "kernels", self.packages / "trap" / "kernels"
        for module in source.glob("*.py"):
            if module.read_bytes() == (installed / module.name).read_bytes():
                shutil.copystat(module, installed / module.name)
        (installed / "__pycache__").mkdir(exist_ok=True)
        for code in source.glob("__pycache__/*.nb[ic]"):
            shutil.copy2(code, installed / "__pycache__")

    def compile_kernels(self) -> None:
        """Process a few images, so that no later process compiles the kernels, with two workers doing so twice."""
        (self.folder / "home").mkdir(exist_ok=True)
        (self.folder / "one.toml").write_text("[execution]\nn_workers = 1\n")
        first = "simulate first --timesteps 3 --bands 1 --size 128"
        done = self.run_all([first, "run one.toml --no-prefect --images first/*.fits --database first.db"])
        assert [code for code, _, _ in done.values()] == [0, 0], done

    @contextmanager
    def started(self, *words: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
        """Start ``transients``; in the end terminate it, if it still runs."""
        with (self.folder / f"{words[0]}.log").open("w") as log:
            process = subprocess.Popen(
                [self.programs / "transients", *words], cwd=self.folder, env=self.all_variables(**variables),
                stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.terminate()
                process.wait(timeout=120)
                process.stdout.close()


def build(out: Path) -> None:
    """Build the source distribution, and the wheel from it, as ``make dist`` does."""
    words = ["-m", "build", "--no-isolation", "--outdir", str(out), str(ROOT)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def install(wheel: Path, environment: Path, python: str, *options: str) -> None:
    """Make an environment, and install a wheel with the dependencies that its metadata name."""
    assert UV, "uv is missing; make installs it"
    # The environment of the tests may name other packages, which would then be installed too.
    variables = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    for words in (
        ["venv", "--python", python, environment],
        ["pip", "install", "--python", environment, *options, wheel],
    ):
        done = subprocess.run([UV, "--quiet", *words], env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"


def interpreter() -> str:
    """Return an interpreter that all users may run, for a test as another user; or else that of the tests."""
    system = shutil.which("python3", path="/usr/bin")
    if system is not None:
        code = "import sys; sys.exit(sys.version_info < (3, 11))"
        if subprocess.run([system, "-c", code], check=False).returncode == 0:
            return system
    return sys.executable
