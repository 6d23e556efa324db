"""One-to-one assignment: most probable, complete, and independent of the order of rows."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from made_up_survey import sources

from trap import angles
from trap.association import assignment
from trap.association.assignment import assign
from trap.association.entries import ENTRY
from trap.association.hypotheses import ImageLimits, KnownEntries
from trap.association.pairs import Positions, find_pairs
from trap.flux_statistics import FLUX_STATISTICS

ARCSEC = 1 / 3600
CENTRE = (123.0, 0.0)
ERROR = 1.0
"""arcsec — error of a measurement and of an entry along each axis: r is the distance in arcsec over √2."""
R_MAX = 5.68


def on_sky(offsets):
    """Return the positions at offsets (east, north) [arcsec] from the centre."""
    east, north = np.transpose(np.reshape(offsets, (-1, 2))) * ARCSEC
    return angles.move(CENTRE[0], CENTRE[1], east, north)


def found_at(offsets, flux=0.01):
    ra, dec = on_sky(offsets)
    return sources(ra, dec, flux=flux, flux_err=5e-4, error_radius=ERROR, systematics=0.0)


def known_at(offsets, flux=0.01, *, n_points=1, coincidence=0.0, max_radius=R_MAX):
    """Make entries of an error of an arcsec, and of one measured flux density (0 points: none in the band)."""
    entries = np.zeros(len(np.reshape(offsets, (-1, 2))), ENTRY)
    entries["wm_ra"], entries["wm_dec"] = on_sky(offsets)
    entries["weight_ew"] = entries["weight_ns"] = (ERROR * ARCSEC) ** -2
    curves = np.zeros(len(entries), FLUX_STATISTICS)
    curves["n"], curves["wmean_f_int"], curves["wsum_f_int"] = n_points, flux, 5e-4**-2
    limits = ImageLimits(resolution=10 * ARCSEC, threshold=5.0, coincidence=coincidence * ARCSEC)
    return KnownEntries(entries, curves, (), max_radius, limits)


def candidates(found, known):
    rows = np.indices((len(found), len(known.entries))).reshape(2, -1)
    entries = known.entries[rows[1]]
    places = Positions(
        ra=entries["wm_ra"],
        dec=entries["wm_dec"],
        uncertainty_ew=entries["weight_ew"] ** -0.5,
        uncertainty_ns=entries["weight_ns"] ** -0.5,
    )
    return find_pairs(
        Positions.of_measurements(found),
        (rows[0], rows[1]),
        places,
        search_radius=60 * ARCSEC,
        max_radius=known.max_radius,
        coincidence=known.limits.coincidence,
    )


def assigned(found, known):
    """Return the pairs (entry, measurement), and the neighbours of the measurements left over."""
    result = assign(candidates(found, known), found, known)
    pairs = set(zip(result.pairs.entry.tolist(), result.pairs.measurement.tolist(), strict=True))
    return pairs, dict(zip(result.measurements.tolist(), result.neighbours.tolist(), strict=True))


def test_pairs_without_rivals_are_kept_as_they_are():
    found, known = found_at([(0, 0), (50, 1)]), known_at([(50, 0), (0, 3), (90, 0)])
    pairs = candidates(found, known)
    result = assign(pairs, found, known)
    assert result.pairs is pairs
    assert (len(result.measurements), len(result.neighbours)) == (0, 0)
    assert assigned(found_at([]), known) == (set(), {})


def test_nearer_of_two_measurements_is_the_entry_and_the_other_a_neighbour():
    pairs, neighbours = assigned(found_at([(5, 0), (-1, 0)]), known_at([(0, 0)]))
    assert (pairs, neighbours) == ({(0, 1)}, {0: 0})


def test_nearer_of_two_entries_gets_the_measurement():
    assert assigned(found_at([(3, 0)]), known_at([(0, 0), (5, 0)])) == ({(1, 0)}, {})


def test_sum_over_the_group_decides_and_not_the_nearest_pair():
    # r² of A–1 is 2, of A–2 4.5, of B–1 4.5, of B–2 24.5: both pairs crosswise sum to 9, in order to 26.5.
    entries, found = [(0, 0), (5, 0)], [(2, 0), (-3, 0)]
    assert assigned(found_at(found), known_at(entries)) == ({(0, 1), (1, 0)}, {})


def test_pair_that_fits_is_not_broken_to_pair_all():
    # 1 lies on A with its flux density. B was at 7.5″, r² = 28.1, and 2 is new at 7.5″ on the other side: a source that
    # faded and a new one cost 32.3 + 13.8, while two pairs so far apart cost 56.2 and the wrong flux densities.
    found = found_at([(0, 0), (-7.5, 0)], flux=[0.01, 0.03])
    pairs, neighbours = assigned(found, known_at([(0, 0), (7.5, 0)], flux=[0.01, 0.05]))
    assert (pairs, neighbours) == ({(0, 0)}, {1: 0})


def test_flux_density_decides_where_positions_do_not():
    # Both measurements are as near to both entries, r² = 0.5 and 1 in sum.
    entries, found = [(-1, 0), (1, 0)], [(0, 0.1), (0, -0.1)]
    for flux, expected in (([0.01, 0.05], {(0, 0), (1, 1)}), ([0.05, 0.01], {(0, 1), (1, 0)})):
        assert assigned(found_at(found, flux=flux), known_at(entries, flux=[0.01, 0.05]))[0] == expected


def test_variable_source_keeps_its_identity():
    # The entry rises tenfold. Next to it, 6″ off (r² = 18), a new source has its former flux density: the term of
    # flux density is at most 13.8, less than 18.
    found = found_at([(0, 0), (6, 0)], flux=[0.1, 0.01])
    assert assigned(found, known_at([(0, 0)], flux=0.01)) == ({(0, 0)}, {1: 0})


def test_entry_without_a_flux_density_in_the_band_is_paired_by_position():
    found = found_at([(1, 0)], flux=0.01)
    for n_points, expected in (([1, 0], 0), ([0, 0], 1)):
        # The second entry is nearer, r² = 0 instead of 2; the flux density of the first agrees, a gain of 6.9.
        known = known_at([(-1, 0), (1, 0)], n_points=n_points)
        assert assigned(found, known)[0] == {(expected, 0)}


def test_bright_source_beyond_its_errors_is_still_the_entry_that_it_coincides_with():
    # The beam cannot separate sources closer than 20″. At 12″, r = 8.5; another measurement lies at 18″.
    found, known = found_at([(12, 0), (-18, 0)]), known_at([(0, 0)], coincidence=20)
    assert assigned(found, known) == ({(0, 0)}, {1: 0})
    # A pair within the errors comes first, even if another one is not much farther.
    assert assigned(found_at([(7, 0), (12, 0)]), known)[0] == {(0, 0)}


@pytest.mark.parametrize("mirror", [1, -1])
def test_equal_probabilities_are_decided_from_south_to_north(mirror):
    corners = [(-1, 0), (1, 0)], [(0, mirror), (0, -mirror)]
    southern = 0 if mirror < 0 else 1
    # West of two entries gets the southern of two measurements.
    assert assigned(found_at(corners[1]), known_at(corners[0]))[0] == {(0, southern), (1, 1 - southern)}
    assert assigned(found_at(corners[1]), known_at([(0, 0)])) == ({(0, southern)}, {1 - southern: 0})
    assert assigned(found_at([(0, 0)]), known_at(corners[1]))[0] == {(southern, 0)}


def test_ties_across_right_ascension_zero_are_decided_as_elsewhere(monkeypatch):
    for ra in (123.0, 0.0, 359.9999):
        monkeypatch.setitem(globals(), "CENTRE", (ra, 0.0))
        assert assigned(found_at([(0, -1), (0, 1)]), known_at([(-1, 0), (1, 0)]))[0] == {(0, 0), (1, 1)}


def cost_of(pairs, found, known):
    """Compute the cost of each pair as the documentation has it, by (entry, measurement)."""
    odds = 2 * np.log(1000)
    costs = {}
    for row in range(len(pairs)):
        entry, measurement = int(pairs.entry[row]), int(pairs.measurement[row])
        one, curve = float(found.f_int[measurement]), known.curves[entry]
        variance = 5e-4**2 + 5e-4**2 + (0.05 * one) ** 2
        term = min((one - curve["wmean_f_int"]) ** 2 / variance, odds) if curve["n"] else odds / 2
        costs[entry, measurement] = pairs.de_ruiter_radius[row] ** 2 + term - known.max_radius**2 - odds
    return costs


def lowest_cost(costs, entries, taken=frozenset()):
    """Return the lowest cost of all one-to-one assignments of some entries, by trying each."""
    if not entries:
        return 0.0
    entry, *others = entries
    partners = [m for e, m in costs if e == entry and m not in taken]
    return min(
        lowest_cost(costs, others, taken),
        *(costs[entry, m] + lowest_cost(costs, others, taken | {m}) for m in partners),
        np.inf,
    )


def crowd(rng, n_entries, n_found, size=6.0):
    """Make entries and measurements in a square of twice this size, with three flux densities."""
    fluxes = [0.01, 0.012, 0.05]
    n_points = rng.integers(0, 2, n_entries)
    known = known_at(rng.uniform(-size, size, (n_entries, 2)), rng.choice(fluxes, n_entries), n_points=n_points)
    return found_at(rng.uniform(-size, size, (n_found, 2)), rng.choice(fluxes, n_found)), known


@pytest.mark.parametrize("seed", range(10))
def test_assignment_is_the_most_probable_of_all_and_complete(seed):
    rng = np.random.default_rng(seed)
    for n_entries, n_found in rng.integers(1, 6, (12, 2)):
        found, known = crowd(rng, n_entries, n_found)
        costs = cost_of(candidates(found, known), found, known)
        pairs, neighbours = assigned(found, known)
        assert sum(costs[pair] for pair in pairs) == pytest.approx(lowest_cost(costs, range(n_entries)), abs=5e-3)
        entries, measurements = {e for e, _ in pairs}, {m for _, m in pairs}
        assert len(entries) == len(measurements) == len(pairs)
        assert all(e in entries or m in measurements for e, m in costs)
        # Who is left has lost each of its candidates to another measurement, and is related to the nearest.
        assert set(neighbours) == {m for _, m in costs} - measurements
        assert set(neighbours.values()) <= entries


@pytest.mark.parametrize("seed", range(10))
def test_assignment_does_not_depend_on_the_order_of_rows(seed):
    rng = np.random.default_rng(seed)
    # On a grid of 2″, so that many pairs are equally far apart.
    grid = 2.0 * rng.integers(-8, 8, (60, 2))
    found = found_at(np.unique(grid[:30], axis=0))
    known = known_at(np.unique(grid[30:], axis=0))
    pairs, neighbours = assigned(found, known)
    order, entry_order = rng.permutation(len(found)), rng.permutation(len(known.entries))
    shuffled = replace(known, entries=known.entries[entry_order], curves=known.curves[entry_order])
    again, neighbours_again = assigned(found.take(order), shuffled)
    assert {(entry_order[entry], order[measurement]) for entry, measurement in again} == pairs
    assert {order[m]: entry_order[entry] for m, entry in neighbours_again.items()} == neighbours


@pytest.mark.parametrize("seed", range(3))
def test_large_groups_are_assigned_as_small_ones(monkeypatch, seed):
    found, known = crowd(np.random.default_rng(seed), 40, 35, size=12.0)
    expected = assigned(found, known)
    monkeypatch.setattr(assignment, "MAX_CELLS", 0)
    assert assigned(found, known) == expected


def test_unlimited_radius_pairs_as_many_as_possible_at_the_lowest_cost():
    # r² of A–1, A–2, B–1 and B–2 is 0, 12.5, 12.5 and 50, and the limit of r² is 10¹⁸.
    known = known_at([(0, 0), (5, 0)], max_radius=1e9)
    found = found_at([(0, 0), (-5, 0)])
    assert assigned(found, known)[0] == {(0, 1), (1, 0)}


def test_chain_of_200_entries_is_assigned_in_order_and_in_time():
    # Each measurement lies 2″ from its entry and 3″ from the next one.
    places = np.stack([5.0 * np.arange(200), np.zeros(200)], axis=1)
    found, known = found_at(places + np.array([2, 0])), known_at(places)
    pairs = candidates(found, known)
    seconds = []
    for _ in range(3):
        start = time.process_time()
        result = assign(pairs, found, known)
        seconds.append(time.process_time() - start)
    assert (result.pairs.entry == result.pairs.measurement).all()
    assert len(result.pairs) == 200
    assert min(seconds) < 0.05
