"""Images compared with those before them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from check_inputs import catalogue_input, earlier_input

from trap.config import QualityConfig
from trap.images.beam import Beam
from trap.quality import AcceptedImages, HistoryKey
from trap.quality.history import (
    check_beam_jump,
    check_frequency_jump,
    check_new_sources,
    check_repeated,
    check_rms_history,
    may_be_too_many,
    robust_log_spread,
)

HISTORY = np.tile([0.9, 1.1], 5)  # mean 1, standard deviation 0.1
KEY = HistoryKey(0, 1, "")


def after(rms_history, rms, **settings):
    """An image of some noise after images of the noise in a history."""
    earlier = AcceptedImages(QualityConfig(rms_est_history=100))
    for value in rms_history:
        remember(earlier, KEY, rms=float(value))
    return earlier_input(rms=rms, earlier=earlier, **settings)


# The logarithms of the history deviate by 0.1003 from their median: 3 standard deviations are a factor of 1.562.
@pytest.mark.parametrize(("rms", "passes"), [(1.0, True), (1.55, True), (1.56, False), (0.64, True), (0.63, False)])
def test_rms_far_from_the_history_is_rejected(rms, passes):
    assert check_rms_history(after(HISTORY, rms, rms_rej_factor=1.0, rms_rej_sigma=3)).passed is passes


@pytest.mark.parametrize(("rms", "passes"), [(3.9, True), (4.1, False), (0.26, True), (0.24, False)])
def test_noise_within_the_factor_is_accepted_however_equal_the_others_are(rms, passes):
    assert check_rms_history(after(np.full(20, 1.0), rms, rms_rej_factor=4.0)).passed is passes


@pytest.mark.parametrize(("needed", "passes"), [(11, True), (10, False)])
def test_short_history_rejects_nothing(needed, passes):
    assert check_rms_history(after(HISTORY, 1e6, min_history=needed)).passed is passes


def test_only_the_latest_of_the_history_count():
    history = np.concatenate([np.full(50, 77.0), HISTORY])
    assert not check_rms_history(after(history, 77.0, rms_est_history=10)).passed


@pytest.mark.parametrize("noise", [0.0, float("nan"), float("inf")])
def test_impossible_noise_is_unlike_any_other(noise):
    assert not check_rms_history(after(HISTORY, noise)).passed


def test_following_images_count_where_the_earlier_are_few():
    image = after([1.0, 1.1], 100.0)
    assert check_rms_history(image).passed
    assert check_rms_history(replace(image, following_rms=np.array([0.9, 1.0]))).passed
    assert not check_rms_history(replace(image, following_rms=np.array([0.9, 1.0, 1.1]))).passed
    # Ten earlier images need no help, and a longer history that a job of TraP asks for cannot get it.
    assert not check_rms_history(replace(after(HISTORY, 100.0), following_rms=np.full(90, 100.0))).passed
    long = after([1.0, 1.1], 100.0, min_history=100)
    assert check_rms_history(replace(long, following_rms=np.ones(200))).passed


def test_a_few_bad_images_among_the_others_do_not_matter():
    others = np.array([1.0, 1.1, 500.0, 0.9, 80.0])
    assert check_rms_history(replace(after([], 1.2), following_rms=others)).passed
    assert not check_rms_history(replace(after([], 100.0), following_rms=np.array([1.0, 1.1, 0.9, 1.0, 80.0]))).passed


def test_two_equally_frequent_depths_are_both_accepted():
    history = np.tile([0.1, 1.0], 10)
    assert check_rms_history(after(history, 0.1)).passed
    assert check_rms_history(after(history, 1.0)).passed


def test_robust_spread_is_that_of_a_gaussian_with_outliers():
    rng = np.random.default_rng(3)
    values = np.exp(rng.normal(np.log(2.0), 0.3, 10_000))
    values[:1000] = 1e6
    median, spread = robust_log_spread(values)
    # A tenth of outliers to one side moves the median by 0.14 standard deviations, and widens the deviation by 15 %.
    assert median == pytest.approx(2.0, rel=0.06)
    assert spread == pytest.approx(0.3, rel=0.25)


@pytest.mark.parametrize(
    ("n_new", "n_known", "passes"),
    [
        *((0, 0, True), (4, 0, True), (5, 4, False), (5, 5, True), (20, 30, True), (21, 200, False)),
        # A twentieth of 1000 sources is 50.
        *((50, 950, True), (51, 949, False)),
    ],
)
def test_image_with_too_many_new_sources_is_doubtful(n_new, n_known, passes):
    verdict = check_new_sources(catalogue_input(n_new=n_new, n_known=n_known))
    assert verdict.passed is passes
    assert f"{n_new} of {n_new + n_known} sources" in verdict.comment
    assert passes or "quality.max_new_s" in verdict.comment


@pytest.mark.parametrize("limit", [0, 3, 20])
@pytest.mark.parametrize("n_new", range(8))
def test_number_of_new_sources_that_cannot_fail_is_known_without_the_catalogue(n_new, limit):
    config = QualityConfig(max_new_sources=limit, max_new_share=0.0)
    passes = check_new_sources(catalogue_input(n_new=n_new, n_known=0, max_new_sources=limit, max_new_share=0.0)).passed
    assert passes is not may_be_too_many(n_new, config)


def test_history_of_equal_values_accepts_that_value():
    history = np.full(10, 0.1)
    assert check_rms_history(after(history, 0.1, rms_est_history=10)).passed


BEAMS = [Beam(bmaj=0.05, bmin=0.04, bpa=0), Beam(bmaj=0.05, bmin=0.04, bpa=0), Beam(bmaj=0.5, bmin=0.4, bpa=0)]


def after_beams(beam, **settings):
    earlier = AcceptedImages(QualityConfig())
    for one in BEAMS:
        remember(earlier, KEY, beam=one)
    return earlier_input(beam=beam, earlier=earlier, **settings)


@pytest.mark.parametrize(
    ("bmaj", "bmin", "passes"),
    [(0.05, 0.04, True), (0.074, 0.04, True), (0.076, 0.04, False), (0.05, 0.026, False), (0.034, 0.03, True)],
)
def test_beam_is_compared_with_the_median_of_both_axes(bmaj, bmin, passes):
    image = after_beams(Beam(bmaj=bmaj, bmin=bmin, bpa=0), beam_jump=1.5, min_history=3)
    assert check_beam_jump(image).passed is passes


def test_beam_is_compared_with_following_images_at_first():
    image = earlier_input(beam=Beam(bmaj=0.5, bmin=0.4, bpa=0))
    assert not check_beam_jump(replace(image, following_beams=np.full((5, 2), 0.05))).passed
    assert check_beam_jump(replace(image, following_beams=np.full((4, 2), 0.05))).passed


def test_beam_is_compared_with_nothing_at_first():
    assert check_beam_jump(after_beams(Beam(bmaj=9, bmin=9, bpa=0), min_history=4)).passed


@pytest.mark.parametrize(("is_new", "since", "passes"), [(False, 99, True), (True, 4, True), (True, 5, False)])
def test_new_band_is_a_jump_only_after_a_while_without_one(is_new, since, passes):
    earlier = AcceptedImages(QualityConfig())
    remember(earlier, KEY, n=since + 1)
    key = KEY._replace(band=-1) if is_new else KEY
    verdict = check_frequency_jump(earlier_input(key=key, earlier=earlier, freq_eff=1.4e9, jump_history=5))
    assert verdict.passed is passes
    assert verdict.comment.startswith("1400 MHz is in ")


def test_comment_on_repeated_pixels_names_the_first_image():
    earlier = AcceptedImages(QualityConfig())
    assert check_repeated(earlier_input(pixel_hash="ab", earlier=earlier)).passed
    remember(earlier, KEY, pixel_hash="ab")
    verdict = check_repeated(earlier_input(pixel_hash="ab", earlier=earlier))
    assert verdict.comment == "the same pixels as a.fits of 2020-01-01 00:00:00"


def remember(accepted, key, n=1, **changes):
    for number in range(n):
        values = {
            "rms": float(number),
            "beam": Beam(bmaj=2.0, bmin=1.0, bpa=0),
            "pixel_hash": "",
            "url": "a.fits",
            "start": datetime(2020, 1, 1, tzinfo=UTC),
        }
        accepted.remember(key, **values | changes)


def test_histories_are_separate_and_limited_in_length():
    accepted = AcceptedImages(QualityConfig(rms_est_history=3))
    remember(accepted, HistoryKey(0, 1, "LOFAR"), n=5)
    remember(accepted, HistoryKey(0, 1, "GMRT"), n=1)
    assert accepted.rms(HistoryKey(0, 1, "LOFAR")).tolist() == [2.0, 3.0, 4.0]
    assert accepted.rms(HistoryKey(0, 1, "GMRT")).tolist() == [0.0]
    assert accepted.rms(HistoryKey(1, 1, "GMRT")).size == 0
    assert accepted.beams(HistoryKey(0, 1, "LOFAR")).shape == (3, 2)
    assert accepted.beams(HistoryKey(0, 4, "LOFAR")).shape == (0, 2)


def test_images_since_a_new_band_are_counted_by_telescope():
    accepted = AcceptedImages(QualityConfig())
    remember(accepted, HistoryKey(0, 1, "LOFAR"), n=4)
    assert accepted.since_new_band("LOFAR") == 3
    assert accepted.since_new_band("GMRT") == 0
    remember(accepted, HistoryKey(1, 1, "LOFAR"))
    assert accepted.since_new_band("LOFAR") == 0


def test_first_image_with_the_pixels_is_kept():
    accepted = AcceptedImages(QualityConfig())
    key = HistoryKey(0, 1, "")
    remember(accepted, key, pixel_hash="ab", url="first.fits")
    remember(accepted, key, pixel_hash="ab", url="second.fits")
    assert accepted.holder_of("ab") == "first.fits of 2020-01-01 00:00:00"
    assert accepted.holder_of("") is None
