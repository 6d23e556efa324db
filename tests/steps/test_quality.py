"""Which images are not searched."""

from __future__ import annotations

import pytest

from trap.quality import RejectReason
from trap.steps import quality
from trap.survey import Survey


def test_good_image_passes(image, config):
    assert quality.reject_check(image, 1e-4, config) is None


@pytest.mark.parametrize("noise", [float("nan"), 0.0, 101.0])
def test_impossible_noise_is_rejected(image, config, noise):
    rejection = quality.reject_check(image, noise, config)
    assert rejection.reason is RejectReason.RMS


def test_noise_far_from_the_history_of_its_band_is_rejected(image, config):
    survey = Survey(config=config.with_options(quality={"rms_est_history": 4}))
    key = survey.light_curve_key(image.metadata)
    for noise in (0.9e-4, 1.1e-4, 0.9e-4, 1.1e-4):
        survey.remember_rms(key, noise)
    assert quality.reject_against_history(image.metadata, 1.2e-4, survey) is None
    rejection = quality.reject_against_history(image.metadata, 1.4e-4, survey)
    assert rejection.reason is RejectReason.RMS


def test_short_history_rejects_nothing(image, config):
    assert quality.reject_against_history(image.metadata, 1.0, Survey(config=config)) is None


def test_stokes_parameters_have_histories_of_their_own(image, config):
    survey = Survey(config=config.with_options(quality={"rms_est_history": 2}))
    key = survey.light_curve_key(image.metadata)
    for _ in range(2):
        survey.remember_rms(key._replace(stokes=4), 1.0)
    assert quality.reject_against_history(image.metadata, 1e-4, survey) is None
