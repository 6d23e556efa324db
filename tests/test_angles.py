import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from hypothesis import assume, given
from hypothesis import strategies as st

from trap.angles import (
    delta_ra,
    displacement,
    enclosing_circle,
    move,
    offsets,
    ra_inflation,
    separation,
    unit_vectors,
    wrap_ra,
)

ARCSEC = 1 / 3600

# Critical positions: the wrap and the quarters in RA, the equator and both poles.
near = st.floats(-0.01, 0.01) | st.just(0.0)
hard_ra = st.builds(lambda ra, step: (ra + step) % 360 % 360, st.sampled_from([0.0, 90.0, 180.0, 270.0]), near)
ras = hard_ra | st.floats(0, 360, exclude_max=True)
hard_dec = st.builds(lambda dec, step: float(np.clip(dec + step, -90, 90)), st.sampled_from([-90.0, 0.0, 90.0]), near)
decs = hard_dec | st.floats(-90, 90)
positions = st.tuples(ras, decs)
small = st.floats(-0.1, 0.1)


# Wraps


@given(ra=st.floats(-1e4, 1e4), turns=st.integers(-3, 3))
def test_wrapped_right_ascension_is_in_range_and_the_same_direction(ra, turns):
    wrapped = float(wrap_ra(ra))
    assert 0 <= wrapped < 360
    assert abs(delta_ra(wrapped, ra + 360 * turns)) < 1e-9


@pytest.mark.parametrize(
    ("ra", "expected"), [(0, 0), (360, 0), (-1e-20, 0), (-0.25, 359.75), (720.5, 0.5), (359.75, 359.75)]
)
def test_right_ascension_wraps_at_360(ra, expected):
    assert wrap_ra(ra) == expected


@given(a=ras, b=ras)
def test_difference_in_right_ascension_is_the_short_way_round(a, b):
    difference = float(delta_ra(a, b))
    assert -180 <= difference < 180
    assert np.cos(np.radians(difference)) == pytest.approx(np.cos(np.radians(a - b)), abs=1e-12)
    assert np.sin(np.radians(difference)) == pytest.approx(np.sin(np.radians(a - b)), abs=1e-12)


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (359.5, 0.5, -1),
        (0.5, 359.5, 1),
        (90.5, 89.5, 1),
        (180.5, 179.5, 1),
        (270.5, 269.5, 1),
        (180, 0, -180),
        (0, 180, -180),
    ],
)
def test_difference_in_right_ascension_at_the_quarters(a, b, expected):
    assert delta_ra(a, b) == expected


def test_small_difference_keeps_every_bit():
    assert delta_ra(10.0 + 2**-48, 10.0) == 2**-48
    assert delta_ra(2**-44, 360 - 2**-44) == 2**-43


@pytest.mark.parametrize("difference", [np.nextafter(180, 0), np.nextafter(180, 200), 540, np.nextafter(540, 0)])
def test_difference_of_half_a_turn_is_in_range(difference):
    for signed in (delta_ra(difference, 0), delta_ra(0, difference)):
        assert -180 <= signed < 180


# Vectors and distances


def test_unit_vector_has_the_axes_of_trap():
    assert unit_vectors([0, 90, 0], [0, 0, 90]) == pytest.approx(np.eye(3), abs=1e-15)


@given(position=positions)
def test_unit_vectors_have_unit_length(position):
    assert np.linalg.norm(unit_vectors(*position)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("first", "second", "arcsec"), [((10, 45), (10.01, 45.01), 44.08953), ((0, 89), (180, 89), 7200.0)]
)
def test_separation_is_as_in_trap(first, second, arcsec):
    assert separation(*first, *second) * 3600 == pytest.approx(arcsec, abs=1e-5)


@given(first=positions, second=positions)
def test_separation_is_symmetric_and_agrees_with_unit_vectors(first, second):
    angle = float(separation(*first, *second))
    a, b = unit_vectors(*first), unit_vectors(*second)
    expected = np.degrees(np.arctan2(np.linalg.norm(np.cross(a, b)), a @ b))
    # Near the antipode the haversine loses half the digits.
    assert angle == pytest.approx(expected, abs=1e-9 if expected < 170 else 1e-5)
    assert angle == separation(*second, *first)


@given(position=positions)
def test_separation_from_itself_is_zero(position):
    assert separation(*position, *position) == 0


def test_separation_keeps_its_precision_at_a_millionth_of_an_arcsecond():
    assert separation(0, 0, 0, 1e-6 * ARCSEC) == pytest.approx(1e-6 * ARCSEC, rel=1e-12)


def test_separation_works_on_arrays_of_any_shape():
    assert separation(np.zeros((2, 1)), 0, np.zeros(3), 1.0).shape == (2, 3)


# Offsets and moves


@given(first=positions, second=positions)
def test_length_of_the_offset_is_the_separation(first, second):
    angle = float(separation(*first, *second))
    assume(angle < 170)
    assert np.hypot(*offsets(*first, *second)) == pytest.approx(angle, abs=1e-9)


@given(first=positions, second=positions)
def test_offset_changes_sign_when_the_positions_are_swapped(first, second):
    assume(separation(*first, *second) < 170)
    # If the midpoint is a pole, north is undefined there.
    middle = unit_vectors(*first) + unit_vectors(*second)
    assume(np.hypot(*middle[:2]) > 1e-6)
    there, back = offsets(*first, *second), offsets(*second, *first)
    assert there == (pytest.approx(-back[0], abs=1e-9), pytest.approx(-back[1], abs=1e-9))


@given(ra=ras, dec=st.floats(-80, 80), east=small, north=small)
def test_small_offset_away_from_the_poles_is_as_on_a_plane(ra, dec, east, north):
    new_ra, new_dec = ra + east / np.cos(np.radians(dec)), dec + north
    measured = offsets(new_ra, new_dec, ra, dec)
    middle = np.radians((dec + new_dec) / 2)
    expected = (delta_ra(new_ra, ra) * np.cos(middle), new_dec - dec)
    # Third order in the angles, 0.57° at most: relative 1e-4 of the offset.
    scale = np.hypot(*expected)
    assert measured == (
        pytest.approx(expected[0], abs=1e-4 * scale + 1e-12),
        pytest.approx(expected[1], abs=1e-4 * scale + 1e-12),
    )


@pytest.mark.parametrize("ra", [0.0, 90.0, 180.0, 270.0])
@pytest.mark.parametrize("pole", [-90.0, 90.0])
def test_across_a_pole_the_offset_is_the_true_distance(ra, pole):
    towards = np.copysign(0.01, pole)
    east, north = offsets(ra, pole - towards, ra + 180, pole - towards)
    assert np.hypot(east, north) == pytest.approx(0.02, rel=1e-9)


@pytest.mark.parametrize("ra", [0.0, 90.0, 180.0, 270.0])
@pytest.mark.parametrize("dec", [-60.0, 0.0, 60.0])
def test_offset_to_the_east_and_to_the_north_have_their_signs_at_the_quarters(ra, dec):
    step = 1e-3
    assert offsets(ra + step, dec, ra - step, dec) == (
        pytest.approx(2 * step * np.cos(np.radians(dec)), rel=1e-6),
        pytest.approx(0, abs=1e-12),
    )
    assert offsets(ra, dec + step, ra, dec) == (pytest.approx(0, abs=1e-15), pytest.approx(step, rel=1e-9))


@given(ra=ras, dec=decs, east=st.floats(-60, 60), north=st.floats(-60, 60))
def test_move_has_the_requested_length_and_direction(ra, dec, east, north):
    new_ra, new_dec = move(ra, dec, east, north)
    assert 0 <= new_ra < 360
    assert -90 <= new_dec <= 90
    angle = np.hypot(east, north)
    assert separation(ra, dec, new_ra, new_dec) == pytest.approx(angle, abs=1e-9)
    if angle > 1e-6 and abs(dec) < 89.9:
        start, direction = SkyCoord(ra, dec, unit="deg"), np.arctan2(east, north)
        expected = start.directional_offset_by(direction * units.rad, angle * units.deg)
        assert separation(new_ra, new_dec, expected.ra.deg, expected.dec.deg) < 1e-9


@given(position=positions)
def test_move_by_zero_returns_the_same_position(position):
    assert tuple(float(value) for value in move(*position, 0.0, 0.0)) == position


@given(position=positions, east=small, north=small)
def test_move_by_the_displacement_reaches_the_position(position, east, north):
    there = tuple(float(angle) for angle in move(*position, east, north))
    back = move(*position, *displacement(*there, *position))
    assert separation(*there, *back) < 1e-11
    if abs(position[1]) < 90:
        assert displacement(*there, *position) == (pytest.approx(east, abs=1e-10), pytest.approx(north, abs=1e-10))


@pytest.mark.parametrize("position", [(10.0, 20.0), (0.0, 90.0), (300.0, -90.0)])
def test_displacement_from_itself_is_zero(position):
    assert displacement(*position, *position) == (0, 0)


def test_displacement_to_the_far_side_is_as_long_as_the_arc():
    assert np.hypot(*displacement(180.0, -5.0, 0.0, 10.0)) == pytest.approx(separation(180.0, -5.0, 0.0, 10.0))


@given(position=positions, east=small, north=small)
def test_move_and_offset_agree_at_small_angles(position, east, north):
    assume(abs(position[1]) < 89)
    measured = offsets(*move(*position, east, north), *position)
    # The offset is measured at the middle, where north has turned by half the convergence of meridians.
    convergence = abs(np.radians(east) * np.tan(np.radians(abs(position[1]) + 0.2)))
    tolerance = convergence * np.hypot(east, north) + 1e-9
    assert measured == (pytest.approx(east, abs=tolerance), pytest.approx(north, abs=tolerance))


# Inflation in right ascension


@pytest.mark.parametrize(
    ("angle", "dec", "expected"),
    [
        (1, 60, 2.000304779914531),
        (10 * ARCSEC, 80, 0.015996584877),
        (5, -45, 7.080101234740),
        (1, 89.5, 180.0),
        (1, -89.5, 180.0),
        (0, 30, 0.0),
    ],
)
def test_inflation_is_as_in_trap(angle, dec, expected):
    assert ra_inflation(angle, dec) == pytest.approx(expected, rel=1e-10)


@given(angle=st.floats(1e-3, 20), dec=st.floats(-85, 85), direction=st.floats(0, 2 * np.pi))
def test_no_point_of_the_circle_lies_beyond_the_inflated_half_width(angle, dec, direction):
    ra, _ = move(0.0, dec, angle * np.sin(direction), angle * np.cos(direction))
    assert abs(delta_ra(ra, 0.0)) <= ra_inflation(angle, dec) * (1 + 1e-9)


def test_inflation_works_on_arrays():
    assert ra_inflation([1.0, 1.0], [60.0, 89.5]) == pytest.approx([2.000304779914531, 180.0])


@pytest.mark.parametrize(
    ("ra", "dec", "width"), [(0.0, 0.0, 3.0), (359.9, 60.0, 0.01), (120.0, -89.0, 4.0), (50.0, 30.0, 60.0)]
)
def test_the_enclosing_circle_holds_all_positions_and_no_other_centre_is_nearer_to_the_farthest(ra, dec, width):
    rng = np.random.default_rng(7)
    for n in (1, 2, 3, 40):
        east, north = rng.uniform(-width / 2, width / 2, (2, n))
        places = move(ra, dec, east, north)
        middle_ra, middle_dec, radius = enclosing_circle(*places)
        assert separation(middle_ra, middle_dec, *places).max() == pytest.approx(radius, abs=1e-12)
        # The largest distance is a convex function of the centre: it rises in all directions from its minimum.
        for angle in np.linspace(0, 2 * np.pi, 12, endpoint=False):
            step = 1e-4 * width
            other = move(middle_ra, middle_dec, step * np.cos(angle), step * np.sin(angle))
            assert separation(*other, *places).max() >= radius


def test_the_enclosing_circle_of_a_pole_has_the_pole_as_its_middle():
    _, dec, radius = enclosing_circle([0.0, 120.0, 240.0, 17.0], [88.0, 88.0, 88.0, 89.5])
    assert dec == pytest.approx(90.0)
    assert radius == pytest.approx(2.0)
