from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy.wcs import WCS

from trap.angles import separation
from trap.extraction.celestial import beam_form, celestial_columns, ellipse_axes, pixel_forms, sky_ellipses
from trap.extraction.uncertainties import AxisErrors
from trap.images.beam import Beam

ONE = np.array([1.0])


def described(image, x, y, form, major_err=0.0, minor_err=0.0):
    x, y = np.atleast_1d(np.asarray(x, float)), np.atleast_1d(np.asarray(y, float))
    forms = np.tile(form, (x.size, 1))
    axes = AxisErrors(
        peak=x, integrated=x, major=np.full(x.size, float(major_err)), minor=np.full(x.size, float(minor_err))
    )
    return celestial_columns(image.wcs, x, y, form=forms, position_cov=axes.turned(forms).position)


@pytest.fixture
def blank():
    return np.zeros((256, 256))


@pytest.mark.parametrize("angle", [-1.5, -0.4, 0.0, 0.7, np.pi / 2])
def test_axes_of_an_ellipse(angle):
    along, across = 2 * np.log(2) / 9, 2 * np.log(2) / 4
    cos, sin = np.cos(angle), np.sin(angle)
    form = [along * cos**2 + across * sin**2, (along - across) * sin * cos, along * sin**2 + across * cos**2]
    semimajor, semiminor, found = ellipse_axes(form)
    assert (semimajor, semiminor) == pytest.approx((3, 2))
    assert np.sin(found - angle) == pytest.approx(0, abs=1e-12)


def test_axes_of_a_circle_are_finite():
    assert np.isfinite(ellipse_axes([0.3, 0.0, 0.3])).all()


@pytest.mark.parametrize("rotation", [0.0, 37.0, 90.0, 200.0])
@pytest.mark.parametrize("bpa", [0.0, 30.0, 179.0])
def test_beam_comes_back_with_its_size_and_angle_from_any_grid(sky, blank, rotation, bpa):
    sky = replace(sky, rotation=rotation, bpa=bpa)
    image = sky.image(blank)
    columns = described(image, 127.5, 127.5, beam_form(image.metadata.beam, image.wcs, (256, 256)))
    beam = image.metadata.beam
    assert columns["semimajor"][0] == pytest.approx(beam.bmaj * 1800, rel=1e-5)
    assert columns["semiminor"][0] == pytest.approx(beam.bmin * 1800, rel=1e-5)
    assert np.sin(np.radians(columns["pa"][0] - bpa)) == pytest.approx(0, abs=1e-5)
    assert 0 <= columns["pa"][0] < 180


def test_beam_on_oblong_pixels_is_exact(sky, blank):
    header = sky.header()
    header["CDELT2"] *= 2
    image = type(sky.image(blank)).from_array(blank, header)
    columns = described(image, 127.5, 127.5, beam_form(Beam(bmaj=0.01, bmin=0.004, bpa=50.0), image.wcs, (256, 256)))
    assert (columns["semimajor"][0], columns["semiminor"][0]) == pytest.approx((18.0, 7.2), rel=1e-5)
    assert columns["pa"][0] == pytest.approx(50, abs=1e-3)


def test_shape_on_the_sky_gives_back_the_shape_in_pixels(sky, blank):
    image = replace(sky, rotation=25.0).image(blank)
    form = np.array([0.3, -0.1, 0.5])
    x, y = np.array([20.0, 200.0]), np.array([240.0, 33.0])
    columns = described(image, x, y, form)
    shape = {name: columns[name] for name in ("semimajor", "semiminor", "pa")}
    assert pixel_forms(image.wcs, x, y, **shape) == pytest.approx(np.tile(form, (2, 1)), rel=1e-9)


@pytest.mark.parametrize(("ra", "dec"), [(150.0, -30.0), (0.0, 0.0), (359.9999, 60.0), (90.0, 89.99), (270.0, -90.0)])
def test_position_errors_are_true_angles_everywhere_on_the_sky(sky, blank, ra, dec):
    # An error of one pixel of 2″ in all directions, one row of pixels around the reference position.
    image = replace(sky, ra=ra, dec=dec).image(blank)
    x = np.linspace(120, 135, 16)
    columns = described(image, x, np.full(16, 127.5), [0.3, 0.0, 0.3], major_err=1.0, minor_err=1.0)
    assert columns["ew_fit_err"] * 3600 == pytest.approx(2.0, rel=1e-4)
    assert columns["ns_fit_err"] * 3600 == pytest.approx(2.0, rel=1e-4)
    assert ((columns["ra"] >= 0) & (columns["ra"] < 360)).all()


def test_error_ellipse_is_turned_to_the_sky(sky, blank):
    # Major axis along y, which a rotation by 90° makes east-west.
    form = [0.5, 0.0, 0.1]
    plain = described(sky.image(blank), 127.5, 127.5, form, major_err=3.0, minor_err=1.0)
    turned = described(replace(sky, rotation=90.0).image(blank), 127.5, 127.5, form, major_err=3.0, minor_err=1.0)
    assert (plain["ew_fit_err"][0] * 3600, plain["ns_fit_err"][0] * 3600) == pytest.approx((2, 6), rel=1e-4)
    assert (turned["ew_fit_err"][0] * 3600, turned["ns_fit_err"][0] * 3600) == pytest.approx((6, 2), rel=1e-4)


def test_positions_are_those_of_the_full_projection(sky, blank):
    image = replace(sky, rotation=40.0).image(blank)
    columns = described(image, 10.5, 77.25, [0.3, 0.0, 0.3])
    assert separation(columns["ra"], columns["dec"], *image.wcs.all_pix2world(10.5, 77.25, 0))[0] < 1e-9


def test_degenerate_place_of_a_projection_costs_that_place_only():
    # In a plate carrée the pole is a line: a step along x does not move there.
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix, wcs.wcs.cdelt = ["RA---CAR", "DEC--CAR"], [0, 0], [1, 1], [-1.0, 1.0]
    form = np.array([1 / 9, 0.0, 1 / 9]) * 2 * np.log(2) * 4
    semimajor, semiminor, _ = sky_ellipses(wcs, np.array([0.0, 0.0]), np.array([90.0, 0.0]), form)
    assert np.isnan([semimajor[0], semiminor[0]]).all()
    assert (semimajor[1] / 3600, semiminor[1] / 3600) == pytest.approx((1.5, 1.5), rel=1e-3)
