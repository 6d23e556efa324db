"""The flux scales of datasets against each other."""

import numpy as np
import pytest

from trap.calibration.seasons import SeasonKey, SeasonMeans, season_gains
from trap.config import CalibrationConfig


def _season(rng, number, sources, flux, gain, *, band=0, relative=0.01) -> SeasonMeans:
    errors = relative * flux
    return SeasonMeans.of(
        source=sources,
        season=number,
        band=band,
        stokes=1,
        f_int=gain * rng.normal(flux, errors),
        f_int_err=gain * errors,
        f_peak=gain * flux,
    )


@pytest.mark.parametrize("seed", range(10))
def test_the_gain_of_each_season_is_measured_against_the_seasons_before(seed):
    rng = np.random.default_rng(seed)
    n, gains = 300, (1.0, 1.08, 0.93)
    flux = 0.01 * rng.pareto(1.5, n) + 0.01
    flux_then = np.where(rng.random(n) < 0.1, flux * rng.uniform(0.2, 3, n), flux)  # a tenth of the sources varies
    # The third season shares sources with the second only.
    shown = (np.arange(200), np.arange(100, 300), np.arange(200, 300))
    seasons = [
        _season(rng, number, rows, (flux, flux_then, flux)[number][rows], gain)
        for number, (rows, gain) in enumerate(zip(shown, gains, strict=True))
    ]
    measured = season_gains(SeasonMeans.concatenate(seasons[::-1]), CalibrationConfig())
    for number in (1, 2):
        scale = measured[SeasonKey(number, 0, 1)]
        assert scale.is_applied
        assert abs(scale.gain - gains[number]) < 4 * scale.gain_err + 0.01
        assert scale.gain_err < 0.01


def test_seasons_of_one_scale_are_left_as_they_are():
    rng = np.random.default_rng(1)
    flux = rng.uniform(0.1, 1.0, 100)
    seasons = [_season(rng, number, np.arange(100), flux, 1.0) for number in range(2)]
    scale = season_gains(SeasonMeans.concatenate(seasons), CalibrationConfig())[SeasonKey(1, 0, 1)]
    assert not scale.is_applied
    assert "no significant gain" in scale.note


def test_too_few_common_sources_give_no_gain():
    rng = np.random.default_rng(2)
    seasons = [
        _season(rng, 0, np.arange(50), np.full(50, 1.0), 1.0),
        _season(rng, 1, np.arange(47, 97), np.full(50, 1.0), 2.0),
        _season(rng, 1, np.arange(50), np.full(50, 1.0), 1.5, band=1),
    ]
    measured = season_gains(SeasonMeans.concatenate(seasons), CalibrationConfig())
    assert "3 matched calibrators" in measured[SeasonKey(1, 0, 1)].note
    assert SeasonKey(1, 1, 1) not in measured  # the first season of its band


def test_measured_gains_are_not_applied_if_the_settings_only_measure():
    rng = np.random.default_rng(3)
    seasons = [_season(rng, number, np.arange(50), np.full(50, 1.0), gain) for number, gain in enumerate((1, 1.5))]
    scale = season_gains(SeasonMeans.concatenate(seasons), CalibrationConfig(flux_scale="measure"))[SeasonKey(1, 0, 1)]
    assert scale.gain == pytest.approx(1.5, rel=0.01)
    assert not scale.is_applied


def test_no_sources_give_no_gains():
    assert season_gains(SeasonMeans.empty(), CalibrationConfig()) == {}
