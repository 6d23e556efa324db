"""Forced fits on sources, at empty positions, and next to other sources."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trap.catalogues import FitType, Flag, Measurements
from trap.errors import ImageError
from trap.extraction.background import estimate_background
from trap.extraction.forced import assign_roles, beam_plane, fit_positions, is_within
from trap.extraction.measure import extract_sources
from trap.extraction.mesh import Background

NO_SOURCES = np.empty((0, 2))
NO_MEASUREMENTS = Measurements.empty()


@pytest.fixture
def flat_background(sky):
    def background(rms=1e-3):
        return Background(
            mesh_mean=np.zeros((1, 1), np.float32),
            mesh_rms=np.full((1, 1), rms, np.float32),
            shape=(sky.ny, sky.nx),
            origin=(0, 0),
            extent=(sky.nx, sky.ny),
            cell=(sky.nx, sky.ny),
        )

    return background


@pytest.fixture
def fit(config, flat_background):
    """Fit at pixel positions."""

    def fitted(image, x, y, neighbours=NO_MEASUREMENTS, background=None, config=config):
        ra, dec = image.wcs.all_pix2world(np.atleast_1d(x), np.atleast_1d(y), 0)
        return fit_positions(
            image, ra, dec, background=background or flat_background(), neighbours=neighbours, config=config
        )

    return fitted


@pytest.mark.parametrize("rotation", [0.0, 33.0])
def test_flux_does_not_depend_on_where_in_its_pixel_a_source_is(sky, fit, rotation):
    sky.rotation = rotation
    shift = np.array([0.0, 0.2, 0.3, 0.5, 0.8])
    x, y = 40 * np.arange(1, 6) + shift, 200 - 0.7 * shift
    fitted = fit(sky.image(sky.sources(x, y, np.full(5, 0.2))), x, y)
    assert fitted.f_peak == pytest.approx(0.2, rel=1e-5)
    assert fitted.f_int == pytest.approx(0.2, rel=1e-5)
    assert np.allclose(fitted.x, x, atol=1e-6)


def test_fits_have_no_error_of_a_gain_before_calibration(sky, fit):
    fitted = fit(sky.image(np.zeros((sky.ny, sky.nx))), [50.0, -500.0], [60.0, 60.0])
    # The second position lies outside the image, and is not measured.
    assert np.isfinite(fitted.f_int).tolist() == [True, False]
    assert fitted.gain_err.tolist() == [0.0, 0.0]


def test_empty_positions_read_zero_with_honest_errors(sky, field, fit, config):
    image = sky.image(sky.noise(31))
    fitted = fit(image, *field, background=estimate_background(image.data, np.isnan(image.data), config))
    pull = fitted.f_int / fitted.f_int_err
    assert abs(pull.mean()) < 3 / np.sqrt(pull.size)
    assert 0.9 < pull.std() < 1.1


@pytest.mark.parametrize("n_beams", [0.8, 1.0, 1.5, 2.5])
def test_empty_position_next_to_a_bright_source_reads_zero(sky, field, stamped, fit, config, n_beams):
    image = sky.image(stamped(*field, 1000 * sky.rms) + sky.noise(32))
    extraction = extract_sources(image, config)
    angle = np.random.default_rng(32).uniform(0, 2 * np.pi, field[0].size)
    x, y = field[0] + n_beams * sky.bmaj * np.cos(angle), field[1] + n_beams * sky.bmaj * np.sin(angle)
    fitted = fit(image, x, y, extraction.measurements, extraction.background)
    pull = fitted.f_int / fitted.f_int_err
    assert abs(pull.mean()) < 0.3
    assert 0.75 < pull.std() < 1.2


def test_errors_follow_from_the_measured_noise_and_not_from_the_beam(sky, field, fit, config):
    # Noise smoothed with twice the beam of the header: neighbouring pixels are more correlated.
    wide = replace(sky, bmaj=2 * sky.bmaj, bmin=2 * sky.bmin).noise(41)
    image = sky.image(wide)
    extraction = extract_sources(image, config)
    fitted = fit(image, *field, background=extraction.background)
    assert 0.85 < (fitted.f_int / fitted.f_int_err).std() < 1.15
    by_the_beam = fit(image, *field, background=replace(extraction.background, correlation=None))
    assert (by_the_beam.f_int / by_the_beam.f_int_err).std() != pytest.approx(1, abs=0.15)


def test_position_on_a_detected_source_measures_that_source(sky, fit, config):
    image = sky.image(sky.noise(33) + sky.sources([100, 110], [80, 80], [0.5, 0.3]))
    extraction = extract_sources(image, config)
    fitted = fit(image, [100, 100.5, 110], [80, 80, 80], extraction.measurements, extraction.background)
    assert fitted.f_peak[[0, 2]] == pytest.approx([0.5, 0.3], abs=5e-3)
    # Half a pixel off the peak the beam fits less well, but it is the same source.
    assert fitted.f_peak[1] == pytest.approx(0.5, rel=0.05)


@pytest.mark.parametrize("seed", range(5))
def test_positions_on_many_detected_sources_each_measure_their_own_source(sky, fit, config, seed):
    rng = np.random.default_rng(seed)
    row, column = np.divmod(rng.permutation(36), 6)
    x, y, flux = 25.0 + 40 * column, 25.0 + 40 * row, rng.uniform(0.05, 0.5, 36)
    image = sky.image(sky.noise(seed) + sky.sources(x, y, flux))
    found = extract_sources(image, config).measurements
    # In another order than the detections, and not quite at their places.
    fitted = fit(image, x + 0.1, y - 0.1, neighbours=found)
    assert fitted.f_peak == pytest.approx(flux, abs=6e-3)


def test_positions_are_solved_together(sky, fit):
    # One beam apart: alone, each would read a good part of the other.
    x, y, flux = np.array([100, 105.0, 110]), np.array([80.0, 80, 80]), np.array([0.5, 0.2, 0.4])
    fitted = fit(sky.image(sky.sources(x, y, flux)), x, y)
    assert fitted.f_peak == pytest.approx(flux, rel=1e-5)


def test_same_position_twice_gives_the_same_flux_twice(sky, fit):
    image = sky.image(sky.sources([100.2, 110], [80.4, 80], [0.5, 0.3]))
    fitted = fit(image, [100.2, 100.2, 110, 100.3], [80.4, 80.4, 80, 80.4])
    assert fitted.f_peak[:3] == pytest.approx([0.5, 0.5, 0.3], rel=1e-4)
    assert fitted.f_peak[3] == pytest.approx(0.5, rel=0.01)


def test_crowd_of_positions_stays_finite(sky, fit):
    rng = np.random.default_rng(34)
    fitted = fit(sky.image(sky.noise(34)), rng.uniform(90, 110, 60), rng.uniform(90, 110, 60))
    assert fitted.is_measured.all()


def test_extended_neighbour_is_modelled_with_its_own_shape(sky, fit, config):
    config = config.model_copy(update={"force_beam": False})
    image = sky.image(sky.noise(35) + sky.sources([100], [80], [0.5], bmaj=10, bmin=8))
    extraction = extract_sources(image, config)
    fitted = fit(image, [100, 112], [90, 80], extraction.measurements, extraction.background)
    assert np.abs(fitted.f_int / fitted.f_int_err).max() < 4


@pytest.mark.parametrize("n_beams", [0.4, 0.6, 1.0, 1.6])
def test_position_next_to_a_detected_source_is_flagged(sky, fit, config, n_beams):
    sky.bmin = sky.bmaj
    image = sky.image(sky.sources([128.0], [128.0], [1.0]) + sky.noise(5))
    fitted = fit(image, 128.0 + n_beams * sky.bmaj, 128.0, extract_sources(image, config).measurements)
    assert fitted.flags.tolist() == [Flag.BLENDED]


@pytest.mark.parametrize("place", [(128.0, 128.0), (128.5, 128.5), (140.0, 128.0), (60.0, 90.0)])
def test_position_on_a_source_or_far_from_it_is_not_flagged(sky, fit, config, place):
    image = sky.image(sky.sources([128.0], [128.0], [1.0]) + sky.noise(6))
    assert fit(image, *place, extract_sources(image, config).measurements).flags.tolist() == [0]


@pytest.mark.parametrize("shift", [0.3, 0.8])
@pytest.mark.parametrize("angle", [0.0, 1.0, 2.5, 4.0])
def test_errors_next_to_a_source_include_its_misfit(sky, fit, config, shift, angle):
    # The model of the source is off, as if it had another shape: the position reads its residual.
    image = sky.image(sky.sources([128.0], [128.0], [1.0]) + sky.noise(7))
    moved = sky.image(sky.sources([128.0 + shift], [128.0], [1.0]) + sky.noise(8))
    x, y = 128.0 + 4.0 * np.cos(angle), 128.0 + 4.0 * np.sin(angle)
    honest = fit(image, x, y, extract_sources(image, config).measurements)
    misled = fit(moved, x, y, extract_sources(image, config).measurements)
    assert abs(honest.f_peak) < 5 * honest.f_peak_err
    assert abs(misled.f_peak) < 5 * misled.f_peak_err
    assert misled.f_peak_err > 3 * honest.f_peak_err


@pytest.mark.parametrize(
    ("ra", "dec"), [(330.0, 30.0), (150.0, -25.0), (250.0, -20.0), (np.nan, -30.0), (150.0, np.nan), (150.0, 90.0)]
)
def test_position_off_the_image_has_no_flux_and_is_flagged(sky, config, flat_background, ra, dec):
    fitted = fit_positions(
        sky.image(sky.noise(36)),
        [ra, 150.0],
        [dec, -30.0],
        background=flat_background(),
        neighbours=NO_MEASUREMENTS,
        config=config,
    )
    assert fitted.flags.tolist() == [Flag.OUTSIDE, 0]
    assert fitted.is_measured.tolist() == [False, True]
    assert np.isnan([fitted.f_peak[0], fitted.f_int_err[0], fitted.rms[0], fitted.chisq[0]]).all()
    assert np.array_equal([fitted.ra[0], fitted.dec[0]], [ra, dec], equal_nan=True)


def test_position_on_a_missing_pixel_or_outside_the_searched_area_has_no_flux(sky, fit, config):
    data = sky.noise(37)
    data[80, 100] = np.nan
    config = config.model_copy(update={"margin": 20, "extraction_radius_pix": 100.0})
    fitted = fit(sky.image(data), [100, 5, 220, 128], [80, 128, 190, 128], config=config)
    assert (fitted.flags & Flag.OUTSIDE != 0).tolist() == [True, True, True, False]
    assert (fitted.flags & Flag.MASKED_PIXELS != 0).tolist() == [True, False, False, False]


def test_missing_pixels_in_the_box_do_not_bias_the_flux(sky, fit):
    data = sky.sources([100], [80], [0.5])
    data[75:79, 98:110] = np.nan
    fitted = fit(sky.image(data), [100, 200], [80, 200])
    assert fitted.f_peak[0] == pytest.approx(0.5, rel=1e-5)
    assert fitted.f_peak_err[0] == pytest.approx(fitted.f_peak_err[1], rel=0.1)
    assert fitted.flags.tolist() == [Flag.MASKED_PIXELS, 0]


@pytest.mark.parametrize("missing", [(slice(80, 81), slice(105, 106)), (slice(77, 84), slice(104, 110))])
def test_position_without_a_pixel_at_its_centre_leaves_its_flux_to_no_neighbour(sky, fit, missing):
    data = sky.sources([100, 105], [80, 80], [0.5, 0.8])
    data[missing] = np.nan
    fitted = fit(sky.image(data), [100, 105], [80, 80])
    assert fitted.f_peak[0] == pytest.approx(0.5, rel=1e-3)
    assert np.isnan(fitted.f_peak[1])
    # A position on the missing pixels that a detected source or another position covers is no source of its own.
    assert fit(sky.image(data), [100, 105, 105.3], [80, 80, 80]).f_peak[0] == pytest.approx(0.5, rel=1e-3)


def test_position_beyond_the_edge_leaves_its_flux_to_no_neighbour(sky, fit):
    fitted = fit(sky.image(sky.sources([2, -2.5], [80, 80], [0.5, 0.8])), [2, -2.5], [80, 80])
    assert fitted.f_peak[0] == pytest.approx(0.5, rel=1e-3)
    assert np.isnan(fitted.f_peak[1])


@pytest.mark.parametrize(("x", "y"), [(0.3, 100.0), (255.2, 100.0), (100.0, -0.4), (254.9, 255.3)])
def test_source_on_any_edge_is_measured_and_flagged(sky, fit, x, y):
    fitted = fit(sky.image(sky.sources([x], [y], [0.5])), x, y)
    assert fitted.f_peak[0] == pytest.approx(0.5, rel=1e-5)
    assert fitted.flags[0] == Flag.EDGE


def test_position_errors_are_those_of_the_beam_at_the_signal(sky, fit):
    sky = replace(sky, bpa=0.0)
    fitted = fit(sky.image(sky.sources([100], [80], [0.01])), [100, 200], [80, 200])
    # Half widths of 4″ and 5″ over √ln 2 · S/N, with S/N 10 and at least 1.
    limits = np.array([4.0, 5.0]) / np.sqrt(np.log(2)) / 3600
    assert (fitted.ew_fit_err[0], fitted.ns_fit_err[0]) == pytest.approx(limits / 10, rel=1e-3)
    assert (fitted.ew_fit_err[1], fitted.ns_fit_err[1]) == pytest.approx(limits, rel=1e-3)


def test_significance_is_the_peak_over_the_noise(sky, fit):
    fitted = fit(sky.image(sky.sources([100], [80], [0.5])), 100, 80)
    assert fitted.significance[0] == pytest.approx(500, rel=1e-4)
    assert (fitted.rms[0], fitted.fit_type[0]) == (pytest.approx(1e-3), FitType.GAUSSIAN)


def test_level_of_the_sky_is_subtracted(sky, fit, flat_background):
    background = replace(flat_background(), mesh_mean=np.full((1, 1), 7.0, np.float32))
    fitted = fit(sky.image(sky.sources([100], [80], [0.5]) + 7.0), 100, 80, background=background)
    assert fitted.f_peak[0] == pytest.approx(0.5, rel=1e-4)


def test_background_without_noise_measures_nothing(sky, fit, flat_background):
    fitted = fit(sky.image(sky.noise(38)), 100, 80, background=flat_background(np.nan))
    assert fitted.flags[0] == Flag.OUTSIDE


def test_no_positions_give_no_rows(sky, fit):
    assert len(fit(sky.image(sky.noise(39)), [], [])) == 0


def test_image_without_a_beam_is_an_error(sky, config, flat_background):
    header = sky.header()
    del header["BMAJ"]
    image = type(sky.image(np.zeros((4, 4)))).from_array(sky.noise(40), header)
    with pytest.raises(ImageError, match="no restoring beam"):
        fit_positions(image, [150.0], [-30.0], background=flat_background(), neighbours=NO_MEASUREMENTS, config=config)


def places(*x):
    return np.array([[value, 0.0] for value in x])


def test_beam_is_round_in_its_plane():
    # Half maximum lies √(2 ln 2) away in every direction.
    a, b, c = 0.5, 0.1, 0.3
    angle = np.linspace(0, 6, 13)
    u, v = np.cos(angle), np.sin(angle)
    reach = np.sqrt(2 * np.log(2) / (a * u**2 + 2 * b * u * v + c * v**2))
    plane = beam_plane(reach * u, reach * v, np.array([a, b, c]))
    assert np.hypot(*plane.T) == pytest.approx(np.sqrt(2 * np.log(2)))


def test_nan_is_near_no_point():
    points = np.array([[0.0, 0.0], [np.nan, 0.0], [9.0, 9.0]])
    assert is_within(points, np.array([[0.1, 0.0], [np.nan, np.nan]]), 1.0).tolist() == [True, False, False]
    assert not is_within(points, NO_SOURCES, 1.0).any()


def test_positions_apart_all_lead():
    roles = assign_roles(places(0, 2, 4), NO_SOURCES)
    assert roles.is_leader.tolist() == [True, True, True]
    assert roles.shared.size == 0


def test_of_coinciding_positions_the_earlier_leads():
    # The third is near the second, which is a follower, and so can lead.
    roles = assign_roles(places(0, 1, 2), NO_SOURCES)
    assert roles.is_leader.tolist() == [True, False, True]
    assert roles.shared.tolist() == [[1, 0], [1, 2]]


def test_position_on_a_detected_source_follows_it():
    roles = assign_roles(places(0, 9), places(0.5))
    assert roles.is_leader.tolist() == [False, True]
    # Sources are numbered with the found ones first.
    assert roles.shared.tolist() == [[0, 0]]


def test_detected_sources_near_a_leader_are_fitted_again():
    roles = assign_roles(places(0, 50), places(3, 5, 50.1, 53))
    assert roles.is_leader.tolist() == [True, False]
    assert roles.is_free.tolist() == [True, False, False, False]


@pytest.mark.parametrize("n_places", [1, 1500])
def test_memory_for_a_hundred_thousand_positions_is_bounded_by_the_image(sky, fit, peak_memory, n_places):
    """Boxes of 625 pixels, one for each position, would take 1 GB, and all pairs of one place 80 GB."""
    image = sky.image(sky.noise(34))
    x, y = (np.resize(p, 100_000) for p in np.random.default_rng(35).uniform(2, 254, (2, n_places)))
    before = peak_memory()
    fitted = fit(image, x, y)
    assert peak_memory() - before < 250
    assert fitted.is_measured.all()
    # All that follow the first fit at a place measure the same.
    assert np.ptp(fitted.f_peak[n_places::n_places]) == pytest.approx(0.0, abs=1e-12)
