import numpy as np
import pytest

from trap.errors import ConfigError
from trap.simulation.config import SurveyConfig
from trap.simulation.sky import draw_sky


def draw(seed=1, **options):
    return draw_sky(SurveyConfig(seed=seed, **options), np.random.default_rng(seed))


@pytest.fixture(scope="module")
def sky():
    return draw()


def modulation(curve):
    return curve.std(ddof=1) / curve.mean()


def test_number_of_steady_sources_follows_the_counts(sky):
    # 0.506 deg² with some 290 sources per deg² above 0.28 mJy at 1.4 GHz: 147 ± 12.
    assert 100 < np.count_nonzero(sky.kind == "steady") < 200


def test_default_survey_is_fit_for_a_demonstration(sky):
    snr = sky.flux / 1e-4
    strongest, mean = snr.max(axis=(1, 2)), snr.mean(axis=1)
    assert 60 <= np.count_nonzero(strongest > 5) <= 130
    variable, transient = sky.kind == "variable", sky.kind == "transient"
    assert np.count_nonzero(variable) >= 4
    assert mean[variable].min() >= 20
    assert np.count_nonzero(transient & (strongest > 16)) >= 4
    assert (strongest[transient].min(), strongest[transient].max()) == pytest.approx((10, 60))


def test_steady_sources_are_steady(sky):
    flux = sky.flux[sky.kind == "steady"]
    assert np.all(flux == flux[:, :1])
    assert flux[:, 0, 0].min() >= 3e-4


@pytest.mark.parametrize("seed", range(5))
def test_variables_have_the_modulation_of_the_settings_and_are_never_negative(seed):
    options = {"modulation": (0.3, 0.5), "variable_sigma": (20.0, 50.0), "n_variables": 8, "rms": 2e-4}
    drawn = draw(seed, **options)
    flux = drawn.flux[drawn.kind == "variable"]
    assert len(flux) == 8
    assert flux.min() > 0
    for curve in flux[:, :, 0]:
        assert 0.3 <= modulation(curve) <= 0.5
    faintest_band = flux.mean(axis=1).min(axis=1)
    assert (faintest_band.min(), faintest_band.max()) == pytest.approx((20 * 2e-4, 50 * 2e-4))


@pytest.mark.parametrize("seed", range(5))
def test_transients_have_the_peaks_of_the_settings_and_are_off_at_first(seed):
    drawn = draw(seed, n_transients=9)
    flux = drawn.flux[drawn.kind == "transient"]
    assert not flux[:, 0].any()
    peaks = flux.max(axis=(1, 2))
    assert peaks == pytest.approx(np.geomspace(10e-4, 60e-4, 9))


def test_transients_are_fast_lasting_or_recurring(sky):
    on = {shape: sky.flux[sky.shape == shape][0, :, 0] > 0 for shape in ("fast", "lasting", "recurring")}
    assert on["fast"].sum() == 1
    first = np.argmax(on["lasting"])
    assert on["lasting"][first:].all()
    switched_on = np.count_nonzero(np.diff(on["recurring"].astype(int)) == 1)
    assert switched_on >= 2


def test_bands_are_joined_by_the_spectral_index(sky):
    ratio = sky.flux[:, -1, 1] / np.where(sky.flux[:, -1, 0] > 0, sky.flux[:, -1, 0], np.nan)
    measured = np.log(ratio) / np.log(1.48 / 1.28)
    known = np.isfinite(measured)
    assert measured[known] == pytest.approx(sky.spectral_index[known])
    assert sky.spectral_index.mean() == pytest.approx(-0.8, abs=0.08)


def test_sources_keep_their_distance(sky):
    separations = np.hypot(sky.x[:, np.newaxis] - sky.x, sky.y[:, np.newaxis] - sky.y)
    assert separations[np.triu_indices(len(sky.x), 1)].min() > 15


def test_variables_and_transients_stay_clear_of_the_corners(sky):
    special = sky.kind != "steady"
    assert np.hypot(sky.x - 255.5, sky.y - 255.5)[special].max() < 0.42 * 512


def test_close_pairs_have_the_separation_of_the_settings():
    drawn = draw(n_close_pairs=3, close_pair_beams=(1.5, 1.5), n_steady=10, n_variables=0, n_transients=0)
    assert len(drawn.x) == 13
    assert np.hypot(drawn.x[10:] - drawn.x[:3], drawn.y[10:] - drawn.y[:3]) == pytest.approx(7.5)


PAIRS = {
    "n_steady": 200, "n_variables": 0, "n_transients": 0, "n_close_pairs": 200, "close_pair_beams": (0.6, 2.0),
    "close_pair_sigma": (10.0, 100.0), "n_timesteps": 4, "size": 1024, "min_separation_beams": 4.0,
}  # fmt: skip


def test_close_pairs_fill_their_ranges_of_distance_flux_density_and_ratio():
    drawn = draw(**PAIRS)
    distance = np.hypot(drawn.x[200:] - drawn.x[:200], drawn.y[200:] - drawn.y[:200]) / 5
    # 200 even draws from 0.6 to 2: mean 1.3 ± 0.03, and the extremes within 5 % of the range.
    assert distance.mean() == pytest.approx(1.3, abs=0.1)
    assert (distance.min(), distance.max()) == pytest.approx((0.6, 2.0), abs=0.07)
    assert distance.min() >= 0.6
    assert distance.max() <= 2
    first, second = drawn.flux[:200, 0, 0] / 1e-4, drawn.flux[200:, 0, 0] / 1e-4
    assert 10 <= min(first.min(), second.min()) < max(first.max(), second.max()) <= 100
    assert 1 <= np.maximum(first / second, second / first).max() <= 10
    # Either member is the brighter one: 100 ± 7.
    assert 70 < np.count_nonzero(first > second) < 130
    assert min(drawn.x.min(), drawn.y.min()) >= 0
    assert max(drawn.x.max(), drawn.y.max()) <= 1023


def test_ratio_of_close_pairs_is_limited():
    drawn = draw(**PAIRS, close_pair_ratio=1.5)
    ratio = drawn.flux[:200, 0, 0] / drawn.flux[200:, 0, 0]
    assert 1.4 < np.maximum(ratio, 1 / ratio).max() <= 1.5


@pytest.mark.parametrize(("doubled_at", "timestep"), [(None, 2), (3, 3)])
def test_one_member_of_some_pairs_doubles(doubled_at, timestep):
    quiet, drawn = draw(**PAIRS), draw(**PAIRS, n_doubled=50, doubled_at=doubled_at)
    ratio = drawn.flux[:, :, 0] / quiet.flux[:, :, 0]
    doubled = drawn.kind == "variable"
    assert set(drawn.shape[doubled]) == {"doubled"}
    assert np.all(ratio[~doubled] == 1)
    assert np.all(ratio[doubled] == np.where(np.arange(4) < timestep, 1, 2))
    assert np.count_nonzero(doubled) == 50
    assert not np.any(doubled[:200] & doubled[200:])
    assert np.any(doubled[:200])
    assert np.any(doubled[200:])


@pytest.mark.parametrize("distance", [(0.3, 0.3), (0.7, 2.0)])
def test_transients_have_their_distance_from_a_steady_source_and_no_nearer_one(distance):
    drawn = draw(
        n_steady=300, n_variables=2, n_transients=40, transient_distance_beams=distance, min_separation_beams=0.7,
        n_close_pairs=20,
    )  # fmt: skip
    apart = np.hypot(drawn.x[:, np.newaxis] - drawn.x, drawn.y[:, np.newaxis] - drawn.y) / 5
    np.fill_diagonal(apart, np.inf)
    transient = drawn.kind == "transient"
    nearest = apart[transient].min(axis=1)
    assert np.all((nearest >= distance[0] - 1e-9) & (nearest <= distance[1] + 1e-9))
    assert set(drawn.kind[apart[transient].argmin(axis=1)]) == {"steady"}
    assert apart[np.ix_(transient, transient)].min() > max(0.7, distance[1])
    assert np.hypot(drawn.x - 255.5, drawn.y - 255.5)[transient].max() < 0.42 * 512
    if distance[0] < distance[1]:
        assert nearest.mean() == pytest.approx(1.35, abs=0.2)


def test_transients_without_room_beside_steady_sources_are_rejected():
    with pytest.raises(ConfigError, match="room for . of 6 transients at 1 to 1 beams from steady sources"):
        draw(n_steady=2, n_variables=0, transient_distance_beams=(1.0, 1.0))


def test_bright_sources_lie_in_the_inner_field():
    drawn = draw(n_bright=3, bright_sigma=1e4, n_close_pairs=2)
    bright = drawn.flux[:, 0, 0] == 1.0
    assert np.count_nonzero(bright) == 3
    assert np.hypot(drawn.x - 255.5, drawn.y - 255.5)[bright].max() < 0.42 * 512
    assert set(drawn.kind[bright]) == {"steady"}


def test_every_source_has_its_own_name(sky):
    assert len(set(sky.name)) == len(sky.name)
    assert {"V0001", "T0006", "S0001"} <= set(sky.name)


@pytest.mark.parametrize("counts", ["hopkins2003", "mandal2021"])
def test_counts_are_scaled_to_the_frequency(counts):
    # Where both are trusted they agree within a factor of two: 5 mJy at 325 MHz, 0.5 deg².
    options = {"frequency_hz": 325e6, "rms": 1e-3, "steady_sigma": (5.0, 1000.0), "counts": counts}
    assert 15 < np.count_nonzero(draw(**options).kind == "steady") < 60


@pytest.mark.parametrize("n_timesteps", [2, 3, 5])
def test_short_surveys_vary_too(n_timesteps):
    drawn = draw(n_timesteps=n_timesteps, n_variables=8)
    curves = drawn.flux[drawn.kind == "variable"][:, :, 0]
    assert curves.min() > 0
    assert min(modulation(curve) for curve in curves) >= 0.35
    assert drawn.flux[drawn.kind == "transient"].max(axis=(1, 2)).min() > 9e-4


def test_sky_may_be_empty():
    assert draw(n_steady=0, n_variables=0, n_transients=0).flux.shape == (0, 24, 2)


def test_too_many_sources_are_rejected():
    with pytest.raises(ConfigError, match="no room for 100 sources"):
        draw(size=64, n_steady=100, n_variables=0, n_transients=0)


def test_more_pairs_than_sources_are_rejected():
    with pytest.raises(ConfigError, match="n_close_pairs 3 is more than the number of steady sources: 2"):
        draw(n_steady=2, n_close_pairs=3)
