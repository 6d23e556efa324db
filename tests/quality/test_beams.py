"""Beams that sources can be fitted with, and beams that make fits less certain."""

from __future__ import annotations

import numpy as np
import pytest
from check_inputs import image_input

from trap.config import QualityConfig
from trap.images.beam import Beam
from trap.quality.beams import check_beam, check_beam_axes, check_beam_shape


def image(beam=Beam(bmaj=0.05, bmin=0.04, bpa=30.0), deltax=-0.01, deltay=0.01):  # noqa: B008 (a frozen value)
    return image_input(beam=beam, deltax=deltax, deltay=deltay)


@pytest.mark.parametrize(
    ("semimajor", "semiminor", "problem"),
    [
        (10, 1, None),
        (10, 0.99, "Beam too elliptical: axis ratio 10.10, at most 10 (quality.elliptical_x)"),
        (0.59, 0.59, "Beam undersampled: minor axis 1.18 pixels, at least 1.2 (quality.undersampled_x)"),
        (0.61, 0.61, None),
        (30, 29, None),
        (30.1, 29, "Beam oversampled: semi-axis 30.10 pixels, at most 30 (quality.oversampled_x)"),
        (100, 0.1, "Beam undersampled"),
        (np.inf, 1, "Beam infinite"),
    ],
)
def test_beam_beyond_a_limit_is_rejected_with_the_figure_and_the_setting(semimajor, semiminor, problem):
    verdict = check_beam_axes(semimajor, semiminor, QualityConfig())
    assert verdict.passed is (problem is None)
    assert verdict.comment.startswith(problem or "bmaj=")


def test_beam_that_lies_across_wide_pixels_counts_its_shorter_axis_as_the_shorter():
    # TraP's formula gives (1.65, 1.80) pixels for this beam on pixels of 0.01 × 0.02 deg.
    assert check_beam_axes(1.653595, 1.802776, QualityConfig(elliptical_x=1.0)).comment.startswith(
        "Beam too elliptical"
    )


def test_sizes_in_the_comment_have_two_decimals_or_an_exponent():
    config = QualityConfig(elliptical_x=1e9, oversampled_x=200, undersampled_x=0.0)
    assert check_beam_axes(100, 0.001, config).comment == "bmaj=100.00 and bmin=1.00e-03 (pixels)"


def test_image_without_a_beam_does_not_pass():
    verdict = check_beam(image(beam=None))
    assert (verdict.passed, verdict.comment) == (False, "no restoring beam in the header")


def test_good_beam_passes():
    assert check_beam(image()).passed


def test_beam_is_sampled_along_the_coarser_side_of_oblong_pixels():
    # Pixels of 0.01 by 1 deg: 5 of them along x, and a twentieth along y, which TraP's formula does not see.
    verdict = check_beam(image(deltay=1.0))
    assert verdict.comment.startswith("Beam undersampled")


@pytest.mark.parametrize("bpa", [0.0, 30.0, 90.0, 140.0])
def test_axes_on_square_pixels_are_traps(bpa):
    beam = Beam(bmaj=0.05, bmin=0.04, bpa=bpa)
    assert check_beam(image(beam=beam)).comment == "bmaj=2.50 and bmin=2.00 (pixels)"


@pytest.mark.parametrize(
    ("beam", "problem"),
    [
        (Beam(bmaj=0.06, bmin=0.0201, bpa=30.0), None),
        (
            Beam(bmaj=0.07, bmin=0.0201, bpa=30.0),
            "Beam too elliptical: axis ratio 3.48, at most 3 (quality.elliptical_warn)",
        ),
        (
            Beam(bmaj=0.03, bmin=0.019, bpa=30.0),
            "Beam undersampled: minor axis 1.90 pixels, at least 2 (quality.undersampled_warn)",
        ),
        (None, None),
    ],
)
def test_long_or_narrow_beam_is_doubtful(beam, problem):
    verdict = check_beam_shape(image(beam=beam))
    assert verdict.passed is (problem is None)
    assert problem is None or verdict.comment == problem
