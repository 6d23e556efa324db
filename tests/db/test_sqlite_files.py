"""SQLite databases in files and folders that cannot be written: read whole, and left as they are."""

from __future__ import annotations

import importlib
import os
import pkgutil
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from busy_dataset import process_busy_days
from made_up_survey import dataset_maker
from sqlalchemy import text

from trap import cli
from trap.cli import main
from trap.db.backup import dump_database
from trap.db.engine import make_engine, reading, transaction
from trap.errors import DatabaseError

NOBODY = 65534


@contextmanager
def as_ordinary_user():
    """Give up the rights of root, who may write everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture(scope="module", autouse=True)
def _commands_are_imported():
    """Import all commands: an ordinary user may have no right to read the files of this Python."""
    for module in pkgutil.iter_modules(cli.__path__, f"{cli.__name__}."):
        importlib.import_module(module.name)


@pytest.fixture(scope="module")
def written(_migrated_sqlite, tmp_path_factory):
    """A database with a dataset whose newest rows are in the log, while a writer has it open."""
    path = tmp_path_factory.mktemp("written") / "trap.db"
    shutil.copy(_migrated_sqlite, path)
    engine = make_engine(f"sqlite:///{path}")
    process_busy_days(dataset_maker(engine)())
    assert path.with_name("trap.db-wal").stat().st_size
    yield path
    engine.dispose()


@pytest.fixture(name="empty")
def empty_database(_migrated_sqlite):
    """A database with empty tables."""
    return _migrated_sqlite


@pytest.fixture
def folder():
    """A folder that other users can enter."""
    path = Path(tempfile.mkdtemp(prefix="trap-readonly-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


def close(folder, *, file, directory):
    for one in folder.iterdir():
        one.chmod(0o444 if file else 0o666)
    folder.chmod(0o555 if directory else 0o777)


PLACES = pytest.mark.parametrize(
    ("file", "directory"), [(True, False), (False, True), (True, True)], ids=["file", "folder", "both"]
)
QUERIES = [
    *(["dataset", "list"], ["dataset", "show", "1"], ["dataset", "compare", "1", "1"], ["candidates", "1"]),
    *(["variables", "1"], ["lightcurve", "1", "122.0", "10.0", "--radius", "60"], ["db", "check"]),
    ["dataset", "calibration", "1"],
]


def printed(path, words, capsys):
    """Return the output of a command on a database, without the path."""
    capsys.readouterr()
    assert main([*words, "--database", str(path)]) == 0
    return capsys.readouterr().out.replace(str(path), "")


def place(written, path, left):
    """Copy a database with the files that a dump, a killed writer, or a living one leave."""
    if left == "nothing":
        dump_database(f"sqlite:///{written}", path)
        return
    for end in ("", "-wal", *(["-shm"] if "index" in left else [])):
        shutil.copy(f"{written}{end}", f"{path}{end}")


@PLACES
@pytest.mark.parametrize("left", ["nothing", "log", "log and index"])
def test_database_that_cannot_be_written_is_read_whole(written, folder, left, file, directory, capsys):
    path, words = folder / "trap.db", ["candidates", "1"]
    place(written, path, left)
    close(folder, file=file, directory=directory)
    names = {one.name: one.stat().st_size for one in folder.iterdir()}
    with as_ordinary_user():
        found = printed(path, words, capsys)
    assert found == printed(written, words, capsys)
    assert {one.name: one.stat().st_size for one in folder.iterdir()} == names


def test_every_query_works_on_a_database_that_cannot_be_written(written, folder, capsys):
    path = folder / "trap.db"
    place(written, path, "log")
    close(folder, file=True, directory=True)
    for words in QUERIES:
        with as_ordinary_user():
            found = printed(path, words, capsys)
        assert found == printed(written, words, capsys)
    with as_ordinary_user(), tempfile.TemporaryDirectory() as elsewhere:
        assert main(["db", "dump", f"{elsewhere}/copy.dump", "--database", str(path)]) == 0
        assert "sound" in printed(f"{elsewhere}/copy.dump", ["db", "check"], capsys)
    assert {one.name for one in folder.iterdir()} == {"trap.db", "trap.db-wal"}


@PLACES
def test_rows_of_a_writer_are_read_while_it_goes_on(empty, folder, file, directory):
    path = folder / "trap.db"
    shutil.copy(empty, path)
    writer = make_engine(f"sqlite:///{path}")
    for n in (1, 2, 3):
        with transaction(writer) as connection:
            connection.execute(text(f"UPDATE version SET value = {n} WHERE name = 'revision'"))
        if n == 1:
            close(folder, file=file, directory=directory)
            with as_ordinary_user():
                reader = make_engine(f"sqlite:///{path}")
        with as_ordinary_user(), reading(reader) as connection:
            assert connection.execute(text("SELECT value FROM version WHERE name = 'revision'")).scalar() == n
    reader.dispose()
    writer.dispose()


@PLACES
def test_writing_is_refused_with_the_reason(empty, folder, file, directory, capsys):
    path = folder / "trap.db"
    shutil.copy(empty, path)
    close(folder, file=file, directory=directory)
    with as_ordinary_user():
        engine = make_engine(f"sqlite:///{path}")
        with pytest.raises(DatabaseError, match=r"cannot be written: the (file|folder \S+) is read-only"):
            transaction(engine).__enter__()
        engine.dispose()
        for words in (["db", "upgrade"], ["db", "vacuum"]):
            assert main([*words, "--database", str(path)]) == 1
            error = capsys.readouterr().err
            assert error.count("\n") == 1
            assert "read" in error
    assert [one.name for one in folder.iterdir()] == ["trap.db"]
