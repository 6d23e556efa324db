"""Calibration errors of images, measured on rendered pixels by sums and moments alone."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from trap.simulation.config import SurveyConfig
from trap.simulation.image_errors import draw_errors, draw_refraction
from trap.simulation.sky import draw_sky
from trap.simulation.survey import simulate_survey

ERRORS = {"gain_scatter": 0.1, "shift_arcsec": 2.0, "refraction_arcsec": 20.0, "decorrelation": 0.2}
BRIGHT = {
    "rms": 1e-11, "steady_sigma": (1e7, 1e8), "n_steady": 8, "n_variables": 0, "n_transients": 0, "size": 256,
    "n_timesteps": 2, "min_separation_beams": 10.0,
}  # fmt: skip
NARROW = SurveyConfig(**BRIGHT, **ERRORS)
WIDE = SurveyConfig(
    **BRIGHT, **ERRORS | {"refraction_arcsec": 120.0}, pixel_scale_arcsec=400.0, centre_dec=85.0, frequency_hz=60e6,
    band_spacing_hz=4e6,
)  # fmt: skip
BOX = 20
"""pix — half the width of the boxes in which a source is measured: four beams."""


def no_sources(**options):
    return SurveyConfig(n_steady=0, n_variables=0, n_transients=0, **options)


def drawn(config, seed=1):
    sky = draw_sky(config, np.random.default_rng(seed))
    wcs = WCS({"CTYPE1": "RA---SIN", "CTYPE2": "DEC--SIN", "CRVAL2": 45.0, "CDELT1": -1e-3, "CDELT2": 1e-3})
    return draw_errors(config, sky, wcs, np.random.default_rng(seed))


def moments(pixels, x, y):
    """Sum, centroid and determinant of the second moments of the pixels around a position."""
    left, bottom = round(x) - BOX, round(y) - BOX
    box = pixels[max(bottom, 0) : bottom + 2 * BOX + 1, max(left, 0) : left + 2 * BOX + 1].astype(float)
    positions = np.indices(box.shape).reshape(2, -1) + np.array([[max(bottom, 0)], [max(left, 0)]])
    total = box.sum()
    centre = positions @ box.ravel() / total
    offsets = positions - centre[:, np.newaxis]
    return total, centre[1], centre[0], np.linalg.det((box.ravel() * offsets) @ offsets.T / total)


@pytest.mark.parametrize("config", [NARROW, WIDE], ids=["narrow", "wide, around the pole"])
def test_pixels_show_each_source_as_the_truth_of_the_image_states(config, tmp_path):
    survey = simulate_survey(tmp_path, config)
    sources, curves = survey.truth.sources, survey.truth.lightcurves
    # Sources at the edge are not complete.
    inner = np.all([(sources[axis] > BOX) & (sources[axis] < config.size - BOX) for axis in "xy"], axis=0)
    assert inner.sum() >= 3
    true = SkyCoord(sources["ra"], sources["dec"])
    area = np.pi / (4 * np.log(2)) * config.beam.bmaj * config.beam.bmin / config.pixel_scale**2
    # The beam of a point source in pixels: the widths are 2√(2 ln 2) times the standard deviations.
    beam_determinant = (config.beam.bmaj * config.beam.bmin / config.pixel_scale**2 / (8 * np.log(2))) ** 2
    for image in survey.truth.images:
        pixels, header = fits.getdata(tmp_path / image["image"], header=True)
        del header["DATE-OBS"]  # astropy warns that it sets the modified Julian date
        rows = curves[(curves["timestep"] == image["timestep"]) & (curves["band"] == image["band"])]
        for i in np.flatnonzero(inner):
            total, x, y, determinant = moments(pixels[0, 0], sources["x"][i], sources["y"][i])
            assert total / area == pytest.approx(rows["flux"][i] * image["gain"], rel=1e-4)
            assert (beam_determinant / determinant) ** 0.5 == pytest.approx(1 - image["decorrelation"], rel=1e-3)
            shown = SkyCoord(*WCS(header).celestial.all_pix2world(x, y, 0), unit="deg")
            east, north = (offset.arcsec for offset in true[i].spherical_offsets_to(shown))
            tolerance = 1e-3 * config.pixel_scale_arcsec
            assert (east, north) == pytest.approx((rows["shift_ew"][i], rows["shift_ns"][i]), abs=tolerance)
    assert np.abs(curves["shift_ew"]).max() > 5


def test_shift_is_the_displacement_of_all_sources_of_a_narrow_field(tmp_path):
    survey = simulate_survey(tmp_path, SurveyConfig(**BRIGHT, shift_arcsec=2.0))
    for image in survey.truth.images:
        rows = survey.truth.lightcurves[survey.truth.lightcurves["timestep"] == image["timestep"]]
        for name in ("shift_ew", "shift_ns"):
            assert image[name] != 0
            # East turns by up to 0.2° over the field.
            assert np.asarray(rows[name]) == pytest.approx(image[name], abs=0.02)


def test_refraction_falls_with_the_square_of_the_frequency():
    bands = {"n_bands": 3, "frequency_hz": 60e6, "band_spacing_hz": 30e6}
    errors = drawn(SurveyConfig(n_timesteps=3, n_steady=20, refraction_arcsec=9.0, **bands))
    # 60, 90 and 120 MHz. Straight lines in the plane of the image are great circles to 1 part in 10⁴.
    for displacements in (errors.ew, errors.ns):
        assert displacements[:, :, 1] == pytest.approx(displacements[:, :, 0] * (60 / 90) ** 2, abs=1e-3)
        assert displacements[:, :, 2] == pytest.approx(displacements[:, :, 0] * (60 / 120) ** 2, abs=1e-3)
    assert errors.refraction_rms[:, 2] == pytest.approx(errors.refraction_rms[:, 0] / 4)
    assert len(set(errors.refraction_rms[:, 0])) == 3
    along_axes = (errors.ew[:, :, 0] ** 2 + errors.ns[:, :, 0] ** 2).mean(axis=0) / 2
    assert errors.refraction_rms[:, 0] == pytest.approx(along_axes**0.5, rel=1e-3)


def test_refraction_has_the_rms_of_the_settings_along_each_axis():
    rng = np.random.default_rng(3)
    ra, dec = np.array([10.0, 200.0, 300.0]), np.array([0.0, -89.9, 50.0])
    values = np.array([draw_refraction(rng, rms=60.0, structure=10.0).at(ra, dec) for _ in range(1500)])
    # Each of the 1500 has some χ² with one degree of freedom: 60 ± 1.1.
    assert np.sqrt((values**2).mean(axis=0)) == pytest.approx(60, abs=5)
    assert values.mean(axis=0) == pytest.approx(0, abs=6)


@pytest.mark.parametrize("dec", [0.0, 55.0, 88.0])
def test_refraction_has_no_curl(dec):
    field = draw_refraction(np.random.default_rng(4), rms=60.0, structure=10.0)
    angle = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    centre = SkyCoord(40.0, dec, unit="deg")
    ring = centre.directional_offset_by(angle * units.rad, 5 * units.deg)
    east, north = field.at(ring.ra.deg, ring.dec.deg)
    ahead = ring.position_angle(np.roll(ring, -1)).rad
    along = east * np.sin(ahead) + north * np.cos(ahead)
    across = east * np.cos(ahead) - north * np.sin(ahead)
    assert abs(along.mean()) < 0.01 * np.abs(along).mean()
    assert abs(across.mean()) > 0.03 * np.abs(across).mean()


def test_refraction_is_smooth():
    rng = np.random.default_rng(5)
    dec = np.array([0.0, 1.0, 12.5])
    values = np.array([draw_refraction(rng, rms=60.0, structure=10.0).at(np.zeros(3), dec) for _ in range(500)])
    # The correlation of the potential falls as sin(z)/z, with z = π at the size of the structure.
    near, far = (np.mean(values[:, :, 0] * values[:, :, i]) / 60**2 for i in (1, 2))
    assert near > 0.95
    assert abs(far) < 0.3


def test_gains_scatter_as_the_settings_require_around_a_mean_of_one():
    gain = drawn(no_sources(n_timesteps=5000, gain_scatter=0.3)).gain
    assert gain.shape == (5000, 2)
    assert gain.mean() == pytest.approx(1, abs=4 * 0.3 / 100)
    assert gain.std() == pytest.approx(0.3, rel=0.05)
    # Bands have gains of their own.
    assert abs(np.corrcoef(gain.T)[0, 1]) < 4 / 5000**0.5
    assert drawn(no_sources(n_timesteps=5000, gain_scatter=1.0)).gain.min() > 0


def test_shifts_and_decorrelation_scatter_as_the_settings_require():
    errors = drawn(no_sources(n_timesteps=5000, shift_arcsec=2.0, decorrelation=0.2))
    assert np.std(errors.shift_ew) == pytest.approx(2, rel=0.05)
    assert np.std(errors.shift_ns) == pytest.approx(2, rel=0.05)
    assert errors.decorrelation.mean() == pytest.approx(0.2, abs=4 * 0.2 / 3**0.5 / 100)
    assert 0 <= errors.decorrelation.min() < errors.decorrelation.max() <= 0.4


def test_one_kind_of_error_does_not_depend_on_the_others():
    alone = drawn(no_sources(gain_scatter=0.1))
    together = drawn(no_sources(gain_scatter=0.1, shift_arcsec=1.0, refraction_arcsec=5.0, decorrelation=0.1))
    assert np.array_equal(alone.gain, together.gain)
