from __future__ import annotations

import tomllib

from trap.cli import main
from trap.config import PipelineConfig, load_config


def test_init_writes_the_defaults_with_their_meanings(tmp_path, capsys):
    file = tmp_path / "trap.toml"
    assert main(["config", "init", str(file)]) == 0
    assert load_config(file) == PipelineConfig()
    assert "# Significance that the highest pixel of a source must reach" in file.read_text()
    assert str(file) in capsys.readouterr().out


def test_init_does_not_overwrite(tmp_path, capsys):
    file = tmp_path / "trap.toml"
    file.write_text("mine")
    assert main(["config", "init", str(file)]) == 1
    assert file.read_text() == "mine"
    assert capsys.readouterr().err == f"transients: {file} exists; overwrite it with --force\n"


def test_init_overwrites_with_force(tmp_path):
    file = tmp_path / "trap.toml"
    file.write_text("mine")
    assert main(["config", "init", str(file), "--force"]) == 0
    assert load_config(file) == PipelineConfig()


def test_init_in_a_missing_folder_is_one_line(tmp_path, capsys):
    assert main(["config", "init", str(tmp_path / "no" / "trap.toml")]) == 1
    error = capsys.readouterr().err
    assert error.startswith("transients: ")
    assert error.count("\n") == 1


def test_show_gives_what_would_be_in_force(tmp_path, capsys):
    file = tmp_path / "trap.toml"
    file.write_text("[source_extraction]\ndetection_threshold = 6.0\n")
    assert main(["config", "show", str(file)]) == 0
    shown = tomllib.loads(capsys.readouterr().out)
    assert shown["source_extraction"]["detection_threshold"] == 6.0
    assert shown["association"]["deruiter_radius"] == 5.68


def test_show_without_a_file_gives_the_defaults(capsys):
    assert main(["config", "show"]) == 0
    assert PipelineConfig.model_validate(tomllib.loads(capsys.readouterr().out)) == PipelineConfig()


def test_show_never_shows_a_password(tmp_path, capsys):
    file = tmp_path / "trap.toml"
    file.write_text('[execution]\ndatabase = "postgresql://me:secret@host/sky"\n')
    assert main(["config", "show", str(file)]) == 0
    output = capsys.readouterr().out
    assert "secret" not in output
    assert "postgresql://me@host/sky" in output


def test_wrong_setting_is_one_line_that_names_it(tmp_path, capsys):
    file = tmp_path / "trap.toml"
    file.write_text("[source_extraction]\ndetection_threshold = -1\n")
    assert main(["config", "show", str(file)]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"transients: {file}: source_extraction.detection_threshold")
    assert error.count("\n") == 1
