from __future__ import annotations

import numpy as np
import pytest

from trap.config import SourceExtractionConfig
from trap.extraction.field import measured_mask
from trap.extraction.unsearched import unsearched_area, unsearched_part


def config_of(radius, margin=0):
    return SourceExtractionConfig(extraction_radius_pix=radius, margin=margin)


def part_of(data, config):
    return unsearched_part(data, measured_mask(data, config), config)


@pytest.mark.parametrize("shape", [(400, 400), (300, 500), (501, 400)])
@pytest.mark.parametrize(("radius", "margin"), [(100, 0), (180, 10), (0, 40), (230, 5)])
def test_area_from_rows_agrees_with_the_pixels(shape, radius, margin):
    config = config_of(radius, margin)
    counted = part_of(np.ones(shape, np.float32), config)
    computed = unsearched_area(shape, config)
    assert computed.share == pytest.approx(counted.share, abs=2e-3)
    assert computed.setting == counted.setting


def test_small_circle_in_a_large_image_is_named():
    part = unsearched_area((2048, 2048), config_of(250))
    assert part.text() == "95 % of the image was not searched: source_extraction.extraction_radius_pix"


def test_wide_margin_is_named():
    assert unsearched_area((100, 100), config_of(0, 20)).setting == "source_extraction.margin"


@pytest.mark.parametrize("config", [config_of(0), config_of(0, 10), config_of(400)])
def test_whole_image_or_a_usual_margin_is_not_reported(config):
    data = np.ones((512, 512), np.float32)
    assert part_of(data, config) is None
    assert unsearched_area(data.shape, config) is None


def test_empty_corners_of_a_mosaic_do_not_count():
    y, x = np.indices((400, 400)) - 199.5
    data = np.where(np.hypot(x, y) < 198, 1.0, np.nan).astype(np.float32)
    assert part_of(data, config_of(199)) is None
    assert part_of(data, config_of(140)).share == pytest.approx(1 - (140 / 198) ** 2, abs=0.002)


def test_image_without_a_value_has_no_unsearched_part():
    assert part_of(np.full((50, 50), np.nan, np.float32), config_of(10)) is None
