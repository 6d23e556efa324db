from __future__ import annotations

import numpy as np
import pytest
from busy_dataset import FIELD, forced, state_of
from made_up_survey import SEARCHED, sources
from sqlalchemy import text

from trap.association.entries import ENTRY, LightCurveKey
from trap.association.negative_peaks import NegativePeaks
from trap.association.noise_peaks import SearchedArea, noise_peaks
from trap.catalogues import Grade
from trap.db.dataset_state import load_state
from trap.errors import DatasetNotFoundError
from trap.extraction.mesh import Background


def test_loaded_state_equals_the_state_in_memory_to_the_last_bit(busy, ask, config):
    assert state_of(ask(load_state, busy.id, config)) == state_of(busy.state)


def test_resumed_run_ends_in_the_state_of_an_uninterrupted_one(make_dataset):
    unbroken, broken = make_dataset((123.5, 10.5)), make_dataset((123.5, 10.5))
    for day in range(5):
        found = sources([122.0, 122.0, 124.0 + day], [9.999, 10.001, 9.0], flux=[0.1 / 3, 0.4, 0.7 * (day + 1)])
        for dataset in (unbroken, broken):
            dataset.process(FIELD.image(day, found), FIELD.image(day, found.take(slice(1)), freq=180e6), forced=forced)
        broken.reload()
    ours, theirs = (_without_ids(state_of(dataset.state)) for dataset in (unbroken, broken))
    assert ours == theirs


def _without_ids(state):
    entries = np.frombuffer(state["entries"], ENTRY).copy()
    entries["id"] = 0
    looks = {key: [look[1:] for look in best.values()] for key, best in state["looks"].items()}
    kept = {name: state[name] for name in ("fluxes", "history", "monitor_entries", "latest", "searched")}
    return {**kept, "entries": entries.tobytes(), "looks": looks, "bands": state["bands"][0]}


def test_new_dataset_is_empty(make_dataset):
    state = make_dataset().state
    assert len(state.catalogue) == 0
    assert state.latest is None
    assert state.bands == state.regions == []


def test_unknown_dataset_is_refused(ask, config):
    with pytest.raises(DatasetNotFoundError, match="no dataset 7 in the database; it is empty"):
        ask(load_state, 7, config)


def test_candidate_counts_noise_peaks_in_all_images_so_far_also_after_a_resumption(make_dataset):
    steady, found = sources(123.0, 9.0), sources([123.0, 121.0], [9.0, 9.0], flux=[0.015, 0.007])
    # A source of 7 σ at its highest pixel, 1 σ above the threshold.
    found = found.with_columns(significance=[15.0, 7.0])
    expected = {}
    for is_broken in (False, True):
        dataset = make_dataset()
        dataset.process(FIELD.image(0, steady), FIELD.image(0, steady, freq=180e6), forced=forced)
        if is_broken:
            dataset.reload()
        # A rejected image is not searched, and an image of another band has noise of its own.
        dataset.process(FIELD.image(1, steady), FIELD.image(1, steady, stokes=4), forced=forced)
        dataset.process(FIELD.image(2, found), forced=forced)
        (row,) = dataset.rows(
            "SELECT n.noise_peaks, n.grade FROM newsource n JOIN runningcatalog r ON r.id = n.runcat"
            " WHERE r.dataset = :dataset"
        )
        expected[is_broken] = row["noise_peaks"], row["grade"]
    so_far = SearchedArea(n_pixels=3 * SEARCHED.n_pixels, n_beams=3 * SEARCHED.n_beams)
    assert expected[False] == expected[True] == (float(noise_peaks(7.0, so_far)), Grade.LIKELY)


def test_negative_peaks_of_images_are_those_of_the_database(make_dataset, ask):
    dataset, negative = make_dataset(), NegativePeaks.at([123.0, 123.5], [10.0, 10.5], [0.5, 2.0], beam=0.01)
    background = Background(
        mesh_mean=np.zeros((1, 1), np.float32),
        mesh_rms=np.ones((1, 1), np.float32),
        shape=(2048, 2048),
        origin=(0, 0),
        extent=(2048, 2048),
        cell=(2048, 2048),
    )
    for day in range(2):
        dataset.process(FIELD.image(day, sources(123.0, 9.0), background=background, negative=negative), forced=forced)
    ours, theirs = (
        state.looks._negative.sums(LightCurveKey(0, 1), NegativePeaks.empty())
        for state in (dataset.state, ask(load_state, dataset.id, dataset.config))
    )
    assert ours.n.tolist() == theirs.n.tolist() == [2, 2]
    assert ours.tile.tolist() == theirs.tile.tolist()
    assert sorted(ours.depth.tolist()) == sorted(theirs.depth.tolist()) == [1.0, 4.0]


def test_area_of_images_of_earlier_versions_is_that_of_all_pixels(make_dataset, ask):
    dataset = make_dataset()
    dataset.process(FIELD.image(0, sources(123.0, 9.0)), forced=forced)
    image = dataset.rows("SELECT id, deltax, deltay, rb_smaj, rb_smin FROM image")[0]
    with dataset.engine.begin() as connection:
        connection.execute(text("UPDATE image SET n_pixels = NULL, n_beams = NULL, n_negative = NULL"))
        connection.execute(
            text(
                "INSERT INTO rmsmap (image, nx, ny, origin_x, origin_y, extent_x, extent_y, cell_x, cell_y, mesh_nx,"
                " mesh_ny, mesh_mean, mesh_rms) VALUES (:id, 200, 100, 0, 0, 200, 100, 200, 100, 1, 1, :mesh, :mesh)"
            ),
            {"id": image["id"], "mesh": np.ones(1, "<f4").tobytes()},
        )
    state = ask(load_state, dataset.id, dataset.config)
    n_beams = 20_000 * image["deltay"] ** 2 / (2 * image["rb_smaj"] * 2 * image["rb_smin"])
    assert state.looks.searched(LightCurveKey(0, 1)) == SearchedArea(
        n_pixels=20_000,
        n_beams=round(n_beams),
        threshold=dataset.config.source_extraction.detection_threshold,
        cell_pixels=20_000,
    )
