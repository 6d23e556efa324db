"""Selection of new entries that an earlier image should have shown."""

from __future__ import annotations

import numpy as np
import pytest
from made_up_survey import sources
from scipy.stats import norm

from trap.association.entries import LightCurveKey
from trap.association.new_sources import EarlierFluxes, EarlierLooks, significance_of_newness
from trap.association.noise_history import NoiseTiles, tiles_within
from trap.association.noise_peaks import NoiseChance, SearchedArea, noise_peaks
from trap.association.sky_regions import SkyRegions
from trap.catalogues import Grade
from trap.config import PipelineConfig
from trap.images.skyregion import SkyRegion

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
    return looks.find_new_sources(key, np.array([42]), sources(ra, 0.0, flux=flux), ONE, REGIONS, chance=NoiseChance())


def tiles(rms, order=8):
    """Tiles over the first region, noisier to the east of RA 10."""
    numbers, ra, _ = tiles_within(order, 10.0, 0.0, 1.0)
    return NoiseTiles(order=order, tile=numbers, rms=np.where(ra > 10.0, 2 * rms, rms).astype(np.float32))


@pytest.mark.parametrize(("flux", "kinds"), [(0.0119, []), (0.0121, [0]), (0.0239, [0]), (0.0241, [1])])
def test_limits_are_noise_times_threshold_and_margin(looks, flux, kinds):
    assert list(find(looks, flux).newsource_type) == kinds


def test_candidate_refers_to_its_entry_and_image_and_has_its_flux_over_noise(looks):
    new = find(looks, 0.03)
    assert (new.entry[0], new.measurement[0], new.previous_limits_image[0]) == (42, 0, 7)
    assert (new.sigma_rms_min[0], new.sigma_rms_max[0]) == pytest.approx((30, 15))
    assert np.isnan(new.sigma_local[0])
    assert new.n_looks[0] == 0


def test_position_without_earlier_images_has_no_candidate(looks):
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


def test_image_without_a_searched_pixel_is_no_look():
    looks = make_looks()
    looks.add(KEY, image=1, region=0, rms_range=(np.nan, np.nan))
    assert len(find(looks, 1.0)) == 0
    looks.add(KEY, image=2, region=0, rms_range=(1e-3, 2e-3))
    assert find(looks, 1.0).previous_limits_image[0] == 2


# 18 mJy is above 12 times the lowest noise of 1 mJy, but below 12 times the 2 mJy of the eastern half.
@pytest.mark.parametrize(("noise", "ra", "n"), [("position", 10.3, 0), ("position", 9.7, 1), ("image", 10.3, 1)])
def test_noise_at_the_position_decides_by_default(noise, ra, n):
    looks = make_looks(noise)
    looks.add(KEY, image=7, region=0, rms_range=(1e-3, 2e-3), tiles=tiles(1e-3))
    assert len(find(looks, 0.018, ra=ra)) == n


def test_candidate_has_its_flux_over_local_noise_and_the_number_of_looks():
    looks = make_looks()
    looks.add(KEY, image=7, region=0, rms_range=(1e-3, 2e-3), tiles=tiles(1e-3))
    looks.add(KEY, image=8, region=0, rms_range=(3e-3, 6e-3), tiles=tiles(3e-3))
    new = find(looks, 0.05, ra=10.3)
    assert new.sigma_local[0] == pytest.approx(25.0)
    assert new.n_looks[0] == 2


def significance(snr, n_looks, threshold=5.0, earlier=None):
    return significance_of_newness([snr], [1.0], threshold=threshold, rms=[1.0], n_looks=[n_looks], earlier=earlier)[0]


def test_newness_excludes_the_steady_source_that_is_hardest_to_exclude():
    snr = np.linspace(-5, 20, 25_001)
    for peak, n in ((6.0, 1), (8.0, 1), (7.0, 10), (12.0, 100)):
        product = norm.cdf(5 - snr) ** n * norm.cdf(snr - peak)
        assert significance(peak, n) == pytest.approx(norm.isf((n + 1) * product.max()), abs=1e-3)


def test_newness_rises_with_the_number_of_looks_and_with_the_peak():
    looks = [significance(7.0, n) for n in (1, 3, 10, 100)]
    assert looks == sorted(looks)
    assert significance(1000.0, 1) > significance(100.0, 1) > 60


def test_earlier_fluxes_separate_a_transient_from_a_steady_source():
    def after_ten(mean):
        return significance(6.5, 50.0, earlier=EarlierFluxes(n=[10], mean=[mean], error=[0.3]))

    assert after_ten(0.0) > 4.5
    assert after_ten(3.5) < 3.0


def test_noisier_looks_count_for_less(looks):
    made = make_looks("significance")
    for image, rms in enumerate((1e-3, 2e-3, 2e-3)):
        made.add(KEY, image=image, region=0, rms_range=(rms, rms), tiles=tiles(rms))
    (new,) = find(made, 0.03, ra=9.5).newness
    # Twice the noise is 1/64 of a look.
    (expected,) = significance_of_newness([0.03], [5e-4], threshold=10.0, rms=[1e-3], n_looks=[1 + 2 / 64])
    assert new == pytest.approx(expected, rel=1e-4)


def test_weight_of_a_noisier_look_is_about_the_ratio_of_the_logarithms():
    for ratio in (1.1, 1.3, 2.0):
        for snr in (4.5, 5.5, 6.5):
            true = norm.logcdf(5 - snr / ratio) / norm.logcdf(5 - snr)
            assert ratio**-6 == pytest.approx(true, rel=0.6, abs=0.06)


def test_position_that_was_never_searched_within_a_region_has_no_candidate():
    made = make_looks("significance")
    numbers, ra, _ = tiles_within(8, 10.0, 0.0, 1.0)
    west = numbers[ra < 9.9]
    half = NoiseTiles(order=8, tile=west, rms=np.full(len(west), 1e-3, np.float32))
    made.add(KEY, image=1, region=0, rms_range=(1e-3, 1e-3), tiles=half)
    assert len(find(made, 1.0, ra=10.5)) == 0
    assert len(find(made, 1.0, ra=9.5)) == 1


@pytest.mark.parametrize("test", ["significance", "position", "image"])
def test_negative_source_is_as_new_as_a_positive_one(test):
    made = make_looks(test)
    for image in range(3):
        made.add(KEY, image=image, region=0, rms_range=(1e-3, 1e-3), tiles=tiles(1e-3))
    earlier = [EarlierFluxes(n=[2], mean=[mean], error=[5e-4]) for mean in (1e-4, -1e-4)]
    place = (KEY, np.array([42]), sources(9.5, 0.0, flux=0.03), ONE, REGIONS)
    positive = made.find_new_sources(*place, chance=NoiseChance(), earlier=earlier[0])
    fluxes = {name: -getattr(place[2], name) for name in ("f_peak", "f_int", "significance")}
    negative = made.find_new_sources(
        *place[:2], place[2].with_columns(**fluxes), *place[3:], chance=NoiseChance(), earlier=earlier[1]
    )
    assert len(positive) == len(negative) == 1
    for name, values in positive.as_dict().items():
        assert getattr(negative, name) == pytest.approx(values, nan_ok=True), name
    assert negative.sigma_rms_min[0] == pytest.approx(30)


def test_candidate_has_the_number_of_noise_peaks_as_high_and_a_grade_by_it():
    made = EarlierLooks(PipelineConfig())
    for image in range(100):
        made.add(KEY, image=image, region=0, rms_range=(1e-3, 1e-3), tiles=tiles(1e-3))
    fits = EarlierFluxes.of(n=np.array([100]), mean=np.array([0.0]), error=np.array([1e-4]))
    area = SearchedArea(n_pixels=1_000_000, n_beams=50_000)
    expected = noise_peaks(6.0, area)
    for lower in ("f_peak", "significance"):
        # The lower one of the fitted peak and the highest pixel counts.
        heights = {"f_peak": 9.0, "significance": 9.0} | {lower: 6.0}
        found = sources(9.9, 0.0, flux=0.01).with_columns(
            f_peak=heights["f_peak"] * 1e-3, significance=heights["significance"], rms=1e-3, f_peak_err=1e-3
        )
        for n_images, grade in ((1, Grade.LIKELY), (1000, Grade.POSSIBLE)):
            so_far = SearchedArea(n_pixels=n_images * area.n_pixels, n_beams=n_images * area.n_beams)
            chance = NoiseChance(image=area, so_far=so_far)
            new = made.find_new_sources(KEY, np.array([42]), found, ONE, REGIONS, chance=chance, earlier=fits)
            assert new.noise_peaks[0] == pytest.approx(n_images * expected)
            assert new.grade[0] == grade


def test_searched_areas_of_a_band_are_added(looks):
    looks.add(
        KEY, image=8, region=0, rms_range=(1e-3, 1e-3), searched=SearchedArea(n_pixels=100, n_beams=5, threshold=5.0)
    )
    area = SearchedArea(n_pixels=300, n_beams=9, n_negative=2, threshold=5.0)
    looks.add(KEY, image=9, region=0, rms_range=(np.nan, np.nan), searched=area)
    looks.add(LightCurveKey(1, 1), image=9, region=0, rms_range=(1e-3, 1e-3), searched=area)
    assert looks.searched(KEY) == SearchedArea(n_pixels=400, n_beams=14, n_negative=2, threshold=5.0)
    assert looks.searched(LightCurveKey(1, 1)) == area
    assert looks.searched(LightCurveKey(0, 4)) == SearchedArea()


def test_steady_negative_source_is_not_new():
    made = make_looks("significance")
    made.add(KEY, image=1, region=0, rms_range=(1e-3, 1e-3), tiles=tiles(1e-3))
    found = sources(9.5, 0.0, flux=-0.0125)
    fits = [EarlierFluxes(n=[1], mean=[mean], error=[1e-3]) for mean in (-0.0095, 0.0095)]
    steady, reversed_sign = (
        made.find_new_sources(KEY, np.array([42]), found, ONE, REGIONS, chance=NoiseChance(), earlier=fit)
        for fit in fits
    )
    assert len(steady) == 0
    assert len(reversed_sign) == 1
