from __future__ import annotations

import numpy as np
import pytest
from plain_field import field_of

from trap.catalogues import Measurements
from trap.extraction.measure import extract_sources, searched_field
from trap.finder.maps import island_map, model_map, residual_map, significance_map


@pytest.fixture
def image(sky):
    sky.nx, sky.ny = 96, 128
    return sky.image(sky.sources([30.2, 70.7], [40.4, 99.9], [0.1, 0.05]) + sky.noise(1))


def test_model_equals_the_drawn_sources(sky, image, config):
    sky.rotation = 25.0
    drawn = sky.sources([30.2, 70.7], [40.4, 99.9], [0.1, 0.05])
    exact = sky.image(drawn + 1e-6 * sky.noise(1) / sky.rms)
    measurements = extract_sources(exact, config).measurements
    model = model_map(measurements, exact.wcs, drawn.shape)
    # The model ends at 6 σ; the fit is as good as its tolerance.
    assert model == pytest.approx(drawn, abs=1e-4)


def test_source_beyond_the_edge_is_drawn_as_far_as_it_reaches(sky):
    outside = Measurements.of(
        x=[-2.0, 500.0], y=[10.0, 10.0], ra=0, dec=0, ew_fit_err=0, ns_fit_err=0, f_peak=1.0, f_peak_err=0, f_int=1,
        f_int_err=0, rms=1, significance=1, semimajor=sky.bmaj, semiminor=sky.bmin, pa=sky.bpa,
    )  # fmt: skip
    model = model_map(outside, sky.image(np.zeros((sky.ny, sky.nx))).wcs, (sky.ny, sky.nx))
    v, u = np.mgrid[0:21, 0:11]
    # The shape is one on the sky, which the projection stretches by 1e-4 this far out.
    assert model[:21, :11] == pytest.approx(sky.shape(u + 2.0, v - 10.0), abs=1e-3)
    assert model[:, 40:].max() == 0


def test_rows_without_a_flux_are_not_drawn(image, config):
    measurements = extract_sources(image, config).measurements
    lost = measurements.with_columns(f_peak=np.full(len(measurements), np.nan))
    assert model_map(lost, image.wcs, image.data.shape).max() == 0


def test_residual_keeps_noise_and_missing_values(sky, config):
    data = sky.sources([60.0], [60.0], [0.1]) + sky.noise(4)
    data[:5, :5] = np.nan
    image = sky.image(data)
    extraction = extract_sources(image, config)
    residual = residual_map(
        image, extraction.background, model_map(extraction.measurements, image.wcs, image.data.shape)
    )
    assert np.isnan(residual[:5, :5]).all()
    assert np.nanstd(residual) == pytest.approx(sky.rms, rel=0.05)


def test_significance_has_no_value_outside_the_searched_area(image, config):
    narrow = config.model_copy(update={"margin": 10})
    significance = significance_map(image, extract_sources(image, narrow).background, narrow)
    assert np.isnan(significance[:10]).all()
    assert np.isfinite(significance[10:-10, 10:-10]).all()


def test_islands_are_numbered_as_in_the_table(image, config):
    extraction = extract_sources(image, config)
    labels = island_map(searched_field(image, extraction.background, config), detection=5.0, analysis=3.0)
    found = extraction.measurements
    assert labels[np.rint(found.y).astype(int), np.rint(found.x).astype(int)].tolist() == found.island.tolist()
    assert labels.max() == found.island.max() == 2


def test_islands_by_hand():
    significance = np.array(
        [
            [5.0, 0.0, 3.0, 3.0, np.nan],
            [0.0, 3.0, 0.0, 0.0, 9.0],
            [0.0, 0.0, 0.0, 0.0, 0.0],
            [3.0, 3.0, 0.0, 0.0, 5.0],
        ],
        np.float32,
    )
    # Corners connect, both limits are inclusive, and the lower left never reaches 5.
    expected = [[1, 0, 1, 1, 0], [0, 1, 0, 0, 1], [0, 0, 0, 0, 0], [0, 0, 0, 0, 2]]
    field = field_of(significance, np.isnan(significance))
    assert island_map(field, detection=5.0, analysis=3.0).tolist() == expected
