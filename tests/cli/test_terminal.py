from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from trap.cli.terminal import command, program

BESIDE_PYTHON = Path(sys.executable).with_name("trap")


@pytest.fixture
def start(tmp_path, monkeypatch):
    """A function that lets this process have been started as the program in a folder of the test's own."""

    def start_in(folder, as_typed):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "trap").touch()
        monkeypatch.setattr(sys, "argv", [str(as_typed), "run"])

    monkeypatch.chdir(tmp_path)
    return start_in


def test_program_is_called_as_it_was_started(start):
    start(".venv/bin", ".venv/bin/trap")
    assert program() == ".venv/bin/trap"


def test_path_is_relative_where_that_is_shorter(start, tmp_path):
    start("bin", tmp_path / "bin" / "trap")
    assert program() == "bin/trap"


def test_path_is_absolute_where_that_is_shorter(monkeypatch, start, tmp_path):
    start("bin", tmp_path / "bin" / "trap")
    deep = tmp_path.joinpath(*"abcdefghijklmnopqrstuvwxyz" * 3)
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert program() == str(tmp_path / "bin" / "trap")


def test_program_in_the_working_directory_is_no_builtin(start):
    start(".", "trap")
    assert program() == "./trap"


def test_program_beside_python_serves_where_something_else_was_started(start):
    start("bin", "bin/pytest")
    assert Path(program()).absolute().samefile(BESIDE_PYTHON)


def test_words_are_quoted_for_the_shell(start):
    start("my bin", "my bin/trap")
    typed = command("run", "--images", "it's/*.fits", "--database", "sqlite:///my sky.db")
    assert shlex.split(typed) == ["my bin/trap", "run", "--images", "it's/*.fits", "--database", "sqlite:///my sky.db"]


def test_printed_command_works_in_a_shell_with_nothing_on_its_path(tmp_path):
    done = subprocess.run([BESIDE_PYTHON, "config", "init"], cwd=tmp_path, capture_output=True, text=True, check=True)
    typed = done.stdout.split("now: ")[1].replace("run", "config show").split(" --images")[0]
    shown = subprocess.run(
        ["/bin/sh", "-c", typed], cwd=tmp_path, env={"PATH": ""}, capture_output=True, text=True, check=False
    )
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "[source_extraction]" in shown.stdout
