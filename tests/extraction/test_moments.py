from __future__ import annotations

import numpy as np
import pytest
from plain_field import field_of, islands_of

from trap.config import SourceExtractionConfig
from trap.extraction.celestial import ellipse_axes
from trap.extraction.deblend import deblend
from trap.extraction.moments import measure_moments, peak_correction

CONFIG = SourceExtractionConfig(detection_threshold=5, analysis_threshold=3)
BEAM = np.array([0.3, 0.05, 0.4])


def form_of(semimajor, semiminor, theta):
    """Coefficients of a beam as TraP gives it: half widths, angle from y towards -x."""
    along, across = 2 * np.log(2) / semimajor**2, 2 * np.log(2) / semiminor**2
    cos, sin = np.cos(theta), np.sin(theta)
    return np.array([along * sin**2 + across * cos**2, (across - along) * sin * cos, along * cos**2 + across * sin**2])


def moments_of(value):
    islands = islands_of(field_of(value), analysis=CONFIG.analysis_threshold, detection=CONFIG.detection_threshold)
    return measure_moments(islands, deblend(islands, CONFIG), BEAM, CONFIG.analysis_threshold)


@pytest.mark.parametrize(
    ("semimajor", "semiminor", "theta", "factor", "variance"),
    [
        (1.46255645752, 1.30175183614, 1.51619779602, 1.06380431709, 0.00174389703),
        (1.56219151815, 1.25084762573, 1.49080535398, 1.06328376441, 0.00177650547),
        (1.55231285095, 1.24513448079, 1.4466012741, 1.06398549354, 0.00182089806),
        (2.5, 2.0, np.pi / 6, 1.0240922820, 0.0002622761),
    ],
)
def test_correction_of_the_highest_pixel_is_traps(semimajor, semiminor, theta, factor, variance):
    assert peak_correction(form_of(semimajor, semiminor, theta)) == pytest.approx((factor, variance), rel=1e-6)


def test_moments_of_a_resolved_source_are_its_position_and_axes(sky):
    moments = moments_of(sky.sources([100.3], [90.8], [500.0], bmaj=14, bmin=9))
    semimajor, semiminor, _ = ellipse_axes(moments.form)
    assert (moments.x[0], moments.y[0]) == pytest.approx((100.3, 90.8), abs=0.02)
    assert (semimajor[0], semiminor[0]) == pytest.approx((7, 4.5), rel=0.03)


def test_single_pixel_has_the_shape_of_the_beam():
    moments = moments_of([[0, 0, 0], [0, 9, 0], [0, 0, 0]])
    assert (moments.x[0], moments.y[0]) == (1, 1)
    assert moments.form[0].tolist() == BEAM.tolist()
    assert moments.peak[0] == pytest.approx(9 * peak_correction(BEAM)[0])


def test_single_row_of_pixels_has_the_shape_of_the_beam():
    assert moments_of([[4, 9, 9, 4]]).form[0].tolist() == BEAM.tolist()


def test_components_of_an_island_have_moments_of_their_own():
    moments = moments_of([[5, 10, 5, 4, 6, 20, 6]])
    assert moments.x == pytest.approx([5, 1], abs=0.4)
    assert moments.peak[0] == pytest.approx(2 * moments.peak[1])
