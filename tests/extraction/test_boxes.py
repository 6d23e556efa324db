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


def n_pixels_of(found):
    return found.sums(np.zeros(found.flat.size))[1].tolist()


def test_boxes_of_more_pixels_than_the_image_are_those_of_each(boxes, config):
    """Pixels come from one read of the image instead of a cut-out for each position."""
    rng = np.random.default_rng(5)
    data = rng.normal(size=(256, 256))
    data[rng.integers(0, 256, 400), rng.integers(0, 256, 400)] = np.nan
    x, y = np.concatenate([rng.uniform(-5, 260, (2, 800)), [[np.nan], [7.0]]], axis=1)
    config = config.model_copy(update={"margin": 3, "extraction_radius_pix": 120})
    many = boxes(x, y, half=6, data=data, config=config)
    parts = [boxes(x[i : i + 200], y[i : i + 200], half=6, data=data, config=config) for i in range(0, x.size, 200)]
    flat, first = np.unique(np.concatenate([part.flat for part in parts]), return_index=True)
    assert np.array_equal(many.flat, flat)
    assert np.array_equal(many.value, np.concatenate([part.value for part in parts])[first])
    for name in ("has_centre", "flags", "columns", "rows"):
        assert np.array_equal(getattr(many, name), np.concatenate([getattr(part, name) for part in parts])), name


def test_overlapping_boxes_share_their_pixels(boxes):
    found = boxes([10, 12], [20, 20])
    assert found.flat.size == 5 * 7
    shared = {256 * y + x for y in range(18, 23) for x in (10, 11, 12)}
    is_shared = np.isin(found.flat, list(shared)).astype(float)
    sums, n_pixels = found.sums(is_shared)
    assert (sums.tolist(), n_pixels.tolist()) == ([15, 15], [25, 25])


def test_pixels_come_with_their_place_and_without_the_background(boxes):
    found = boxes([10.4], [19.6])
    assert (found.x.min(), found.x.max(), found.y.min(), found.y.max()) == (8, 12, 18, 22)
    assert found.value == pytest.approx(256 * found.y + found.x - 1.0)


def test_box_at_a_corner_is_cut_and_flagged(boxes):
    found = boxes([0, 100], [255.4, 100])
    assert n_pixels_of(found) == [9, 25]
    assert found.flags.tolist() == [Flag.EDGE, 0]


def test_box_with_missing_pixels_is_flagged(boxes):
    data = np.ones((256, 256))
    data[20, 10], data[50, 52] = np.nan, np.nan
    found = boxes([10, 50], [20, 50], data=data)
    assert found.has_centre.tolist() == [False, True]
    assert found.flags.tolist() == [Flag.MASKED_PIXELS, Flag.MASKED_PIXELS]
    assert n_pixels_of(found) == [24, 24]


@pytest.mark.parametrize("x", [np.nan, np.inf, -0.6, 255.6, 1e300])
def test_box_off_the_image_is_empty(boxes, x):
    found = boxes([x, 100], [20, 100])
    assert n_pixels_of(found) == [0, 25]
    assert not found.has_centre[0]
