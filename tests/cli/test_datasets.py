from __future__ import annotations

import json
import sys

import pytest

from trap.cli import main


def run(capsys, *words):
    code = main([*map(str, words)])
    return code, "".join(capsys.readouterr())


@pytest.fixture
def twice(survey, tmp_path, run_in_process):
    """URL of a database with the survey in two datasets."""
    database = f"sqlite:///{tmp_path / 'twice.db'}"
    for _ in range(2):
        assert main(["run", "--images", f"{survey}/t*.fits", "--database", database, "--new-dataset"]) == 0
    return database


def test_dataset_gets_another_name(database, capsys):
    assert run(capsys, "dataset", "rename", 1, "the deep field", "--database", database)[0] == 0
    assert "the deep field" in run(capsys, "dataset", "list", "--database", database)[1]


def test_dataset_is_deleted_when_it_is_said(database, capsys):
    code, output = run(capsys, "dataset", "delete", 1, "--yes", "--database", database)
    assert (code, output) == (0, "deleted dataset 1 (TraP dataset): 4 images\n")
    assert run(capsys, "dataset", "list", "--database", database)[1] == "no datasets\n"


@pytest.mark.parametrize(("answer", "left"), [("n", 1), ("", 1), ("y", 0)])
def test_question_comes_before_a_deletion(database, capsys, monkeypatch, answer, left):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _question: answer)
    assert run(capsys, "dataset", "delete", 1, "--database", database)[0] == 0
    assert len(json.loads(run(capsys, "dataset", "list", "--json", "--database", database)[1])) == left


def test_nothing_is_deleted_without_a_terminal_to_confirm_at(database, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    code, output = run(capsys, "dataset", "delete", 1, "--database", database)
    assert (code, "confirm with --yes" in output) == (1, True)


def test_progress_of_a_deletion_is_shown_on_a_terminal(database, capsys, monkeypatch):
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    assert "measurements" in run(capsys, "dataset", "delete", 1, "--yes", "--database", database)[1]


def test_two_datasets_of_the_same_images_hold_the_same(twice, capsys):
    code, output = run(capsys, "dataset", "compare", 1, 2, "--database", twice)
    assert (code, output) == (0, "datasets 1 and 2 hold the same\n")


def test_datasets_of_two_databases_are_compared(twice, database, survey, tmp_path, run_in_process, capsys):
    code, output = run(capsys, "dataset", "compare", 1, 2, "--database", database, "--other-database", twice)
    assert (code, output) == (0, "datasets 1 and 2 hold the same\n")
    first = min(survey.glob("t*.fits"))
    main(["run", "--images", str(first), "--database", database, "--new-dataset"])
    capsys.readouterr()
    code, output = run(capsys, "dataset", "compare", 1, 2, "--database", database)
    assert code == 3
    assert " ".join(output.splitlines()[2].split()) == "images 4 1 1 in both"
    code, output = run(capsys, "dataset", "compare", 1, 2, "--exact", "--database", database)
    assert code == 3
    assert "is in the first only" in output


def test_runs_of_a_dataset_are_shown(database, capsys):
    (run_,) = json.loads(run(capsys, "dataset", "show", 1, "--json", "--database", database)[1])["runs"]
    assert run_["state"] == "done"
    assert "run 1: " in run(capsys, "dataset", "show", 1, "--all", "--database", database)[1]
