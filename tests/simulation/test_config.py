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
    ("options", "width"),
    [
        ({}, 0.1e9),
        ({"frequency_hz": 60e6, "band_spacing_hz": 2e6}, 1e6),
        ({"frequency_hz": 60e6}, 6e6),
        ({"frequency_hz": 60e6, "bandwidth_hz": 3e6}, 3e6),
    ],
)
def test_bands_do_not_overlap_or_reach_zero_hertz(options, width):
    assert SurveyConfig(**options).channel_hz == pytest.approx(width)


def test_beam_is_set_in_arcsec_on_any_pixels():
    beam = SurveyConfig(pixel_scale_arcsec=2.0).with_beam(9.0, 7.0, -20.0).beam
    assert (beam.bmaj * 3600, beam.bmin * 3600, beam.bpa) == pytest.approx((9.0, 7.0, -20.0))


@pytest.mark.parametrize("beam", [(7.0, 9.0), (9.0, 0.0), (math.nan, 7.0), (math.inf, 7.0), (9.0, 7.0, math.nan)])
def test_impossible_beam_is_rejected(beam):
    with pytest.raises(ConfigError, match="beam must have a major axis, a shorter minor axis and an angle"):
        SurveyConfig().with_beam(*beam)


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
        ({"gain_scatter": -0.1}, "gain_scatter must be at least 0, got -0.1"),
        ({"decorrelation": 0.5}, "decorrelation must be at most 0.45, got 0.5"),
        ({"refraction_arcsec": math.nan}, "refraction_arcsec must be at most 3600, got nan"),
        ({"frequency_hz": math.inf}, "frequency_hz must be positive, got inf"),
        ({"bandwidth_hz": 0.0}, "bandwidth_hz must be positive, got 0.0"),
        ({"centre_dec": 91.0}, "centre_dec must be at most 90, got 91"),
        ({"transient_distance_beams": (2.0, 1.0)}, "transient_distance_beams must be a range .* got 2.0 to 1.0"),
        ({"n_close_pairs": 2, "n_doubled": 3}, "n_doubled must be at most n_close_pairs, 2, got 3"),
        ({"n_close_pairs": 2, "n_doubled": 1, "doubled_at": 24}, "doubled_at must be a timestep from 1 to 23, got 24"),
        (
            {"n_close_pairs": 2, "close_pair_beams": (1.0, 60.0)},
            "at most half as wide as .* got 60 beams, .* 300 of 512",
        ),
        ({"bright_sigma": 1e10}, "bright_sigma must be at most 1000000000.0, got 10000000000.0"),
        ({"close_pair_ratio": 0.5}, "close_pair_ratio must be at least 1, got 0.5"),
        ({"sidelobe_spacing_beams": 1.0}, "sidelobe_spacing_beams must be at least 2, got 1.0"),
        ({"pixel_scale_arcsec": 900.0}, "at most 80 deg wide, got 128 deg: size 512 of pixel_scale_arcsec 900"),
        ({"beam_fwhm_pix": 200.0}, "at most a quarter as wide as the image, got 1095.* arcsec and an image of 2560"),
    ],
)
def test_impossible_survey_is_rejected_with_the_value(options, message):
    with pytest.raises(ConfigError, match=message):
        SurveyConfig(**options)
