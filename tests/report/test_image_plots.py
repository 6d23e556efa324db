from __future__ import annotations

import numpy as np
import pytest
from made_up_survey import sources

from trap.report.image_plots import MAX_SIDE, plot_image


def test_sources_have_circles_and_the_rest_of_the_image_a_shade():
    data = np.random.default_rng(1).normal(0.0, 1e-3, (40, 60)).astype(np.float32)
    data[0, 0] = np.nan
    mask = np.ones(data.shape, bool)
    mask[10:30, 10:50] = False
    found = sources([10.0, 10.1], 20.0).with_columns(x=[20.0, 40.0], y=[15.0, 25.0])
    axes = plot_image("a.fits", data, mask, found, pixel_arcsec=100.0).axes[0]
    image, shade = axes.images
    assert image.get_array().shape == (40, 60)
    assert shade.get_array()[..., 3].astype(bool).tolist() == mask.tolist()
    # Three semi-major axes of 100 arcsec.
    centres = [(line.get_xdata()[:-1].mean(), line.get_ydata()[:-1].mean()) for line in axes.lines]
    assert centres == [pytest.approx((20.0, 15.0)), pytest.approx((40.0, 25.0))]
    assert [np.ptp(line.get_xdata()) / 2 for line in axes.lines] == pytest.approx([3.0, 3.0])


def test_large_image_is_drawn_with_fewer_pixels():
    data = np.full((3 * MAX_SIDE, 10), np.nan, np.float32)
    axes = plot_image("a.fits", data, np.ones(data.shape, bool), sources([], 0.0), pixel_arcsec=1.0).axes[0]
    assert axes.images[0].get_array().shape[0] == MAX_SIDE
    assert axes.get_ylim() == (-0.5, 3 * MAX_SIDE - 0.5)
