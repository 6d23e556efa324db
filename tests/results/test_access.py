"""Opening of datasets, and the promise that a notebook holds nothing open and disturbs no run."""

from __future__ import annotations

import gc
import pickle
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from results_survey import make_days, open_connections, url_of
from sqlalchemy import delete, text

from trap.db.engine import make_engine, transaction
from trap.db.models import Dataset
from trap.errors import DatabaseError, DatasetNotFoundError, SchemaVersionError
from trap.results import open_dataset


@pytest.fixture
def own(make_dataset, engine, database_url):
    """Return an empty dataset in a database of the test's own."""
    dataset = make_dataset()
    engine.dispose()
    return dataset


def test_dataset_is_opened_by_number_or_name(opened, survey):
    name = opened.summary()["name"]
    url = url_of(survey.engine)
    for given in (survey.id, None, survey.column("SELECT description FROM dataset WHERE id = :dataset")[0]):
        assert open_dataset(url, given).number == survey.id
    assert name.startswith("name <script>")


def test_file_is_opened_by_its_path_from_any_folder(pictures_url, monkeypatch):
    path = Path(pictures_url.removeprefix("sqlite:///"))
    monkeypatch.chdir(path.parent)
    dataset = open_dataset("trap.db")
    monkeypatch.chdir("/")
    assert len(dataset.images()) == 4
    for given in (path, str(path), pictures_url, pictures_url.replace("sqlite://", "sqlite+pysqlite://")):
        assert open_dataset(given, 1).number == 1


def test_dataset_that_does_not_exist_is_refused_with_a_list(own, make_dataset, database_url):
    cases = [(7, "no dataset 7 in the database; it holds 1"), ("TraP datset", "similar names: 'TraP dataset'")]
    for given, message in cases:
        with pytest.raises(DatasetNotFoundError, match=message):
            open_dataset(database_url, given)
    make_dataset()
    with pytest.raises(DatasetNotFoundError, match=r"has 2 datasets: .*; it holds 1 'TraP dataset', 2"):
        open_dataset(database_url)
    with pytest.raises(DatasetNotFoundError, match="several datasets are named 'TraP dataset': 1, 2"):
        open_dataset(database_url, "TraP dataset")


def test_dataset_that_is_deleted_is_an_error_and_not_an_empty_table(own, make_dataset, engine, database_url):
    dataset = open_dataset(database_url, own.id)
    make_dataset()
    with transaction(engine) as connection:
        connection.execute(delete(Dataset).where(Dataset.id == own.id))
    for call in (dataset.sources, lambda: next(dataset.measurements(chunks=5)), dataset.calibration):
        with pytest.raises(DatasetNotFoundError, match="no dataset 1 in the database; it holds 2"):
            call()


def test_missing_file_is_not_created(tmp_path):
    for given in (tmp_path / "no.db", f"sqlite:///{tmp_path}/no.db", tmp_path):
        with pytest.raises(DatabaseError, match="does not exist|is a folder"):
            open_dataset(given)
    assert list(tmp_path.iterdir()) == []


def test_empty_database_is_refused(empty_database_url):
    if empty_database_url.startswith("sqlite"):
        Path(empty_database_url.removeprefix("sqlite:///")).touch()
    with pytest.raises(SchemaVersionError, match="is empty"):
        open_dataset(empty_database_url)


def test_other_schema_version_is_refused(own, engine, database_url):
    for version, message in (("0001", "transients db upgrade"), ("9999", "newer than this software")):
        with engine.begin() as connection:
            connection.execute(text(f"UPDATE alembic_version SET version_num = '{version}'"))
        with pytest.raises(SchemaVersionError, match=message):
            open_dataset(database_url)


def test_no_connection_is_open_between_calls(survey, opened, steady):
    gc.collect()
    opened.light_curve(steady)
    list(opened.measurements(chunks=2))
    repr(opened)
    assert open_connections(survey.engine, 0) == 0
    chunks = opened.measurements(chunks=2)
    next(chunks)
    assert open_connections(survey.engine, 1) == 1
    del chunks
    gc.collect()
    assert open_connections(survey.engine, 0) == 0


def test_closing_ends_unfinished_chunks(survey):
    with open_dataset(url_of(survey.engine), survey.id) as dataset:
        chunks = dataset.measurements(chunks=2)
        next(chunks)
    assert open_connections(survey.engine, 0) == 0
    assert list(chunks) == []
    with pytest.raises(DatabaseError, match="has been closed"):
        dataset.sources()
    assert "has been closed" in repr(dataset)


def test_run_writes_while_chunks_are_read(own, engine, database_url, tmp_path):
    make_days(own, 0, 3)
    dataset = open_dataset(database_url)
    chunks = dataset.measurements(chunks=1)
    first = next(chunks)
    n_before = len(dataset.measurements())
    make_days(own, 3, 5)
    # The chunks are of the state at their beginning; a new call reads the new one.
    assert len(first) + sum(map(len, chunks)) == n_before
    assert len(dataset.measurements()) > n_before


def test_nothing_can_be_written(opened, survey):
    with pytest.raises(DatabaseError), opened._read() as connection:
        connection.execute(text("UPDATE dataset SET description = 'changed'"))
    assert survey.column("SELECT count(*) FROM dataset WHERE description = 'changed'") == [0]


def test_several_threads_read_at_once(opened, steady):
    expected = opened.light_curve(steady)["f_int"].value.tolist(), len(opened.measurements())
    found, errors = [], []

    def read():
        try:
            for _ in range(3):
                found.append(opened.light_curve(steady)["f_int"].value.tolist())
                found.append(sum(map(len, opened.measurements(chunks=4))))
        except Exception as error:  # noqa: BLE001 (reported by the test)
            errors.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [found.count(one) for one in expected] == [12, 12]


def test_dataset_is_sent_to_another_process(opened, steady):
    sent = pickle.loads(pickle.dumps(opened))
    assert sent.light_curve(steady)["f_int"].value.tolist() == opened.light_curve(steady)["f_int"].value.tolist()


def test_file_that_is_deleted_and_made_again_is_read_anew(pictures_url, tmp_path):
    path = tmp_path / "trap.db"
    shutil.copy(pictures_url.removeprefix("sqlite:///"), path)
    dataset = open_dataset(path)
    assert len(dataset.images()) == 4
    path.unlink()
    with pytest.raises(DatabaseError, match="does not exist"):
        dataset.images()
    assert "does not exist" in repr(dataset)
    assert not path.exists()
    shutil.copy(pictures_url.removeprefix("sqlite:///"), path)
    engine = make_engine(f"sqlite:///{path}")
    with transaction(engine) as connection:
        connection.execute(text("UPDATE dataset SET description = 'again'"))
    engine.dispose()
    assert dataset.summary()["name"] == "again"


def test_file_in_a_folder_that_is_read_only_is_read(pictures_url, tmp_path, monkeypatch):
    path = tmp_path / "trap.db"
    shutil.copy(pictures_url.removeprefix("sqlite:///"), path)
    # Under root every file can be written: the answer of the check is replaced.
    monkeypatch.setattr("trap.db.sqlite_files._is_writable", lambda _path: False)
    before = path.stat().st_mtime_ns
    assert len(open_dataset(path).images()) == 4
    assert (path.stat().st_mtime_ns, [one.name for one in tmp_path.iterdir()]) == (before, ["trap.db"])


def test_server_that_is_away_is_an_error_and_no_password_shows():
    with pytest.raises(DatabaseError) as caught:
        open_dataset("postgresql://me:secret@127.0.0.1:1/nowhere")
    assert "secret" not in str(caught.value)


def test_import_is_light():
    code = (
        "import sys; import trap;"
        "assert not {'numpy', 'astropy', 'sqlalchemy'} & set(sys.modules);"
        "import trap.results;"
        "slow = {'matplotlib', 'pandas', 'scipy', 'numba', 'photutils', 'alembic', 'prefect', 'astropy_healpix'};"
        "print(sorted(slow & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_what_is_no_database_is_refused(tmp_path):
    with pytest.raises(DatabaseError, match="got None"):
        open_dataset(None)
    with pytest.raises(DatabaseError, match="is a folder"):
        open_dataset(tmp_path)
