"""The region of a pointing, and the regions that cover a position."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trap.association.sky_regions import SkyRegions
from trap.images.skyregion import SkyRegion


def regions(*centres, radius=2.0):
    made = SkyRegions()
    for ra, dec in centres:
        made.append(SkyRegion(centre_ra=ra, centre_dec=dec, xtr_radius=radius))
    return made


def region(ra, dec, radius=2.0):
    return SkyRegion(centre_ra=ra, centre_dec=dec, xtr_radius=radius)


@pytest.mark.parametrize(("shift", "expected"), [(0.0, 0), (0.019, 0), (0.021, None)])
def test_pointing_within_the_tolerance_belongs_across_ra_zero(shift, expected):
    known = regions((359.99, 0.0))
    assert known.find(region((359.99 + shift) % 360, 0.0), tolerance=0.01) == expected


def test_nearest_of_several_regions_is_found():
    known = regions((10.0, 0.0), (10.1, 0.0))
    assert known.find(region(10.06, 0.0), tolerance=0.1) == 1


def test_region_of_another_size_is_another():
    assert regions((10.0, 0.0)).find(region(10.0, 0.0, radius=1.0), tolerance=0.1) is None


def test_without_tolerance_only_the_same_circle_matches():
    known = regions((10.0, 0.0))
    assert known.find(region(10.0, 0.0), tolerance=0.0) == 0
    assert known.find(region(10.0 + 1e-13, 0.0), tolerance=0.0) is None


places = st.tuples(st.floats(0, 359.9), st.floats(-90, 90))


@given(st.lists(places, max_size=8), st.lists(places, max_size=4), st.floats(0.1, 90))
def test_covering_regions_contain_the_position(centres, positions, radius):
    known = regions(*centres, radius=radius)
    ra, dec = np.array([p[0] for p in positions]), np.array([p[1] for p in positions])
    found = set(zip(*(rows.tolist() for rows in known.covering(ra, dec)[:2]), strict=True))
    assert found == {(i, n) for n, one in enumerate(known) for i in np.flatnonzero(one.covers(ra, dec)).tolist()}


def test_no_region_covers_nothing():
    assert all(len(part) == 0 for part in SkyRegions().covering([1.0], [2.0]))
