"""Common queries find their rows by an index, and read at most one narrow table from end to end."""

from __future__ import annotations

import re

import numpy as np
import pytest
from sqlalchemy import event, text

from trap.db import lightcurves
from trap.db.bulk import insert_columns
from trap.db.engine import reading, transaction
from trap.db.models import Base, FrequencyBand

pytestmark = pytest.mark.usefixtures("database_url")  # the tables are filled

N_ENTRIES = 2000
N_IMAGES = 40
LARGE = {"extractedsource", "assocxtrsource", "runningcatalog", "varmetric", "runningcatalog_flux"}


@pytest.fixture
def large(engine):
    """A dataset of many entries, and a statement's plan."""
    from table_filler import fill_dataset  # noqa: PLC0415 (after the environment)

    with transaction(engine) as connection:
        dataset = fill_dataset(connection, n_entries=N_ENTRIES, n_images=N_IMAGES)
    # PostgreSQL marks as seen by all only what it knows to be on the disk.
    on_disk = ["SET synchronous_commit = on", "CHECKPOINT", "VACUUM ANALYZE"]
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        cursor = connection.connection.cursor()
        for command in ["ANALYZE"] if engine.dialect.name == "sqlite" else on_disk:
            cursor.execute(command)
    return dataset


def plans(engine, ask, explain=""):
    """Return the query plan of each statement that a function sends."""
    explain = explain or ("EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN")
    sent = []
    with reading(engine) as connection:
        event.listen(connection, "before_cursor_execute", lambda *given: sent.append(given[2:4]))
        ask(connection)
        cursor = connection.connection.cursor()
        for statement, values in sent:
            cursor.execute(f"{explain} {statement}", values)
            yield "\n".join(str(row[-1]) for row in cursor.fetchall())


def scanned(plan):
    """Large tables that are read from end to end."""
    found = re.findall(r"Seq Scan on (\w+)", plan) + re.findall(r"^SCAN (\w+)(?! USING)", plan, re.MULTILINE)
    return LARGE & set(found)


@pytest.mark.parametrize(
    ("ask", "index"),
    [
        (lambda c, _: lightcurves.light_curve(c, 17), "Only Scan using uq_assocxtrsource|sqlite_autoindex_assoc"),
        (lambda c, d: lightcurves.entries_near(c, d, 180.0, 10.0, radius=0.01), "ix_runningcatalog_dataset_wm_decl"),
    ],
    ids=["light curve of an entry", "sources near a position"],
)  # fmt: skip
def test_query_is_answered_by_an_index(large, engine, ask, index):
    for plan in plans(engine, lambda connection: ask(connection, large)):
        assert not scanned(plan), plan
        assert re.search(index, plan), plan


def test_light_curve_is_read_once_though_the_statistics_know_of_one_band(large, engine, dialect):
    bands = np.arange(1.0, 21.0) * 1e6
    with transaction(engine) as connection:
        columns = {"dataset": large, "freq_central": bands, "freq_low": bands, "freq_high": bands}
        insert_columns(connection, FrequencyBand, columns)
    explain = "EXPLAIN QUERY PLAN" if dialect == "sqlite" else "EXPLAIN (ANALYZE)"
    (plan,) = plans(engine, lambda connection: lightcurves.light_curve(connection, 17), explain)
    once = r"^SEARCH assocxtrsource" if dialect == "sqlite" else r"on assocxtrsource .* loops=1\)"
    assert re.search(once, plan), plan


def test_every_constraint_is_named_by_the_convention(engine):
    with reading(engine) as connection:
        if engine.dialect.name == "postgresql":
            query = (
                "SELECT conrelid::regclass::text AS name, conname FROM pg_constraint WHERE contype IN ('p', 'u', 'f')"
            )
            names = connection.execute(text(query)).all()
            ours = {(t, n) for t, n in names if t in Base.metadata.tables}
        else:
            rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'table'")).all()
            ours = {
                (t, n) for t, sql in rows for n in re.findall(r"CONSTRAINT (\w+)", sql) if t in Base.metadata.tables
            }
            unnamed = [
                t for t, sql in rows for line in sql.splitlines() if re.match(r"\s*(FOREIGN|UNIQUE|PRIMARY)", line)
            ]
            assert [t for t in unnamed if t != "alembic_version"] == []
    assert len(ours) > 60
    for table, name in ours:
        assert re.match(rf"(pk|uq|fk)_{table}(_|$)", name), name
    assert ours == {(t.name, c.name) for t in Base.metadata.tables.values() for c in t.constraints if c.name}


def test_filled_tables_are_sound(large, engine):
    from trap.db.upkeep import check_database  # noqa: PLC0415

    # The rows fit together; their statistics are made up.
    assert [line for line in check_database(engine) if "differ from their light curves" not in line] == []
    with reading(engine) as connection:
        assert len(lightcurves.light_curve(connection, 17)["f_int"]) == N_IMAGES
        top = lightcurves.variables(connection, large, limit=5)
        assert (np.diff(top["eta_int"]) <= 0).all()
