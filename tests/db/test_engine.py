from __future__ import annotations

import socket
import sqlite3
import struct
import threading

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from trap.db import bulk
from trap.db import engine as engine_module
from trap.db.engine import database_errors, is_transient, make_engine, reading, transaction
from trap.db.models import RejectReason
from trap.errors import DatabaseError, TransientError

# These spoil what other tests would share.
pytestmark = pytest.mark.usefixtures("database_url")


def _n_reasons(engine):
    with reading(engine) as connection:
        return connection.execute(select(func.count()).select_from(RejectReason)).scalar_one()


def test_transaction_that_fails_leaves_nothing_behind(engine):
    before = _n_reasons(engine)
    with pytest.raises(ZeroDivisionError):
        _fail_halfway(engine)
    assert _n_reasons(engine) == before
    with pytest.raises(DatabaseError, match="half_done"), reading(engine) as connection:
        connection.execute(text("SELECT * FROM half_done"))


def _fail_halfway(engine):
    with transaction(engine) as connection:
        connection.execute(insert(RejectReason).values(id=100, description="x"))
        connection.execute(text("CREATE TABLE half_done (id INTEGER)"))
        raise ZeroDivisionError


def test_foreign_keys_are_enforced(engine):
    with pytest.raises(DatabaseError, match=r"(?i)foreign key"), transaction(engine) as connection:
        connection.execute(text("INSERT INTO frequencyband VALUES (1, 99, 1.0, 1.0, 1.0)"))


def test_reader_neither_waits_for_a_writer_nor_sees_half_of_it(engine):
    before = _n_reasons(engine)
    with transaction(engine) as connection:
        connection.execute(insert(RejectReason).values(id=100, description="x"))
        assert _n_reasons(engine) == before
    assert _n_reasons(engine) == before + 1


def test_reader_sees_one_state_however_long_it_reads(engine):
    before = _n_reasons(engine)
    counting = select(func.count()).select_from(RejectReason)
    with reading(engine) as reader:
        assert reader.execute(counting).scalar_one() == before
        with transaction(engine) as connection:
            connection.execute(insert(RejectReason).values(id=100, description="x"))
        assert reader.execute(counting).scalar_one() == before


def test_reader_cannot_write_and_the_connection_can_afterwards(engine):
    with pytest.raises(DatabaseError, match=r"(?i)read-?only"), reading(engine) as connection:
        connection.execute(insert(RejectReason).values(id=100, description="x"))
    with transaction(engine) as connection:
        connection.execute(insert(RejectReason).values(id=100, description="x"))


@pytest.mark.parametrize(("keeps_connections", "limit_mb"), [(True, 70), (False, 5)])
def test_connections_of_which_a_server_has_dozens_keep_little_of_the_file(tmp_path, keeps_connections, limit_mb):
    engine = make_engine(f"sqlite:///{tmp_path / 'trap.db'}", keeps_connections=keeps_connections)
    with engine.connect() as connection:
        cached_kib = -connection.execute(text("PRAGMA cache_size")).scalar()
    engine.dispose()
    assert 0 < 1024 * cached_kib < limit_mb * 1e6


def test_tests_get_the_rows_of_a_query_without_an_order_in_reverse(tmp_path):
    engine = make_engine(f"sqlite:///{tmp_path / 'new.db'}")
    with transaction(engine) as connection:
        connection.execute(text("CREATE TABLE number (id INTEGER PRIMARY KEY)"))
        connection.execute(text("INSERT INTO number VALUES (1), (2)"))
        assert connection.execute(text("SELECT id FROM number")).scalars().all() == [2, 1]
    engine.dispose()


def test_two_writers_take_turns(engine):
    def add():
        with transaction(engine) as connection:
            connection.execute(text("UPDATE rejectreason SET description = description || 'x' WHERE id = 0"))

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with reading(engine) as connection:
        found = connection.execute(select(RejectReason.description).where(RejectReason.id == 0)).scalar_one()
    assert found.endswith("xxxx")


def test_sqlite_file_locked_by_another_is_transient(tmp_path, monkeypatch):
    monkeypatch.setattr(engine_module, "BUSY_TIMEOUT_SECONDS", 0.05)
    engine = make_engine(f"sqlite:///{tmp_path / 'a.db'}")
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(TransientError, match="locked"), transaction(engine):
        pass
    other.close()
    engine.dispose()


def test_lost_postgresql_connection_is_transient(postgres):
    with postgres.database() as url:
        engine, killer = make_engine(url), make_engine(url)
        with pytest.raises(TransientError):
            _lose_connection(engine, killer)
        with transaction(engine) as connection:
            assert connection.execute(text("SELECT 1")).scalar_one() == 1
        engine.dispose()
        killer.dispose()


def _lose_connection(engine, killer):
    with transaction(engine) as connection:
        pid = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
        with transaction(killer) as other:
            other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        connection.execute(text("SELECT 1"))


@pytest.mark.parametrize(("code", "transient"), [("40P01", True), ("57P01", True), ("53100", True), ("23505", False)])
def test_postgresql_error_codes_decide_on_retries(code, transient):
    original = type("Error", (Exception,), {"pgcode": code})("text")
    assert is_transient(OperationalError("SELECT 1", {}, original)) is transient


@pytest.mark.parametrize(
    ("message", "transient"),
    [
        ("connection to server failed: Connection refused", True),
        ("FATAL:  the database system is starting up", True),
        ('FATAL:  password authentication failed for user "x"', False),
        ('FATAL:  database "x" does not exist', False),
    ],
)
def test_server_that_is_away_may_come_back_and_one_that_refuses_does_not(message, transient):
    original = type("OperationalError", (Exception,), {"pgcode": None})(message)
    kind = TransientError if transient else DatabaseError
    with pytest.raises(kind, match=r"server|FATAL"), database_errors():
        raise OperationalError("SELECT 1", {}, original)


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(DatabaseError, match=f"the folder {tmp_path}/no does not exist"):
        make_engine(f"sqlite:///{tmp_path}/no/trap.db")


def test_file_that_is_no_database_is_named(tmp_path):
    (tmp_path / "x.db").write_text("an entirely different kind of file, of some length" * 40)
    with pytest.raises(DatabaseError, match=r"x\.db: file is not a database"):
        make_engine(f"sqlite:///{tmp_path}/x.db")


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "mysql://u@h/d", "sqlite:nonsense", "postgresql://h:port/d"]
)
def test_url_that_cannot_work_is_refused(url):
    with pytest.raises(DatabaseError):
        make_engine(url)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:topsecret@127.0.0.1:{port}/trap",
        "postgresql://user:topsecret@127.0.0.1:port/trap",
        "postgresql://user:top@secret@127.0.0.1:{port}/trap",
        "postgresql:/user:topsecret@127.0.0.1",
        "postgresql://127.0.0.1:{port}/trap?user=user&password=topsecret",
        "sqlite://user:topsecret@host/x",
    ],
)
def test_password_never_shows_in_an_error(url):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: refuses connections
        port = unused.getsockname()[1]
        with pytest.raises(DatabaseError) as caught:
            make_engine(url.replace("{port}", str(port)))
    error = caught.value
    while error is not None:
        assert "secret" not in f"{error} {error!r}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_texts_are_sent_as_utf8_under_any_setting(database_url, dialect, monkeypatch):
    monkeypatch.setenv("PGCLIENTENCODING", "latin1")
    engine = make_engine(make_url(database_url).update_query_dict({"client_encoding": "latin1"}))
    with engine.connect() as connection:
        assert connection.execute(text("SHOW client_encoding")).scalar_one() == "UTF8"
    engine.dispose()


def startup_packet(server):
    """Read the parameters with which a client opens a connection, and close it."""
    connection, _ = server.accept()
    with connection:
        length, code = struct.unpack("!ii", connection.recv(8))
        while length == 8:  # a request for encryption
            assert code > 0
            connection.sendall(b"N")
            length, code = struct.unpack("!ii", connection.recv(8))
        words = connection.recv(length - 8).split(b"\0")
    return dict(zip(words[::2], words[1::2], strict=False))


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_connection_asks_for_nothing_that_pgbouncer_refuses(dialect):
    packets = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=lambda: packets.append(startup_packet(server)))
        thread.start()
        with pytest.raises(DatabaseError, match="cannot open the database"):
            make_engine(f"postgresql://me@127.0.0.1:{server.getsockname()[1]}/sky")
        thread.join()
    # PgBouncer accepts these, and others of which it keeps the value for each client.
    assert {b"user", b"database"} <= set(packets[0])
    assert set(packets[0]) <= {b"user", b"database", b"application_name", b"client_encoding", b""}


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
@pytest.mark.parametrize(("options", "zone"), [("", "UTC"), ("?options=-ctimezone%3DAsia/Tokyo", "Asia/Tokyo")])
def test_times_are_shown_in_utc_unless_the_url_names_a_zone(database_url, dialect, options, zone):
    joint = "&" if "?" in database_url else "?"
    engine = make_engine(database_url + options.replace("?", joint))
    for _ in range(2):
        with reading(engine) as connection:
            assert connection.execute(text("SHOW timezone")).scalar_one() == zone
    engine.dispose()


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_temporary_table_of_another_version_is_left_alone(engine, dialect):
    with transaction(engine) as connection:
        connection.execute(text("CREATE TEMPORARY TABLE given_rejectreason (old integer) ON COMMIT DELETE ROWS"))
        columns = {"id": [100], "description": ["new"]}
        bulk.upsert_columns(connection, RejectReason, columns, key=("id",))
    with reading(engine) as connection:
        assert connection.execute(text("SELECT description FROM rejectreason WHERE id = 100")).scalar_one() == "new"
