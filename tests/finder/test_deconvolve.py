from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trap.finder.deconvolve import Ellipses, deconvolution_errors, deconvolve

AXIS = st.floats(0.1, 20.0)
ANGLE = st.floats(0.0, 180.0)


def ellipse(major, minor, pa):
    major, minor, pa = (np.atleast_1d(np.asarray(value, float)) for value in (major, minor, pa))
    return Ellipses(major=major, minor=minor, pa=pa)


def one(fitted, beam):
    source, n_unresolved = deconvolve(ellipse(*fitted), ellipse(*beam))
    return source.major[0], source.minor[0], source.pa[0], n_unresolved[0]


def test_elongated_source_keeps_its_angle_under_a_round_beam():
    # TraP's check value: √(2.7² - 1) and √(1.7² - 1).
    assert one((2.7, 1.7, 10), (1, 1, 0)) == pytest.approx((2.507987240796891, 1.3747727084867518, 10, 0))


def test_round_source_under_a_round_beam_is_round():
    major, minor, _, n_unresolved = one((2, 2, 45), (1, 1, 0))
    assert (major, minor) == pytest.approx((np.sqrt(3), np.sqrt(3)))
    assert n_unresolved == 0


def test_source_of_exactly_the_beams_shape_has_no_size():
    # TraP has the same axes; it counts only axes shorter than the beam's as unresolved, and so none here.
    assert one((1, 1, 0), (1, 1, 0)) == (0, 0, 0, 2)
    assert one((5.3, 4.1, 33.3), (5.3, 4.1, 33.3)) == (0, 0, 0, 2)


def test_source_larger_along_one_axis_only_is_unresolved_along_the_other():
    major, minor, pa, n_unresolved = one((5.0, 3.0, 90), (4.0, 3.5, 90))
    assert (major, minor, pa, n_unresolved) == pytest.approx((3.0, 0.0, 90.0, 1))


def test_source_at_right_angles_to_the_beam_points_where_it_is_longer():
    # (N-S)²: 3² - 2² = 5; (E-W)²: 4² - 3.9².
    major, minor, pa, _ = one((4.0, 3.0, 90), (3.9, 2.0, 90))
    assert (major, minor, pa) == pytest.approx((np.sqrt(5), np.sqrt(16 - 3.9**2), 0))


def test_source_at_45_degrees_under_a_round_beam_keeps_its_angle():
    # AIPS' formula divides by (F_maj² - F_min²) cos 2φ here, which is 0 but for rounding.
    major, minor, pa, _ = one((3.0, 2.0, 45), (1.5, 1.5, 0))
    assert (major, minor, pa) == pytest.approx((np.sqrt(9 - 2.25), np.sqrt(4 - 2.25), 45))


def test_nan_stays_nan_and_costs_no_other_row():
    source, n_unresolved = deconvolve(ellipse([np.nan, 2.7], [1, 1.7], [0, 10]), ellipse([1, 1], [1, 1], [0, 0]))
    assert np.isnan(source.major[0])
    assert source.major[1] == pytest.approx(np.sqrt(2.7**2 - 1))
    assert n_unresolved.tolist() == [0, 0]


@given(source=st.tuples(AXIS, AXIS, ANGLE), beam=st.tuples(AXIS, AXIS, ANGLE))
def test_deconvolution_undoes_convolution(source, beam):
    def matrix(major, minor, pa):
        turn = np.radians(pa)
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        return rotation @ np.diag([major**2, minor**2]) @ rotation.T

    source, beam = ((max(axes[:2]), min(axes[:2]), axes[2]) for axes in (source, beam))
    values, vectors = np.linalg.eigh(matrix(*source) + matrix(*beam))
    pa = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1])) % 180
    major, minor, back, n_unresolved = one((np.sqrt(values[1]), np.sqrt(values[0]), pa), beam)
    assert n_unresolved == 0 or min(source[:2]) < 1e-4 * beam[0]
    # Rounding of the sum: 1e-16 of the larger square.
    assert matrix(major, minor, back) == pytest.approx(matrix(*source), abs=1e-8 * max(source[0], beam[0]) ** 2)


def test_errors_of_a_resolved_source_follow_from_the_derivative():
    # major² = F² - 1, so σ(major) = F σ_F / major; likewise for the minor axis. The angle's error is the fit's.
    fitted, beam, errors = ellipse(2.7, 1.7, 10), ellipse(1, 1, 0), ellipse(1e-3, 2e-3, 0.5)
    result = deconvolution_errors(fitted, errors, beam)
    assert result.major[0] == pytest.approx(2.7e-3 / 2.507987, rel=1e-4)
    assert result.minor[0] == pytest.approx(3.4e-3 / 1.374773, rel=1e-4)
    assert result.pa[0] == pytest.approx(0.5, rel=1e-4)


def test_errors_match_the_scatter_of_fits():
    rng, n = np.random.default_rng(1), 4000
    fitted, errors = (6.0, 5.0, 40.0), (0.1, 0.08, 3.0)
    many = ellipse(*(value + error * rng.standard_normal(n) for value, error in zip(fitted, errors, strict=True)))
    beam = ellipse(np.full(n, 4.0), np.full(n, 3.5), np.full(n, 120.0))
    scattered, _ = deconvolve(many, beam)
    predicted = deconvolution_errors(ellipse(*fitted), ellipse(*errors), ellipse(4.0, 3.5, 120.0))
    for name in ("major", "minor", "pa"):
        assert np.std(getattr(scattered, name)) == pytest.approx(getattr(predicted, name)[0], rel=0.06)


def test_error_of_an_unresolved_axis_limits_its_size():
    # 1σ up: √(4.2² - 4²) = 1.28, 1σ down: 0; the root of the mean square.
    result = deconvolution_errors(ellipse(4.0, 3.0, 0), ellipse(0.2, 1e-9, 0), ellipse(4.0, 3.5, 0))
    assert result.major[0] == pytest.approx(np.sqrt((4.2**2 - 4**2) / 2))
    assert np.isnan(result.minor[0])
    assert np.isnan(result.pa[0])


def test_angle_error_goes_round_north():
    near_north = deconvolution_errors(ellipse(4.0, 2.0, 179.9), ellipse(0, 0, 1.0), ellipse(1, 1, 0))
    elsewhere = deconvolution_errors(ellipse(4.0, 2.0, 90.0), ellipse(0, 0, 1.0), ellipse(1, 1, 0))
    assert near_north.pa[0] == pytest.approx(elsewhere.pa[0])
