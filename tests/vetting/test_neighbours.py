from __future__ import annotations

import numpy as np
import pytest

from trap.images.beam import Beam
from trap.vetting import neighbours
from trap.vetting.neighbours import find_bright, sidelobe_danger

BEAM = Beam(bmaj=4e-3, bmin=4e-3, bpa=0.0)


def arrays(*rows):
    """Make columns of rows; positions are in thousandths of a degree, near right ascension 0 on the equator."""
    ra, dec, peak = (np.array(column, float) for column in zip(*rows, strict=True))
    return ra / 1000 % 360, dec / 1000, peak


def test_danger_is_three_per_cent_of_the_ratio_over_the_distance():
    # 0.03 × 100 / 2, and the same as at one beam for a source that is closer.
    assert sidelobe_danger(np.array([100.0, 100.0]), np.array([2.0, 0.5])) == pytest.approx([1.5, 3.0])


def test_near_faint_source_may_endanger_a_candidate_more_than_the_brightest():
    # 30/2 is more than 200/40. The beam is 4 units wide, and signs of flux densities do not matter.
    near = find_bright(arrays((0, 0, -1)), arrays((160, 0, 200), (0, 8, -30), (0, 0, -1)), BEAM)
    assert near.row.tolist() == [1]
    assert (near.ratio[0], near.distance[0]) == pytest.approx((30, 2))
    assert (near.brightest_ratio[0], near.brightest_distance[0]) == pytest.approx((200, 40), rel=1e-4)


def test_candidate_is_not_its_own_bright_source():
    near = find_bright(arrays((5, 5, 9)), arrays((5, 5, 9)), BEAM)
    assert near.row.tolist() == [-1]
    assert np.isnan([near.ratio[0], near.distance[0], near.brightest_ratio[0]]).all()


def test_no_sources_and_no_candidates():
    nothing = arrays((0, 0, 0))
    nothing = tuple(column[:0] for column in nothing)
    assert find_bright(arrays((0, 0, 1)), nothing, BEAM).row.tolist() == [-1]
    assert len(find_bright(nothing, arrays((0, 0, 1)), BEAM)) == 0


def test_failed_measurements_are_no_bright_sources():
    near = find_bright(arrays((0, 0, 1)), arrays((8, 0, np.nan), (np.nan, 0, 50), (0, 20, 3)), BEAM)
    assert near.row.tolist() == [2]


def test_many_candidates_are_compared_in_parts_with_the_same_result(monkeypatch):
    rng = np.random.default_rng(1)
    candidates, sources = rng.uniform(1, 80, (2, 3, 40))
    whole = find_bright(tuple(candidates), tuple(sources), Beam(bmaj=3.0, bmin=2.0, bpa=40.0))
    monkeypatch.setattr(neighbours, "_PAIRS", 100)
    parts = find_bright(tuple(candidates), tuple(sources), Beam(bmaj=3.0, bmin=2.0, bpa=40.0))
    for name, column in whole.as_dict().items():
        assert np.array_equal(column, getattr(parts, name)), name


def test_distance_is_in_widths_of_the_beam_along_its_direction():
    # The beam is 8 units long towards the north-east, and 2 across. Two places beyond the pole are 8 units apart.
    beam = Beam(bmaj=8e-3, bmin=2e-3, bpa=45.0)
    near = find_bright(arrays((0, 0, 1)), arrays((8 / 2**0.5, 8 / 2**0.5, 50)), beam)
    assert near.distance[0] == pytest.approx(1)
    near = find_bright(arrays((0, 0, 1)), arrays((8 / 2**0.5, -8 / 2**0.5, 50)), beam)
    assert near.distance[0] == pytest.approx(4)
    pole = (np.array([0.0]), np.array([89.996]), np.array([1.0]))
    near = find_bright(pole, (np.array([180.0]), np.array([89.996]), np.array([50.0])), BEAM)
    assert near.distance[0] == pytest.approx(2)
