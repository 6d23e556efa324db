import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from trap.images.image import Image
from trap.simulation.survey import SurveyConfig, load_truth, simulate_survey

CONFIG = SurveyConfig(n_timesteps=4, size=128, n_steady=5, n_variables=2, n_transients=3, cadence_seconds=60.0)


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    return simulate_survey(tmp_path_factory.mktemp("survey"), CONFIG)


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """A survey with next to no noise."""
    return simulate_survey(tmp_path_factory.mktemp("quiet"), SurveyConfig(**small(rms=1e-9, n_timesteps=2)))


def small(**options):
    bright = {"steady_sigma": (1e5, 1e6), "variable_sigma": (1e5, 1e6), "transient_sigma": (1e5, 1e6)}
    return {"size": 128, "n_steady": 5, "n_variables": 2, "n_transients": 2, **bright, **options}


def test_images_are_in_order_of_time_and_frequency(survey):
    assert [path.name for path in survey.images[:3]] == ["t0000_b00.fits", "t0000_b01.fits", "t0001_b00.fits"]
    assert list(survey.images) == sorted(survey.directory.glob("*.fits"))
    metadata = [Image(path).metadata for path in survey.images]
    keys = [(item.taustart_ts, item.freq_eff) for item in metadata]
    assert keys == sorted(keys)
    assert len(set(keys)) == 8


def test_headers_agree_with_the_settings(survey):
    metadata = Image(survey.images[3]).metadata
    assert metadata.taustart_ts == datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=60)
    assert (metadata.tau_time, metadata.freq_eff, metadata.freq_bw) == (600.0, 1.48e9, 0.1e9)
    assert (metadata.telescope, metadata.unit, metadata.stokes) == ("SIMULATED", "JY/BEAM", 1)
    beam, asked = metadata.beam, CONFIG.beam
    assert (beam.bmaj, beam.bmin, beam.bpa) == pytest.approx((asked.bmaj, asked.bmin, asked.bpa))
    assert (metadata.nx, metadata.ny) == (128, 128)
    assert (metadata.deltax, metadata.deltay) == pytest.approx((-5 / 3600, 5 / 3600))
    assert (metadata.centre_ra, metadata.centre_dec) == pytest.approx((0.0, 45.0))


def test_same_seed_makes_the_same_bytes(survey, tmp_path):
    again = simulate_survey(tmp_path, CONFIG)
    for path in (*again.images, tmp_path / "truth.ecsv", tmp_path / "truth_lightcurves.ecsv"):
        assert path.read_bytes() == (survey.directory / path.name).read_bytes()


def test_other_seed_makes_another_survey(survey, tmp_path):
    other = simulate_survey(tmp_path, SurveyConfig(n_timesteps=2, size=128, seed=2))
    assert other.images[0].read_bytes() != survey.images[0].read_bytes()


def test_noise_has_the_rms_of_the_settings(tmp_path):
    config = SurveyConfig(n_timesteps=1, n_bands=1, size=256, n_steady=0, n_variables=0, n_transients=0, rms=2e-3)
    (path,) = simulate_survey(tmp_path, config).images
    # Some 256² / 57 independent patches: ± 2 %.
    assert Image(path).data.std() == pytest.approx(2e-3, rel=0.08)


def test_pixels_agree_with_the_truth(quiet):
    truth = quiet.truth
    for index, path in enumerate(quiet.images):
        timestep, band = divmod(index, 2)
        image = Image(path)
        curves = truth.lightcurves[(truth.lightcurves["timestep"] == timestep) & (truth.lightcurves["band"] == band)]
        assert list(curves["name"]) == list(truth.sources["name"])
        x, y = image.wcs.all_world2pix(truth.sources["ra"], truth.sources["dec"], 0)
        assert (x, y) == (pytest.approx(truth.sources["x"], abs=1e-6), pytest.approx(truth.sources["y"], abs=1e-6))
        u, v = np.rint(x) - x, np.rint(y) - y
        a, b, c = SurveyConfig().beam.quadratic_form(-5 / 3600, 5 / 3600)
        expected = curves["flux"] * np.exp(-0.5 * (a * u**2 + 2 * b * u * v + c * v**2))
        found = image.data[np.rint(y).astype(int), np.rint(x).astype(int)]
        assert found == pytest.approx(np.array(expected), abs=2e-8)


def test_truth_is_read_back_unchanged(survey):
    truth = load_truth(survey.directory)
    for read, made in ((truth.sources, survey.truth.sources), (truth.lightcurves, survey.truth.lightcurves)):
        assert read.colnames == made.colnames
        for name in read.colnames:
            assert np.array_equal(read[name], made[name])
            assert read[name].unit == made[name].unit


def test_truth_agrees_with_its_light_curves(survey):
    sources, curves = survey.truth.sources, survey.truth.lightcurves
    for source in sources:
        flux = np.array(curves["flux"][curves["name"] == source["name"]]).reshape(4, 2)
        assert source["mean_flux"] == pytest.approx(flux.mean(axis=0))
        assert source["max_snr"] == pytest.approx(flux.max(axis=0) / CONFIG.rms)
        assert source["modulation"] == pytest.approx(flux[:, 0].std(ddof=1) / flux[:, 0].mean(), abs=1e-12)
        assert source["first_timestep"] == np.flatnonzero(flux[:, 0])[0]
    assert np.all(sources["first_timestep"][sources["kind"] == "transient"] > 0)


def test_survey_replaces_an_earlier_one_and_nothing_else(tmp_path):
    simulate_survey(tmp_path, SurveyConfig(**small(rms=1e-9, n_timesteps=3)))
    (tmp_path / "mine.fits").write_text("not simulated")
    simulate_survey(tmp_path, SurveyConfig(**small(rms=1e-9, n_timesteps=2)))
    names = sorted(path.name for path in tmp_path.glob("*.fits"))
    assert names == ["mine.fits", "t0000_b00.fits", "t0000_b01.fits", "t0001_b00.fits", "t0001_b01.fits"]


def test_folder_without_a_survey_is_not_touched(tmp_path):
    (tmp_path / "t9999_b00.fits").write_text("somebody's")
    simulate_survey(tmp_path, SurveyConfig(**small(rms=1e-9, n_timesteps=2)))
    assert (tmp_path / "t9999_b00.fits").exists()


def test_errors_of_images_leave_sky_noise_and_truth_alone(tmp_path, survey):
    errors = {"gain_scatter": 0.1, "shift_arcsec": 2.0, "refraction_arcsec": 5.0, "decorrelation": 0.1}
    other = simulate_survey(tmp_path, replace(CONFIG, **errors))
    assert (tmp_path / "truth.ecsv").read_bytes() == (survey.directory / "truth.ecsv").read_bytes()
    assert np.array_equal(other.truth.lightcurves["flux"], survey.truth.lightcurves["flux"])
    for path in other.images:
        difference = Image(path).data - Image(survey.directory / path.name).data
        # Between the sources no pixel has changed.
        assert np.median(np.abs(difference)) < 1e-3 * CONFIG.rms < np.abs(difference).max()


def test_truth_of_displaced_sources_is_read_back_unchanged(tmp_path):
    survey = simulate_survey(tmp_path, replace(CONFIG, gain_scatter=0.1, shift_arcsec=2.0))
    truth = load_truth(tmp_path)
    for read, made in ((truth.lightcurves, survey.truth.lightcurves), (truth.images, survey.truth.images)):
        assert read.colnames == made.colnames
        assert all(np.array_equal(read[name], made[name]) for name in read.colnames)
        assert read["shift_ew"].unit == made["shift_ew"].unit == "arcsec"
    assert list(truth.images["image"]) == [path.name for path in survey.images]


def test_survey_without_errors_has_none_in_its_truth(survey):
    images, curves = load_truth(survey.directory).images, load_truth(survey.directory).lightcurves
    assert len(images) == len(survey.images)
    assert np.all(images["gain"] == 1)
    for column in (images["shift_ew"], images["refraction_rms"], images["decorrelation"], curves["shift_ns"]):
        assert not np.any(column)


def test_truth_of_an_earlier_version_is_read(survey, tmp_path):
    for name in ("truth.ecsv", "truth_lightcurves.ecsv"):
        shutil.copy(survey.directory / name, tmp_path)
    truth = load_truth(tmp_path)
    assert len(truth.images) == 0
    assert not np.any(truth.lightcurves["shift_ew"])


def test_truth_has_the_nearest_neighbour_of_each_source(tmp_path):
    pairs = {"n_close_pairs": 2, "n_doubled": 1, "n_steady": 9}
    config = replace(CONFIG, **pairs, n_transients=2, transient_distance_beams=(0.3, 0.3))
    sources = simulate_survey(tmp_path, config).truth.sources
    row = {name: i for i, name in enumerate(sources["name"])}
    neighbour = np.array([row[name] for name in sources["neighbour"]])
    places = SkyCoord(sources["ra"], sources["dec"])
    assert places.separation(places[neighbour]).arcsec == pytest.approx(np.array(sources["neighbour_distance"]))
    for place, distance in zip(places, sources["neighbour_distance"], strict=True):
        assert np.sort(place.separation(places).arcsec)[1] == pytest.approx(distance)
    transient, doubled = sources["kind"] == "transient", sources["shape"] == "doubled"
    # 0.3 beams of 5 pixels of 5 arcsec.
    assert sources["neighbour_distance"][transient] == pytest.approx(7.5, rel=1e-4)
    assert set(sources["doubled_at"][doubled]) == {2}
    assert set(sources["doubled_at"][~doubled]) == {-1}


def test_only_source_of_a_survey_has_no_neighbour(tmp_path):
    options = {"n_steady": 1, "n_variables": 0, "n_transients": 0}
    (source,) = simulate_survey(tmp_path, replace(CONFIG, **options)).truth.sources
    assert (source["neighbour"], source["neighbour_distance"]) == ("", np.inf)


def test_sidelobes_have_the_level_of_the_truth_and_leave_sources_alone(tmp_path):
    bright = {"n_bright": 1, "bright_sigma": 1e9, "rms": 1e-9, "n_steady": 0, "n_variables": 0, "n_transients": 0}
    rings = {"sidelobe_level": 0.01, "sidelobe_residual": 0.1, "sidelobe_spokes": 0, "beam_axis_ratio": 1.0}
    survey = simulate_survey(tmp_path, SurveyConfig(**small(**bright, **rings, size=256, n_timesteps=4)))
    (source,) = survey.truth.sources
    y, x = np.indices((256, 256))
    # Radius in beams of 5 pixels; the first ring is at 3 of them.
    radius = np.hypot(x - source["x"], y - source["y"]) / 5
    levels = survey.truth.images["sidelobes"]
    for path, truth in zip(survey.images, survey.truth.images, strict=True):
        pixels, flux = Image(path).data, source["mean_flux"][truth["band"]]
        # Rings of the second band are narrower by the ratio of the frequencies.
        ring = 3 * (1.0 if truth["band"] == 0 else 1.28 / 1.48)
        assert np.median(pixels[abs(radius - ring) < 0.05]) == pytest.approx(truth["sidelobes"] * flux, rel=0.05)
        between = np.median(pixels[abs(radius - 1.5 * ring) < 0.05])
        assert between == pytest.approx(-truth["sidelobes"] * flux / 1.5, rel=0.05)
        own = radius < 0.74 * ring
        assert pixels[own] == pytest.approx(flux * np.exp(-4 * np.log(2) * radius[own] ** 2), abs=1e-6 * flux)
    # 8 levels of either sign with an rms of 0.01 · 0.1.
    assert 4e-4 < np.std(levels) < 2e-3
    assert levels.min() < 0 < levels.max()


def test_missing_truth_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_truth(tmp_path)
