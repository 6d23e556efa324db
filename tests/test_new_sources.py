"""Which new entries an earlier image should have shown."""

from __future__ import annotations

import numpy as np
import pytest
from made_up_survey import sources

from trap.config import PipelineConfig
from trap.entries import LightCurveKey
from trap.images.skyregion import SkyRegion
from trap.new_sources import EarlierLooks
from trap.noise_history import NoiseTiles, tiles_within
from trap.sky_regions import SkyRegions

KEY = LightCurveKey(0, 1)
REGIONS = SkyRegions()
for RA in (10.0, 11.5):
    REGIONS.append(SkyRegion(centre_ra=RA, centre_dec=0.0, xtr_radius=1.0))
ONE = np.array([0])


def make_looks(noise="position"):
    """Thresholds of 10 + 2 σ."""
    options = {"new_source_sigma_margin": 2.0, "new_source_test": noise}
    config = PipelineConfig().with_options(source_extraction={"detection_threshold": 10.0}, transient_search=options)
    return EarlierLooks(config)


@pytest.fixture
def looks():
    """One image of the first region with noise from 1 to 2 mJy: limits 12 and 24 mJy."""
    made = make_looks()
    made.add(KEY, image=7, region=0, rms_range=(1e-3, 2e-3))
    return made


def find(looks, flux, ra=10.0, key=KEY):
    return looks.find_new_sources(key, np.array([42]), sources(ra, 0.0, flux=flux), ONE, REGIONS)


def tiles(rms, order=8):
    """Tiles over the first region, noisier to the east of RA 10."""
    numbers, ra, _ = tiles_within(order, 10.0, 0.0, 1.0)
    return NoiseTiles(order=order, tile=numbers, rms=np.where(ra > 10.0, 2 * rms, rms).astype(np.float32))


@pytest.mark.parametrize(("flux", "kinds"), [(0.0119, []), (0.0121, [0]), (0.0239, [0]), (0.0241, [1])])
def test_limits_are_noise_times_threshold_and_margin(looks, flux, kinds):
    assert list(find(looks, flux).newsource_type) == kinds


def test_candidate_refers_to_its_entry_image_and_significance(looks):
    new = find(looks, 0.03)
    assert (new.entry[0], new.measurement[0], new.previous_limits_image[0]) == (42, 0, 7)
    assert (new.sigma_rms_min[0], new.sigma_rms_max[0]) == pytest.approx((30, 15))
    assert np.isnan(new.sigma_local[0])
    assert new.n_looks[0] == 0


def test_sky_never_looked_at_gives_no_candidate(looks):
    assert len(find(looks, 1.0, ra=11.5)) == 0
    assert len(find(looks, 1.0, key=LightCurveKey(1, 1))) == 0
    assert len(find(make_looks(), 1.0)) == 0


def test_best_look_of_a_region_is_kept(looks):
    looks.add(KEY, image=8, region=0, rms_range=(1e-3, 3e-3))
    assert find(looks, 1.0).previous_limits_image[0] == 7
    looks.add(KEY, image=9, region=0, rms_range=(0.5e-3, 9e-3))
    assert find(looks, 1.0).previous_limits_image[0] == 9


def test_best_look_among_overlapping_regions_is_used(looks):
    looks.add(KEY, image=8, region=1, rms_range=(0.1e-3, 1e-3))
    assert find(looks, 1.0, ra=10.75).previous_limits_image[0] == 8
    assert find(looks, 1.0, ra=10.0).previous_limits_image[0] == 7


def test_image_of_which_nothing_could_be_searched_is_no_look():
    looks = make_looks()
    looks.add(KEY, image=1, region=0, rms_range=(np.nan, np.nan))
    assert len(find(looks, 1.0)) == 0
    looks.add(KEY, image=2, region=0, rms_range=(1e-3, 2e-3))
    assert find(looks, 1.0).previous_limits_image[0] == 2


# 18 mJy is above 12 times the lowest noise of 1 mJy, but below 12 times the 2 mJy of the eastern half.
@pytest.mark.parametrize(("noise", "ra", "n"), [("position", 10.3, 0), ("position", 9.7, 1), ("image", 10.3, 1)])
def test_noise_at_the_position_decides_unless_asked_otherwise(noise, ra, n):
    looks = make_looks(noise)
    looks.add(KEY, image=7, region=0, rms_range=(1e-3, 2e-3), tiles=tiles(1e-3))
    assert len(find(looks, 0.018, ra=ra)) == n


def test_candidate_tells_its_significance_at_the_position_and_the_number_of_looks():
    looks = make_looks()
    looks.add(KEY, image=7, region=0, rms_range=(1e-3, 2e-3), tiles=tiles(1e-3))
    looks.add(KEY, image=8, region=0, rms_range=(3e-3, 6e-3), tiles=tiles(3e-3))
    new = find(looks, 0.05, ra=10.3)
    assert new.sigma_local[0] == pytest.approx(25.0)
    assert new.n_looks[0] == 2
