"""Datasets, images and timesteps on their way into the database."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from made_up_survey import Field, sources
from sqlalchemy import text

from trap.catalogues import MonitorPositions
from trap.dataset.state import DatasetState
from trap.errors import ConfigError, DatasetNotFoundError
from trap.images.image import Image
from trap.quality import Rejection, RejectReason
from trap.steps import association, persistence, quality


def test_create_dataset_makes_a_new_one_each_time(engine, config):
    assert persistence.create_dataset(engine, config) != persistence.create_dataset(engine, config)


def test_create_dataset_opens_an_old_one(engine, config):
    made = persistence.create_dataset(engine, config)
    again = config.with_options(persistence={"dataset_id": made, "description": "another name"})
    assert persistence.create_dataset(engine, again) == made


def test_old_dataset_refuses_other_settings_and_names_them(engine, config):
    made = persistence.create_dataset(engine, config)
    other = config.with_options(persistence={"dataset_id": made}, source_extraction={"force_beam": True})
    with pytest.raises(ConfigError, match="source_extraction.force_beam is True instead of False"):
        persistence.create_dataset(engine, other)


def test_old_dataset_can_be_extended_with_new_monitored_positions(engine, config):
    made = persistence.create_dataset(engine, config)
    monitors = MonitorPositions.of(ra=[1.0], dec=[2.0], name="m")
    again = persistence.create_dataset(engine, config.with_options(persistence={"dataset_id": made}), monitors)
    assert again == made


def test_missing_dataset_is_named(engine, config):
    with pytest.raises(DatasetNotFoundError, match="no dataset 7"):
        persistence.create_dataset(engine, config.with_options(persistence={"dataset_id": 7}))


def test_accessors_are_lazy(tmp_path):
    (image,) = persistence.get_accessors([tmp_path / "not there.fits"])
    assert isinstance(image, Image)


def test_metadata_comes_with_the_noise(image):
    ((metadata, noise),) = persistence.extract_metadatas([image], 4.0, 8)
    assert metadata == image.metadata
    # The simulated noise is 100 µJy/beam; 32² pixels hold some forty beams.
    assert noise == pytest.approx(1e-4, rel=0.3)


def test_paths_to_fits_gives_pixels_and_header(survey_images):
    pairs = list(persistence.paths_to_fits(survey_images[:2]))
    assert [pixels.shape for pixels, _ in pairs] == [(128, 128)] * 2
    assert all("BMAJ" in header for _, header in pairs)


def test_images_are_stored_with_band_region_and_rejection(engine, config):
    dataset_id = persistence.create_dataset(engine, config)
    survey = DatasetState(config=config)
    rejected = Field().image(0).rejected(Rejection(reason=RejectReason.BEAM, comment="too long"))
    records = association.associate_extracted_sources(survey, [rejected, Field().image(0, freq=180e6)])
    with engine.begin() as connection:
        ids = persistence.store_images_in_db(connection, dataset_id, records, survey)
        quality.reject_image(connection, ids.images[1], RejectReason.FLAT, "by hand")
        query = "SELECT i.id, i.band, i.skyrgn, r.rejectreason, r.comment FROM image i"
        rows = connection.execute(text(f"{query} JOIN rejection r ON r.image = i.id ORDER BY i.id")).all()
    assert [tuple(row) for row in rows] == [
        (ids.images[0], ids.bands[0], ids.regions[0], 1, "too long"),
        (ids.images[1], ids.bands[1], ids.regions[0], 5, "by hand"),
    ]


def test_measurement_without_all_errors_is_not_stored(make_dataset):
    dataset = make_dataset()
    good = sources([123.0, 124.0], 10.0)
    spoilt = replace(good, f_int_err=np.array([5e-4, math.inf]))
    (record,) = dataset.process(Field().image(0, spoilt))
    assert (len(record.measurements), record.n_dropped) == (1, 1)
