"""The index finds the same entries as a search of all entries, after any number of additions and moves."""

from __future__ import annotations

import numpy as np
import pytest

from trap.angles import separation
from trap.association import sky_index
from trap.association.sky_index import SkyIndex


def sky(rng, n):
    return rng.uniform(0, 360, n), np.degrees(np.arcsin(rng.uniform(-1, 1, n)))


def near_by_looking_at_all(index_ra, index_dec, ra, dec, radius):
    distance = separation(np.asarray(ra)[:, np.newaxis], np.asarray(dec)[:, np.newaxis], index_ra, index_dec)
    return set(zip(*np.nonzero(distance <= radius), strict=True))


def found(index, entries, ra, dec, radius):
    """Pairs of the index whose distance is right, after checking that it gives each once, in order."""
    positions, rows = index.near(ra, dec, radius)
    assert [*zip(positions, rows, strict=True)] == sorted(set(zip(positions, rows, strict=True)))
    distance = separation(np.asarray(ra)[positions], np.asarray(dec)[positions], entries[0][rows], entries[1][rows])
    return set(zip(positions[distance <= radius], rows[distance <= radius], strict=True))


@pytest.mark.parametrize("ratio", [0, 4])
@pytest.mark.parametrize("n_positions", [1, 40])
@pytest.mark.parametrize("radius", [0.5, 20.0, 180.0])
def test_index_that_grows_and_moves_misses_nothing(monkeypatch, ratio, n_positions, radius):
    monkeypatch.setattr(sky_index, "MERGE_RATIO", ratio)
    rng = np.random.default_rng(1)
    index, ra, dec = SkyIndex(), np.empty(0), np.empty(0)
    for step in (1.0, 1e-3, 1e-6, 0.0):
        new_ra, new_dec = sky(rng, 100)
        index.add(new_ra, new_dec)
        ra, dec = np.append(ra, new_ra), np.append(dec, new_dec)
        at_ra, at_dec = sky(rng, n_positions)
        expected = near_by_looking_at_all(ra, dec, at_ra, at_dec, radius)
        assert found(index, (ra, dec), at_ra, at_dec, radius) == expected
        moved = rng.choice(len(ra), 50, replace=False)
        ra[moved], dec[moved] = ra[moved] + step, np.clip(dec[moved] - step, -90, 90)
        index.move(moved, ra[moved], dec[moved])
        expected = near_by_looking_at_all(ra, dec, at_ra, at_dec, radius)
        assert found(index, (ra, dec), at_ra, at_dec, radius) == expected


def test_empty_index_finds_nothing():
    positions, rows = SkyIndex().near([1.0], [2.0], 3.0)
    assert (len(positions), len(rows)) == (0, 0)


def test_search_for_nothing_finds_nothing():
    index = SkyIndex()
    index.add([1.0], [2.0])
    assert len(index.near([], [], 3.0)[0]) == 0
