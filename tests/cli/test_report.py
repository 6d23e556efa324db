"""The file of a report: written completely or not at all, and never over anything of value."""

from __future__ import annotations

from pathlib import Path

import pytest

from trap.cli import main
from trap.errors import DatabaseError
from trap.web import report


@pytest.fixture
def words(database, tmp_path):
    return ["report", "1", "--database", database, "--candidates", "1", "-o", str(tmp_path / "new.html")]


def test_report_is_written_and_its_size_printed(words, tmp_path, capsys):
    assert main(words) == 0
    path = tmp_path / "new.html"
    assert path.read_text("utf-8").startswith("<!doctype html>")
    size = path.stat().st_size
    assert 1e6 < size < 10e6
    printed = capsys.readouterr().out
    assert printed == f"{path}: {size / 1e6:.1f} MB; open it in any browser, also without a network\n"
    path.write_text("mine")
    assert main(words) == 1
    assert "exists; replace it with --force" in capsys.readouterr().err
    assert path.read_text() == "mine"


def test_report_that_fails_leaves_nothing_and_keeps_the_former_one(words, tmp_path, monkeypatch, capsys):
    def fail(*_, **__):
        msg = "the database has gone"
        raise DatabaseError(msg)

    monkeypatch.setattr(report, "report_page", fail)
    (tmp_path / "new.html").write_text("former")
    assert main([*words, "--force"]) == 1
    assert capsys.readouterr().err == "transients: the database has gone\n"
    assert [(path.name, path.read_text()) for path in tmp_path.glob("*.html*")] == [("new.html", "former")]
    assert not list(tmp_path.glob(".*"))


def test_database_is_not_written_over(words, database, capsys):
    path = Path(database.removeprefix("sqlite:///"))
    before = path.read_bytes()
    assert main([*words[:-1], str(path), "--force"]) == 1
    assert "which is never written over" in capsys.readouterr().err
    assert path.read_bytes() == before


@pytest.mark.parametrize("n", ["-1", "201", "many"])
def test_impossible_number_of_candidates_is_refused(words, n, capsys):
    with pytest.raises(SystemExit):
        main([*words, "--candidates", n])
    assert "--candidates" in capsys.readouterr().err


def test_missing_dataset_is_an_error_and_leaves_no_file(words, tmp_path, capsys):
    words[1] = "9"
    assert main(words) == 1
    assert "no dataset 9" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.html"))
