"""The chance of noise as text."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_up_survey import Field

from trap.association.noise_peaks import SearchedArea
from trap.config import PipelineConfig
from trap.dataset.state import DatasetState
from trap.report.noise import areas_of_images, chance_text, grade_text, grades_text, noise_lines
from trap.steps.association import associate_extracted_sources


@pytest.mark.parametrize(
    ("peaks", "text"),
    [
        (1e-3, "1 in 1,000"), (7.6e-4, "1 in 1,300"), (0.15, "1 in 7"), (0.4, "0.4"), (3.0, "3"), (2.96, "3"),
        (12.4, "12"), (1234.0, "1,234"), (0.0, "under 1 in 1,000,000,000"), (2e-8, "1 in 50,000,000"),
        (None, "–"), (np.nan, "–"),
    ],
)  # fmt: skip
def test_expected_number_is_written_in_words(peaks, text):
    assert chance_text(peaks) == text


def test_grades_are_words_and_are_counted():
    assert [grade_text(grade) for grade in (0, 1, None, np.nan)] == ["possible", "likely", "–", "–"]
    assert grades_text([1, 0, 0]) == "3 transient candidates (1 likely, 2 possible)"
    assert grades_text([]) == "0 transient candidates"


def test_negative_peaks_are_named_with_the_expected_number_and_bands_of_other_noise():
    good = SearchedArea(n_pixels=10**7, n_beams=500_000, n_negative=3, threshold=5.0)
    areas = [(1.3e9, 1, good), (9e8, 1, replace(good, n_negative=40)), (9e8, 4, replace(good, n_negative=99))]
    # 10⁷ pixels with noise of the curvature 0.277: 10⁷ · Q(5) · erf²(5 √(0.277/8)) = 1.89 peaks in each band.
    total, band = noise_lines(areas)
    assert total == "43 negative peaks below -5 σ, 3.8 expected of Gaussian noise"
    assert band.strip().startswith("at 900 MHz, Stokes I, the noise is not Gaussian: 40 seen, 1.9 expected")


def test_nothing_is_written_without_a_searched_image_in_stokes_i():
    assert list(noise_lines([])) == []
    assert list(noise_lines([(1e9, 4, SearchedArea(n_pixels=9, n_beams=1)), (1e9, 1, SearchedArea())])) == []


def test_areas_of_a_run_are_added_by_band():
    state, field = DatasetState(PipelineConfig()), Field()
    images = associate_extracted_sources(state, [field.image(0), field.image(0, freq=180e6)])
    images += associate_extracted_sources(state, [field.image(1)])
    one = field.image(0).searched
    assert areas_of_images(images) == [(140e6, 1, one + one), (180e6, 1, one)]
