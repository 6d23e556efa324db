from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, select, text

from trap.db.engine import make_engine, reading, transaction
from trap.db.models import Base, RejectReason, Version
from trap.db.schema import upgrade
from trap.db.version import check_version, newest_version
from trap.errors import DatabaseError, SchemaVersionError
from trap.quality import RejectReason as Reason

# These spoil what other tests would share.
pytestmark = pytest.mark.usefixtures("database_url")


@pytest.fixture
def empty(empty_database_url):
    engine = make_engine(empty_database_url)
    yield engine
    engine.dispose()


def test_migrated_tables_equal_the_models(engine):
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []


def test_migration_makes_the_same_delete_rules_and_partial_indexes_as_the_models(engine, empty):
    with transaction(empty) as connection:
        Base.metadata.create_all(connection)
    migrated, made = inspect(engine), inspect(empty)
    for table in Base.metadata.tables:
        assert _keys(migrated, table) == _keys(made, table)
        assert _indexes(migrated, table) == _indexes(made, table)
        assert [c["name"] for c in migrated.get_columns(table)] == [c["name"] for c in made.get_columns(table)]


def _keys(inspector, table):
    keys = inspector.get_foreign_keys(table)
    return sorted((k["name"], k["constrained_columns"], k["referred_table"], k["options"]) for k in keys)


def _indexes(inspector, table):
    found = inspector.get_indexes(table)
    return sorted((i["name"], i["column_names"], *map(str, i["dialect_options"].values())) for i in found)


def test_empty_database_is_refused_until_it_is_upgraded(empty):
    with pytest.raises(SchemaVersionError, match=f"is empty; create its tables .version {newest_version()}"):
        check_version(empty)
    upgrade(empty)
    check_version(empty)


def test_upgrading_twice_changes_nothing(engine):
    upgrade(engine)
    check_version(engine)


def test_reject_reasons_and_trap_revision_are_there(engine):
    with reading(engine) as connection:
        reasons = connection.execute(select(RejectReason.id, RejectReason.description)).all()
        assert sorted(reasons) == [(int(reason), reason.description) for reason in Reason]
        assert connection.execute(select(Version.name, Version.value)).all() == [("revision", 40)]


def test_database_of_a_newer_version_is_refused(engine):
    with transaction(engine) as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for refusing in (check_version, upgrade):
        with pytest.raises(SchemaVersionError, match="9999"):
            refusing(engine)


def test_tables_of_another_program_are_left_alone(empty):
    with transaction(empty) as connection:
        connection.execute(text("CREATE TABLE dataset (id INTEGER)"))
    with pytest.raises(DatabaseError, match="dataset"):
        upgrade(empty)
    with pytest.raises(SchemaVersionError, match="another program"):
        check_version(empty)


def test_failed_upgrade_leaves_nothing_behind(empty, monkeypatch):
    monkeypatch.setattr("trap.db.schema._store_constants", _fail)
    with pytest.raises(RuntimeError, match="in the middle"):
        upgrade(empty)
    with reading(empty) as connection:
        assert inspect(connection).get_table_names() == []


def _fail(_connection):
    raise RuntimeError("in the middle")


def test_two_upgrades_at_once_both_succeed(empty):
    with ThreadPoolExecutor(2) as pool:
        for future in [pool.submit(upgrade, empty) for _ in range(2)]:
            future.result()
    check_version(empty)
