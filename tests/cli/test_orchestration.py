"""The commands that need Prefect are found where installed packages offer them."""

from __future__ import annotations

import pytest

from trap.cli import main, orchestration


@pytest.fixture
def asked(monkeypatch):
    """Settings and arguments that a command was given, instead of the command."""
    given = []

    def find(name):
        return lambda config, arguments: given.append((name, config, arguments)) or 0

    monkeypatch.setattr(orchestration, "_find_command", find)
    return given


def test_the_settings_of_the_file_and_the_options_reach_the_command(tmp_path, asked):
    (tmp_path / "trap.toml").write_text("[source_extraction]\ndetection_threshold = 6.0\n")
    arguments = ["deploy", str(tmp_path / "trap.toml"), "--database", "sqlite:///x.db", "--every", "60"]
    assert main(arguments) == 0
    ((name, config, given),) = asked
    assert (name, given.every, given.type) == ("deploy", 60.0, "process")
    assert (config.source_extraction.detection_threshold, config.execution.database) == (6.0, "sqlite:///x.db")


def test_watching_needs_no_settings(asked):
    assert main(["watch", "incoming", "--settle", "2"]) == 0
    ((name, _, given),) = asked
    assert (name, str(given.folder), given.settle, given.pattern) == ("watch", "incoming", 2.0, ["*.fits"])


@pytest.mark.parametrize("name", ["deploy", "ui", "watch", "worker"])
def test_every_command_is_installed(name):
    assert callable(orchestration._find_command(name))


def test_a_command_that_is_not_installed_is_named(capsys, monkeypatch):
    monkeypatch.setattr(orchestration, "COMMANDS", "trap.nothing")
    assert main(["deploy"]) == 1
    assert "no command 'deploy' is installed" in capsys.readouterr().err
