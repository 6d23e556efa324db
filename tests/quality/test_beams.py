"""Beams that sources can be fitted with; the limits are TraP's own."""

from __future__ import annotations

import numpy as np
import pytest
from check_inputs import image_input

from trap.config import QualityConfig
from trap.images.beam import Beam
from trap.quality.beams import check_beam, check_beam_axes


def image(beam=Beam(bmaj=0.05, bmin=0.04, bpa=30.0), deltax=-0.01, deltay=0.01):  # noqa: B008 (a frozen value)
    return image_input(beam=beam, deltax=deltax, deltay=deltay)


@pytest.mark.parametrize(
    ("semimajor", "semiminor", "problem"),
    [
        (10, 5, None),
        (10, 4.99, "Beam too elliptical"),
        (0.5, 0.5, "Beam undersampled"),
        (0.51, 0.51, None),
        (30, 29, None),
        (30.1, 29, "Beam oversampled"),
        (100, 0.1, "Beam undersampled"),
        (np.inf, 1, "Beam infinite"),
    ],
)
def test_beam_limits_are_traps(semimajor, semiminor, problem):
    verdict = check_beam_axes(semimajor, semiminor, QualityConfig())
    assert verdict.passed is (problem is None)
    assert verdict.comment.startswith(problem or "bmaj=")


def test_beam_that_lies_across_wide_pixels_counts_its_shorter_axis_as_the_shorter():
    # TraP's formula gives (1.65, 1.80) pixels for this beam on pixels of 0.01 × 0.02 deg.
    assert check_beam_axes(1.653595, 1.802776, QualityConfig(elliptical_x=1.0)).comment.startswith(
        "Beam too elliptical"
    )


def test_sizes_in_the_comment_have_two_decimals_or_an_exponent():
    assert "bmaj=100.00 and bmin=1.00e-03" in check_beam_axes(100, 0.001, QualityConfig()).comment


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
