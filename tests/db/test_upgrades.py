"""A database made by the first migration, with data in it, becomes one of today."""

from __future__ import annotations

import pytest
from alembic import command
from busy_dataset import FIELD, forced, process_busy_days
from made_up_survey import Dataset, sources
from sqlalchemy import Column, MetaData, Table, select, text

from trap.cli import main
from trap.db import schema
from trap.db.calibrations import calibrations
from trap.db.comparison import Side, compare_datasets
from trap.db.datasets import continued_config, stored_config
from trap.db.engine import make_engine, reading
from trap.db.models import Base
from trap.db.store import Store
from trap.db.upkeep import check_database
from trap.steps.varmetric import refresh_varmetric

NAMES_TODAY = {"significance": "newness"}
"""Columns of the earlier versions that have another name today."""
_CHANGED = {"id", "stokes"}
"""Columns that a copied light curve has of its own."""


@pytest.fixture
def made(make_dataset, engine):
    """A dataset stored by this version of the software."""
    dataset = process_busy_days(make_dataset((123.5, 10.5), (120.1, 9.9)))
    refresh_varmetric(dataset.store)
    return dataset


@pytest.fixture
def old(empty_database_url, made):
    """A database at the first schema version, with as much of that as it can hold."""
    _make_at("0001", empty_database_url, made)
    return empty_database_url


@pytest.fixture
def before_newness(empty_database_url, made):
    """A database at the last version that called the newness of candidates their significance."""
    _make_at("0008", empty_database_url, made)
    return empty_database_url


def _make_at(version, url, made):
    engine = make_engine(url)
    with schema._migrating(engine) as connection:
        command.upgrade(schema._alembic_config(connection), version)
        schema._store_constants(connection)
    tables = MetaData()
    tables.reflect(engine)
    with made.engine.connect() as source, engine.connect() as target:
        if engine.dialect.name == "postgresql":
            target.execute(
                text("SET session_replication_role = replica")
            )  # rows that refer to each other, in any order
        else:
            target.connection.cursor().execute("PRAGMA foreign_keys = OFF")
        with target.begin() if not target.in_transaction() else target.get_transaction():
            for name, table in tables.tables.items():
                if name not in {"alembic_version", "rejectreason", "version"}:
                    _copy(source, target, name, table)
    engine.dispose()


def _copy(source, target, name, table):
    today = Base.metadata.tables[name]
    columns = [today.c[NAMES_TODAY.get(column.name, column.name)].label(column.name) for column in table.columns]
    rows = source.execute(select(*columns)).mappings().all()
    if rows:
        typed = Table(name, MetaData(), *(Column(c.name, c.element.type) for c in columns))
        target.execute(typed.insert(), [dict(row) for row in rows])
    if target.dialect.name == "postgresql":
        target.execute(text(f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), (SELECT max(id) + 1 FROM {name}))"))


def test_old_database_upgrades_with_all_its_data_and_is_sound(old, made, capsys):
    assert main(["db", "check", "--database", old]) == 1
    assert "schema version 0001" in capsys.readouterr().err
    assert main(["db", "upgrade", "--database", old]) == 0
    assert main(["db", "check", "--database", old]) == 0
    assert "is sound" in capsys.readouterr().out
    engine = make_engine(old)
    with reading(engine) as ours, reading(made.engine) as theirs:
        assert compare_datasets(Side(ours, made.id), Side(theirs, made.id)) == []
    engine.dispose()


def test_old_dataset_continues_after_the_upgrade(old, made):
    engine = make_engine(old)
    schema.upgrade(engine)
    config = made.config
    again = Dataset(engine, config, made.id, Store(engine, made.id).load_state(config))
    again.process(FIELD.image(5, sources([122.0, 125.0], [10.0, 10.0])), forced=forced)
    refresh_varmetric(again.store)
    assert check_database(engine) == []
    engine.dispose()


def test_dataset_before_calibration_is_known_as_uncalibrated(empty_database_url, made):
    _make_at("0012", empty_database_url, made)
    engine = make_engine(empty_database_url)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM config WHERE section = 'calibration'"))
        connection.execute(
            text("UPDATE config SET value = '0.0', type = 'float' WHERE key LIKE '__!_sys!_err' ESCAPE '!'")
        )
    schema.upgrade(engine)
    with reading(engine) as connection:
        config = stored_config(connection, made.id)
        assert (config.calibration.positions, config.calibration.flux_scale) == ("off", "off")
        # Nothing of the run changes but the calibration and the systematic error, which the dataset has as a number.
        assert continued_config(connection, made.id, made.config).differences(config) == []
        listed = calibrations(connection, made.id)
    # Six accepted images, and a rejected one.
    assert len(listed["image"]) == 6
    assert not listed["flux_applied"].any()
    assert set(listed["flux_note"]) == {"the image was stored before images were calibrated"}
    assert check_database(engine) == []
    engine.dispose()


@pytest.mark.parametrize("table", ["newsource", "varmetric"])
def test_significance_of_candidates_is_kept_as_their_newness(before_newness, made, table):
    engine = make_engine(before_newness)
    schema.upgrade(engine)
    query = text(f"SELECT id, newness FROM {table} WHERE newness IS NOT NULL ORDER BY id")
    with reading(engine) as upgraded, reading(made.engine) as newest:
        rows = upgraded.execute(query).all()
        assert rows
        assert rows == newest.execute(query).all()
    assert check_database(engine) == []
    engine.dispose()


def test_metrics_get_their_stokes_parameter_if_it_is_unique(before_newness, made):
    engine = make_engine(before_newness)
    with engine.begin() as connection:
        several = connection.execute(text("SELECT runcat, band FROM varmetric ORDER BY runcat LIMIT 1")).one()
        # The entry has a light curve in V too, in the same band.
        columns = ", ".join(
            c.name for c in Base.metadata.tables["runningcatalog_flux"].columns if c.name not in _CHANGED
        )
        connection.execute(
            text(
                f"INSERT INTO runningcatalog_flux (id, stokes, {columns}) SELECT 1000000, 4, {columns}"
                " FROM runningcatalog_flux WHERE runcat = :runcat AND band = :band"
            ),
            several._mapping,
        )
    schema.upgrade(engine)
    query = text("SELECT runcat, stokes FROM varmetric ORDER BY runcat")
    with reading(engine) as upgraded, reading(made.engine) as newest:
        expected = [(runcat, None if runcat == several.runcat else 1) for runcat, _ in newest.execute(query).all()]
        assert [tuple(row) for row in upgraded.execute(query).all()] == expected
    engine.dispose()
