from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from trap.db import locks
from trap.db.engine import make_engine, reading, transaction
from trap.db.locks import confirm_writer, writing
from trap.errors import DatabaseError, DatasetLockedError

HOLDER = """
import sys, time, os
from trap.db.engine import make_engine
from trap.db.locks import writing
with writing(make_engine(sys.argv[1]), int(sys.argv[2])):
    if os.fork() == 0:
        time.sleep(20)  # a worker that outlives the run
    print("holding", flush=True)
    time.sleep(20)
"""


def test_second_writer_of_a_dataset_is_refused_at_once(engine, database_url):
    other = make_engine(database_url)
    with writing(engine, 1):
        for again in (engine, other):
            with pytest.raises(DatasetLockedError, match="another run is writing dataset 1"), writing(again, 1):
                pass
    with writing(other, 1):
        pass
    other.dispose()


def test_datasets_are_locked_one_by_one(engine):
    with writing(engine, 1), writing(engine, 2), transaction(engine):
        pass


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
@pytest.mark.parametrize("change", ["removed", "replaced"])
def test_database_that_is_removed_or_replaced_under_a_run_ends_it(engine, database_url, dialect, change):
    path = Path(str(engine.url.database))
    with writing(engine, 1):
        confirm_writer(engine, 1)
        content = path.read_bytes()
        path.unlink()
        if change == "replaced":
            path.with_suffix(".new").write_bytes(content)
            path.with_suffix(".new").rename(path)
        with pytest.raises(DatabaseError, match="was removed or replaced while this run was writing it"):
            confirm_writer(engine, 1)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_files_of_killed_runs_are_removed_by_the_next_run(engine, database_url, dialect):
    path, names = Path(str(engine.url.database)), ("7.lock", "8.lock", "old.lock", "9")
    files = [Path(f"{path}.{name}") for name in names]
    for file in files:
        file.touch()
    other = path.with_name(f"a{path.name}.7.lock")
    other.touch()
    script = "import fcntl, sys, time; f = open(sys.argv[1], 'a'); fcntl.lockf(f, fcntl.LOCK_EX); print(); input()"
    with subprocess.Popen(
        [sys.executable, "-c", script, files[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        holder.stdout.readline()
        with writing(engine, 1), writing(engine, 2):
            assert [file.exists() for file in (*files, other)] == [False, True, True, True, True]
            with pytest.raises(DatasetLockedError), writing(make_engine(engine.url), 1):
                pass
        holder.communicate(b"\n")
    with writing(engine, 1):
        assert not files[1].exists()


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_file_of_a_lock_is_removed_and_a_lock_on_a_removed_file_is_taken_again(engine, dialect, monkeypatch):
    file = Path(f"{engine.url.database}.1.lock")
    opened = []
    original = locks._FileLock._open

    def open_and_lose(lock):
        opened.append(original(lock))
        if len(opened) == 1:  # the earlier holder ends between the opening and the locking of the file
            file.unlink()
        return opened[-1]

    monkeypatch.setattr(locks._FileLock, "_open", open_and_lose)
    with writing(engine, 1):
        assert len(opened) == 2
        assert file.exists()
        with pytest.raises(DatasetLockedError), writing(engine, 1):
            pass
        assert file.exists()
    assert not file.exists()


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_refused_run_leaves_the_file_of_the_holder(engine, database_url, dialect):
    file = Path(f"{engine.url.database}.1.lock")
    process = subprocess.Popen([sys.executable, "-c", HOLDER, database_url, "1"], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "holding\n"
        with pytest.raises(DatasetLockedError), writing(engine, 1):
            pass
        assert file.exists()
    finally:
        process.kill()
        process.wait()
        process.stdout.close()  # its worker outlives it, and would keep a reader waiting
    with writing(engine, 1):
        pass
    assert not file.exists()


def test_lock_is_given_back_when_the_run_fails(engine):
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), writing(engine, 1):
            raise ZeroDivisionError


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_lock_is_free_before_the_server_notices_that_its_connection_has_ended(engine, dialect, monkeypatch):
    held = []
    monkeypatch.setattr(locks, "_end", held.append)
    for _ in range(2):
        with writing(engine, 1):
            pass
    for connection in held:
        connection.close()


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_lock_belongs_to_a_transaction_and_not_to_a_session(engine, database_url, dialect):
    """PgBouncer gives a session to another client when a transaction ends; a lock of the session would go with it."""
    locked = text(
        "SELECT a.state, a.backend_xmin IS NULL, current_setting('idle_in_transaction_session_timeout')"
        " FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid"
        " WHERE l.locktype = 'advisory' AND a.datname = current_database()"
    )
    with writing(engine, 1):
        confirm_writer(engine, 1)
        with reading(engine) as connection:
            assert [tuple(row)[:2] for row in connection.execute(locked)] == [("idle in transaction", True)]
    with engine.connect() as connection:
        assert connection.execute(locked).all() == []
        # The lock of a transaction ends with it: nothing is left in the session.
        assert connection.execute(text("SELECT pg_advisory_unlock(1953653104, 1)")).scalar_one() is False


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_lock_of_a_killed_run_is_free_though_its_worker_lives_on(engine, database_url, dialect):
    command = [sys.executable, "-c", HOLDER, database_url, "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as holder:
        try:
            assert holder.stdout.readline() == "holding\n"
            with pytest.raises(DatasetLockedError, match=f"process {holder.pid} on "), writing(engine, 1):
                pass
            holder.kill()
            _wait_until_free(engine)
        finally:
            os.killpg(holder.pid, signal.SIGKILL)


def _wait_until_free(engine):
    for _ in range(100):
        try:
            with writing(engine, 1):
                return
        except DatasetLockedError:
            time.sleep(0.05)
    pytest.fail("still locked after 5 s")
