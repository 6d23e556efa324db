"""docs/reference/events.md is the page that the code makes, and describes every event that the code logs."""

from __future__ import annotations

from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "reference" / "events.md").read_text(encoding="utf-8")


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(DOCS / "generators")
    import make_events  # noqa: PLC0415 (a script, not a package)

    return make_events


def test_page_is_current(script):
    assert script.events_page() == PAGE, "run: .venv/bin/python docs/generators/make_events.py"


def test_every_logged_event_is_described_and_no_other(script):
    described = [name for meanings in script.MEANINGS.values() for name in meanings]
    assert sorted(described) == sorted(script.logged_events())


def test_fields_of_an_event_are_those_of_its_calls(script):
    assert script.logged_events()["retried"] == [("warning", ("reason", "seconds"))]
    assert "| `retried` | warning | `reason`, `seconds` |" in PAGE
