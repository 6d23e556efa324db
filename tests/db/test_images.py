from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from busy_dataset import FIELD, MESH
from made_up_survey import PIXEL, START

from trap.dataset.records import UnreadableImage
from trap.db import images
from trap.db.datasets import store_unreadable
from trap.db.engine import transaction
from trap.db.overview import frequency_bands, image_table, unreadable_table
from trap.quality import Rejection, RejectReason


def test_image_is_described_in_the_units_of_trap(make_dataset):
    dataset = make_dataset()
    dataset.process(replace(FIELD.image(0), rms_qc=1 / 3, background=MESH))
    (row,) = dataset.rows("SELECT * FROM image")
    # Semi-axes in degrees: 2.7 and 2.3 pixels, position angle 1.7 rad.
    assert row["rb_smaj"] == pytest.approx(2.7 * PIXEL)
    assert row["rb_smin"] == pytest.approx(2.3 * PIXEL)
    assert row["rb_pa"] == pytest.approx(np.degrees(1.7))
    assert row["fwhm_arcsec"] == pytest.approx(5.4 * PIXEL * 3600)
    assert row["fov_degrees"] == pytest.approx(20.0)
    assert (row["rms_qc"], row["rms_min"], row["rms_max"]) == (1 / 3, 1e-4, 3e-4)
    assert (row["detection_thresh"], row["analysis_thresh"]) == (6.0, 3.0)
    assert row["telescope"] is None


def test_image_without_beam_is_stored_with_its_rejection(make_dataset, ask):
    dataset = make_dataset()
    image = FIELD.image(0)
    blind = replace(image, metadata=replace(image.metadata, beam=None), rms_qc=np.nan)
    dataset.process(blind.rejected(Rejection(reason=RejectReason.BEAM, comment="no beam")))
    table = ask(image_table, dataset.id)
    assert (table["reason"][0], table["comment"][0]) == ("beam invalid", "no beam")
    assert np.isnan(table["rms_qc"][0])
    (row,) = dataset.rows("SELECT rb_smaj, rms_min, detection_thresh FROM image")
    assert set(row.values()) == {None}


def test_mesh_of_background_and_noise_comes_back_to_the_last_bit(make_dataset, ask):
    dataset = make_dataset()
    dataset.process(replace(FIELD.image(0), background=MESH), FIELD.image(0, freq=180e6))
    first, second = ask(image_table, dataset.id)["id"].tolist()
    back = ask(images.load_background, first)
    for name in ("mesh_mean", "mesh_rms"):
        assert getattr(back, name).tobytes() == getattr(MESH, name).tobytes()
    assert back.rms_at(60.0, 30.0) == MESH.rms_at(60.0, 30.0)
    assert back.rms_map().shape == (80, 130)
    assert back.correlation is None
    assert ask(images.load_background, second) is None


def test_correlation_of_the_noise_is_stored_to_the_last_bit(make_dataset, ask):
    correlation = np.random.default_rng(2).random((7, 7))
    dataset = make_dataset()
    dataset.process(replace(FIELD.image(0), background=replace(MESH, correlation=correlation)))
    (image,) = ask(image_table, dataset.id)["id"].tolist()
    assert np.array_equal(ask(images.load_background, image).correlation, correlation)


def test_bands_and_regions_are_made_once(busy, ask):
    bands = ask(frequency_bands, busy.id)
    assert bands["freq_central"].tolist() == [140e6, 180e6]
    (region,) = busy.rows("SELECT * FROM skyregion")
    assert (region["centre_ra"], region["centre_decl"], region["xtr_radius"]) == (123.0, 10.0, 10.0)
    assert np.hypot(np.hypot(region["x"], region["y"]), region["z"]) == pytest.approx(1.0)


def test_rejections_can_be_added_listed_and_taken_back(busy, engine, ask):
    first = ask(image_table, busy.id)["id"][0].item()
    assert ask(images.rejections_of, first) == []
    with transaction(engine) as connection:
        images.reject(connection, first, RejectReason.RMS, "10 times too high")
        images.reject(connection, first, RejectReason.FLAT, "all zero")
    assert ask(images.rejections_of, first) == ["RMS invalid: 10 times too high", "data is flat: all zero"]
    with transaction(engine) as connection:
        images.unreject(connection, first)
    assert ask(images.rejections_of, first) == []


def test_image_that_could_not_be_read_before_is_no_longer_listed(make_dataset, engine, ask):
    dataset = make_dataset()
    files = [UnreadableImage(url=url, reason="r") for url in (FIELD.image(0).metadata.url, "other")]
    with transaction(engine) as connection:
        store_unreadable(connection, dataset.id, files)
    dataset.process(FIELD.image(0))
    assert ask(unreadable_table, dataset.id)["url"].tolist() == ["other"]


def test_images_of_a_dataset_come_in_order_of_time_and_frequency(busy, ask):
    table = ask(image_table, busy.id)
    assert table["taustart_ts"][0] == np.datetime64(START.replace(tzinfo=None))
    assert (np.diff(table["taustart_ts"]) >= np.timedelta64(0)).all()
    assert table["freq_eff"].tolist() == [140e6, 180e6, 140e6, 140e6, 180e6, 140e6, 180e6]
    assert table["reason"].tolist() == [None] * 5 + ["RMS invalid", None]
