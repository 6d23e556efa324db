import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trap.angles import move
from trap.images.skyregion import SkyRegion


@given(
    ra=st.sampled_from([0.0, 90.0, 180.0, 270.0, 359.9]),
    dec=st.sampled_from([-90.0, -45.0, 0.0, 60.0, 90.0]),
    direction=st.floats(0, 2 * np.pi),
)
def test_circle_covers_positions_within_its_radius_anywhere(ra, dec, direction):
    region = SkyRegion(centre_ra=ra, centre_dec=dec, xtr_radius=2.0)
    distances = np.array([0.0, 1.0, 1.999, 2.001, 30.0])
    positions = move(ra, dec, distances * np.sin(direction), distances * np.cos(direction))
    assert region.covers(*positions).tolist() == [True, True, True, False, False]


def test_position_on_the_circle_is_outside():
    assert not SkyRegion(centre_ra=10, centre_dec=0, xtr_radius=1).covers(11, 0)


def test_position_that_is_nan_is_outside():
    assert not SkyRegion(centre_ra=10, centre_dec=0, xtr_radius=1).covers(np.nan, 0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((-1, 0, 1), "RA -1"),
        ((360, 0, 1), "RA 360"),
        ((0, 91, 1), "Dec 91"),
        ((0, 0, 0), "got 0 deg"),
        ((0, 0, np.inf), "got inf deg"),
    ],
)
def test_impossible_region_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        SkyRegion(centre_ra=values[0], centre_dec=values[1], xtr_radius=values[2])
