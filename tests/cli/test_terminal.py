from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from trap.cli.terminal import command, interrupts_raised_again, program

BESIDE_PYTHON = Path(sys.executable).with_name("transients")


@pytest.fixture
def start(tmp_path, monkeypatch):
    """A function that lets this process have been started as the program in a folder of the test's own."""

    def start_in(folder, as_typed):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "transients").touch(mode=0o755)
        monkeypatch.setattr(sys, "argv", [str(as_typed), "run"])

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    return start_in


def test_program_is_called_as_it_was_started(start):
    start(".venv/bin", ".venv/bin/transients")
    assert program() == ".venv/bin/transients"


def test_program_on_the_path_is_called_by_its_name(monkeypatch, start, tmp_path):
    start(".venv/bin", tmp_path / ".venv/bin/transients")
    monkeypatch.setenv("PATH", str(tmp_path / ".venv/bin"))
    assert program() == "transients"


def test_another_program_of_this_name_on_the_path_is_not_meant(monkeypatch, start, tmp_path):
    start("other", "unused")
    start(".venv/bin", tmp_path / ".venv/bin/transients")
    monkeypatch.setenv("PATH", str(tmp_path / "other"))
    assert program() == ".venv/bin/transients"


def test_path_is_relative_where_that_is_shorter(start, tmp_path):
    start("bin", tmp_path / "bin" / "transients")
    assert program() == "bin/transients"


def test_path_is_absolute_where_that_is_shorter(monkeypatch, start, tmp_path):
    start("bin", tmp_path / "bin" / "transients")
    deep = tmp_path.joinpath(*"abcdefghijklmnopqrstuvwxyz" * 3)
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert program() == str(tmp_path / "bin" / "transients")


def test_program_in_the_working_directory_has_a_slash(start):
    start(".", "transients")
    assert program() == "./transients"


def test_program_beside_python_serves_where_something_else_was_started(start):
    start("bin", "bin/pytest")
    assert Path(program()).absolute().samefile(BESIDE_PYTHON)


def test_words_are_quoted_for_the_shell(start):
    start("my bin", "my bin/transients")
    typed = command("run", "--images", "it's/*.fits", "--database", "sqlite:///my sky.db")
    assert shlex.split(typed) == [
        "my bin/transients",
        "run",
        "--images",
        "it's/*.fits",
        "--database",
        "sqlite:///my sky.db",
    ]


def test_printed_command_works_in_a_shell_with_nothing_on_its_path(tmp_path):
    done = subprocess.run([BESIDE_PYTHON, "config", "init"], cwd=tmp_path, capture_output=True, text=True, check=True)
    typed = done.stdout.split("now: ")[1].replace("run", "config show").split(" --images")[0]
    shown = subprocess.run(
        ["/bin/sh", "-c", typed], cwd=tmp_path, env={"PATH": ""}, capture_output=True, text=True, check=False
    )
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "[source_extraction]" in shown.stdout


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_the_bare_name_works_in_an_activated_environment(tmp_path, shell):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    activate = BESIDE_PYTHON.with_name("activate")
    typed = f". {shlex.quote(str(activate))} && transients config init && transients config show trap.toml"
    shown = subprocess.run([shell, "-c", typed], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "now: transients run" in shown.stdout
    assert "[source_extraction]" in shown.stdout


def test_module_is_the_same_program():
    typed = [sys.executable, "-m", "trap", "--version"]
    shown = subprocess.run(typed, capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("transients ")


def test_interrupt_in_a_callback_of_the_garbage_collector_is_not_forgotten(capsys):
    class Collected:
        def __del__(self):
            raise KeyboardInterrupt

    def collect_and_wait():
        Collected()
        time.sleep(10)

    with pytest.raises(KeyboardInterrupt), interrupts_raised_again():
        collect_and_wait()
    assert capsys.readouterr().err == ""
