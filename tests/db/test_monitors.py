"""Monitored positions in the database."""

from __future__ import annotations

from sqlalchemy import select

from trap.catalogues import MonitorPositions
from trap.db import monitors
from trap.db.engine import reading, transaction
from trap.db.models import Monitor


def test_monitored_positions_are_added_in_order(make_dataset, engine, ask, config):
    number = make_dataset((1.0, 2.0)).id
    with transaction(engine) as connection:
        monitors.add_monitors(connection, number, MonitorPositions.of(ra=[3.0], dec=[-4.0], name=["Cas A"]))
        monitors.add_monitors(connection, number, MonitorPositions.empty())
    with reading(engine) as connection:
        rows = connection.execute(select(Monitor.ra, Monitor.decl, Monitor.name).order_by(Monitor.id)).all()
    assert rows == [(1.0, 2.0, "somewhere"), (3.0, -4.0, "Cas A")]


def test_positions_that_a_dataset_lacks_are_found_whatever_their_names(make_dataset, ask):
    number = make_dataset((1.0, 2.0), (3.0, 4.0)).id
    given = MonitorPositions.of(ra=[3.0, 1.0, 1.0], dec=[4.0, 2.5, 2.0], name=["other", "new", ""])
    assert ask(monitors.missing_monitors, number, given).name.tolist() == ["new"]
    assert not len(ask(monitors.missing_monitors, number, given.take(slice(1))))
