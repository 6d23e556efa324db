from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing

import numpy as np
import pytest
from sqlalchemy import make_url, text

from trap.db.backup import backup_database, dump_database, restore_database
from trap.db.engine import make_engine, transaction
from trap.db.upkeep import check_database
from trap.errors import DatabaseError

PG_DUMP = """#!/bin/sh
printf '%s\\n' "$PGPASSWORD" "$@" > "{log}"
for word in "$@"; do case "$word" in --file=*) : > "${{word#--file=}}";; esac; done
{ending}
"""


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_sqlite_is_copied_while_it_is_written(busy, engine, database_url, dialect, tmp_path):
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE dataset SET description = 'not yet'")
        path = backup_database(database_url, tmp_path / "copies")
    assert path.name.endswith(".dump")
    assert "_test_" in path.name
    with closing(sqlite3.connect(path)) as copy:
        assert copy.execute("SELECT description FROM dataset").fetchall() == [("TraP dataset",)]
        assert copy.execute("SELECT count(*) FROM timestep").fetchone() == (4,)


@pytest.fixture
def fake_pg_dump(tmp_path, monkeypatch):
    def install(ending):
        program = tmp_path / "bin" / "pg_dump"
        program.parent.mkdir()
        log = tmp_path / "log"
        program.write_text(PG_DUMP.format(log=log, ending=ending))
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
        return log

    return install


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
@pytest.mark.parametrize("in_options", [False, True])
def test_password_reaches_pg_dump_by_its_environment_alone(database_url, dialect, tmp_path, fake_pg_dump, in_options):
    log = fake_pg_dump("exit 0")
    url = make_url(database_url).set(password="" if in_options else "topsecret")
    url = url.update_query_dict({"password": "topsecret"} if in_options else {})
    backup_database(url.render_as_string(hide_password=False), tmp_path)
    environment, *arguments = log.read_text().splitlines()
    assert environment == "topsecret"
    assert not any("topsecret" in argument for argument in arguments)
    assert any(argument.startswith("--dbname=postgresql://postgres@") for argument in arguments)


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_failing_pg_dump_leaves_no_file(database_url, dialect, tmp_path, fake_pg_dump):
    fake_pg_dump('echo "server version mismatch" >&2; exit 1')
    with pytest.raises(DatabaseError, match="pg_dump failed: server version mismatch"):
        backup_database(database_url, tmp_path / "copies")
    assert list((tmp_path / "copies").iterdir()) == []


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_missing_pg_dump_is_named(database_url, dialect, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DatabaseError, match="pg_dump is not installed"):
        backup_database(database_url, tmp_path)


only_sqlite = pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)


def files_of(folder):
    """Return the contents of all regular files in a folder, without SQLite's index of the log."""
    files = (file for file in folder.rglob("*") if file.is_file() and not file.name.endswith("-shm"))
    return {file.name: file.read_bytes() for file in files}


@only_sqlite
@pytest.mark.parametrize("overwrite", [False, True])
def test_dump_never_replaces_the_database_or_anything_but_a_file(busy, engine, database_url, tmp_path, overwrite):
    (tmp_path / "sub").mkdir()
    (tmp_path / "link.db").symlink_to("test.db")
    (tmp_path / "sub" / "linked").symlink_to("..")
    (tmp_path / "hard.db").hardlink_to(tmp_path / "test.db")
    (tmp_path / "nowhere").symlink_to("missing")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "old.dump").write_text("an old dump")
    before = files_of(tmp_path)
    targets = [
        *("test.db", "sub/../test.db", "link.db", "hard.db", "sub/linked/test.db", "test.db-wal", "sub/../test.db-wal"),
        *("test.db-shm", "test.db-journal", "test.db.1.lock", "/dev/null", "fifo", "nowhere", "old.dump"),
    ]
    for url in (database_url, f"sqlite:///{tmp_path}/link.db"):
        for target in targets[: -1 if overwrite else None]:
            with pytest.raises(DatabaseError, match=r"is the database itself|is no regular file|exists already"):
                dump_database(url, tmp_path / target, overwrite=overwrite)
    assert files_of(tmp_path) == before
    with transaction(engine) as connection:
        connection.execute(text("UPDATE dataset SET description = 'still written'"))
    assert check_database(engine) == []


@only_sqlite
def test_dump_replaces_no_database_in_use(busy, database_url, tmp_path):
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE theirs (id INTEGER)")
        with pytest.raises(DatabaseError, match=r"other.db-wal exists: .* is a database in use"):
            dump_database(database_url, other, overwrite=True)
        connection.execute("INSERT INTO theirs VALUES (1)")
    with closing(sqlite3.connect(other)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@only_sqlite
def test_dump_whose_temporary_name_is_the_database_leaves_it(busy, database_url, tmp_path):
    database = tmp_path / "x.dump.part"
    backup_database(database_url, tmp_path / "first").rename(database)
    dump_database(f"sqlite:///{database}", tmp_path / "x.dump")
    assert check_database(make_engine(f"sqlite:///{database}")) == []
    with pytest.raises(DatabaseError, match="exists already"):
        dump_database(database_url, tmp_path / "x.dump")


@only_sqlite
@pytest.mark.parametrize("damage", ["cut", "changed", "longer", "cut by another program"])
def test_damaged_dump_is_never_restored(busy, database_url, tmp_path, damage):
    dump, target = tmp_path / "a.dump", tmp_path / "target.db"
    dump_database(database_url, dump)
    content, rng = dump.read_bytes(), np.random.default_rng(1)
    unsealed = content[:-34]
    for _ in range(12):
        place = int(rng.integers(16, len(unsealed)))
        byte = bytes([content[place] ^ (1 << int(rng.integers(8)))])
        spoilt = {
            "cut": content[:place],
            "cut by another program": unsealed[: 4096 * (place // 4096)] or unsealed[:4000],
            "changed": content[:place] + byte + content[place + 1 :],
            "longer": content[:place] + b"x" + content[place:],
        }[damage]
        dump.write_bytes(spoilt)
        with pytest.raises(DatabaseError, match="is damaged"):
            restore_database(f"sqlite:///{target}", dump)
        assert not target.exists()
    dump.write_bytes(unsealed)
    restore_database(f"sqlite:///{target}", dump)
    assert check_database(make_engine(f"sqlite:///{target}")) == []


def test_database_of_another_program_is_not_restored(tmp_path):
    with closing(sqlite3.connect(tmp_path / "theirs.db")) as connection:
        connection.execute("CREATE TABLE image (id INTEGER)")
    with pytest.raises(DatabaseError, match="is no dump of transients"):
        restore_database(f"sqlite:///{tmp_path / 'target.db'}", tmp_path / "theirs.db")
    assert not (tmp_path / "target.db").exists()


@pytest.mark.parametrize("host", ["[::1]", "[fe80::1%25eth0]", "host"])
def test_name_of_a_dump_is_allowed_on_every_file_system(monkeypatch, tmp_path, host):
    monkeypatch.setattr("trap.db.backup._reachable", make_url)
    monkeypatch.setattr("trap.db.backup.dump_database", lambda _url, path: path.write_text(""))
    path = backup_database(f"postgresql://me@{host}/my:sky%2F?<b>", tmp_path)
    assert path.parent == tmp_path
    assert not set('<>:"/\\|?*%') & set(path.name)
