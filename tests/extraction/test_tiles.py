"""The noise of an image, read on tiles of the sky."""

from __future__ import annotations

import numpy as np
import pytest

from trap.association.noise_history import tiles_at
from trap.extraction.measure import extract_sources
from trap.extraction.tiles import sample_noise


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
