"""Checks of pixels. The expected noise is TraP's own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from check_inputs import image_input

from trap.images.beam import Beam
from trap.quality.pixels import check_asymmetry, check_flat, check_nan, check_off_sky, check_psf, check_rms, rms_qc


@pytest.fixture
def noise_with_outlier():
    data = np.random.RandomState(7).normal(0, 1, (100, 100))
    data[50, 50] = 1000
    return data


@pytest.mark.parametrize(("fraction", "expected"), [(4, 0.9928946323), (8, 0.9941908244)])
def test_rms_of_noise_with_an_outlier_is_traps(noise_with_outlier, fraction, expected):
    assert rms_qc(noise_with_outlier, sigma=4, fraction=fraction) == pytest.approx(expected, rel=1e-9)


def test_rms_of_a_constant_image_is_zero():
    assert rms_qc(np.ones((800, 800), np.float32), sigma=4, fraction=4) == 0


def test_rms_clips_a_lone_bright_pixel():
    data = np.full((50, 50), 10.0)
    data[25, 25] = 20.0
    assert rms_qc(data, sigma=3, fraction=4) == 0


def test_rms_looks_at_the_middle_of_both_axes_only():
    data = np.random.default_rng(1).normal(size=(40, 80))
    middle = rms_qc(data, sigma=4, fraction=4)
    data[:10], data[30:], data[:, :20], data[:, 60:] = 1e6, 1e6, 1e6, 1e6
    assert rms_qc(data, sigma=4, fraction=4) == middle


def test_rms_uses_the_finite_pixels(noise_with_outlier):
    noise_with_outlier[40:60, 40:48] = np.nan
    assert rms_qc(noise_with_outlier, sigma=4, fraction=4) == pytest.approx(1.0, abs=0.05)


def test_rms_without_a_finite_pixel_is_nan():
    assert np.isnan(rms_qc(np.full((20, 20), np.nan), sigma=4, fraction=8))


def test_rms_of_an_image_smaller_than_the_fraction_uses_all_of_it():
    assert rms_qc(np.arange(16.0).reshape(4, 4), sigma=4, fraction=8) == pytest.approx(np.arange(16).std())


@pytest.mark.parametrize("gap", [False, True])
def test_flat_image_does_not_pass(gap):
    data = np.full((5, 5), 2.0)
    data[1, 1] = np.nan if gap else 2.0
    assert not check_flat(image_input(data)).passed
    assert check_flat(image_input(data)).comment == "all pixels are 2"


def test_image_without_a_value_is_not_called_flat():
    assert check_flat(image_input(np.full((5, 5), np.nan))).passed


@pytest.mark.parametrize(("n_missing", "passes"), [(0, True), (50, True), (51, False), (100, False)])
def test_share_of_pixels_without_a_value_has_a_limit(n_missing, passes):
    data = np.arange(100.0).reshape(10, 10)
    data.ravel()[:n_missing] = np.nan
    verdict = check_nan(image_input(data, max_nan_share=0.5))
    assert verdict.passed is passes
    assert verdict.comment == (
        "no pixel has a finite value"
        if n_missing == 100
        else f"{n_missing}.00% of the pixels without a value, at most 50.00%"
    )


@pytest.mark.parametrize(
    ("rms", "passes"), [(0.5, False), (0.5001, True), (1.9999, True), (2.0, False), (np.nan, False), (np.inf, False)]
)
def test_rms_must_lie_strictly_between_its_limits(rms, passes):
    verdict = check_rms(image_input(rms=rms, rms_est_min=0.5, rms_est_max=2.0))
    assert verdict.passed is passes
    assert verdict.comment.startswith("RMS value within" if passes else "RMS value not within min and max")


# Noise that is not Gaussian


def independent(data, *, beam=None, **changes):
    """An image whose pixels have independent noise, or one of a beam on pixels of 1 deg."""
    return image_input(data, beam=beam, deltax=-1.0, deltay=1.0, **changes)


def test_gaussian_noise_is_symmetric():
    data = np.random.default_rng(1).normal(5.0, 2.0, (300, 300))
    assert check_asymmetry(independent(data, max_asymmetry=1.02)).passed


def test_sources_do_not_make_noise_asymmetric():
    rng = np.random.default_rng(1)
    data = rng.normal(0.0, 1.0, (300, 300))
    data.ravel()[rng.choice(data.size, 900, replace=False)] += 50.0
    assert check_asymmetry(independent(data, max_asymmetry=1.05)).passed


def test_polarised_intensity_is_recognised_by_its_noise():
    # Of Rayleigh noise, whose median is √(2 ln 2): the mean square above it is 2 - 4 m ∫… = 1.44² that below.
    q, u = np.random.default_rng(1).normal(size=(2, 300, 300))
    verdict = check_asymmetry(independent(np.hypot(q, u)))
    assert not verdict.passed
    assert float(verdict.comment.split(": ")[1].split(",")[0]) == pytest.approx(1.44, abs=0.02)


def test_chance_in_a_small_image_is_no_asymmetry():
    # 64² pixels of noise that is the same over 25 of them: 164 values, whose ratio chance takes to 1.3 and beyond.
    rng = np.random.default_rng(6)
    fields = [np.kron(rng.normal(size=(13, 13)), np.ones((5, 5)))[:64, :64] for _ in range(200)]
    # A Gaussian beam of full width w covers π w² / (4 ln 2) pixels.
    beam = Beam(bmaj=np.sqrt(25 * 4 * np.log(2) / np.pi), bmin=np.sqrt(25 * 4 * np.log(2) / np.pi), bpa=0.0)
    assert all(check_asymmetry(independent(data, beam=beam, max_asymmetry=1.0001)).passed for data in fields)
    assert not all(check_asymmetry(independent(data, max_asymmetry=1.0001)).passed for data in fields)


@pytest.mark.parametrize("data", [np.full((9, 9), np.nan), np.zeros((9, 9)), np.eye(9)])
def test_image_without_noise_has_no_asymmetry(data):
    assert check_asymmetry(independent(data)).passed


# Point-spread functions


def point_spread(size=201, peak=1.0):
    """The Fourier transform of a few hundred baselines: what a real array makes of a point."""
    rng = np.random.default_rng(2)
    u, v = rng.normal(0, 0.06, (2, 300))
    y, x = np.indices((size, size)) - size // 2
    phase = 2 * np.pi * (u[:, None, None] * x + v[:, None, None] * y)
    return peak * np.cos(phase).mean(axis=0)


WIDTH = 2.355 / (2 * np.pi * 0.06)
"""Full width of the Gaussian whose transform the baselines sample."""


def of_width(data):
    """An image under a beam of that width on pixels of 0.01 deg."""
    beam = Beam(bmaj=WIDTH * 0.01, bmin=WIDTH * 0.01, bpa=0.0)
    return image_input(data, beam=beam, deltax=-0.01, deltay=0.01)


def test_point_spread_function_is_recognised():
    verdict = check_psf(of_width(point_spread()))
    assert not verdict.passed
    assert verdict.comment == "peak 1 at pixel (100, 100), sidelobes symmetric about it to 1.000"


def test_point_spread_function_away_from_the_centre_is_recognised():
    assert not check_psf(of_width(np.roll(point_spread(), (30, -20), (0, 1)))).passed


@pytest.mark.parametrize(
    "data",
    [
        point_spread(peak=0.5),  # a source that was never cleaned
        point_spread() + np.random.default_rng(1).normal(0, 0.1, (201, 201)),  # its peak is no longer 1, or noise
        np.exp(-0.5 * ((np.indices((201, 201)) - 100) ** 2).sum(axis=0) / 9),  # a source of 1 Jy without noise
        np.full((201, 201), np.nan),
        np.ones((3, 3)),
    ],
)
def test_sky_is_no_point_spread_function(data):
    assert check_psf(of_width(data)).passed


@pytest.mark.parametrize(("share", "passes"), [(0.0, True), (0.215, True), (0.37, False)])
def test_more_pixels_off_the_sky_than_the_corners_are_flagged(share, passes):
    # The corners of a square around a circle are 1 - π/4 = 21.5 % of it.
    verdict = check_off_sky(replace(image_input(), off_sky=share))
    assert verdict.passed is passes
    assert f"{100 * share:.2f}% of the pixels off the sky, at most 25.00% (quality.max_off_sky)" in verdict.comment
