"""Expected numbers of noise peaks, and the grades of candidates by them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage
from scipy.stats import norm, poisson

from trap.association.entries import LightCurveKey
from trap.association.negative_peaks import NegativeHistory, NegativePeaks
from trap.association.noise_peaks import NoiseChance, SearchedArea, noise_curvature, noise_peaks, rank_candidates
from trap.catalogues import Grade
from trap.extraction.correlation import beam_correlation
from trap.images.beam import Beam
from trap.simulation.pixels import noise_transfer, render_noise

SIDE = 1024
KEY = LightCurveKey(0, 1)


def correlation_of(form, *, m=4):
    """Autocorrelation exp(-½ xᵀ form x) at lags of whole pixels."""
    a, b, c = form
    y, x = np.mgrid[-m : m + 1, -m : m + 1]
    return np.exp(-(a * x**2 + 2 * b * x * y + c * y**2) / 2)


@pytest.mark.parametrize(("bmaj", "bmin", "bpa"), [(3.0, 3.0, 0.0), (4.5, 3.5, 30.0), (9.0, 4.0, 70.0)])
def test_curvature_of_a_gaussian_is_that_of_its_widths(bmaj, bmin, bpa):
    form = Beam(bmaj=bmaj / 3600, bmin=bmin / 3600, bpa=bpa).quadratic_form(-1 / 3600, 1 / 3600)
    assert noise_curvature(correlation_of(form)) == pytest.approx(8 * np.log(2) / (bmaj * bmin))
    # Noise that was convolved with the beam is correlated like a beam √2 wider.
    assert noise_curvature(beam_correlation(np.array(form))) == pytest.approx(4 * np.log(2) / (bmaj * bmin))


# Noise that is correlated like the beam (the residuals of an interferometric image), or convolved with it. 2, 4 and
# 7 pixels per beam, the last one elongated.
@pytest.mark.parametrize(
    ("beam", "form_factor"), [((2.0, 2.0, 0.0), 2), ((4.5, 3.5, 30.0), 2), ((3.5, 3.5, 0.0), 1), ((11.0, 5.0, 70.0), 2)]
)
def test_noise_has_as_many_peaks_as_expected(beam, form_factor):
    bmaj, bmin, bpa = beam
    form = Beam(bmaj=bmaj / 3600, bmin=bmin / 3600, bpa=bpa).quadratic_form(-1 / 3600, 1 / 3600)
    transfer = noise_transfer(tuple(form_factor * value for value in form), (SIDE, SIDE))
    rng, heights, n_images = np.random.default_rng(11), [], 6
    for _ in range(n_images):
        noise = render_noise(rng, transfer, (SIDE, SIDE))
        for signed in (noise, -noise):
            is_peak = (signed > 3.5) & (signed == ndimage.maximum_filter(signed, 3, mode="wrap"))
            heights += signed[is_peak].tolist()
    n_seen = [(np.array(heights) > u).sum() for u in (3.5, 4.0, 4.5, 5.0)]
    # The noise has the autocorrelation of the kernel with itself: a form of half the coefficients.
    curvature = form_factor * 4 * np.log(2) / (bmaj * bmin)
    n_pixels = 2 * n_images * SIDE**2
    area = SearchedArea(n_pixels=n_pixels, n_beams=round(n_pixels * curvature / (8 * np.log(2))))
    for u, seen in zip((3.5, 4.0, 4.5, 5.0), n_seen, strict=True):
        expected = float(noise_peaks(u, area))
        # The formula holds for high peaks: to 10 % from 4.5 σ on.
        assert seen == pytest.approx(expected, rel=0.1, abs=3 * np.sqrt(expected)), u


def test_pixels_of_white_noise_are_peaks_and_well_sampled_ones_are_those_of_a_random_field():
    u = np.array([5.0, 6.0])
    white = SearchedArea(n_pixels=10**6, n_beams=10**6 * 20)
    assert noise_peaks(u, white) == pytest.approx(10**6 * norm.sf(u), rel=1e-3)
    smooth = SearchedArea(n_pixels=10**8, n_beams=10**5)
    # Bond & Efstathiou (1987), with 1e5 times 8 ln 2 as area times curvature.
    field = 1e5 * 8 * np.log(2) * u * np.exp(-(u**2) / 2) / (2 * np.pi) ** 1.5
    assert noise_peaks(u, smooth) == pytest.approx(field, rel=0.05)


@pytest.mark.parametrize(("beam_pixels", "u"), [(4.0, 5.0), (4.0, 6.0), (8.0, 5.0)])
def test_scatter_of_the_measured_noise_makes_more_peaks(beam_pixels, u):
    known = SearchedArea(n_pixels=10**8, n_beams=round(10**8 / beam_pixels**2))
    measured = replace(known, cell_pixels=2500)
    # The squared correlation of a Gaussian 4 pixels wide adds up to π / λ pixels.
    curvature = 8 * np.log(2) / beam_pixels**2
    variance = 1.4 / 2 * np.pi / 18 * np.pi / curvature / 2500
    scatter = np.linspace(-8, 8, 4001)
    # The noise is 1 + 3/2 ε² on average, and scatters by ε: heights in units of the true noise.
    heights = u * (1 + 1.5 * variance + np.sqrt(variance) * scatter)
    mean = np.average(noise_peaks(heights, known), weights=norm.pdf(scatter))
    assert float(noise_peaks(u, measured)) == pytest.approx(mean, rel=0.06)
    assert float(noise_peaks(u, measured)) > 1.05 * float(noise_peaks(u, known))


def test_bright_sources_are_no_noise_whatever_its_scatter():
    heights = np.array([5.0, 8.0, 12.0, 20.0, 37.0, 50.0, 1e3, 1e5])
    for n_beams, cell in ((10**6, 2500), (10**5, 100), (0, 2500)):
        expected = noise_peaks(heights, SearchedArea(n_pixels=10**7, n_beams=n_beams, cell_pixels=cell))
        assert np.isfinite(expected).all()
        assert (np.diff(expected) <= 0).all()
        assert expected[3] < 1e-40
        assert expected[-1] == 0


def test_nothing_searched_has_no_peaks():
    assert noise_peaks([5.0], SearchedArea()) == pytest.approx([0.0])
    assert not SearchedArea().has_wide_tails


GOOD = SearchedArea(n_pixels=10**8, n_beams=5 * 10**6, threshold=5.0)
"""100 images of 1000² pixels. Gaussian noise makes 10⁸ Q(5) erf²(5 √(0.277/8)) = 18.9 peaks above 5 σ in them."""
IMAGE = SearchedArea(n_pixels=10**6, n_beams=5 * 10**4, threshold=5.0)
PIXEL = 2 / 3600
HISTORY = NegativeHistory()


def peaks(heights, ra, *, negative):
    """Expected peaks at declination 0, in the last of 100 images about (180°, 0°)."""
    chance = NoiseChance(image=IMAGE, so_far=replace(GOOD, n_negative=len(negative)), pixel_area=PIXEL**2)
    dec = np.zeros(len(heights))
    return chance.peaks(heights, ra, dec, n_looks=np.full(len(heights), 99), negative=HISTORY.sums(KEY, negative))


def negative_at(ra, dec, depth):
    ra, dec, depth = np.broadcast_arrays(ra, dec, depth)
    return NegativePeaks.at(ra.ravel(), dec.ravel(), depth.ravel(), beam=9 / 3600)


def field(n, depth, seed=3):
    """Negative peaks all over the field of 0.56°."""
    rng = np.random.default_rng(seed)
    ra, dec = rng.uniform(-0.28, 0.28, (2, n))
    return negative_at(180 + ra, dec, depth)


def test_negative_peaks_as_expected_change_nothing():
    gaussian = noise_peaks([6.0], GOOD)
    assert GOOD.expected_negative == pytest.approx(18.9, abs=0.05)
    assert peaks([6.0], [180.0], negative=field(19, 0.2)) == pytest.approx(gaussian)
    assert not replace(GOOD, n_negative=19).has_wide_tails
    # As many as Gaussian noise makes once in five hundred times.
    n = int(poisson.isf(2e-3, GOOD.expected_negative))
    assert peaks([6.0], [180.0], negative=field(n, 0.2)) == pytest.approx(gaussian)
    assert replace(GOOD, n_negative=n + 5).has_wide_tails


def test_heights_are_distributed_like_the_depths_of_too_many_negative_peaks():
    # 200 negative peaks beyond 5 σ, all over the field, that fall off by e per 1.5 σ.
    everywhere = peaks([6.5, 11.0], [180.0, 180.2], negative=field(200, 1.5))
    assert everywhere == pytest.approx(200 * np.exp([-1.0, -4.0]), rel=0.15)
    # No fewer than of Gaussian noise.
    assert peaks([6.0], [180.0], negative=field(200, 0.01)) == pytest.approx(noise_peaks([6.0], GOOD))


def test_artefacts_of_a_bright_source_count_near_it_only():
    # The same ring of six negative peaks, 8 σ deep, in all 100 images; the noise of the other field is good.
    angle = np.arange(6) * np.pi / 3
    ring = negative_at(180.2 + 0.01 * np.cos(angle), np.tile(0.01 * np.sin(angle), (100, 1)), 3.0)
    near, away = peaks([14.0, 14.0], [180.2, 179.9], negative=ring)
    assert near == pytest.approx(600 * np.exp(-3.0), rel=0.01)
    assert away == pytest.approx(float(noise_peaks(14.0, GOOD)))


def test_single_negative_peak_near_a_candidate_is_noise():
    alone = negative_at(180.0, 0.0, 0.3)
    assert peaks([6.0], [180.0], negative=alone) == pytest.approx(noise_peaks([6.0], GOOD))


def test_negative_sources_double_the_peaks_of_noise():
    chance = NoiseChance(image=GOOD, so_far=GOOD, pixel_area=PIXEL**2)
    assert chance.peaks([6.0], [180.0], [0.0], n_looks=[5], negative=None) == pytest.approx(
        2 * noise_peaks([6.0], GOOD)
    )


def test_sums_of_areas_are_those_of_their_parts():
    other = SearchedArea(n_pixels=3, n_beams=2, n_negative=1, threshold=5.0)
    total = sum((GOOD, other), SearchedArea())
    assert total == SearchedArea(n_pixels=10**8 + 3, n_beams=5 * 10**6 + 2, n_negative=1, threshold=5.0)


@pytest.mark.parametrize("n_images", [10, 200, 2000])
def test_likely_candidates_hold_fewer_false_ones_than_allowed_in_any_number_of_images(n_images):
    image = SearchedArea(n_pixels=10**6, n_beams=50_000)
    n_peaks = np.geomspace(1e-9, 10, 20_001)
    n_false = 0.0
    so_far = image
    for _ in range(1, n_images):
        so_far += image
        likely = NoiseChance(image=image, so_far=so_far).grades(n_peaks, 0.1) == Grade.LIKELY
        # Of the noise peaks expected so far at the limit, this image has the share of its area.
        n_false += n_peaks[likely].max() * image.n_pixels / so_far.n_pixels
    assert 0.03 < n_false < 0.1


def test_grade_of_the_second_image_follows_the_stated_limit():
    image = SearchedArea(n_pixels=100, n_beams=5)
    chance = NoiseChance(image=image, so_far=image + image)
    # 0.1 / (1 + ln 2)² = 0.0349
    assert chance.grades([0.0348, 0.0350], 0.1).tolist() == [Grade.LIKELY, Grade.POSSIBLE]


def test_candidates_are_ranked_by_score_then_grade_then_noise_then_newness():
    nan = np.nan
    assert rank_candidates([0.1, nan, 0.9], [1, 1, 0], [0, 0, 1], [9, 99, 5]).tolist() == [2, 0, 1]
    grade, noise, newness = [0, 1, 1, nan, 1, 0], [2.0, 0.0, 1e-3, nan, 0.0, 0.5], [9.0, 20.0, 30.0, 50.0, 40.0, 6.0]
    assert rank_candidates([nan] * 6, grade, noise, newness).tolist() == [4, 1, 2, 5, 0, 3]
