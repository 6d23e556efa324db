"""The progress bar of a run: updated at intervals and at the end."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from flows.pages import progress
from flows.pages.progress import ProgressArtifact

DONE = SimpleNamespace(failure=None, images=())
FAILED = SimpleNamespace(failure="ValueError: bad", images=())


@pytest.fixture
def shown(monkeypatch):
    values = []
    monkeypatch.setattr(
        progress,
        "create_progress_artifact",
        lambda percent, description, **_: values.append((percent, description)) or 7,
    )
    monkeypatch.setattr(
        progress, "update_progress_artifact", lambda _id, percent, description: values.append((percent, description))
    )
    return values


def test_the_end_is_shown_and_not_every_step(shown):
    bar = ProgressArtifact("ab12cd-1", 100)
    for _ in range(100):
        bar.observe(DONE)
    assert [percent for percent, _ in shown] == [0.0, 100.0]
    assert shown[-1][1] == "100 of 100 timesteps, 0 new-source candidates"


def test_after_some_time_a_step_is_shown(shown, monkeypatch):
    monkeypatch.setattr(progress, "MIN_UPDATE_SECONDS", 0.0)
    bar = ProgressArtifact("ab12cd-1", 3)
    bar.observe(DONE)
    bar.observe(FAILED)
    assert [percent for percent, _ in shown] == [0.0, 33.3, 66.7]
    assert shown[-1][1].endswith("1 timesteps failed")


def test_a_run_without_work_is_done_from_the_start(shown):
    ProgressArtifact("ab12cd-1", 0)
    assert shown[0][0] == 100.0
