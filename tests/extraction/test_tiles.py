"""The noise of an image, read on tiles of the sky."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from trap.association.noise_history import count_tiles, tiles_at, tiles_within
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
    begin = time.perf_counter()
    with pytest.raises(ImageError, match=problem):
        sample_noise(image, background, config)
    assert time.perf_counter() - begin < 2


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
