from __future__ import annotations

from dataclasses import replace

import pytest
from busy_dataset import FIELD, MESH
from made_up_survey import Field, sources
from sqlalchemy import text, update

from trap.dataset.dropped import DROP_REASONS
from trap.db.engine import transaction
from trap.db.models import Dataset
from trap.db.overview import dataset_summary, frequency_bands, images_near, list_datasets, same_field
from trap.errors import DatasetNotFoundError


def test_summary_counts_the_rows_of_its_dataset_alone(busy, make_dataset, ask):
    make_dataset().process(FIELD.image(0, sources(10.0, 10.0)))
    summary = ask(dataset_summary, busy.id)
    counted = {name: value for name, value in summary.items() if name.startswith("n_")}
    in_database = busy.column(
        "SELECT count(*) FROM extractedsource e JOIN image i ON i.id = e.image WHERE i.dataset = :dataset"
    )
    assert counted.pop("n_blind") + counted.pop("n_forced") == in_database[0]
    assert counted == {
        "n_timesteps": 4,
        "n_failed": 0,
        "n_images": 7,
        "n_rejected": 1,
        "n_unreadable": 0,
        "n_entries": len(busy.entries()),
        "n_newsources": 1,
        "n_likely": 1,
        **dict.fromkeys(DROP_REASONS, 0),
    }


def test_datasets_are_listed_the_oldest_first_with_empty_ones(busy, make_dataset, ask):
    empty = make_dataset()
    listed = ask(list_datasets)
    assert [dataset["id"] for dataset in listed] == [busy.id, empty.id]
    assert listed[1]["n_images"] == 0
    assert listed[0] == ask(dataset_summary, busy.id)


def test_summary_of_an_unknown_dataset_is_refused(ask):
    with pytest.raises(DatasetNotFoundError):
        ask(dataset_summary, 1)


def test_bands_come_lowest_first(make_dataset, ask):
    dataset = make_dataset()
    dataset.process(FIELD.image(0, freq=180e6), FIELD.image(0, freq=140e6))
    bands = ask(frequency_bands, dataset.id)
    assert bands["freq_central"].tolist() == [140e6, 180e6]
    assert (bands["freq_high"] - bands["freq_low"]).tolist() == [2e6, 2e6]


def test_same_field_needs_a_common_region_band_and_settings(make_dataset, ask, engine, config):
    first, later = make_dataset(), make_dataset()
    first.process(FIELD.image(0))
    later.process(FIELD.image(7))
    assert ask(same_field, later.id) == [(first.id, "TraP dataset")]
    elsewhere, other_band = make_dataset(), make_dataset()
    elsewhere.process(Field(centre=(123.0, -40.0)).image(0))
    other_band.process(FIELD.image(0, freq=180e6))
    assert ask(same_field, elsewhere.id) == ask(same_field, other_band.id) == []
    with transaction(engine) as connection:
        connection.execute(update(Dataset).where(Dataset.id == first.id).values(config_hash="other"))
    assert ask(same_field, later.id) == []


def test_images_near_a_position_are_found_by_their_region_or_their_size(make_dataset, ask, engine):
    dataset = make_dataset()
    here, there = Field(radius=2.0), Field(centre=(300.0, -60.0), radius=2.0)
    dataset.process(here.image(0))
    dataset.process(replace(there.image(1), background=MESH))
    first, second = dataset.column("SELECT id FROM image ORDER BY id")

    def near(ra, dec, radius=0.0):
        return ask(images_near, [dataset.id], ra, dec, radius=radius).tolist()

    assert (near(124.0, 10.5), near(301.0, -60.5), near(180.0, 0.0)) == ([first], [second], [])
    assert (near(123.0, 19.0), near(123.0, 19.0, 4.0), near(0.0, 0.0, 180.0)) == ([], [first], [first, second])
    assert near(300.0, -53.0) == []
    with transaction(engine) as connection:
        # Now the corners of the image are 8 deg from its middle.
        connection.execute(text("UPDATE rmsmap SET nx = 5000, ny = 5000"))
    assert near(300.0, -53.0) == [second]
