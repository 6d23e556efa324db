"""Images with more sources than a sky can show."""

from __future__ import annotations

import numpy as np
import pytest
from check_inputs import catalogue_input, source_input
from sky_fixtures import Sky

from trap.config import PipelineConfig
from trap.extraction.measure import extract_sources
from trap.quality.checks import check_sources
from trap.quality.crowding import check_crowding, check_many_sources
from trap.steps.quality import examine_sources, measure_area


@pytest.mark.parametrize(
    ("n_sources", "n_beams", "passed"),
    [(15_685, 98_000, False), (950, 11_500, True), (10_000, 100_000, True), (10_001, 100_000, False)],
)
def test_more_than_a_source_in_ten_beams_is_doubtful(n_sources, n_beams, passed):
    verdict = check_crowding(source_input(0, n_sources=n_sources, n_beams=float(n_beams)))
    assert verdict.passed is passed
    assert "quality.max_source_density" in verdict.comment


def test_few_sources_of_a_cut_out_are_no_crowd():
    checks = [
        [finding.check for finding in check_sources(source_input(0, n_sources=n, n_beams=31.0))] for n in (30, 31)
    ]
    assert checks == [["negative"], ["negative", "crowding"]]


@pytest.mark.parametrize(
    ("n_new", "n_known", "passed"), [(20, 0, True), (21, 0, False), (21, 3, True), (30, 3, True), (31, 3, False)]
)
def test_many_times_the_known_sources_of_a_field_are_doubtful(n_new, n_known, passed):
    assert check_many_sources(catalogue_input(n_new=n_new, n_known=n_known)).passed is passed


def doubts(sky, data):
    image, config = sky.image(data), PipelineConfig()
    extraction = extract_sources(image, config.source_extraction)
    n_sources = len(extraction.measurements)
    searched, _ = measure_area(image, extraction.background, config)
    findings = examine_sources(image, searched, config, n_sources=n_sources)
    return [finding.check for finding in findings if not finding.passed], findings


@pytest.mark.parametrize("degrees_of_freedom", [1, 2])
def test_image_of_noise_with_wide_tails_is_doubtful(degrees_of_freedom):
    """The first image, too, of which nothing is known but its beam."""
    sky = Sky(bmaj=4.0, bmin=3.0)
    data = sky.rms * np.random.default_rng(3).standard_t(degrees_of_freedom, (256, 256))
    names, findings = doubts(sky, data)
    assert "crowding" in names
    (text,) = (finding.text for finding in findings if finding.check == "crowding")
    # The solid angle of the beam is π/(4 ln 2) 4 · 3 = 13.6 pixels.
    assert float(text.split(" beam areas")[0].split()[-1]) == pytest.approx(256**2 / 13.6, rel=1e-3)


def test_crowded_sky_of_gaussian_noise_is_not_doubtful():
    """A source of 10 σ in 25 beams: the limit of confusion."""
    sky = Sky()
    n = int(256 * 256 / (np.pi / (4 * np.log(2)) * 5 * 4) / 25)
    x, y = np.random.default_rng(4).uniform(0, 256, (2, n))
    assert "crowding" not in doubts(sky, sky.sources(x, y, np.full(n, 10 * sky.rms)) + sky.noise(4))[0]
