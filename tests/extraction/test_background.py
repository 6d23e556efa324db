from __future__ import annotations

import pickle

import numpy as np
import pytest

from trap.config import SourceExtractionConfig
from trap.extraction.background import ClippedStatistics, estimate_background

CONFIG = SourceExtractionConfig(back_size_x=50, back_size_y=50)


def estimate(data, mask=None, config=CONFIG):
    return estimate_background(data, np.isnan(data) if mask is None else mask, config)


@pytest.mark.parametrize("n_bright", [0, 300])
def test_noise_of_a_sample_is_traps_whatever_bright_values_are_added(n_bright):
    # trap-facts §5.2: sigma 1.0007937718 in both cases.
    sample = np.random.RandomState(42).normal(0, 1, 10000)
    sample = np.concatenate([sample, np.full(n_bright, 50.0)])
    assert ClippedStatistics().noise(sample[np.newaxis], axis=-1)[0] == pytest.approx(1.0007937718, rel=1e-6)


def test_statistics_ignore_nan_and_are_nan_where_there_is_nothing_else():
    sample = np.random.default_rng(1).normal(5, 2, (3, 400))
    padded = np.concatenate([sample, np.full((3, 100), np.nan)], axis=1)
    padded[2] = np.nan
    statistics = ClippedStatistics()
    assert statistics.noise(padded, axis=-1)[:2] == pytest.approx(ClippedStatistics().noise(sample, axis=-1)[:2])
    assert np.isnan(statistics.noise(padded, axis=-1)[2])
    assert np.isnan(statistics.level(padded, axis=-1)[2])


def test_level_and_noise_of_an_offset_field_are_recovered():
    data = np.random.default_rng(2).normal(1e3, 2.0, (300, 300)).astype(np.float32)
    background = estimate(data)
    assert background.mesh_mean == pytest.approx(1e3, abs=0.5)
    assert background.mesh_rms.mean() == pytest.approx(2.0, rel=0.02)


def test_map_and_single_positions_agree():
    rng = np.random.default_rng(3)
    data = rng.normal(0, 1 + np.arange(230) / 100, (170, 230)).astype(np.float32)
    background = estimate(data)
    y, x = rng.integers(0, 170, 500), rng.integers(0, 230, 500)
    assert background.rms_at(x, y) == pytest.approx(background.rms_map()[y, x], rel=1e-5)
    assert background.mean_at(x, y) == pytest.approx(background.mean_map()[y, x], abs=1e-6)


def test_gradients_of_level_and_noise_are_followed():
    y, x = np.mgrid[0:400, 0:400]
    noise = 1 + y / 400
    data = (x / 100 + noise * np.random.default_rng(4).normal(size=x.shape)).astype(np.float32)
    background = estimate(data)
    inner = (slice(75, 325), slice(75, 325))
    assert np.abs(background.rms_map() / noise - 1)[inner].max() < 0.12
    assert np.abs(background.mean_map() - x / 100)[inner].max() < 0.5


def test_sources_hardly_raise_the_noise(sky):
    noise = sky.noise(5)
    rng = np.random.default_rng(5)
    # One source per 33 beam areas, a crowded field.
    crowd = sky.sources(rng.uniform(0, 256, 90), rng.uniform(0, 256, 90), sky.rms * rng.uniform(5, 200, 90))
    empty, full = (estimate(image.astype(np.float32)).mesh_rms.mean() for image in (noise, noise + crowd))
    assert full / empty == pytest.approx(1, abs=0.05)


def test_cell_on_a_bright_extended_source_takes_the_noise_around_it(sky):
    data = sky.noise(6)
    data[100:150, 100:150] += np.random.default_rng(6).uniform(0, 1, (50, 50))
    background = estimate(data.astype(np.float32))
    assert background.rms_at(125, 125) == pytest.approx(sky.rms, rel=0.2)


def test_few_missing_pixels_do_not_change_the_noise_around_them():
    # TraP gives such a cell the lowest noise of the image, and finds false sources there.
    data = np.random.default_rng(7).normal(0, 1, (300, 300)).astype(np.float32)
    data[:, 150:] *= 3
    data[200:202, 200:202] = np.nan
    assert estimate(data).rms_at(201, 201) == pytest.approx(3, rel=0.05)


def test_empty_cells_take_the_noise_of_their_neighbours():
    data = np.random.default_rng(8).normal(0, 1, (300, 300)).astype(np.float32)
    data[:, 150:] *= 3
    data[:, 240:] = np.nan
    assert estimate(data).rms_at(299, 150) == pytest.approx(3, rel=0.05)


def test_masked_pixels_take_no_part():
    data = np.random.default_rng(9).normal(0, 1, (200, 200)).astype(np.float32)
    mask = np.zeros(data.shape, bool)
    mask[:, 90:110] = True
    expected = estimate(data, mask)
    data[mask] = 1e9
    assert np.array_equal(estimate(data, mask).mesh_rms, expected.mesh_rms)


def test_mesh_starts_at_the_first_pixel_that_counts():
    data = np.random.default_rng(10).normal(0, 1, (220, 240)).astype(np.float32)
    mask = np.ones(data.shape, bool)
    mask[10:-10, 20:-20] = False
    background = estimate(data, mask)
    assert (background.origin, background.extent) == ((20, 10), (220, 210))
    assert background.mesh_rms.shape == (4, 4)


@pytest.mark.parametrize("shape", [(20, 30), (50, 50), (3, 200), (51, 49)])
def test_image_of_any_shape_has_a_background(shape):
    data = np.random.default_rng(11).normal(0, 1, shape).astype(np.float32)
    background = estimate(data)
    assert background.rms_map().shape == shape
    assert background.rms_map() == pytest.approx(1, rel=0.5)


def test_image_smaller_than_a_cell_is_one_cell():
    data = np.random.default_rng(12).normal(0, 1, (30, 40)).astype(np.float32)
    background = estimate(data)
    assert background.mesh_rms.shape == (1, 1)
    assert background.rms_map() == pytest.approx(data.std(), rel=0.1)


def test_cells_less_than_half_full_are_used_when_there_are_no_better():
    data = np.random.default_rng(13).normal(0, 1, (50, 50)).astype(np.float32)
    data[:, 10:] = np.nan
    assert estimate(data).rms_at(5, 5) == pytest.approx(1, rel=0.1)


def test_part_of_an_image_filled_with_one_number_takes_the_noise_of_the_rest():
    data = np.random.default_rng(15).normal(0, 1e-9, (200, 200)).astype(np.float32)
    data[:, :103] = 0.0
    assert estimate(data).rms_map().min() > 0.5e-9


@pytest.mark.parametrize("value", [np.nan, 3.0])
def test_image_without_noise_has_a_background_of_nan(value):
    background = estimate(np.full((60, 60), value, np.float32))
    assert np.isnan(background.rms_at(5, 5))
    assert np.isnan(background.rms_map()).all()


def test_background_survives_the_way_between_processes():
    background = estimate(np.random.default_rng(14).normal(0, 1, (100, 100)).astype(np.float32))
    copied = pickle.loads(pickle.dumps(background))
    assert np.array_equal(copied.rms_map(), background.rms_map())
