"""The noise of an image, read on tiles of the sky."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from astropy_healpix import HEALPix
from scipy import ndimage

from trap.association.entries import LightCurveKey
from trap.association.noise_history import (
    NoiseHistory,
    NoiseTiles,
    codes_at,
    count_tiles,
    tiles_at,
    tiles_within,
)
from trap.errors import ImageError
from trap.extraction.measure import extract_sources
from trap.extraction.mesh import Background
from trap.extraction.tiles import sample_noise
from trap.images.image import Image


def sampled(sky, data, config):
    image = sky.image(data)
    return image, sample_noise(image, extract_sources(image, config).background, config)


def test_tiles_hold_the_noise_of_their_place(sky, config):
    data = sky.noise(1)
    data[:, 128:] *= 3
    image, tiles = sampled(sky, data, config)
    for x, factor in ((64.0, 1.0), (192.0, 3.0)):
        ra, dec = image.wcs.all_pix2world([x], [128.0], 0)
        row = np.searchsorted(tiles.tile, tiles_at(tiles.order, ra, dec)[0])
        assert tiles.rms[row] == pytest.approx(factor * sky.rms, rel=0.2)


def test_tiles_cover_the_searched_area_and_no_more(sky, config):
    data = sky.noise(2)
    data[:, :64] = np.nan
    config = config.model_copy(update={"margin": 20, "extraction_radius_pix": 100.0})
    image, tiles = sampled(sky, data, config)
    for x, y, is_searched in ((128, 128, True), (150, 180, True), (30, 128, False), (128, 5, False), (215, 215, False)):
        ra, dec = image.wcs.all_pix2world([float(x)], [float(y)], 0)
        assert (tiles_at(tiles.order, ra, dec)[0] in tiles.tile) == is_searched


def test_image_without_noise_has_no_tiles(sky, config):
    _, tiles = sampled(sky, np.zeros((256, 256)), config)
    assert len(tiles.tile) == 0


@pytest.mark.parametrize(
    ("stretch", "cell", "problem"),
    [
        # Pixels like needles: cells are much narrower than the image is high.
        ((1e-4, 1.0), (50, 50), r"more than 655,360: .* with pixels of 0\.0002″ × 2″"),
        ((1e-9, 1.0), (50, 50), r"more than 655,360: "),
        # The finest tiles, over a twelfth of the sky.
        ((1e-9, 600.0), (50, 50), r"e\+\d+ tiles of the sky, more than 655,360: .* reaches 48.1° from its middle"),
    ],
)
def test_image_of_far_too_many_tiles_is_refused_at_once(sky, config, stretch, cell, problem):
    header = sky.header()
    for axis, factor in enumerate(stretch, start=1):
        header[f"CDELT{axis}"] *= factor
    image = Image.from_array(np.full((256, 256), np.nan, np.float32), header)
    background = Background(
        mesh_mean=np.zeros((1, 1)), mesh_rms=np.ones((1, 1)), shape=(256, 256), origin=(0, 0), extent=(256, 256),
        cell=cell,
    )  # fmt: skip
    begin = time.process_time()
    with pytest.raises(ImageError, match=problem):
        sample_noise(image, background, config)
    assert time.process_time() - begin < 2


def test_cells_of_one_pixel_are_not_too_many(sky, config):
    image = sky.image(sky.noise(4))
    background = replace(extract_sources(image, config).background, cell=(1, 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Background, "rms_at", lambda _self, x, _y: np.ones(len(x)))
        assert len(sample_noise(image, background, config).tile) > 256**2


def test_number_of_tiles_is_the_number_that_is_listed():
    # Tiles that the edge of the circle touches are listed too.
    assert count_tiles(10, 5.0) == pytest.approx(len(tiles_within(10, 40.0, -30.0, 5.0)[0]), rel=0.1)
    assert count_tiles(0, 180.0) == pytest.approx(12)


def test_no_searched_tile_holds_a_position_where_a_source_would_be_cut(sky, config):
    data = sky.noise(3)
    y, x = np.indices(data.shape)
    data[(x + y < 120) | (np.hypot(x - 180, y - 90) < 9)] = np.nan
    data[200, 60] = np.nan
    image, tiles = sampled(sky, data, config)
    ra, dec = image.wcs.all_pix2world(x.ravel(), y.ravel(), 0)
    is_looked = np.zeros(data.size, bool)
    for layer in tiles.layers:
        is_looked |= np.isin(tiles_at(layer.order, ra, dec), layer.tile)
    distance = ndimage.distance_transform_edt(np.pad(np.isfinite(data), 1))[1:-1, 1:-1].ravel()
    # The beam is 5 pixels wide: 1.5 widths are 7.5 pixels, and the finest tiles are smaller than 8 pixels.
    assert not is_looked[distance < 7].any()
    assert is_looked[distance > 30].all()
    assert is_looked[(distance > 7) & (distance < 30)].mean() > 0.5


def test_noise_of_finer_tiles_is_found_in_the_history(sky, config):
    data = sky.noise(4)
    data[:, :100] = np.nan
    image, tiles = sampled(sky, data, config)
    history = NoiseHistory()
    for number in (1, 2):
        history.add(LightCurveKey(0, 1), image=number, tiles=tiles)
    at = history.best(LightCurveKey(0, 1), *image.wcs.all_pix2world([95.0, 103.0, 122.0, 200.0], [128.0] * 4, 0))
    assert at["n"].tolist() == [0, 0, 2, 2]
    assert at["rms"][2:] == pytest.approx(sky.rms, rel=0.2)


def test_tiles_of_several_orders_are_restored_from_their_codes(sky, config):
    data = sky.noise(5)
    data[:70, :90] = np.nan
    _, tiles = sampled(sky, data, config)
    assert len(tiles.layers) > 2
    rms = np.concatenate([layer.rms for layer in tiles.layers])
    restored = NoiseTiles.from_codes(tiles.order, tiles.codes, rms)
    for one, other in zip(restored.layers, tiles.layers, strict=True):
        assert one.order == other.order
        np.testing.assert_array_equal(one.tile, other.tile)
        np.testing.assert_array_equal(one.rms, other.rms)
    # Every tile is one of the tiles at its own centre.
    for layer in tiles.layers:
        lon, lat = HEALPix(nside=2**layer.order, order="nested").healpix_to_lonlat(layer.tile[:1])
        assert np.isin(tiles.codes, codes_at(tiles.order, lon[0].deg, lat[0].deg)).sum() == 1


def test_first_and_last_unique_numbers_of_each_order_are_told_apart():
    for order in range(1, 25):
        tile = np.array([0, 12 * 4**order - 1])
        codes = -(4 * 4**order) - tile
        restored = NoiseTiles.from_codes(0, codes, np.ones(2, np.float32))
        assert [layer.order for layer in restored.finer] == [order]
        assert restored.finer[0].tile.tolist() == tile.tolist()
