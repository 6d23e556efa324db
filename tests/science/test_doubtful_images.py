"""Spoilt images in a survey are left out and make no candidate; good images are never left out."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from sqlalchemy import create_engine

from trap.config import PipelineConfig
from trap.db.comparison import Side, Tolerances, compare_datasets
from trap.db.engine import reading
from trap.pipeline import open_run, run_locally
from trap.simulation.survey import SurveyConfig, simulate_survey
from trap.workers.executors import SerialExecutor

SURVEY = {"n_timesteps": 20, "n_bands": 1, "size": 256, "n_steady": 25, "n_variables": 2, "n_transients": 3}


def settings(images, database, **sections):
    execution = {"images": tuple(map(str, images)), "database": f"sqlite:///{database}", "n_workers": 2}
    return PipelineConfig().with_options(execution=execution, **sections)


def spoil(path, change):
    with fits.open(path, mode="update") as hdus:
        hdus[0].data = change(hdus[0].data).astype(np.float32)


def noisy(pixels):
    """Raise the noise a hundredfold."""
    return pixels + np.random.default_rng(5).normal(0, 1e-2, pixels.shape)


def displaced(pixels):
    return np.roll(pixels, 100, axis=-1)


def scaled_and_displaced(pixels):
    return 1000 * displaced(pixels)


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    """A survey with a spoilt image at the very start, and three later."""
    survey = simulate_survey(tmp_path_factory.mktemp("survey"), SurveyConfig(seed=11, **SURVEY))
    changes = {0: scaled_and_displaced, 6: noisy, 11: scaled_and_displaced, 15: displaced}
    for number, change in changes.items():
        spoil(survey.images[number], change)
    return survey, {str(survey.images[number]): change for number, change in changes.items()}


@pytest.fixture(scope="module")
def run_of_spoilt(spoilt, tmp_path_factory):
    """The outcome of a run over the spoilt survey, and its database."""
    database = tmp_path_factory.mktemp("run") / "trap.db"
    return run_locally(settings(spoilt[0].images, database)), database


def test_spoilt_images_alone_are_left_out_with_figures_and_settings(spoilt, run_of_spoilt):
    (_, changes), (summary, _) = spoilt, run_of_spoilt
    reasons = dict(summary.left_out)
    assert reasons.keys() == changes.keys()
    for url, change in changes.items():
        if change is displaced:
            assert reasons[url].startswith("sources unlike earlier ones: ")
            assert "quality.max_new_s" in reasons[url]
        else:
            assert reasons[url].startswith("RMS invalid: ")
            assert "other images 0.0001" in reasons[url]
            assert "quality.rms_rej_factor" in reasons[url]


def test_candidates_of_a_spoilt_survey_are_the_true_transients(spoilt, run_of_spoilt):
    (survey, _), (summary, _) = spoilt, run_of_spoilt
    truth = survey.truth.sources
    is_steady = np.asarray(truth["kind"] == "steady")
    found = [image.measurements.take(image.new_sources.measurement) for image in summary.images]
    ra, dec = (np.concatenate([getattr(sources, name) for sources in found]) for name in ("ra", "dec"))
    east = (ra[:, None] - np.asarray(truth["ra"]) + 180) % 360 - 180
    offset = np.hypot(east * np.cos(np.radians(45)), dec[:, None] - np.asarray(truth["dec"])) * 3600
    # Within half a beam, 12 arcsec.
    assert not is_steady[offset.argmin(axis=1)].any()
    assert offset.min(axis=1).max() < 12
    assert len(ra) >= 2


def test_interrupted_run_repeats_the_decisions(spoilt, run_of_spoilt, tmp_path):
    (survey, _), (summary, database) = spoilt, run_of_spoilt
    config = settings(survey.images, tmp_path / "trap.db")
    with open_run(config) as dataset:
        stop = iter([False, False, True])
        dataset.process_group(dataset.plan.groups[0], SerialExecutor(), is_stopped=lambda: next(stop))
        number = dataset.dataset_id
    run_locally(config.with_options(persistence={"dataset_id": number}))
    ours, theirs = (create_engine(f"sqlite:///{path}") for path in (database, tmp_path / "trap.db"))
    with reading(ours) as first, reading(theirs) as second:
        sides = Side(first, summary.dataset_id), Side(second, number)
        # The same images, rejections, entries and candidates.
        assert compare_datasets(*sides, Tolerances(position_arcsec=0.01, relative=0.01)) == []


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_good_images_with_calibration_errors_are_all_accepted(seed, tmp_path):
    config = SurveyConfig(seed=seed, gain_scatter=0.1, shift_arcsec=1.0, **SURVEY | {"n_timesteps": 8})
    survey = simulate_survey(tmp_path / "survey", config)
    assert run_locally(settings(survey.images, tmp_path / "trap.db")).left_out == []
