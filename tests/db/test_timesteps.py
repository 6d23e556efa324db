"""Rows of timesteps: failures, late successes, and claims of a run on its dataset."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from busy_dataset import FIELD
from made_up_survey import START, sources

from trap.db import timesteps
from trap.db.engine import transaction
from trap.db.overview import timestep_table
from trap.db.storing import store_timestep
from trap.errors import DatabaseError, DatasetLockedError
from trap.quality import Rejection, RejectReason

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_failure_is_recorded_once_with_its_newest_reason(make_dataset, engine, ask):
    number = make_dataset().id
    for reason in ("first", "second"):
        with transaction(engine) as connection:
            timesteps.record_failure(connection, number, NOON, reason)
    table = ask(timestep_table, number)
    assert table["state"].tolist() == ["failed"]
    assert table["message"].tolist() == ["second"]
    assert ask(timesteps.latest_timestep, number) is None


def test_success_replaces_a_failure_and_no_failure_replaces_a_success(make_dataset, engine, ask):
    number = make_dataset().id
    with transaction(engine) as connection:
        timesteps.record_failure(connection, number, NOON, "at first")
        timesteps.insert_timestep(connection, number, NOON, {"n_images": 2}, {"read": 0.5})
        timesteps.record_failure(connection, number, NOON, "too late")
    table = ask(timestep_table, number)
    assert table["state"].tolist() == ["done"]
    assert table["message"].tolist() == [None]
    assert ask(timesteps.latest_timestep, number) == NOON


@pytest.mark.parametrize("reason", [RejectReason.DATE, RejectReason.RMS])
def test_images_rejected_for_their_dates_make_no_other_image_late(make_dataset, reason):
    dataset = make_dataset()
    dataset.process(FIELD.image(0, sources(123.0, 10.0)))
    wrong = Rejection(reason=reason, comment="start 2999-01-01 00:00:00, in the future")
    dataset.process(FIELD.image(360_000).rejected(wrong), FIELD.image(360_000, freq=180e6).rejected(wrong))
    latest = START + timedelta(days=0 if reason == RejectReason.DATE else 360_000)
    assert dataset.state.latest == latest
    dataset.reload()
    assert dataset.state.latest == dataset.store.latest_timestep() == latest
    if reason == RejectReason.DATE:
        dataset.process(FIELD.image(1, sources(123.0, 10.0)))
        assert dataset.store.latest_timestep() == START + timedelta(days=1)
        assert dataset.types() == [[4, 3]]


def test_timestep_is_stored_only_once(make_dataset, engine):
    number = make_dataset().id
    with transaction(engine) as connection:
        timesteps.insert_timestep(connection, number, NOON, {"n_images": 1}, {})
    with pytest.raises(DatabaseError, match=r"(?i)unique"), transaction(engine) as connection:
        timesteps.insert_timestep(connection, number, NOON, {"n_images": 1}, {})


def test_timestep_without_a_readable_image_gives_way_to_one_with(make_dataset, engine, ask):
    number = make_dataset().id
    with transaction(engine) as connection:
        timesteps.insert_timestep(connection, number, NOON, {"n_images": 0}, {})
    assert ask(timesteps.latest_timestep, number) is None
    with transaction(engine) as connection:
        timesteps.insert_timestep(connection, number, NOON, {"n_images": 1}, {})
    assert ask(timesteps.latest_timestep, number) == NOON


def test_timestep_stored_by_an_attempt_that_was_cut_off_is_not_stored_again(make_dataset, engine, monkeypatch):
    dataset = make_dataset()
    dataset.process(FIELD.image(0))
    answers = []

    def cut_off(connection, *arguments):
        """Store the timestep twice, as after a lost confirmation."""
        answers.append(store_timestep(connection, *arguments))
        answers.append(store_timestep(connection, *arguments))
        return answers[0]

    monkeypatch.setattr("trap.db.storing.store_timestep", cut_off)
    dataset.process(FIELD.image(1))
    assert answers[0] is not None
    assert answers[1] is None


def test_timestep_after_which_another_run_has_stored_one_is_refused(make_dataset):
    dataset = make_dataset()
    dataset.process(FIELD.image(0))
    stale = dataset.state
    dataset.reload()
    dataset.process(FIELD.image(1))
    dataset.state = stale
    for day in (2, 1):
        image = FIELD.image(day)
        other = replace(image, content_hash=f"{day}, other")
        with pytest.raises(DatasetLockedError, match="another run has written dataset .* nothing of .* is stored"):
            dataset.process(other)
        dataset.reload()
        dataset.state.latest -= timedelta(days=1)
