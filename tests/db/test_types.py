from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import insert, select, text, update
from sqlalchemy.exc import StatementError

from trap.db.engine import reading, transaction
from trap.db.models import Timestep
from trap.errors import DatabaseError

MOMENT = datetime(2026, 3, 29, 2, 30, 0, 123456, UTC)


@pytest.fixture
def timestep(make_dataset, engine):
    values = {"dataset": make_dataset().id, "taustart_ts": MOMENT, "state": "done", "stored_ts": MOMENT}
    with transaction(engine) as connection:
        connection.execute(insert(Timestep).values(values))


def test_moment_comes_back_in_utc_wherever_it_was_written(timestep, engine):
    local = MOMENT.astimezone(timezone(timedelta(hours=-9, minutes=-30)))
    with transaction(engine) as connection:
        connection.execute(update(Timestep).values(stored_ts=local))
    with reading(engine) as connection:
        back = connection.execute(select(Timestep.stored_ts)).scalar_one()
    assert back == MOMENT
    assert back.tzinfo is UTC


def test_moment_is_found_by_its_value_in_another_zone(timestep, engine):
    local = MOMENT.astimezone(timezone(timedelta(hours=8)))
    with reading(engine) as connection:
        assert connection.execute(select(Timestep.id).where(Timestep.taustart_ts == local)).first() is not None


def test_moment_without_a_zone_is_refused(timestep, engine):
    naive = MOMENT.replace(tzinfo=None)
    with pytest.raises((StatementError, DatabaseError), match="time zone"), transaction(engine) as connection:
        connection.execute(update(Timestep).values(stored_ts=naive))


def test_moment_is_written_as_utc(timestep, engine):
    with reading(engine) as connection:
        assert str(connection.execute(text("SELECT taustart_ts FROM timestep")).scalar_one()).startswith(
            "2026-03-29 02:30:00.123456"
        )
