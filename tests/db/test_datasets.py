from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete, func, select, text

import trap
from trap.config import Given, PipelineConfig
from trap.dataset.records import UnreadableImage
from trap.db import datasets, timesteps
from trap.db.engine import reading, transaction
from trap.db.models import Base, Config, Dataset, Timestep
from trap.db.overview import dataset_summary, unreadable_table
from trap.errors import DatasetNotFoundError
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


def test_header_overrides_are_read_back_unchanged(engine, ask):
    given = Given(match="lba_*.fits", bmaj=0.02, bmin=0.01, taustart_ts="2021-02-03T04:05:06")
    config = PipelineConfig().with_options(reading={"given": [given.model_dump()]})
    with transaction(engine) as connection:
        number = datasets.insert_dataset(connection, config)
    assert ask(datasets.stored_config, number) == config


def test_dataset_has_the_settings_and_version_it_was_made_with(make_dataset, ask, config):
    row = ask(datasets.find_dataset, make_dataset().id)
    assert row["state"] == "running"
    assert row["software_version"] == trap.__version__
    assert (row["detection_threshold"], row["assoc_radius"]) == (6.0, 3.717)
    assert abs(row["process_start_ts"] - datetime.now(UTC)) < timedelta(minutes=1)


def test_unknown_dataset_is_refused_with_a_list_of_existing_ones(make_dataset, ask):
    known = [make_dataset().id, make_dataset().id]
    with pytest.raises(DatasetNotFoundError, match=f"no dataset 99 in the database; it holds {known[0]}, {known[1]}"):
        ask(datasets.stored_config, 99)


def test_reopening_is_counted_and_the_end_is_recorded(make_dataset, engine, ask):
    number = make_dataset().id
    with transaction(engine) as connection:
        datasets.finish_dataset(connection, number, "partial")
    assert ask(datasets.find_dataset, number)["state"] == "partial"
    with transaction(engine) as connection:
        assert datasets.reopen_dataset(connection, number) == number
    row = ask(datasets.find_dataset, number)
    assert (row["state"], row["rerun"]) == ("running", 1)
    assert row["process_end_ts"] is not None


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


def test_contents_of_all_images_are_known_rejected_ones_too(busy, ask):
    assert len(ask(datasets.processed_hashes, busy.id)) == 7 == ask(dataset_summary, busy.id)["n_images"]


def test_deleting_a_dataset_deletes_its_rows_and_no_others(busy, make_dataset, engine, config):
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


def test_every_table_has_rows_in_the_busy_dataset_except_unused_ones(busy, engine):
    with reading(engine) as connection:
        empty = {t.name for t in _tables() if not connection.execute(select(func.count()).select_from(t)).scalar_one()}
    unused = {
        "arrival", "epochcorrelation", "imagedata", "positionfit", "positionpoint", "ratedcandidate", "rating", "run",
        "unreadableimage",
    }  # fmt: skip
    assert empty == unused
    with reading(engine) as connection:
        assert connection.execute(select(func.count()).where(Timestep.state == "done")).scalar_one() == 4


def test_dataset_of_a_version_without_one_to_one_association_keeps_its_forks(engine):
    config = PipelineConfig()
    with transaction(engine) as connection:
        numbers = [
            datasets.insert_dataset(connection, config.with_options(association={"method": method}))
            for method in ("one-to-one", "trap")
        ]
        for number, method in zip(numbers, ("one-to-one", "trap"), strict=True):
            assert datasets.stored_config(connection, number).association.method == method
            assert datasets.continued_config(connection, number, config).association.method == "one-to-one"
        connection.execute(delete(Config).where(Config.dataset == numbers[0], Config.key == "method"))
        old, continued = (
            datasets.stored_config(connection, numbers[0]),
            datasets.continued_config(connection, numbers[0], config),
        )
        assert (old.association.method, continued.association.method) == ("trap", "trap")
        assert continued.differences(old) == []


def test_dataset_of_a_version_without_calibration_is_continued_without_it(make_dataset, engine, config):
    dataset = make_dataset()
    strict = config.with_options(source_extraction={"ew_sys_err": 3.0})
    with transaction(engine) as connection:
        assert datasets.continued_config(connection, dataset.id, config) == config
        # As the upgrade leaves such a dataset.
        connection.execute(
            text("DELETE FROM config WHERE section = 'calibration' AND key NOT IN ('positions', 'flux_scale')")
        )
        connection.execute(text("UPDATE config SET value = 'off' WHERE section = 'calibration'"))
        connection.execute(text("UPDATE config SET value = '0.0', type = 'float' WHERE key LIKE '%_sys_err'"))
        continued = datasets.continued_config(connection, dataset.id, config)
        assert (continued.calibration.positions, continued.calibration.flux_scale) == ("off", "off")
        assert (continued.source_extraction.ew_sys_err, continued.source_extraction.ns_sys_err) == (0.0, 0.0)
        assert datasets.continued_config(connection, dataset.id, strict).source_extraction.ew_sys_err == 3.0
