"""The report at the end of a run: where it lies, and that its failure costs nothing."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from flows.pages import report
from trap.config import PipelineConfig
from trap.errors import DatabaseError


class Here:
    """A worker process that is none."""

    def __init__(self, *_, **__):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def submit(self, step, *args, **kwargs):
        self.value = step(*args, **kwargs)
        return self

    def result(self):
        return self.value


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setattr(report, "ProcessExecutor", Here)
    return PipelineConfig().with_options(execution={"database": f"sqlite:///{tmp_path / 'my sky.db'}"})


@pytest.fixture
def published(monkeypatch):
    pages = []
    monkeypatch.setattr(report, "publish", lambda _function, text, **options: pages.append((text, options)))
    return pages


def write(database, number, path, **_):
    path.write_text("a report")


def test_report_lies_next_to_an_sqlite_database_or_in_the_folder_of_pictures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    files = PipelineConfig().with_options(execution={"database": "sqlite:///results/trap.db"})
    assert report.report_path(files.execution, 3) == tmp_path / "results" / "trap.db.dataset-3.html"
    server = PipelineConfig().with_options(execution={"database": "postgresql://me@host/sky", "pictures": "shown"})
    assert report.report_path(server.execution, 3) == tmp_path / "shown" / "dataset-3" / "report.html"


def test_page_names_the_file_and_the_command_for_all_pages(config, tmp_path, monkeypatch, published):
    monkeypatch.setattr(report, "write_report", write)
    path = report.store_report(config, 2)
    assert path.read_text() == "a report"
    ((text, options),) = published
    lines = text.splitlines()
    assert f"    {tmp_path / 'my sky.db.dataset-2.html'}" in lines
    assert any(line.endswith(f"serve 'sqlite:///{tmp_path / 'my sky.db'}'") for line in lines)
    assert "my%20sky.db.dataset-2.html" in text
    assert options["key"].endswith("-2-report")


def test_report_that_cannot_be_made_costs_nothing(config, monkeypatch, published):
    for error in (DatabaseError("away"), MemoryError(), ValueError("an error of this program")):
        monkeypatch.setattr(report, "write_report", lambda *_, error=error, **__: (_ for _ in ()).throw(error))
        assert report.store_report(config, 2) is None
    assert published == []


def test_server_that_is_away_costs_the_page_only(config, monkeypatch):
    def refuse(*_, **__):
        msg = "no route"
        raise httpx.ConnectError(msg)

    monkeypatch.setattr(report, "write_report", write)
    monkeypatch.setattr(report, "publish", refuse)
    assert report.store_report(config, 2) == report.report_path(config.execution, 2)
    assert Path(report.report_path(config.execution, 2)).exists()


def test_reports_can_be_turned_off(config, monkeypatch, published):
    monkeypatch.setattr(report, "write_report", lambda *_, **__: pytest.fail("wrote a report"))
    assert report.store_report(config.with_options(execution={"report": False}), 2) is None
    assert published == []
