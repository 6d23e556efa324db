from __future__ import annotations

import numpy as np
import pytest

from trap.catalogues import Flag
from trap.extraction.boxes import read_boxes
from trap.extraction.mesh import Background


@pytest.fixture
def boxes(sky, config):
    def read(x, y, half=2, data=None, config=config):
        pixels = np.arange(256 * 256.0).reshape(256, 256) if data is None else data
        background = Background(
            mesh_mean=np.full((1, 1), 1.0, np.float32),
            mesh_rms=np.full((1, 1), 1.0, np.float32),
            shape=pixels.shape,
            origin=(0, 0),
            extent=(256, 256),
            cell=(256, 256),
        )
        x, y = np.asarray(x, float), np.asarray(y, float)
        return read_boxes(sky.image(pixels), x, y, half=half, background=background, config=config)

    return read


def test_overlapping_boxes_share_their_pixels(boxes):
    found = boxes([10, 12], [20, 20])
    assert found.flat.size == 5 * 7
    assert found.members.size == 2 * 25
    first, second = np.split(found.flat[found.members], found.offsets[1:-1])
    assert set(first) & set(second) == {256 * y + x for y in range(18, 23) for x in (10, 11, 12)}
    assert found.box.tolist() == [0] * 25 + [1] * 25


def test_pixels_come_with_their_place_and_without_the_background(boxes):
    found = boxes([10.4], [19.6])
    assert (found.x.min(), found.x.max(), found.y.min(), found.y.max()) == (8, 12, 18, 22)
    assert found.value == pytest.approx(256 * found.y + found.x - 1.0)


def test_box_at_a_corner_is_cut_and_flagged(boxes):
    found = boxes([0, 100], [255.4, 100])
    assert np.diff(found.offsets).tolist() == [9, 25]
    assert found.flags.tolist() == [Flag.EDGE, 0]


def test_box_with_missing_pixels_is_flagged(boxes):
    data = np.ones((256, 256))
    data[20, 10], data[50, 52] = np.nan, np.nan
    found = boxes([10, 50], [20, 50], data=data)
    assert found.has_centre.tolist() == [False, True]
    assert found.flags.tolist() == [Flag.MASKED_PIXELS, Flag.MASKED_PIXELS]
    assert np.diff(found.offsets).tolist() == [24, 24]


@pytest.mark.parametrize("x", [np.nan, np.inf, -0.6, 255.6, 1e300])
def test_box_off_the_image_is_empty(boxes, x):
    found = boxes([x, 100], [20, 100])
    assert np.diff(found.offsets).tolist() == [0, 25]
    assert not found.has_centre[0]
