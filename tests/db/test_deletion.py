from __future__ import annotations

import tracemalloc

import pytest
from sqlalchemy import func, select
from table_filler import fill_dataset

from trap.dataset.records import KeptPixels
from trap.db import deletion
from trap.db.comparison import Side, compare_datasets
from trap.db.datasets import find_dataset, reopen_dataset
from trap.db.deletion import delete_dataset
from trap.db.engine import reading, transaction
from trap.db.kept_pixels import insert_kept_pixels
from trap.db.locks import writing
from trap.db.models import Base
from trap.db.upkeep import check_database
from trap.errors import DatabaseError, DatasetLockedError, DatasetNotFoundError

pytestmark = pytest.mark.usefixtures("database_url")  # the tables are filled, and emptied


def rows_left(engine):
    with reading(engine) as connection:
        counts = {
            name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in Base.metadata.tables.items()
        }
    return {name for name, n in counts.items() if n} - {"rejectreason", "version"}


def test_deletion_leaves_no_rows_and_reports_its_progress(busy, engine, monkeypatch):
    monkeypatch.setattr(deletion, "PIECE", 3)
    told = []
    delete_dataset(engine, busy.id, progress=lambda done, total: told.append((done, total)))
    assert rows_left(engine) == set()
    assert len(told) > 3
    assert told == sorted(told)
    assert told[-1][0] == told[-1][1]


def test_other_datasets_stay_as_they_are(busy, make_dataset, engine, config):
    from busy_dataset import process_busy_days  # noqa: PLC0415

    other = process_busy_days(make_dataset((123.5, 10.5), (120.1, 9.9)))
    third = process_busy_days(make_dataset((123.5, 10.5), (120.1, 9.9)))
    delete_dataset(engine, third.id)
    assert check_database(engine) == []
    with reading(engine) as connection:
        assert compare_datasets(Side(connection, busy.id), Side(connection, other.id)) == []


def test_kept_pixels_go_with_the_last_dataset_that_holds_the_image(busy, make_dataset, engine, tmp_path):
    from busy_dataset import process_busy_days  # noqa: PLC0415

    other = process_busy_days(make_dataset((123.5, 10.5), (120.1, 9.9)))
    shared, alone = tmp_path / "shared.fits", tmp_path / "alone.fits"
    first = [
        dataset.column("SELECT id FROM image WHERE dataset = :dataset ORDER BY id")[:2] for dataset in (busy, other)
    ]
    for file in (shared, alone):
        file.touch()
    with transaction(engine) as connection:
        for images in first:
            insert_kept_pixels(connection, images, [KeptPixels(image=0, header="", path=str(shared), kind="images")])
        insert_kept_pixels(connection, first[0], [KeptPixels(image=1, header="", path=str(alone), kind="images")])
    delete_dataset(engine, busy.id)
    assert (shared.exists(), alone.exists()) == (True, False)
    delete_dataset(engine, other.id)
    assert not shared.exists()


def test_interrupted_deletion_takes_no_images_and_goes_on_when_called_again(busy, engine, monkeypatch):
    monkeypatch.setattr(deletion, "PIECE", 3)

    def interrupt(done, _total):
        if done > 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        delete_dataset(engine, busy.id, progress=interrupt)
    with transaction(engine) as connection:
        assert find_dataset(connection, busy.id)["state"] == "deleting"
        with pytest.raises(DatabaseError, match="is being deleted"):
            reopen_dataset(connection, busy.id)
    delete_dataset(engine, busy.id)
    assert rows_left(engine) == set()


def test_dataset_that_is_written_or_missing_is_not_deleted(busy, engine):
    with writing(engine, busy.id), pytest.raises(DatasetLockedError):
        delete_dataset(engine, busy.id)
    with pytest.raises(DatasetNotFoundError):
        delete_dataset(engine, busy.id + 1)


def test_memory_does_not_grow_with_the_dataset(engine):
    with transaction(engine) as connection:
        dataset = fill_dataset(connection, n_entries=1000, n_images=60)
    tracemalloc.start()
    delete_dataset(engine, dataset)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rows_left(engine) == set()
    assert peak < 5e6  # 60,000 measurements of some 400 bytes would be 24 MB
