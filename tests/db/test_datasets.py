from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, func, select

import trap
from trap.catalogues import MonitorPositions
from trap.config import Given, PipelineConfig
from trap.dataset.records import UnreadableImage
from trap.db import datasets, monitors, timesteps
from trap.db.engine import reading, transaction
from trap.db.models import Base, Config, Dataset, Monitor, Timestep
from trap.db.overview import dataset_summary, timestep_table, unreadable_table
from trap.errors import DatabaseError, DatasetNotFoundError
from trap.quality import RejectReason

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def test_settings_come_back_as_they_went_in(engine, ask):
    config = PipelineConfig().with_options(
        persistence={"description": 'a "name", really', "band_tolerance": 1 / 3},
        source_extraction={"force_beam": False, "back_size_x": 17},
    )
    with transaction(engine) as connection:
        number = datasets.insert_dataset(connection, config)
    stored = ask(datasets.stored_config, number)
    assert stored.science_items() == config.science_items()
    assert stored.source_extraction.force_beam is False
    assert stored.science_hash == ask(datasets.find_dataset, number)["config_hash"]


def test_truth_values_come_back_as_such_whichever_they_are(engine, ask):
    for value in (True, False):
        with transaction(engine) as connection:
            config = PipelineConfig().with_options(source_extraction={"force_beam": value})
            number = datasets.insert_dataset(connection, config)
        assert ask(datasets.stored_config, number).source_extraction.force_beam is value


def test_setting_of_another_kind_is_refused():
    with pytest.raises(TypeError, match=r"not \{'a'\}"):
        datasets._typed_text({"a"})


def test_what_is_given_for_the_headers_comes_back_as_it_was(engine, ask):
    given = Given(match="lba_*.fits", bmaj=0.02, bmin=0.01, taustart_ts="2021-02-03T04:05:06")
    config = PipelineConfig().with_options(reading={"given": [given.model_dump()]})
    with transaction(engine) as connection:
        number = datasets.insert_dataset(connection, config)
    assert ask(datasets.stored_config, number) == config


def test_dataset_says_how_it_was_made(make_dataset, ask, config):
    row = ask(datasets.find_dataset, make_dataset().id)
    assert row["state"] == "running"
    assert row["software_version"] == trap.__version__
    assert (row["detection_threshold"], row["assoc_radius"]) == (6.0, 3.717)
    assert abs(row["process_start_ts"] - datetime.now(UTC)) < timedelta(minutes=1)


def test_unknown_dataset_is_refused_with_those_there_are(make_dataset, ask):
    known = [make_dataset().id, make_dataset().id]
    with pytest.raises(DatasetNotFoundError, match=f"no dataset 99 in the database; it holds {known[0]}, {known[1]}"):
        ask(datasets.stored_config, 99)


def test_opening_counts_and_finishing_is_noted(make_dataset, engine, ask):
    number = make_dataset().id
    with transaction(engine) as connection:
        datasets.finish_dataset(connection, number, "partial")
    assert ask(datasets.find_dataset, number)["state"] == "partial"
    with transaction(engine) as connection:
        assert datasets.reopen_dataset(connection, number) == number
    row = ask(datasets.find_dataset, number)
    assert (row["state"], row["rerun"]) == ("running", 1)
    assert row["process_end_ts"] is not None


def test_failure_is_recorded_once_with_its_newest_reason(make_dataset, engine, ask):
    number = make_dataset().id
    for reason in ("first", "second"):
        with transaction(engine) as connection:
            timesteps.record_failure(connection, number, NOON, reason)
    table = ask(timestep_table, number)
    assert table["state"].tolist() == ["failed"]
    assert table["message"].tolist() == ["second"]
    assert ask(timesteps.latest_timestep, number) is None


def test_success_replaces_a_failure_and_no_failure_replaces_a_success(make_dataset, engine, ask):
    number = make_dataset().id
    with transaction(engine) as connection:
        timesteps.record_failure(connection, number, NOON, "at first")
        timesteps.insert_timestep(connection, number, NOON, {"n_images": 2}, {"read": 0.5})
        timesteps.record_failure(connection, number, NOON, "too late")
    table = ask(timestep_table, number)
    assert table["state"].tolist() == ["done"]
    assert table["message"].tolist() == [None]
    assert ask(timesteps.latest_timestep, number) == NOON


def test_timestep_is_stored_only_once(make_dataset, engine):
    number = make_dataset().id
    with transaction(engine) as connection:
        timesteps.insert_timestep(connection, number, NOON, {"n_images": 1}, {})
    with pytest.raises(DatabaseError, match=r"(?i)unique"), transaction(engine) as connection:
        timesteps.insert_timestep(connection, number, NOON, {"n_images": 1}, {})


def test_timestep_without_a_readable_image_gives_way_to_one_with(make_dataset, engine, ask):
    number = make_dataset().id
    with transaction(engine) as connection:
        timesteps.insert_timestep(connection, number, NOON, {"n_images": 0}, {})
    assert ask(timesteps.latest_timestep, number) is None
    with transaction(engine) as connection:
        timesteps.insert_timestep(connection, number, NOON, {"n_images": 1}, {})
    assert ask(timesteps.latest_timestep, number) == NOON


@pytest.mark.parametrize(("fails", "state"), [(False, "done"), (True, "partial")])
def test_dataset_that_misses_a_timestep_is_partial(make_dataset, engine, ask, fails, state):
    number = make_dataset().id
    with transaction(engine) as connection:
        if fails:
            timesteps.record_failure(connection, number, NOON, "disk full")
        datasets.finish_dataset(connection, number, "done")
    assert ask(datasets.find_dataset, number)["state"] == state


def test_unreadable_files_are_listed_with_their_newest_reason(make_dataset, engine, ask):
    number = make_dataset().id
    for reason in ("empty", "cut short"):
        files = [UnreadableImage(url=url, reason=reason) for url in ("b.fits", "a.fits", "a.fits")]
        with transaction(engine) as connection:
            datasets.store_unreadable(connection, number, files)
    table = ask(unreadable_table, number)
    assert list(zip(table["url"], table["reason"], strict=True)) == [("a.fits", "cut short"), ("b.fits", "cut short")]


def test_monitored_positions_are_added_in_order(make_dataset, engine, ask, config):
    number = make_dataset((1.0, 2.0)).id
    with transaction(engine) as connection:
        monitors.add_monitors(connection, number, MonitorPositions.of(ra=[3.0], dec=[-4.0], name=["Cas A"]))
        monitors.add_monitors(connection, number, MonitorPositions.empty())
    with reading(engine) as connection:
        rows = connection.execute(select(Monitor.ra, Monitor.decl, Monitor.name).order_by(Monitor.id)).all()
    assert rows == [(1.0, 2.0, "somewhere"), (3.0, -4.0, "Cas A")]


def test_contents_of_all_images_are_known_rejected_ones_too(busy, ask):
    assert len(ask(datasets.processed_hashes, busy.id)) == 7 == ask(dataset_summary, busy.id)["n_images"]


def test_deleting_a_dataset_deletes_all_that_hangs_on_it_and_nothing_else(busy, make_dataset, engine, config):
    other = make_dataset((1.0, 2.0)).id
    with transaction(engine) as connection:
        connection.execute(delete(Dataset).where(Dataset.id == busy.id))
    with reading(engine) as connection:
        left = {t.name: connection.execute(select(func.count()).select_from(t)).scalar_one() for t in _tables()}
        assert connection.execute(select(Dataset.id)).scalars().all() == [other]
        assert connection.execute(select(Config.dataset).distinct()).scalars().all() == [other]
    assert {name: n for name, n in left.items() if n} == {
        "config": len(config.science_items()),
        "dataset": 1,
        "monitor": 1,
        "rejectreason": len(RejectReason),
        "version": 1,
    }


def _tables():
    return Base.metadata.tables.values()


def test_every_table_has_rows_in_the_busy_dataset_but_those_nothing_fills(busy, engine):
    with reading(engine) as connection:
        empty = {t.name for t in _tables() if not connection.execute(select(func.count()).select_from(t)).scalar_one()}
    assert empty == {"arrival", "imagedata", "run", "unreadableimage"}
    with reading(engine) as connection:
        assert connection.execute(select(func.count()).where(Timestep.state == "done")).scalar_one() == 4
