"""Whole images with injected truth through blind extraction."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from trap.angles import offsets
from trap.catalogues import FitType, Flag
from trap.errors import ImageError
from trap.extraction.measure import extract_sources


def only_source(image, config):
    measurements = extract_sources(image, config).measurements
    assert len(measurements) == 1
    return measurements


def pulls(image, x, y, flux, config):
    """(measured - true)/error of east, north, peak and integrated flux of all injected sources."""
    found = extract_sources(image, config).measurements
    distance, row = cKDTree(np.column_stack([found.x, found.y])).query(np.column_stack([x, y]))
    assert distance.max() < 3
    found = found.take(row)
    east, north = offsets(found.ra, found.dec, *image.wcs.all_pix2world(x, y, 0))
    return (
        east / found.ew_fit_err,
        north / found.ns_fit_err,
        (found.f_peak - flux) / found.f_peak_err,
        (found.f_int - flux) / found.f_int_err,
    )


@pytest.mark.parametrize("signal_to_noise", [(9, 20), (50, 500)])
def test_errors_of_beam_fits_are_honest(sky, field, stamped, config, signal_to_noise):
    sky.rotation = 20.0
    flux = sky.rms * np.random.default_rng(3).uniform(*signal_to_noise, field[0].size)
    image = sky.image(stamped(*field, flux) + sky.noise(3))
    for pull in pulls(image, *field, flux, config):
        assert abs(pull.mean()) < 0.25
        assert 0.8 < pull.std() < 1.2


def test_errors_of_free_fits_are_honest_at_moderate_signal(sky, field, stamped, config):
    flux = sky.rms * np.random.default_rng(4).uniform(10, 30, field[0].size)
    image = sky.image(stamped(*field, flux) + sky.noise(4))
    for pull in pulls(image, *field, flux, config.model_copy(update={"force_beam": False})):
        assert abs(pull.mean()) < 0.3
        assert 0.8 < pull.std() < 1.3


def test_all_bright_sources_are_found_and_nothing_else(sky, field, stamped, config):
    image = sky.image(stamped(*field, 8 * sky.rms) + sky.noise(5))
    found = extract_sources(image, config).measurements
    distance, _ = cKDTree(np.column_stack(field)).query(np.column_stack([found.x, found.y]))
    assert (distance < 3).sum() >= 0.97 * field[0].size
    assert (distance >= 3).sum() == 0


def test_point_source_without_noise_around_it_is_measured_exactly(sky, config):
    data = 1e-3 * sky.noise(1) + sky.sources([100.3], [77.8], [0.5])
    source = only_source(sky.image(data), config)
    assert (source.x[0], source.y[0]) == pytest.approx((100.3, 77.8), abs=1e-3)
    assert source.f_peak[0] == pytest.approx(0.5, rel=1e-3)
    assert source.f_int[0] == source.f_peak[0]
    assert (source.semimajor[0], source.semiminor[0], source.pa[0]) == pytest.approx((5.0, 4.0, 30.0), rel=1e-3)


def test_resolved_source_has_the_flux_of_its_area(sky, config):
    data = 1e-3 * sky.noise(1) + sky.sources([100.3], [77.8], [0.5], bmaj=10, bmin=6, bpa=70)
    source = only_source(sky.image(data), config.model_copy(update={"force_beam": False}))
    assert source.f_peak[0] == pytest.approx(0.5, rel=1e-3)
    assert source.f_int[0] == pytest.approx(0.5 * 60 / 20, rel=1e-3)
    assert (source.semimajor[0], source.semiminor[0], source.pa[0]) == pytest.approx((10.0, 6.0, 70.0), rel=1e-3)


def test_level_of_the_sky_is_subtracted(sky, config):
    data = sky.noise(1) + sky.sources([100], [77], [0.5])
    plain, raised = (only_source(sky.image(data + level), config) for level in (0.0, 0.1))
    assert raised.f_peak[0] == pytest.approx(plain.f_peak[0], rel=1e-4)


def test_nothing_is_found_around_missing_pixels(sky, field, stamped, config):
    data = stamped(*field, 0.0) + sky.noise(6)
    data *= np.linspace(3, 1, 512)[:, np.newaxis]
    rng = np.random.default_rng(6)
    for y, x in rng.integers(0, 500, (40, 2)):
        data[y : y + 2, x : x + 2] = np.nan
    data[:, 400:] = np.nan
    data[np.hypot(*np.mgrid[-256:256, -256:256]) > 240] = np.nan
    assert len(extract_sources(sky.image(data), config).measurements) == 0


def test_source_beside_missing_pixels_is_measured_and_flagged(sky, config):
    data = sky.noise(7) + sky.sources([100, 180], [77, 180], [0.5, 0.5])
    data[76:79, 103:110] = np.nan
    found = extract_sources(sky.image(data), config).measurements
    assert found.flags.tolist() == [Flag.MASKED_PIXELS, 0]
    assert found.f_peak == pytest.approx(0.5, rel=0.03)


def test_source_at_the_edge_is_measured_and_flagged(sky, config):
    data = sky.noise(8) + sky.sources([0.6], [77], [0.5])
    source = only_source(sky.image(data), config)
    assert source.flags[0] == Flag.EDGE
    assert source.f_peak[0] == pytest.approx(0.5, rel=0.05)
    assert source.x[0] == pytest.approx(0.6, abs=0.1)


def test_sources_outside_the_searched_area_are_left_out(sky, config):
    data = sky.noise(9) + sky.sources([6, 128, 30], [128, 128, 30], [0.5, 0.5, 0.5])
    found = extract_sources(sky.image(data), config.model_copy(update={"margin": 10, "extraction_radius_pix": 110.0}))
    assert found.measurements.x == pytest.approx([128], abs=0.1)


def test_blended_sources_are_two_with_their_own_fluxes(sky, config):
    data = sky.noise(10) + sky.sources([100, 106.0], [80, 80], [0.2, 0.1])
    found = extract_sources(sky.image(data), config).measurements
    assert found.f_peak == pytest.approx([0.2, 0.1], abs=5e-3)
    assert found.x == pytest.approx([100, 106], abs=0.1)
    assert (found.flags == Flag.BLENDED).all()
    assert found.island.tolist() == [1, 1]


def test_significance_is_the_highest_pixel_of_the_component_not_of_the_island(sky, config):
    data = sky.noise(10) + sky.sources([100, 106.0], [80, 80], [0.2, 0.1])
    found = extract_sources(sky.image(data), config).measurements
    assert found.island.tolist() == [1, 1]
    # The centres are whole pixels, 6 pixels apart: the highest pixels are the peaks.
    pixels = data[found.y.round().astype(int), found.x.round().astype(int)]
    assert found.significance == pytest.approx(pixels / found.rms, rel=0.02)


def test_island_of_one_pixel_is_measured(sky, config):
    # Two thresholds that meet just below the peak leave one pixel.
    data = sky.noise(11) + sky.sources([100], [80], [0.02])
    significance = only_source(sky.image(data), config).significance[0]
    level = 0.995 * significance
    narrow = config.model_copy(update={"detection_threshold": level, "analysis_threshold": level})
    for one in (narrow, narrow.model_copy(update={"force_beam": False})):
        source = only_source(sky.image(data), one)
        assert source.fit_type[0] == FitType.GAUSSIAN
        assert source.f_peak[0] == pytest.approx(0.02, abs=0.003)


@pytest.mark.parametrize("force_beam", [True, False])
def test_failed_fit_gives_moments_and_a_flag(sky, config, force_beam):
    # Two pixels amid missing ones are too few for three parameters.
    data = sky.noise(12) + sky.sources([100], [77], [0.5])
    data[70:85, 93:108] = np.nan
    data[77, 100:102] = 0.5, 0.4
    source = only_source(sky.image(data), config.model_copy(update={"force_beam": force_beam}))
    assert source.flags[0] == Flag.FIT_FAILED | Flag.MASKED_PIXELS
    assert source.fit_type[0] == FitType.MOMENTS
    assert source.is_measured.all()
    assert source.x[0] == pytest.approx(100.4, abs=0.1)


def test_ramp_into_the_edge_has_no_free_fit_but_one_of_the_beams_shape(sky, config):
    data = sky.noise(12)
    data[:, :12] += 0.1 * np.exp(-np.arange(12) / 2.0) * np.exp(-(((np.arange(256)[:, np.newaxis] - 90) / 4.0) ** 2))
    found = extract_sources(sky.image(data), config.model_copy(update={"force_beam": False})).measurements
    assert (found.flags & (Flag.POINT_LIKE | Flag.EDGE | Flag.FIT_FAILED) == Flag.POINT_LIKE | Flag.EDGE).all()
    assert found.is_measured.all()


@pytest.mark.parametrize("value", [np.nan, 0.0, 5.0])
def test_image_without_noise_has_no_sources(sky, config, value):
    extraction = extract_sources(sky.image(np.full((256, 256), value)), config)
    assert len(extraction.measurements) == 0
    assert np.isnan(extraction.rms_min)


def test_negative_image_has_no_sources(sky, config):
    data = sky.noise(13) - sky.sources([100], [77], [0.5])
    assert len(extract_sources(sky.image(data), config).measurements) == 0


@pytest.mark.parametrize(("nx", "ny"), [(20, 20), (256, 9), (7, 300)])
def test_small_images_are_searched(sky, config, nx, ny):
    sky = replace(sky, nx=nx, ny=ny)
    data = sky.noise(14) + sky.sources([nx / 2], [ny / 2], [0.5])
    assert extract_sources(sky.image(data), config).measurements.f_peak.max() == pytest.approx(0.5, rel=0.2)


def test_beam_narrower_than_two_pixels_is_fitted(sky, config):
    sky = replace(sky, bmaj=1.8, bmin=1.5)
    source = only_source(sky.image(sky.noise(15) + sky.sources([100.4], [77.3], [0.1])), config)
    assert (source.x[0], source.y[0]) == pytest.approx((100.4, 77.3), abs=0.05)
    assert source.f_peak[0] == pytest.approx(0.1, rel=0.05)


def test_range_of_the_noise_is_limited_to_the_searched_area(sky, config):
    data = sky.noise(16)
    data[:, 128:] *= 3
    extraction = extract_sources(sky.image(data), config)
    assert extraction.rms_min == pytest.approx(sky.rms, rel=0.15)
    assert extraction.rms_max == pytest.approx(3 * sky.rms, rel=0.15)
    narrow = extract_sources(
        sky.image(data), config.model_copy(update={"extraction_radius_pix": 40.0, "back_size_x": 20})
    )
    assert narrow.rms_max > 2 * narrow.rms_min


def test_systematic_errors_are_a_share_of_the_beam_with_the_given_errors_in_quadrature(sky, config):
    config = config.model_copy(update={"beam_sys_err": 0.1, "ew_sys_err": 0.3, "ns_sys_err": 0.4})
    source = only_source(sky.image(sky.noise(17) + sky.sources([100], [77], [0.5])), config)
    # The beam of 10″ by 8″ at a position angle of 30°: 8.54″ along east-west, and 9.54″ along north-south.
    assert source.ew_sys_err[0] == pytest.approx(np.hypot(0.854, 0.3), rel=1e-3)
    assert source.ns_sys_err[0] == pytest.approx(np.hypot(0.954, 0.4), rel=1e-3)
    assert source.significance[0] == pytest.approx(source.f_peak[0] / source.rms[0], rel=0.1)


def test_chi_squared_is_that_of_the_residuals_of_the_island(sky, config):
    # With white noise a pixel of a good fit contributes one.
    rng = np.random.default_rng(18)
    data = sky.rms * rng.normal(size=(256, 256)) + sky.sources([100], [77], [0.5])
    source = only_source(sky.image(data), config)
    beam_area = np.pi * sky.bmaj * sky.bmin / 4
    assert source.reduced_chisq[0] == pytest.approx(beam_area, rel=0.35)


def test_image_without_a_beam_is_an_error(sky, config):
    header = sky.header()
    del header["BMAJ"]
    image = type(sky.image(np.zeros((4, 4)))).from_array(sky.noise(19), header)
    with pytest.raises(ImageError, match="no restoring beam"):
        extract_sources(image, config)


def test_extraction_is_the_same_every_time(sky, field, stamped, config):
    image = sky.image(stamped(*field, 30 * sky.rms) + sky.noise(20))
    first, second = (extract_sources(image, config).measurements for _ in range(2))
    assert all(
        np.array_equal(a, b, equal_nan=True)
        for a, b in zip(first.as_dict().values(), second.as_dict().values(), strict=True)
    )


def test_source_centred_outside_the_searched_area_is_flagged(sky, config):
    # Ten pixels are not searched; a wing of the first source reaches beyond them.
    image = sky.image(sky.noise(21) + sky.sources([8, 100], [77, 77], [1.0, 1.0]))
    measurements = extract_sources(image, config.model_copy(update={"margin": 10})).measurements
    flags = dict(zip(measurements.x.round().astype(int).tolist(), measurements.flags.tolist(), strict=True))
    assert [bool(flags[x] & Flag.OUTSIDE) for x in sorted(flags)] == [True, False]


def test_condons_errors_are_near_those_of_the_measured_noise(sky, field, stamped, config):
    # His formulas interpolate between limits; for a fit of everything they are good to a third.
    config = config.model_copy(update={"force_beam": False})
    flux = sky.rms * np.random.default_rng(22).uniform(15, 60, field[0].size)
    image = sky.image(stamped(*field, flux) + sky.noise(22))
    ours, his = (
        extract_sources(image, config.model_copy(update={"errors": errors})).measurements
        for errors in ("autocorrelation", "condon")
    )
    for name in ("f_peak_err", "f_int_err", "ew_fit_err", "ns_fit_err"):
        assert np.median(getattr(his, name) / getattr(ours, name)) == pytest.approx(1, abs=0.35)
    assert np.array_equal(ours.f_peak, his.f_peak)


def test_source_across_the_rim_of_the_circle_is_measured_whole(sky, config):
    config = config.model_copy(update={"extraction_radius_pix": 80.0})
    # One source is centred within the rim, one beyond it, and both lie across it.
    data = sky.sources([127.5 + 79, 127.5], [127.5, 127.5 - 82], [0.1, 0.2]) + sky.noise(12)
    found = extract_sources(sky.image(data), config).measurements
    whole = extract_sources(sky.image(data), config.model_copy(update={"extraction_radius_pix": 0.0})).measurements
    assert found.y == pytest.approx([127.5 - 82, 127.5], abs=0.1)
    assert found.f_int == pytest.approx(whole.f_int, rel=0.01)
    assert found.flags & (Flag.EDGE | Flag.FIT_FAILED) == pytest.approx(0)
    assert (found.flags & Flag.OUTSIDE > 0).tolist() == [True, False]


def test_source_across_the_margin_is_measured_whole(sky, config):
    data = sky.sources([10, 127.5], [127.5, 245.8], [0.1, 0.2]) + sky.noise(12)
    found = extract_sources(sky.image(data), config.model_copy(update={"margin": 10})).measurements
    assert found.f_peak == pytest.approx([0.1, 0.2], rel=0.05)
    assert (found.flags & (Flag.EDGE | Flag.OUTSIDE)).tolist() == [0, Flag.OUTSIDE]


def test_source_beyond_the_rim_that_reaches_no_searched_pixel_is_not_measured(sky, config):
    data = sky.sources([127.5 + 92], [127.5], [0.1]) + sky.noise(12)
    config = config.model_copy(update={"extraction_radius_pix": 80.0})
    assert len(extract_sources(sky.image(data), config).measurements) == 0


def test_source_across_the_border_of_the_image_is_flagged(sky, config):
    data = sky.sources([2, 127.5], [127.5, -2], [0.1, 0.1]) + sky.noise(12)
    found = extract_sources(sky.image(data), config).measurements
    assert len(found) == 2
    assert (found.flags & Flag.EDGE > 0).all()


def test_pixels_beyond_the_widened_circle_do_not_matter(sky, config):
    config = config.model_copy(update={"extraction_radius_pix": 80.0})
    data = sky.sources([127.5 + 79, 127.5], [127.5, 127.5], [0.1, 0.1]) + sky.noise(12)
    y, x = np.mgrid[0:256, 0:256]
    # Two beams of five pixels beyond the rim.
    other = np.where(np.hypot(x - 127.5, y - 127.5) >= 90.1, 7.0, data)
    found, with_other = (extract_sources(sky.image(pixels), config).measurements for pixels in (data, other))
    assert found.x.max() == pytest.approx(206.5, abs=0.3)
    for name, column in found.as_dict().items():
        assert np.array_equal(column, getattr(with_other, name), equal_nan=True), name


def test_sources_at_the_horizon_have_a_position_or_are_left_out(sky, config):
    # The horizon is 100 pixels from the middle; sources stand up to a pixel inside it, or two beyond it.
    header = sky.header()
    header.update(CDELT1=-np.degrees(1 / 100), CDELT2=np.degrees(1 / 100), BMAJ=2.5, BMIN=2.0)
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    radius = 100 + np.tile([-1.0, 0.5, 2.0], 8)
    middle = 127.5 + 60 * np.cos(angle[::4]), 127.5 + 60 * np.sin(angle[::4])
    x, y = (127.5 + radius * f(angle) for f in (np.cos, np.sin))
    data = sky.noise(6) + sky.sources([*x, *middle[0]], [*y, *middle[1]], [0.1] * 30)
    found = extract_sources(type(sky.image(data)).from_array(data.astype(np.float32), header), config).measurements
    assert np.isfinite(found.ra + found.dec).all()
    # A source at the horizon is cut, and is not associated; six others are whole.
    assert found.is_sound.sum() == 6
