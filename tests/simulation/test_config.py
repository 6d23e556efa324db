import math

import pytest

from trap.errors import ConfigError
from trap.simulation.config import SurveyConfig


def test_beam_has_the_mean_width_and_ratio_of_the_settings():
    config = SurveyConfig(beam_fwhm_pix=5, pixel_scale_arcsec=3.6, beam_axis_ratio=1.44, beam_pa=20)
    assert config.beam.bmaj == pytest.approx(0.006)
    assert config.beam.bmin == pytest.approx(0.005 / 1.2)
    assert config.beam.bpa == 20


def test_bands_are_evenly_spaced():
    config = SurveyConfig(n_bands=3, frequency_hz=1e9, band_spacing_hz=2e8)
    assert config.frequencies_hz == pytest.approx((1e9, 1.2e9, 1.4e9))


def test_area_covers_all_pixels():
    assert SurveyConfig(size=720, pixel_scale_arcsec=5).area_sr == pytest.approx(math.radians(1) ** 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_timesteps": 0}, "n_timesteps must be at least 1, got 0"),
        ({"size": 16}, "size must be at least 32, got 16"),
        ({"n_transients": -1}, "n_transients must be at least 0, got -1"),
        ({"n_timesteps": 1}, "6 transients and 6 variables need two timesteps"),
        ({"rms": 0.0}, "rms must be positive, got 0.0"),
        ({"transient_sigma": (10.0, 5.0)}, "transient_sigma must be a range of positive numbers, got 10.0 to 5.0"),
        ({"modulation": (0.3, 0.9)}, "modulation must not exceed 0.5, so that variables stay positive: 0.9"),
        ({"beam_axis_ratio": 0.5}, "beam_axis_ratio .* got 0.5"),
    ],
)
def test_impossible_survey_is_rejected_with_the_value(options, message):
    with pytest.raises(ConfigError, match=message):
        SurveyConfig(**options)
