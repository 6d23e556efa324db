import numpy as np
import pytest

from trap.images.beam import Beam
from trap.simulation.sidelobes import Rings, render_sidelobes

BEAM = Beam(bmaj=8 / 3600, bmin=4 / 3600, bpa=0.0)
"""Elongated to the north: 8 rows and 4 columns of 1 arcsec."""
FORM = BEAM.quadratic_form(-1 / 3600, 1 / 3600)


def render(x, y, level, *, spokes=0, angle=0.0, n_rings=2, shape=(200, 160)):
    rings = Rings(spacing=3.0, n_rings=n_rings, n_spokes=spokes)
    places = (np.array(values, float) for values in (x, y, level))
    return render_sidelobes(*places, rings=rings, angle=angle, beam_form=FORM, shape=shape, noise=1.0)


def test_rings_have_the_shape_of_the_beam():
    pixels = render([80], [100], [10.0])
    # The first ring at three beams along each axis, the second one half as high, holes of 1/1.5 between them.
    assert (pixels[100, 80 + 12], pixels[100 + 24, 80]) == pytest.approx((10.0, 10.0))
    assert (pixels[100, 80 - 24], pixels[100 - 48, 80]) == pytest.approx((5.0, 5.0))
    assert (pixels[100, 80 + 18], pixels[100 - 36, 80]) == pytest.approx((-10 / 1.5, -10 / 1.5))


def test_rings_leave_the_source_alone_and_end():
    pixels = render([80], [100], [10.0])
    assert not np.any(pixels[100 - 17 : 100 + 18, 80])
    assert not np.any(pixels[100, 80 + 28 :])
    assert np.any(pixels[100, 80 + 9 : 80 + 12])


def test_spokes_divide_rings_and_turn():
    still, turned = render([80], [100], [10.0], spokes=2), render([80], [100], [10.0], spokes=2, angle=np.pi / 2)
    assert (still[100, 92], still[124, 80]) == pytest.approx((10.0, 0.0))
    assert (turned[100, 92], turned[124, 80]) == pytest.approx((0.0, 10.0))


def test_sidelobes_of_several_sources_add_up_also_at_the_edges():
    together = render([5, 155, -3], [3, 100, 198], [10.0, -20.0, 5.0])
    apart = [render([x], [y], [s]) for x, y, s in ((5, 3, 10.0), (155, 100, -20.0), (-3, 198, 5.0))]
    assert together == pytest.approx(sum(apart))
    assert together[3, 5 + 12] == pytest.approx(10.0)
    assert all(np.any(pixels) for pixels in apart)


def test_sources_far_outside_and_faint_ones_have_none():
    assert not np.any(render([-500, 80], [100, 100], [10.0, 0.02]))
