from __future__ import annotations

import pytest
from busy_dataset import FIELD
from sqlalchemy import text

from trap.db import datasets, runs
from trap.db.engine import transaction
from trap.db.resume import find_resumable


@pytest.fixture
def find(engine, config):
    def run(*urls, **persistence_options):
        with transaction(engine) as connection:
            return find_resumable(connection, config.with_options(persistence=persistence_options), urls)

    return run


def test_dataset_that_holds_any_of_the_images_is_gone_on_with(make_dataset, find):
    dataset, later = make_dataset(), make_dataset()
    dataset.process(FIELD.image(0))
    url = dataset.column("SELECT url FROM image")[0]
    assert find("unknown") is None
    assert find("unknown", url) == dataset.id
    later.process(FIELD.image(0))
    assert find(url) == later.id  # the newest


def test_dataset_is_found_by_the_folder_of_images_that_arrive_later(make_dataset, config, engine):
    dataset = make_dataset()
    dataset.process(FIELD.image(0))
    holding = ["/data/10%_in/*", "/data/10%_in/x*y*", "/data/10%*in/*"]
    others = ["/data/10%_i/*", "/data/1%_in/*", "/data/10x_in/*", "/data/10%xin/*", "/data/10%_in/", "/data/10\\%_in/*"]
    with transaction(engine) as connection:
        connection.execute(text("UPDATE image SET url = '/data/10%_in/x-y.fits'"))
        assert [find_resumable(connection, config, [], [pattern]) for pattern in holding] == [dataset.id] * 3
        assert [find_resumable(connection, config, [], [pattern]) for pattern in others] == [None] * 6


def test_dataset_is_found_under_any_description(make_dataset, engine, find):
    dataset, later = make_dataset(), make_dataset()
    for one in (dataset, later):
        one.process(FIELD.image(0))
    url = dataset.column("SELECT url FROM image")[0]
    with transaction(engine) as connection:
        datasets.rename_dataset(connection, later.id, "first try")
    assert find(url, description="another") == later.id
    assert (
        find(url, description="TraP dataset") == dataset.id
    )  # its own description counts among datasets of these images


def test_renamed_dataset_is_found_by_the_description_of_its_run(make_dataset, engine, config, find):
    renamed = make_dataset()
    renamed.process(FIELD.image(0))
    url = renamed.column("SELECT url FROM image")[0]
    other = {"source_extraction": {"detection_threshold": 7.0}}
    with transaction(engine) as connection:
        runs.start_run(connection, renamed.id, config)
        datasets.rename_dataset(connection, renamed.id, "first try")
        # Found, so that the caller refuses the other settings; a description of its own starts another dataset.
        assert find_resumable(connection, config.with_options(**other), [url]) == renamed.id
        another = config.with_options(persistence={"description": "deeper"}, **other)
        assert find_resumable(connection, another, [url]) is None


def test_dataset_of_the_same_settings_is_preferred_to_a_newer_one(make_dataset, engine, config):
    dataset, later = make_dataset(), make_dataset()
    for one in (dataset, later):
        one.process(FIELD.image(0))
    urls = dataset.column("SELECT url FROM image")
    with transaction(engine) as connection:
        connection.execute(
            text(f"UPDATE config SET value = '7.0' WHERE key = 'detection_threshold' AND dataset = {later.id}")
        )
        assert find_resumable(connection, config, urls) == dataset.id


def test_dataset_without_images_is_found_by_the_images_of_its_run(make_dataset, engine, config):
    dataset = make_dataset()
    resumed = config.with_options(execution={"images": ("a*.fits",)})
    with transaction(engine) as connection:
        runs.start_run(connection, dataset.id, resumed)
        assert find_resumable(connection, resumed, ["a1.fits"]) == dataset.id
        assert find_resumable(connection, config.with_options(execution={"images": ("b*.fits",)}), ["b.fits"]) is None


def test_dataset_that_is_being_deleted_is_not_gone_on_with(make_dataset, engine, find):
    dataset = make_dataset()
    dataset.process(FIELD.image(0))
    url = dataset.column("SELECT url FROM image")[0]
    with transaction(engine) as connection:
        datasets.finish_dataset(connection, dataset.id, "deleting")
    assert find(url) is None
