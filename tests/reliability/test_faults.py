"""Whatever happens to the database, a run completes, or ends with a reason and goes on when it is called again."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import threading
from contextlib import contextmanager, suppress

import pytest
from db_servers import own_postgres_server
from reliability_runs import holds_the_same, run_here
from sqlalchemy import Engine, event, text

from trap.dataset.outcomes import ExitCode
from trap.db import engine as engines
from trap.db.engine import make_engine, reading, transaction
from trap.db.overview import list_datasets
from trap.db.upkeep import check_database
from trap.errors import DatabaseError, TransientError

N_TIMESTEPS = 6


@pytest.fixture(scope="module")
def server():
    """A PostgreSQL server that may be stopped."""
    with own_postgres_server() as started:
        yield started


@contextmanager
def at_statement(number, happen):
    """Let something happen just before a statement, counted from the first that stores an image."""
    seen = []

    def count(_connection, _cursor, statement, *_):
        if seen or "INSERT INTO timestep" in statement:
            seen.append(statement)
        if len(seen) == number:
            seen.append("once only")
            happen()

    event.listen(Engine, "before_cursor_execute", count)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    assert len(seen) > number


@contextmanager
def at_commit(number, happen):
    """Let something happen just before the commit of a timestep, counted from the first."""
    seen = []

    def note(_connection, _cursor, statement, *_):
        if "INSERT INTO timestep" in statement:
            seen.append("stored")

    def count(_connection):
        if seen and seen[-1] == "stored":
            seen.append("committed")
            if seen.count("committed") == number:
                happen()

    event.listen(Engine, "before_cursor_execute", note)
    event.listen(Engine, "commit", count)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", note)
        event.remove(Engine, "commit", count)
    assert seen.count("committed") >= number


@pytest.mark.parametrize(("when", "number"), [(at_statement, 1), (at_statement, 3), (at_statement, 30), (at_commit, 3)])
def test_postgresql_stopped_and_started_in_mid_run_costs_nothing(server, make_config, untroubled, when, number):
    def restart():
        server.stop()
        threading.Timer(0.7, server.start).start()

    with server.database() as url:
        with when(number, restart):
            summary = run_here(make_config(url))
        assert summary.exit_code is ExitCode.COMPLETE
        engine = make_engine(url)
        assert holds_the_same(engine, summary.dataset_id, untroubled, 1) == []
        engine.dispose()


def test_postgresql_that_stays_away_ends_the_run_which_then_goes_on(server, make_config, untroubled, impatient):
    with server.database() as url:
        with at_statement(30, server.stop), pytest.raises(TransientError) as ended:
            run_here(make_config(url))
        assert "nothing of the timestep 2026-01-01 0" in str(ended.value)
        with pytest.raises(DatabaseError, match="cannot open the database"):
            run_here(make_config(url))
        server.start()
        engine = make_engine(url)
        assert check_database(engine) == []
        (dataset,) = stored(engine)
        assert 0 < dataset["n_timesteps"] < N_TIMESTEPS
        assert run_here(make_config(url)).exit_code is ExitCode.COMPLETE
        assert holds_the_same(engine, dataset["id"], untroubled, 1) == []
        engine.dispose()


def stored(engine):
    with reading(engine) as connection:
        return list_datasets(connection)


def test_full_disk_ends_the_run_and_leaves_whole_timesteps(make_config, untroubled, impatient, database_url, dialect):
    engine = make_engine(database_url)
    full = full_sqlite if dialect == "sqlite" else full_postgresql
    with full(engine), pytest.raises(TransientError, match=r"full.*; nothing of the timestep .* is stored"):
        run_here(make_config(database_url))
    assert check_database(engine) == []
    (dataset,) = stored(engine)
    assert 0 < dataset["n_timesteps"] < N_TIMESTEPS
    assert run_here(make_config(database_url)).exit_code is ExitCode.COMPLETE
    assert holds_the_same(engine, dataset["id"], untroubled, 1) == []
    engine.dispose()


@contextmanager
def full_sqlite(_engine):
    """Allow the file no page more from the third timestep on."""
    seen = []

    def limit(connection, _cursor, statement, *_):
        if "INSERT INTO timestep" in statement:
            seen.append(statement)
            if len(seen) > 2:
                pages = connection.connection.cursor()
                (n,) = pages.execute("PRAGMA page_count").fetchone()
                pages.execute(f"PRAGMA max_page_count = {n}")

    event.listen(Engine, "before_cursor_execute", limit)
    try:
        yield
    finally:
        event.remove(Engine, "before_cursor_execute", limit)


@contextmanager
def full_postgresql(engine):
    """Raise the server's own error at the last statement of every timestep from the third on."""
    with transaction(engine) as connection:
        connection.execute(
            text(
                "CREATE FUNCTION disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                " IF (SELECT count(*) FROM timestep WHERE state = 'done') > 2 THEN"
                " RAISE EXCEPTION 'disk full' USING ERRCODE = '53100'; END IF; RETURN NEW; END $$"
            )
        )
        connection.execute(text("CREATE TRIGGER disk BEFORE INSERT ON varmetric EXECUTE FUNCTION disk()"))
    try:
        yield
    finally:
        with transaction(engine) as connection:
            connection.execute(text("DROP TRIGGER disk ON varmetric; DROP FUNCTION disk()"))


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 8 MiB; where none may be mounted there is the injected error alone."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_disk_that_is_really_full_ends_the_run_and_leaves_whole_timesteps(
    small_disk, make_config, untroubled, impatient
):
    config = make_config(f"sqlite:///{small_disk / 'trap.db'}")
    filling = small_disk / "filling"

    def fill(done, _total):
        if done == 2:
            with filling.open("wb", buffering=0) as file, suppress(OSError):
                while file.write(b"x" * 4096):
                    pass

    with pytest.raises(TransientError, match="nothing of the timestep"):
        run_here(config, progress=fill)
    filling.unlink()
    engine = make_engine(config.execution.database)
    assert check_database(engine) == []
    (dataset,) = stored(engine)
    assert 2 <= dataset["n_timesteps"] < N_TIMESTEPS
    assert run_here(config).exit_code is ExitCode.COMPLETE
    assert holds_the_same(engine, 1, untroubled, 1) == []
    engine.dispose()


def test_connection_refused_at_the_start_is_said_and_nothing_is_lost(server, make_config, untroubled):
    with server.database() as url:
        server.stop()
        with pytest.raises(DatabaseError, match="cannot open the database"):
            run_here(make_config(url))
        server.start()
        assert run_here(make_config(url)).exit_code is ExitCode.COMPLETE
        engine = make_engine(url)
        assert holds_the_same(engine, 1, untroubled, 1) == []
        engine.dispose()


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize("is_let_go", [True, False])
def test_locked_sqlite_file_is_waited_for_and_then_given_up(
    make_config, untroubled, impatient, database_url, dialect, monkeypatch, is_let_go
):
    monkeypatch.setattr(engines, "BUSY_TIMEOUT_SECONDS", 0.02)
    other = sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False)

    def lock(done, _total):
        if done == 3:
            other.execute("BEGIN IMMEDIATE")
            if is_let_go:
                threading.Timer(0.15, other.execute, ["ROLLBACK"]).start()

    config = make_config(database_url)
    if is_let_go:
        assert run_here(config, progress=lock).exit_code is ExitCode.COMPLETE
    else:
        with pytest.raises(TransientError, match="database is locked; nothing of the timestep"):
            run_here(config, progress=lock)
        other.execute("ROLLBACK")
        assert run_here(config).exit_code is ExitCode.COMPLETE
    other.close()
    engine = make_engine(database_url)
    assert holds_the_same(engine, 1, untroubled, 1) == []
    engine.dispose()
