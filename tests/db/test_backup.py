from __future__ import annotations

import os
import sqlite3
import stat
from contextlib import closing

import pytest
from sqlalchemy import make_url

from trap.db.backup import backup_database
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
