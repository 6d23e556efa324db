import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trap.images.beam import Beam

SQUARE = (-0.01, 0.01)


@pytest.mark.parametrize(
    ("deltas", "expected"),
    [(SQUARE, (2.5, 2.0, 0.523599)), ((-0.01, 0.02), (1.653595, 1.802776, 0.523599))],
)
def test_semi_axes_in_pixels_are_as_in_trap(deltas, expected):
    beam = Beam(bmaj=0.05, bmin=0.04, bpa=30)
    assert beam.semi_axes_pixels(*deltas) == pytest.approx(expected, abs=1e-6)


def test_circular_beam_has_one_semi_axis_whatever_its_angle():
    # TraP's own case: 54″ on pixels of 1/30°, so 54 / 2 / 120 = 0.225 pixels.
    semimajor, semiminor, _ = Beam(bmaj=54 / 3600, bmin=54 / 3600, bpa=77).semi_axes_pixels(-1 / 30, 1 / 30)
    assert (semimajor, semiminor) == pytest.approx((0.225, 0.225))


def test_beam_points_north_along_y():
    a, b, c = Beam(bmaj=0.05, bmin=0.02, bpa=0).quadratic_form(*SQUARE)
    # Half a pixel-width of 5 (major, along y) and of 2 (minor, along x) from the centre it is a half.
    assert math.exp(-0.5 * c * 2.5**2) == pytest.approx(0.5)
    assert math.exp(-0.5 * a * 1.0**2) == pytest.approx(0.5)
    assert b == pytest.approx(0)


def test_beam_rotates_from_north_to_east_which_is_left():
    a, b, c = Beam(bmaj=0.05, bmin=0.02, bpa=45).quadratic_form(*SQUARE)

    def value(u, v):
        return math.exp(-0.5 * (a * u**2 + 2 * b * u * v + c * v**2))

    assert value(-1, 1) > value(1, 1)
    assert value(-2.5 / math.sqrt(2), 2.5 / math.sqrt(2)) == pytest.approx(0.5)


@given(bpa=st.floats(-180, 180), ratio=st.floats(0.2, 1), deltay=st.floats(0.005, 0.02))
def test_area_is_the_integral_of_the_beam_on_any_pixels(bpa, ratio, deltay):
    beam = Beam(bmaj=0.05, bmin=0.05 * ratio, bpa=bpa)
    a, b, c = beam.quadratic_form(-0.01, deltay)
    # ∫∫ exp(−½ qᵀAq) = 2π / √det A
    assert beam.area_pixels(-0.01, deltay) == pytest.approx(2 * math.pi / math.sqrt(a * c - b**2), rel=1e-6)


def test_area_of_a_round_beam():
    # π / (4 ln 2) FWHM² = 1.1331 × 25
    assert Beam(bmaj=0.05, bmin=0.05, bpa=0).area_pixels(*SQUARE) == pytest.approx(28.3274, abs=1e-3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0.04, 0.05, 0), r"bmin 0.05 deg is larger than bmaj 0.04 deg"),
        ((0.04, 0.0, 0), r"got bmin 0.0 deg"),
        ((-0.04, -0.05, 0), r"got bmin -0.05 deg"),
        ((0.04, 1e-320, 0), r"beam must be 1e-12 to 180 deg wide, got bmaj 0.04, bmin 1e-320 deg"),
        ((1e200, 0.04, 0), r"beam must be .* wide, got bmaj 1e\+200"),
        ((np.nan, 0.05, 0), r"got bmaj nan"),
        ((np.inf, 0.05, 0), r"got bmaj inf"),
        ((0.05, 0.04, np.nan), r"bpa nan deg"),
    ],
)
def test_impossible_beam_is_refused_with_its_values(values, message):
    with pytest.raises(ValueError, match=message):
        Beam(bmaj=values[0], bmin=values[1], bpa=values[2])
