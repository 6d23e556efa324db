"""New-source candidates with their light curves and images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trap.config import PipelineConfig
from trap.pipeline import open_run
from trap.report.candidates import candidate_lines, draw_candidate, variable_lines
from trap.simulation.survey import SurveyConfig, simulate_survey
from trap.steps.candidates import load_candidates, load_variables
from trap.workers.executors import SerialExecutor

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A processed survey with a transient: its database, dataset, candidates' rows and images."""
    folder = tmp_path_factory.mktemp("survey")
    sky = SurveyConfig(n_timesteps=6, n_bands=1, size=128, n_steady=5, n_variables=0, n_transients=1, seed=3)
    images = simulate_survey(folder / "images", sky).images
    config = PipelineConfig().with_options(
        execution={"images": tuple(map(str, images)), "database": f"sqlite:///{folder / 'trap.db'}"},
        transient_search={"new_source_test": "position", "new_source_sigma_margin": 3.0},
    )
    with open_run(config) as dataset:
        for group in dataset.plan.groups:
            dataset.process_group(group, SerialExecutor())
        entries = dataset.state.catalogue.entries["id"]
        new = [int(entries[row]) for image in dataset.summary().images for row in image.new_sources.entry]
        yield dataset.store, new, images


def test_a_candidate_comes_with_its_light_curve_and_its_best_earlier_image(run):
    store, new, images = run
    assert len(new) == 1
    (candidate,) = load_candidates(store, new)
    assert candidate.facts["runcat"] == new[0]
    first = [str(path) for path in images].index(candidate.facts["url"])
    assert candidate.earlier in {str(path) for path in images[:first]}
    assert len(candidate.curve.time) == len(images)  # the images before the first detection have backward fits
    assert np.isfinite(candidate.curve.flux).all()


def test_only_requested_candidates_are_loaded(run):
    store, new, _ = run
    assert load_candidates(store, []) == []
    assert load_candidates(store, [max(new) + 1000]) == []


def test_numbers_are_written_with_their_units(run):
    store, new, _ = run
    (candidate,) = load_candidates(store, new)
    lines = dict(candidate_lines(candidate))
    assert lines["flux density"].startswith(f"{1e3 * candidate.facts['f_int']:.4g} ± ")
    assert lines["flux density"].endswith(" mJy")
    assert all(value for value in lines.values())


def test_pictures_show_the_light_curve_and_both_images(run):
    store, new, _ = run
    (candidate,) = load_candidates(store, new)
    pictures = draw_candidate(candidate, PipelineConfig().reading)
    assert pictures.light_curve.startswith(PNG)
    assert pictures.cutouts.startswith(PNG)
    assert pictures.missing == ()
    assert len(pictures.light_curve) + len(pictures.cutouts) < 100_000


def test_missing_image_costs_its_cut_out_and_is_named(run, tmp_path):

    store, new, _ = run
    (candidate,) = load_candidates(store, new)
    gone = replace(candidate, facts={**candidate.facts, "url": str(tmp_path / "gone.fits")}, earlier="")
    pictures = draw_candidate(gone, PipelineConfig().reading)
    assert (pictures.cutouts, len(pictures.missing)) == (b"", 1)
    assert "gone.fits" in pictures.missing[0]
    assert pictures.light_curve.startswith(PNG)


def test_a_variable_comes_with_the_images_of_its_brightest_and_faintest_point(run):
    store, new, images = run
    (source,) = load_variables(store, {new[0]: (0.0166, 44.9967), max(new) + 1000: (0.0, 0.0)})
    assert source.facts["f_int"] == pytest.approx(np.nanmax(source.curve.flux))
    assert {source.facts["url"], source.earlier} <= set(map(str, images))
    assert source.facts["url"] != source.earlier
    lines = dict(variable_lines(source))
    assert lines["brightest"].endswith(" mJy")
    assert lines["frequency"].endswith(" MHz")
    assert draw_candidate(source, PipelineConfig().reading).cutouts.startswith(PNG)
