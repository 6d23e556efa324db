import numpy as np
import pytest

from trap.web.charts.plane import Plane

FIELDS = [("runcat", "i8"), ("eta", "f8"), ("v", "f8"), ("n", "i4"), ("stokes", "i2"), ("candidate", "?")]


def plane(eta, v, n=5):
    points = np.zeros(len(eta), FIELDS)
    points["runcat"], points["eta"], points["v"], points["n"], points["stokes"] = np.arange(len(eta)) + 1, eta, v, n, 1
    return Plane(points={name: points[name] for name in points.dtype.names})


def test_cuts_are_at_sigma_above_the_mean_of_the_logarithms():
    rng = np.random.default_rng(3)
    cuts = plane(10 ** rng.normal(0.0, 0.2, 50_000), 10 ** rng.normal(-1.0, 0.1, 50_000)).cuts(3.0, 2.0)
    # 10^0.6 and 10^-0.8
    assert (cuts.eta, cuts.v) == pytest.approx((3.981, 0.1585), rel=0.02)


def test_sources_without_a_place_are_counted_by_reason():
    found = plane([1.0, 0.0, -1e-13, 2.0, 3.0], [0.1, 0.0, 0.2, -0.3, 0.2], n=[5, 1, 4, 4, 2])
    assert np.flatnonzero(found.shown).tolist() == [0, 4]
    single, others = found.left_out()
    assert single.startswith("1 source with a single point")
    assert others.startswith("2 sources with η or V at or below zero")


def test_frame_includes_its_ends_and_lists_the_highest_eta_first():
    found = plane([1.0, 2.0, 3.0, 4.0], [0.1, 0.2, 0.3, 0.9])
    assert found.inside((2.0, 4.0), (0.2, 0.5)).tolist() == [2, 1]


def test_too_few_sources_have_no_cuts():
    found = plane([1.0] * 3, [0.1] * 3)
    assert (found.cuts().eta, found.cuts().v) == (None, None)
    assert found.beyond(found.cuts()).size == 0
