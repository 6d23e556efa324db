"""The most probable one-to-one assignment of the measurements of an image to entries.

An image that shows two sources has told them apart: neither of its measurements is the other one again. So every
measurement belongs to at most one entry, and every entry gets at most one measurement. The probability of an
assignment is the product of these factors:

- for a pair, the probability density of its offset, exp(−r²/2) / 2πσ_xσ_y with r the de Ruiter radius, and of its
  flux density;
- for an entry without a measurement, the probability p that a source is missed;
- for a measurement without an entry, the density ρ of new sources on the sky.

Compared with leaving both of its ends alone, −2 ln of the factor of a pair is r² + F − U, with the term F of the
flux density and U = −2 ln(2πσ_xσ_y ρ p). At r² = U, a pair is as probable as a source that faded next to a new one,
which is the meaning of the largest de Ruiter radius: U is its square. The default, 5.68, stands for odds of 10⁷: one
source in a thousand is missed, and one in ten thousand has a new source within its errors.

Positions have long tails: fits of faint sources and artefacts around bright ones miss by more than their errors.
So the term of position is min(r², ½U (1 + d²/c²)) with d the distance and c the distance below which two sources
blend: at a pair that coincides, the odds fall to those of a rare error at most, and the nearest pair is preferred.

The term of flux density is F = min((I − Ī)² / (σ_I² + σ_Ī² + (0.05 I)²), B) with B = −2 ln 0.001, since one source
in a thousand varies strongly, and such a source keeps its identity. Without earlier flux densities in the band, F is
half of B: neither agreement nor change. As positions alone decide whether two ends may be one source, U grows by B
where F counts; F only chooses between partners. Thus every pair is better than none, and the assignment is complete:
no entry and measurement without partners are a candidate pair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import min_weight_full_bipartite_matching

from trap.angles import delta_ra
from trap.association.hypotheses import ODDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.association.hypotheses import KnownEntries
    from trap.association.pairs import CandidatePairs
    from trap.catalogues import Measurements
    from trap.typing import Array, Indices

__all__ = ["Assignment", "assign"]

GRAIN = 2.0**-10
"""Difference in χ² below which two pairs are equally probable; far above rounding errors, far below any meaning."""
N_GRAINS = 2**20
"""Largest number of grains in the cost of a pair, so that sums of costs and of preferences are exact."""
MAX_CELLS = 1_000_000
"""Number of pairs of entries and measurements up to which a group is solved as a full matrix, which is faster."""


class Assignment(NamedTuple):
    """Pairs of an image, one-to-one, and the measurements that lost all their candidates to others.

    Parameters
    ----------
    pairs
        The pairs, in the order of the candidates.
    measurements, neighbours
        (n_left,) — rows of the measurements without a partner that have candidates, and of the nearest one of these
        entries.
    """

    pairs: CandidatePairs
    measurements: Indices
    neighbours: Indices


def assign(pairs: CandidatePairs, measured: Measurements, known: KnownEntries) -> Assignment:
    """Select the most probable one-to-one assignment.

    Of assignments that are equally probable, the one is selected that keeps the order of entries and measurements
    from south to north, and at equal declination from west to east; of two measurements that are equally near to one
    entry it is the southern one. The result does not depend on the order of rows.

    Parameters
    ----------
    pairs
        All candidates of the image.
    measured
        Measurements of the image.
    known
        Entries and light curves before this image, and the limits of pairs.
    """
    contested = _contested(pairs)
    if not contested.size:
        return Assignment(pairs, contested, contested)
    keep = np.ones(len(pairs), bool)
    keep[contested] = _most_probable(pairs.take(contested), measured, known)
    is_left = ~np.isin(pairs.measurement, pairs.measurement[keep])
    left = pairs.take(is_left)
    left = left.take(np.lexsort((left.east, left.north, left.distance, left.measurement)))
    left = left.take(np.diff(left.measurement, prepend=-1) != 0)
    return Assignment(pairs.take(keep), left.measurement, left.entry)


def _contested(pairs: CandidatePairs) -> Indices:
    """Return the rows of pairs with an end that has another candidate; most images have none."""
    is_contested = np.zeros(len(pairs), bool)
    for end in (pairs.measurement, pairs.entry):
        order = np.argsort(end)
        ranked = end[order]
        is_repeated = ranked[1:] == ranked[:-1]
        if is_repeated.any():
            is_contested[order[1:][is_repeated]] = True
            is_contested[order[:-1][is_repeated]] = True
    return np.flatnonzero(is_contested)


def _most_probable(pairs: CandidatePairs, measured: Measurements, known: KnownEntries) -> NDArray[np.bool_]:
    """Return which pairs belong to the most probable assignment, group by group."""
    entry, n_entries = _ranks(pairs.entry, *(known.entries[name] for name in ("wm_ra", "wm_dec", "datapoints")))
    measurement, n_measurements = _ranks(pairs.measurement, measured.ra, measured.dec, measured.f_int)
    of_entry, of_measurement = _groups(entry, measurement, n_entries, n_measurements)
    group = of_entry[entry]
    n_ends = np.stack([np.bincount(label, minlength=n_entries) for label in (of_entry, of_measurement)])
    gains = _gains(pairs, measured, known, int(n_ends.min(axis=0).max()))
    best_first = np.lexsort((measurement, entry, -gains, group))
    starts = np.flatnonzero(np.diff(group[best_first], prepend=-1))
    # All pairs of a group with one entry, or with one measurement, exclude each other.
    is_star = (n_ends == 1).any(axis=0)[group[best_first[starts]]]
    keep = np.zeros(len(pairs), bool)
    keep[best_first[starts[is_star]]] = True
    places = _places(of_entry)[entry], _places(of_measurement)[measurement]
    ends = np.append(starts[1:], len(pairs))
    # A loop is affordable: a group takes some ten microseconds.
    for start, end in zip(starts[~is_star], ends[~is_star], strict=True):
        rows = best_first[start:end]
        keep[rows] = _solve(places[0][rows], places[1][rows], gains[rows], n_ends[:, group[rows[0]]])
    return keep


def _groups(entry: Indices, measurement: Indices, n_entries: int, n_measurements: int) -> tuple[Indices, Indices]:
    """Return the groups of entries and of measurements; pairs that share an end, even over others, are one group.

    The number of a group is the lowest of its entries. It spreads from pair to pair in steps that double, so that a
    long chain needs few of them; for few pairs, this is several times as fast as a search in a sparse matrix.
    """
    of_entry = np.arange(n_entries)
    while True:
        of_measurement = np.full(n_measurements, n_entries)
        np.minimum.at(of_measurement, measurement, of_entry[entry])
        lowest = of_entry.copy()
        np.minimum.at(lowest, entry, of_measurement[measurement])
        lowest = lowest[lowest]
        if (lowest == of_entry).all():
            return of_entry, of_measurement
        of_entry = lowest


def _places(group: Indices) -> Indices:
    """Return the place of each row among the rows of its group."""
    order = np.argsort(group, kind="stable")
    _, first, n = np.unique(group[order], return_index=True, return_counts=True)
    places = np.empty(len(group), np.intp)
    places[order] = np.arange(len(group)) - np.repeat(first, n)
    return places


def _ranks(rows: Indices, ra: Array, dec: Array, other: Array) -> tuple[Indices, int]:
    """Return the rank of each row by declination, right ascension and another column, and the number of ranks."""
    distinct, number = np.unique(rows, return_inverse=True)
    east = delta_ra(ra[distinct], ra[distinct[np.argmin(dec[distinct])]])
    rank = np.empty(len(distinct), np.intp)
    rank[np.lexsort((other[distinct], east, dec[distinct]))] = np.arange(len(distinct))
    return rank[number], len(distinct)


def _gains(pairs: CandidatePairs, measured: Measurements, known: KnownEntries, n_largest: int) -> Array:
    """Compute by how much each pair is better than both ends without a partner, in whole grains, at least one.

    Parameters
    ----------
    pairs, measured, known
        As for :func:`assign`.
    n_largest
        Number of pairs in the largest one-to-one assignment of a group.

    Returns
    -------
    (n_pairs,)
    """
    limit = known.max_radius**2
    coincidence = known.limits.coincidence
    squared = pairs.de_ruiter_radius**2
    if coincidence > 0:
        squared = np.minimum(squared, limit * (1 + (pairs.distance / coincidence) ** 2) / 2)
    differences = known.of_fluxes(pairs, measured)
    costs = squared + np.where(np.isnan(differences), ODDS / 2, np.minimum(differences, ODDS))
    # Above this limit, no larger one changes the assignment, and differences of costs would be rounded.
    alone = min(limit + ODDS, (n_largest + 1) * float(costs.max()))
    gains: Array = np.maximum(np.round((alone - costs) / max(GRAIN, alone / N_GRAINS)), 1.0)
    return gains


def _solve(entry: Indices, measurement: Indices, gains: Array, n_ends: Indices) -> NDArray[np.bool_]:
    """Return which pairs of a group have the largest sum of gains; places decide between equal sums.

    Parameters
    ----------
    entry, measurement
        (n_pairs,) — places of the entries and of the measurements in the group.
    gains
        (n_pairs,) — gains of the pairs in grains.
    n_ends
        Number of entries and of measurements.
    """
    n_entries, n_measurements = n_ends
    # The sum of these preferences is less than one grain. By the rearrangement inequality it is lowest in order.
    preferences = (entry - measurement) ** 2 / (max(n_entries, n_measurements) ** 3 + 1)
    partner = np.full(n_entries, -1)
    if n_entries * n_measurements <= MAX_CELLS:
        matrix = np.zeros(n_ends)
        matrix[entry, measurement] = gains - preferences
        rows, columns = linear_sum_assignment(matrix, maximize=True)
    else:
        # Each entry has a partner of its own besides, which stands for none.
        alone = np.arange(n_entries)
        costs = gains.max() + 1 - np.concatenate([gains - preferences, np.zeros(n_entries)])
        ends = np.concatenate([entry, alone]), np.concatenate([measurement, n_measurements + alone])
        rows, columns = min_weight_full_bipartite_matching(csr_matrix((costs, ends)))
    partner[rows] = columns
    kept: NDArray[np.bool_] = partner[entry] == measurement
    return kept
