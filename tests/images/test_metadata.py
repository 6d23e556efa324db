from dataclasses import replace
from datetime import datetime

import pytest

from trap.images.headers.read import read_metadata


@pytest.fixture
def metadata(make_header):
    return read_metadata(make_header(), "image.fits")


def test_sky_region_is_the_circle_that_is_searched(metadata):
    region = metadata.sky_region(250)
    assert (region.centre_ra, region.centre_dec) == (metadata.centre_ra, metadata.centre_dec)
    assert region.xtr_radius == pytest.approx(250 * 0.001)


def test_radius_zero_reaches_the_corners(metadata):
    # Half of √(60² + 40²) pixels of 0.001°; so close to the middle the sky is flat.
    assert metadata.sky_region(0).xtr_radius == pytest.approx(0.0360555, abs=1e-6)


def test_radius_zero_reaches_the_corners_of_a_wide_image(metadata):
    # Orthographic: the sine of the distance is that in the plane, half of √2 × 60° in radians, 0.7405.
    wide = replace(metadata, nx=60, ny=60, deltax=-1.0, deltay=1.0)
    assert wide.sky_region(0).xtr_radius == pytest.approx(47.77, abs=0.01)


def test_radius_of_an_image_of_the_whole_sky_is_a_hemisphere(metadata):
    assert replace(metadata, nx=360, ny=180, deltax=-1.0, deltay=1.0).sky_region(0).xtr_radius == 90


def test_start_without_a_time_zone_is_refused(metadata):
    with pytest.raises(ValueError, match="time zone"):
        replace(metadata, taustart_ts=datetime(2020, 1, 1))  # noqa: DTZ001 (the point of the test)
