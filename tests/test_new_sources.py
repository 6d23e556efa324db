"""Which new entries an earlier image should have shown."""

from __future__ import annotations

import numpy as np
import pytest
from made_up_survey import sources

from trap.images.skyregion import SkyRegion
from trap.new_sources import EarlierLooks
from trap.running_catalogue import LightCurveKey

KEY = LightCurveKey(0, 1)
REGIONS = [
    SkyRegion(centre_ra=10.0, centre_dec=0.0, xtr_radius=1.0),
    SkyRegion(centre_ra=11.5, centre_dec=0.0, xtr_radius=1.0),
]
ONE = np.array([0])


@pytest.fixture
def looks():
    """Thresholds of 10 + 2 σ; one image of the first region with noise from 1 to 2 mJy: limits 12 and 24 mJy."""
    made = EarlierLooks(sigma_margin=2.0)
    made.add(KEY, image=7, region=0, rms_min=1e-3, rms_max=2e-3, threshold=10.0)
    return made


def find(looks, flux, ra=10.0, key=KEY):
    return looks.find_new_sources(key, np.array([42]), ONE, sources(ra, 0.0, flux=flux), REGIONS)


@pytest.mark.parametrize(("flux", "kinds"), [(0.0119, []), (0.0121, [0]), (0.0239, [0]), (0.0241, [1])])
def test_limits_are_noise_times_threshold_and_margin(looks, flux, kinds):
    assert list(find(looks, flux).newsource_type) == kinds


def test_candidate_refers_to_its_entry_image_and_significance(looks):
    new = find(looks, 0.03)
    assert (new.entry[0], new.measurement[0], new.previous_limits_image[0]) == (42, 0, 7)
    assert (new.sigma_rms_min[0], new.sigma_rms_max[0]) == pytest.approx((30, 15))


def test_sky_never_looked_at_gives_no_candidate(looks):
    assert len(find(looks, 1.0, ra=11.5)) == 0
    assert len(find(looks, 1.0, key=LightCurveKey(1, 1))) == 0
    assert len(find(EarlierLooks(1.0), 1.0)) == 0


def test_best_look_of_a_region_is_kept(looks):
    looks.add(KEY, image=8, region=0, rms_min=1e-3, rms_max=3e-3, threshold=10.0)
    assert find(looks, 1.0).previous_limits_image[0] == 7
    looks.add(KEY, image=9, region=0, rms_min=0.5e-3, rms_max=9e-3, threshold=10.0)
    assert find(looks, 1.0).previous_limits_image[0] == 9


def test_best_look_among_overlapping_regions_is_used(looks):
    looks.add(KEY, image=8, region=1, rms_min=0.1e-3, rms_max=1e-3, threshold=10.0)
    assert find(looks, 1.0, ra=10.75).previous_limits_image[0] == 8
    assert find(looks, 1.0, ra=10.0).previous_limits_image[0] == 7


def test_image_of_which_nothing_could_be_searched_is_no_look():
    looks = EarlierLooks(sigma_margin=2.0)
    looks.add(KEY, image=1, region=0, rms_min=np.nan, rms_max=np.nan, threshold=10.0)
    assert len(find(looks, 1.0)) == 0
    looks.add(KEY, image=2, region=0, rms_min=1e-3, rms_max=2e-3, threshold=10.0)
    assert find(looks, 1.0).previous_limits_image[0] == 2
