"""Candidate pairs everywhere on the sphere, and their resolution."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trap import angles
from trap.association.pairs import CandidatePairs, Positions, de_ruiter_radius, find_pairs, resolve
from trap.association.sky_index import SkyIndex

ARCSEC = 1 / 3600


def positions(ra, dec, error_arcsec=10.0):
    return Positions.of(
        ra=np.atleast_1d(ra),
        dec=np.broadcast_to(dec, np.shape(np.atleast_1d(ra))),
        uncertainty_ew=error_arcsec * ARCSEC,
        uncertainty_ns=error_arcsec * ARCSEC,
    )


def pairs_of(measured, known, *, search_radius, max_radius):
    """Find pairs through the index, as the catalogue does."""
    index = SkyIndex()
    index.add(known.ra, known.dec)
    near = index.near(measured.ra, measured.dec, search_radius)
    return find_pairs(measured, near, known.take(near[1]), search_radius=search_radius, max_radius=max_radius)


def pairs(*rows):
    """Make pairs of (entry, measurement, de Ruiter radius, direction)."""
    entry, measurement, radius, north = (np.array(column) for column in zip(*rows, strict=True))
    return CandidatePairs.of(
        entry=entry, measurement=measurement, de_ruiter_radius=radius, distance=0.0, east=0.0, north=north
    )


def kept(*rows):
    resolved = resolve(pairs(*rows))
    return set(zip(resolved.entry.tolist(), resolved.measurement.tolist(), strict=True))


@given(st.floats(0, 359.999), st.floats(-90, 90), st.floats(0, 360))
def test_a_pair_is_found_anywhere_at_its_true_distance(ra, dec, direction):
    distance = 20 * ARCSEC
    east, north = distance * np.sin(np.radians(direction)), distance * np.cos(np.radians(direction))
    new_ra, new_dec = angles.move(ra, dec, east, north)
    found = pairs_of(positions(new_ra, new_dec), positions(ra, dec), search_radius=0.1, max_radius=10)
    assert found.distance == pytest.approx([distance], rel=1e-6)
    # Both errors are 10 arcsec: the combined one is 14.14.
    assert found.de_ruiter_radius == pytest.approx([20 / np.sqrt(200)], rel=1e-6)


def test_pair_across_ra_zero_is_matched():
    found = pairs_of(positions(359.9999, 0.0), positions(0.0001, 0.0), search_radius=0.01, max_radius=10)
    assert found.distance == pytest.approx([0.0002], rel=1e-9)


@pytest.mark.parametrize("ra", [0.0, 90.0, 180.0, 270.0])
def test_de_ruiter_radius_does_not_depend_on_right_ascension(ra):
    shifted = de_ruiter_radius(positions((ra + 0.7 * ARCSEC) % 360, 10.0, 1.0), positions(ra, 10.0, 1.0))
    assert shifted == pytest.approx(0.7 * np.cos(np.radians(10)) / np.sqrt(2), rel=1e-5)


def test_search_radius_is_exclusive():
    measured, known = positions(10.0, 0.0), positions(10.01, 0.0)
    exact = float(angles.separation(10.0, 0.0, 10.01, 0.0))
    assert len(pairs_of(measured, known, search_radius=exact, max_radius=1e9)) == 0
    assert len(pairs_of(measured, known, search_radius=exact * (1 + 1e-7), max_radius=1e9)) == 1


def test_empty_tables_have_no_pairs():
    none = Positions.empty()
    assert len(pairs_of(none, positions(1.0, 1.0), search_radius=1, max_radius=1)) == 0
    assert len(pairs_of(positions(1.0, 1.0), none, search_radius=1, max_radius=1)) == 0
    assert len(resolve(CandidatePairs.empty())) == 0


def test_one_to_many_and_many_to_one_stay():
    assert kept((0, 0, 1.0, 0), (0, 1, 2.0, 0)) == {(0, 0), (0, 1)}
    assert kept((0, 0, 1.0, 0), (1, 0, 2.0, 0)) == {(0, 0), (1, 0)}


def test_measurement_between_two_busy_entries_keeps_the_nearest():
    rows = [(0, 0, 1.0, 0), (0, 1, 3.0, 0), (1, 0, 3.0, 0), (1, 1, 1.0, 0)]
    assert kept(*rows) == {(0, 0), (1, 1)}


def test_chain_is_cut_in_the_middle():
    assert kept((0, 0, 2.0, 1), (1, 0, 2.0, -1), (1, 1, 2.0, 1)) == {(0, 0), (1, 1)}


@st.composite
def tangles(draw):
    n_entries, n_measurements = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    edges = draw(st.sets(st.tuples(st.integers(0, n_entries - 1), st.integers(0, n_measurements - 1)), min_size=1))
    radii = draw(st.lists(st.sampled_from([0.5, 1.0, 2.0]), min_size=len(edges), max_size=len(edges)))
    # Directions differ between the pairs of one entry or measurement, as they do on the sky.
    return [(e, m, r, 10.0 * e + m) for (e, m), r in zip(sorted(edges), radii, strict=True)]


@given(tangles())
def test_no_pair_is_left_whose_ends_both_have_another_partner(rows):
    left = kept(*rows)
    for entry, measurement in left:
        n_measurements = sum(e == entry for e, _ in left)
        n_entries = sum(m == measurement for _, m in left)
        assert n_measurements == 1 or n_entries == 1


@given(tangles())
def test_no_measurement_with_a_candidate_is_left_alone(rows):
    assert {m for _, m in kept(*rows)} == {m for _, m, _, _ in rows}


@given(tangles(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert kept(*rows) == kept(*shuffled)
