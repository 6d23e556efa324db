"""The handle of a dataset: one transaction a method, retried when a timestep or metrics are stored."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from busy_dataset import FIELD, state_of
from made_up_survey import sources
from sqlalchemy import text

from trap.dataset.records import UnreadableImage
from trap.db.engine import transaction
from trap.db.overview import timestep_table, unreadable_table
from trap.db.store import Store
from trap.errors import DatabaseError, TransientError

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def quick(monkeypatch):
    """Two retries without waiting."""
    monkeypatch.setattr("trap.db.store.STORE_DELAYS", (0.0, 0.0))


@pytest.fixture
def failing(monkeypatch):
    """Make a function of :mod:`trap.db` fail some number of times, after it has written."""

    def fail(name, error, *, times):
        module, _, function = name.rpartition(".")
        module = __import__(module, fromlist=[function])
        work, failures = getattr(module, function), iter([error] * times)

        def write_and_fail(*arguments, **options):
            result = work(*arguments, **options)
            for failure in failures:
                raise failure
            return result

        monkeypatch.setattr(module, function, write_and_fail)

    return fail


def test_state_contents_and_latest_timestep_are_read(busy, config):
    store = busy.store
    assert state_of(store.load_state(config)) == state_of(busy.state)
    assert len(store.known_contents()) == busy.column("SELECT count(*) FROM image")[0]
    assert store.latest_timestep() == busy.state.latest


def test_new_dataset_has_no_contents(make_dataset):
    store = make_dataset().store
    assert (store.known_contents(), store.latest_timestep()) == (set(), None)


@pytest.mark.usefixtures("quick")
def test_timestep_is_stored_once_when_its_first_attempts_fail(make_dataset, failing):
    dataset = make_dataset()
    failing("trap.db.storing.store_timestep", TransientError("the server is away"), times=2)
    dataset.process(FIELD.image(0, sources(123.0, 10.0)))
    assert dataset.column("SELECT count(*) FROM timestep") == [1]
    assert dataset.column("SELECT count(*) FROM extractedsource") == [1]


@pytest.mark.usefixtures("quick")
def test_timestep_that_keeps_failing_leaves_nothing(make_dataset, failing):
    dataset = make_dataset()
    failing("trap.db.storing.store_timestep", TransientError("the server is away"), times=3)
    with pytest.raises(TransientError, match="the server is away"):
        dataset.process(FIELD.image(0, sources(123.0, 10.0)))
    assert dataset.column("SELECT count(*) FROM image") == [0]


@pytest.mark.usefixtures("quick")
def test_bad_data_is_not_retried(make_dataset, failing):
    dataset = make_dataset()
    failing("trap.db.storing.store_timestep", DatabaseError("no such column"), times=1)
    with pytest.raises(DatabaseError, match="no such column"):
        dataset.process(FIELD.image(0))


@pytest.mark.usefixtures("quick")
def test_metrics_are_refreshed_in_one_retried_transaction(busy, engine, failing):
    with transaction(engine) as connection:
        connection.execute(text("UPDATE varmetric SET lightcurve_max = -1"))
    failing("trap.db.metrics.save_varmetric", TransientError("a deadlock"), times=1)
    busy.store.refresh_metrics()
    assert busy.column("SELECT count(*) FROM varmetric WHERE lightcurve_max = -1") == [0]


def test_failure_and_unreadable_files_are_recorded(make_dataset, engine, ask):
    number = make_dataset().id
    store = Store(engine, number)
    store.record_failure(NOON, "disk full")
    store.store_unreadable([UnreadableImage(url="a.fits", reason="cut short")])
    assert ask(timestep_table, number)["message"].tolist() == ["disk full"]
    assert ask(unreadable_table, number)["reason"].tolist() == ["cut short"]


def test_failure_is_recorded_in_a_single_attempt(make_dataset, engine, failing):
    store = Store(engine, make_dataset().id)
    failing("trap.db.timesteps.record_failure", TransientError("the server is away"), times=1)
    with pytest.raises(TransientError):
        store.record_failure(NOON, "disk full")
