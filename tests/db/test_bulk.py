from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from sqlalchemy import BigInteger, Double, cast, func, literal, select, union_all

from trap.db.bulk import insert_columns, is_among, read_columns, reserve_ids, update_columns, upsert_columns
from trap.db.engine import reading, transaction
from trap.db.models import Dataset, FrequencyBand, Monitor, Timestep, UnreadableImage
from trap.errors import DatabaseError

NOW = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
DATASET = {
    "process_start_ts": NOW,
    "description": "d",
    "state": "running",
    "config_hash": "0" * 16,
    "software_version": "1",
}


@pytest.fixture
def dataset(engine):
    with transaction(engine) as connection:
        insert_columns(connection, Dataset, {"id": [1], **DATASET})
    return 1


def _column(engine, wanted, order):
    with reading(engine) as connection:
        return list(connection.execute(select(wanted).order_by(order)).scalars())


def test_times_come_back_as_numpys_to_the_microsecond(engine):
    moments = [NOW, datetime(1969, 7, 20, 20, 17, 40, 999999, UTC), datetime(9999, 12, 31, 23, 59, 59, 1, UTC), None]
    with transaction(engine) as connection:
        insert_columns(connection, Dataset, {"id": np.arange(2, 6), **DATASET, "process_end_ts": moments})
        found = read_columns(connection, select(Dataset.process_end_ts).where(Dataset.id > 1).order_by(Dataset.id))
    expected = np.array([None if each is None else each.replace(tzinfo=None) for each in moments], "M8[us]")
    assert found["process_end_ts"].dtype == expected.dtype
    assert np.array_equal(found["process_end_ts"], expected, equal_nan=True)


def test_floats_come_back_to_the_last_bit(engine, dataset):
    values = np.array([0.1, 1 / 3, np.pi * 1e-300, -1e300, np.nextafter(1, 2), 5e-324, np.inf, -np.inf, -0.0])
    with transaction(engine) as connection:
        columns = {"dataset": dataset, "freq_central": values, "freq_low": values, "freq_high": 0.0}
        insert_columns(connection, FrequencyBand, columns)
    assert _column(engine, FrequencyBand.freq_central, FrequencyBand.id) == values.tolist()


def test_changed_floats_come_back_to_the_last_bit(engine, dataset):
    values = np.array([0.1, 1 / 3, 5e-324, np.inf])
    with transaction(engine) as connection:
        ids = reserve_ids(connection, Monitor, 4)
        insert_columns(connection, Monitor, {"id": ids, "dataset": dataset, "ra": 0.0, "decl": 0.0})
        update_columns(connection, Monitor, {"id": ids[::-1], "ra": values[::-1], "name": ['a"b', "c\\d", "{e,f}", ""]})
    assert _column(engine, Monitor.ra, Monitor.id) == values.tolist()
    assert _column(engine, Monitor.name, Monitor.id) == ["", "{e,f}", "c\\d", 'a"b']


def test_nan_is_kept_on_postgresql_and_null_on_sqlite(engine, dataset, dialect):
    with transaction(engine) as connection:
        insert_columns(connection, Dataset, {"id": [2, 3], "margin_width": np.array([np.nan, 1.0]), **DATASET})
        update_columns(connection, Dataset, {"id": [1], "margin_width": np.array([np.nan])})
    values = _column(engine, Dataset.margin_width, Dataset.id)
    if dialect == "sqlite":
        assert values == [None, None, 1.0]
    else:
        assert np.isnan(values[:2]).all()


def test_awkward_texts_and_bytes_come_back_unchanged(engine, dataset):
    texts = ["", "a,b", 'say "x"', "two\nlines", "tab\t", "back\\slash", "\\.", "NULL", "ünïcode ✓", "'quoted'"]
    with transaction(engine) as connection:
        insert_columns(connection, UnreadableImage, {"dataset": dataset, "url": texts, "reason": texts[::-1]})
    assert _column(engine, UnreadableImage.url, UnreadableImage.id) == texts


def test_none_is_null_and_a_column_left_out_gets_its_default(engine, dataset):
    with transaction(engine) as connection:
        insert_columns(connection, Monitor, {"dataset": dataset, "runcat": [None], "ra": 1.0, "decl": 2.0})
    with reading(engine) as connection:
        assert connection.execute(select(Monitor.runcat, Monitor.name)).one() == (None, "")


@pytest.mark.parametrize(
    "moment", [NOW, NOW.astimezone(timezone(timedelta(hours=5.5))), np.datetime64("2026-01-02T03:04:05.678901")]
)
def test_times_come_back_as_aware_utc(engine, dataset, moment):
    with transaction(engine) as connection:
        stamps = np.array([moment]) if isinstance(moment, np.datetime64) else [moment]
        columns = {"dataset": dataset, "taustart_ts": stamps, "state": "done", "stored_ts": NOW}
        insert_columns(connection, Timestep, columns)
    (back,) = _column(engine, Timestep.taustart_ts, Timestep.id)
    assert back == NOW
    assert back.tzinfo is UTC


def test_naive_time_is_refused(engine, dataset):
    naive = NOW.replace(tzinfo=None)
    with (
        pytest.raises((ValueError, DatabaseError), match="has no time zone"),
        transaction(engine) as connection,
    ):
        insert_columns(connection, Timestep, {"dataset": [1], "taustart_ts": naive, "state": "", "stored_ts": NOW})


def test_reserved_ids_are_distinct_and_do_not_clash_with_given_ones(engine, dataset):
    with transaction(engine) as connection:
        first = reserve_ids(connection, Monitor, 1000)
        insert_columns(connection, Monitor, {"id": first, "dataset": dataset, "ra": 0.0, "decl": 0.0})
        second = reserve_ids(connection, Monitor, 1000)
    assert len(np.unique(np.concatenate([first, second]))) == 2000
    assert (np.diff(first) > 0).all()
    assert reserve_ids(connection, Monitor, 0).size == 0


def test_upsert_inserts_new_rows_and_updates_existing_ones(engine, dataset):
    with transaction(engine) as connection:
        for urls, reasons in ((["a", "b"], ["1", "2"]), (["b", "c"], ["3", "4"])):
            columns = {"dataset": dataset, "url": urls, "reason": reasons}
            upsert_columns(connection, UnreadableImage, columns, key=("dataset", "url"))
    assert _column(engine, UnreadableImage.reason, UnreadableImage.url) == ["1", "3", "4"]


def test_condition_takes_any_number_of_ids(engine, dataset):
    ids = np.arange(1, 100_001)
    with reading(engine) as connection:
        found = connection.execute(select(Dataset.id).where(is_among(connection, Dataset.id, ids))).scalars().all()
    assert found == [1]


@pytest.mark.parametrize("url", ["100 %", "%s", "%(a)s", "it's", 'say "x"', "\\'; --", "{b}", ":c", "ünïcode ✓"])
def test_awkward_texts_in_a_query_find_their_rows(engine, dataset, url):
    with transaction(engine) as connection:
        insert_columns(connection, UnreadableImage, {"dataset": dataset, "url": [url, "other"], "reason": "%d"})
        table = UnreadableImage
        found = read_columns(connection, select(table.url, table.reason.label("why %")).where(table.url == url))
        spelt_out = read_columns(connection, select(table.url).where(table.url == literal(url, literal_execute=True)))
    assert {name: column.tolist() for name, column in found.items()} == {"url": [url], "why %": ["%d"]}
    assert spelt_out["url"].tolist() == [url]


def test_options_of_a_statement_change_nothing(engine, dataset):
    streamed = select(Dataset.id).execution_options(yield_per=10, stream_results=True)
    with reading(engine) as connection:
        assert read_columns(connection, streamed)["id"].tolist() == [1]


def test_computed_columns_are_read_too(engine, dataset):
    number = func.count(Dataset.id)
    with reading(engine) as connection:
        columns = (number.label("n"), func.sum(Dataset.id * 1.5).label("sum"), Dataset.description)
        counted = read_columns(connection, select(*columns).group_by(Dataset.description))
        nothing = read_columns(connection, select(Dataset.id, Dataset.margin_width).where(Dataset.id < 0))
        first, second = (select(cast(1, kind).label("number")) for kind in (BigInteger, Double))
        mixed = read_columns(connection, select(union_all(first, second).subquery()))
    assert {name: column.tolist() for name, column in counted.items()} == {"n": [1], "sum": [1.5], "description": ["d"]}
    assert mixed["number"].tolist() == [1, 1]
    assert [(len(column), column.dtype.str) for column in nothing.values()] == [(0, "<i8"), (0, "<f8")]


def test_columns_of_different_lengths_are_refused(engine):
    with transaction(engine) as connection, pytest.raises(ValueError, match="'url': 2, 'reason': 3"):
        insert_columns(connection, UnreadableImage, {"dataset": 1, "url": ["a", "b"], "reason": ["1", "2", "3"]})


def test_violated_constraint_is_a_database_error(engine, dataset):
    with pytest.raises(DatabaseError, match=r"(?i)unique"), transaction(engine) as connection:
        insert_columns(connection, UnreadableImage, {"dataset": dataset, "url": ["a", "a"], "reason": "x"})
    with pytest.raises(DatabaseError, match=r"(?i)foreign key"), transaction(engine) as connection:
        insert_columns(connection, UnreadableImage, {"dataset": [99], "url": "a", "reason": "x"})


@pytest.mark.parametrize("n", [1, 1000])
def test_number_of_statements_does_not_depend_on_the_number_of_rows(engine, dataset, dialect, statements, n):
    urls = [str(i) for i in range(n)]
    with transaction(engine) as connection:
        statements.clear()
        ids = reserve_ids(connection, UnreadableImage, n)
        insert_columns(connection, UnreadableImage, {"id": ids, "dataset": dataset, "url": urls, "reason": "r"})
        update_columns(connection, UnreadableImage, {"id": ids, "reason": urls})
        upsert_columns(
            connection, UnreadableImage, {"dataset": dataset, "url": urls, "reason": "s"}, key=("dataset", "url")
        )
    # On PostgreSQL rows that change others come by way of a temporary table.
    assert len(statements) == (4 if dialect == "sqlite" else 8)
