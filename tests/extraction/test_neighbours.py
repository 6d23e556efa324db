from __future__ import annotations

import numpy as np
import pytest

from trap.extraction.neighbours import assign_roles, beam_plane, is_within

NOBODY = np.empty((0, 2))


def places(*x):
    return np.array([[value, 0.0] for value in x])


def test_beam_is_round_in_its_plane():
    # Half maximum lies √(2 ln 2) away in every direction.
    a, b, c = 0.5, 0.1, 0.3
    angle = np.linspace(0, 6, 13)
    u, v = np.cos(angle), np.sin(angle)
    reach = np.sqrt(2 * np.log(2) / (a * u**2 + 2 * b * u * v + c * v**2))
    plane = beam_plane(reach * u, reach * v, np.array([a, b, c]))
    assert np.hypot(*plane.T) == pytest.approx(np.sqrt(2 * np.log(2)))


def test_what_is_nan_is_near_nothing():
    points = np.array([[0.0, 0.0], [np.nan, 0.0], [9.0, 9.0]])
    assert is_within(points, np.array([[0.1, 0.0], [np.nan, np.nan]]), 1.0).tolist() == [True, False, False]
    assert not is_within(points, NOBODY, 1.0).any()


def test_positions_apart_all_lead():
    roles = assign_roles(places(0, 2, 4), NOBODY)
    assert roles.is_leader.tolist() == [True, True, True]
    assert roles.shared.size == 0


def test_of_coinciding_positions_the_earlier_leads():
    # The third is near the second, which follows and so stands in nobody's way.
    roles = assign_roles(places(0, 1, 2), NOBODY)
    assert roles.is_leader.tolist() == [True, False, True]
    assert roles.shared.tolist() == [[1, 0], [1, 2]]


def test_position_on_a_found_source_follows_it():
    roles = assign_roles(places(0, 9), places(0.5))
    assert roles.is_leader.tolist() == [False, True]
    # Sources are numbered with the found ones first.
    assert roles.shared.tolist() == [[0, 0]]


def test_found_sources_near_a_leader_are_measured_anew():
    roles = assign_roles(places(0, 50), places(3, 5, 50.1, 53))
    assert roles.is_leader.tolist() == [True, False]
    assert roles.is_free.tolist() == [True, False, False, False]
