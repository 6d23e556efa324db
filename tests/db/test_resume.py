from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from busy_dataset import FIELD

from trap.db import datasets, runs
from trap.db.engine import transaction
from trap.db.resume import find_resumable
from trap.db.timesteps import store_timestep
from trap.errors import DatasetLockedError


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
    assert find(url, description="another") is None
    later.process(FIELD.image(0))
    assert find(url) == later.id  # the newest


def test_dataset_without_images_is_known_by_those_its_run_was_asked_for(make_dataset, engine, config):
    dataset = make_dataset()
    asked = config.with_options(execution={"images": ("a*.fits",)})
    with transaction(engine) as connection:
        runs.start_run(connection, dataset.id, asked)
        assert find_resumable(connection, asked, ["a1.fits"]) == dataset.id
        assert find_resumable(connection, config.with_options(execution={"images": ("b*.fits",)}), ["b.fits"]) is None


def test_dataset_that_is_being_deleted_is_not_gone_on_with(make_dataset, engine, find):
    dataset = make_dataset()
    dataset.process(FIELD.image(0))
    url = dataset.column("SELECT url FROM image")[0]
    with transaction(engine) as connection:
        datasets.finish_dataset(connection, dataset.id, "deleting")
    assert find(url) is None


def test_timestep_stored_by_an_attempt_that_was_cut_off_is_not_stored_again(make_dataset, engine, monkeypatch):
    dataset = make_dataset()
    dataset.process(FIELD.image(0))
    answers = []

    def cut_off(connection, *given):
        """Store the timestep, and store it again as one who never heard of it."""
        answers.append(store_timestep(connection, *given))
        answers.append(store_timestep(connection, *given))
        return answers[0]

    monkeypatch.setattr("trap.db.timesteps.store_timestep", cut_off)
    dataset.process(FIELD.image(1))
    assert answers[0] is not None
    assert answers[1] is None


def test_timestep_after_which_another_run_has_stored_one_is_refused(make_dataset):
    dataset = make_dataset()
    dataset.process(FIELD.image(0))
    stale = dataset.state
    dataset.reload()
    dataset.process(FIELD.image(1))
    dataset.state = stale
    for day in (2, 1):
        other = FIELD.image(day)
        other = replace(other, content_hash=f"{day}, other")
        with pytest.raises(DatasetLockedError, match="another run has written dataset .* nothing of .* is stored"):
            dataset.process(other)
        dataset.reload()
        dataset.state.latest -= timedelta(days=1)
