"""Displacements: their directions anywhere on the sphere, their inverse, and their text."""

from __future__ import annotations

import numpy as np
import pytest

from trap import angles
from trap.calibration.displacement import NO_DISPLACEMENT, Displacement, frame_coordinates, frame_turn

CENTRES = [(0.0, 0.0), (359.9, 52.9), (120.0, 89.5), (200.0, -90.0)]


def positions_around(ra, dec, radius, n=200, seed=1):
    rng = np.random.default_rng(seed)
    distance, angle = radius * np.sqrt(rng.uniform(size=n)), rng.uniform(0, 2 * np.pi, n)
    return angles.move(np.full(n, ra), np.full(n, dec), distance * np.cos(angle), distance * np.sin(angle))


def some_field(ra, dec, scale):
    rng = np.random.default_rng(3)
    knots = tuple((float(u), float(v)) for u, v in rng.uniform(-1, 1, (9, 2)))
    weights = tuple((float(a), float(b)) for a, b in rng.normal(0, 0.01 * scale, (9, 2)))
    shift = (0.004 * scale, -0.003 * scale)
    linear = tuple(float(value) for value in rng.normal(0, 0.002 * scale, 4))
    return Displacement(
        ra=ra, dec=dec, scale=scale, shift=shift, linear=linear, knots=knots, width=0.4, weights=weights
    )


@pytest.mark.parametrize(("ra", "dec"), CENTRES)
@pytest.mark.parametrize("scale", [0.3, 15.0])
def test_forced_fits_are_measured_where_the_image_shows_the_source(ra, dec, scale):
    field = some_field(ra, dec, scale)
    true_ra, true_dec = positions_around(ra, dec, scale)
    shown_ra, shown_dec = field.to_image(true_ra, true_dec)
    east, north = field.at(shown_ra, shown_dec)
    moved = angles.separation(shown_ra, shown_dec, true_ra, true_dec)
    assert moved == pytest.approx(np.hypot(east, north), rel=1e-6)
    assert moved.max() > 0.003 * scale
    back_ra, back_dec = field.correct(shown_ra, shown_dec)
    assert angles.separation(back_ra, back_dec, true_ra, true_dec).max() < 1e-7 * scale


@pytest.mark.parametrize(("ra", "dec"), CENTRES)
def test_a_shift_moves_all_sources_of_a_wide_field_in_one_direction(ra, dec):
    # The field is a plane here: a shift adds the same to both coordinates of every source.
    shift = (0.02, -0.05)
    field = Displacement(ra=ra, dec=dec, scale=5.0, shift=shift)
    source_ra, source_dec = positions_around(ra, dec, 5.0)
    east, north = field.at(source_ra, source_dec)
    shown = angles.move(source_ra, source_dec, east, north)
    u, v = frame_coordinates(source_ra, source_dec, ra, dec)
    moved_u, moved_v = frame_coordinates(*shown, ra, dec)
    # Along a circle around the centre, coordinates of this projection are longer than arcs: by 0.1 % at 5 degrees.
    assert moved_u - u == pytest.approx(np.full(len(u), shift[0]), abs=2e-4)
    assert moved_v - v == pytest.approx(np.full(len(v), shift[1]), abs=2e-4)


def test_east_and_north_are_kept_near_the_centre_and_turned_around_a_pole():
    cosine, sine = frame_turn([10.0, 10.1], [20.0, 20.1], 10.0, 20.0)
    assert cosine == pytest.approx([1, 1], abs=1e-6)
    assert sine == pytest.approx([0, 0], abs=1e-3)
    # Beyond the pole, north at the source is opposite to north at the centre.
    cosine, sine = frame_turn([180.0], [89.0], 0.0, 89.0)
    assert cosine == pytest.approx([-1])
    assert sine == pytest.approx([0], abs=1e-9)


def test_the_text_of_a_displacement_has_all_its_bits():
    field = some_field(12.3, -45.6, 0.7)
    assert Displacement.from_json(field.as_json()) == field
    assert Displacement.from_json(NO_DISPLACEMENT.as_json()) == NO_DISPLACEMENT


def test_nothing_moves_without_a_displacement():
    ra, dec = positions_around(33.0, -20.0, 2.0)
    for convert in (NO_DISPLACEMENT.correct, NO_DISPLACEMENT.to_image):
        assert np.array_equal(np.stack(convert(ra, dec)), np.stack([ra, dec]))
    assert NO_DISPLACEMENT.is_zero
    assert not some_field(0, 0, 1).is_zero
