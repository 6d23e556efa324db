"""Catalogues of the same sky from several datasets, merged source by source.

The catalogues are merged one after the other. An entry belongs to the source that is nearest in units of the position
errors, one-to-one: no source gets two entries of one dataset. Positions of seasons may differ by more than the tiny
errors of their means, since each dataset has its own frame; so entries much closer than the beam is wide are one source
whatever their errors are, as in the association of images (:func:`trap.association.pairs.find_pairs`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trap.angles import move
from trap.association.pairs import Positions, find_pairs
from trap.association.sky_index import SkyIndex

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trap.association.pairs import CandidatePairs
    from trap.typing import Array, Ids, Indices

__all__ = ["MergeLimits", "merge_catalogues"]


class MergeLimits(NamedTuple):
    """Limits of pairs of entries that may be one source.

    Parameters
    ----------
    max_radius
        Largest de Ruiter radius, exclusive.
    search_radius
        deg — largest distance, exclusive.
    coincidence
        deg — distance below which two entries are one source whatever their errors are.
    """

    max_radius: float
    search_radius: float
    coincidence: float


def merge_catalogues(catalogues: Sequence[Positions], limits: MergeLimits) -> tuple[list[Ids], Positions]:
    """Find the entries of several catalogues that are one source.

    Parameters
    ----------
    catalogues
        Entries of each catalogue, in the order in which they are merged.
    limits
        Limits of pairs.

    Returns
    -------
    sources
        For each catalogue (n_entries,) — number of the source of each entry, from 0.
    positions
        (n_sources,) — mean positions of the sources, weighted by 1/σ². The entries of the first catalogue come first,
        in their order; then the sources that later catalogues add.
    """
    sources: list[Ids] = []
    known = Positions.empty()
    for catalogue in catalogues:
        pairs = _nearest_first(_candidates(known, catalogue, limits), limits)
        numbers = np.full(len(catalogue), -1, np.int64)
        numbers[pairs.measurement] = pairs.entry
        is_new = numbers < 0
        numbers[is_new] = len(known) + np.arange(np.count_nonzero(is_new))
        known = Positions.concatenate([_with_means(known, catalogue, pairs), catalogue.take(is_new)])
        sources.append(numbers)
    return sources, known


def _candidates(known: Positions, catalogue: Positions, limits: MergeLimits) -> CandidatePairs:
    """Return all pairs of a source and an entry within the limits."""
    index = SkyIndex()
    index.add(known.ra, known.dec)
    near = index.near(catalogue.ra, catalogue.dec, limits.search_radius)
    return find_pairs(
        catalogue,
        near,
        known.take(near[1]),
        search_radius=limits.search_radius,
        max_radius=limits.max_radius,
        coincidence=limits.coincidence,
    )


def _nearest_first(pairs: CandidatePairs, limits: MergeLimits) -> CandidatePairs:
    """Select pairs one-to-one: the nearest pair of all first, then the nearest one with two free ends, and so on."""
    ratio = np.minimum(pairs.de_ruiter_radius / limits.max_radius, pairs.distance / limits.coincidence)
    # Equal ratios are ordered by direction, so that the result does not depend on the order of rows.
    rank = np.empty(len(pairs), np.intp)
    rank[np.lexsort((pairs.east, pairs.north, pairs.distance, ratio))] = np.arange(len(pairs))
    kept: list[Indices] = []
    left = np.arange(len(pairs))
    while left.size:
        is_best = np.ones(len(left), bool)
        for end in (pairs.entry[left], pairs.measurement[left]):
            is_best &= rank[left] == _lowest(end, rank[left])
        best = left[is_best]
        kept.append(best)
        is_free = ~np.isin(pairs.entry[left], pairs.entry[best])
        is_free &= ~np.isin(pairs.measurement[left], pairs.measurement[best])
        left = left[is_free]
    return pairs.take(np.sort(np.concatenate([np.empty(0, np.intp), *kept])))


def _lowest(end: Indices, rank: Indices) -> NDArray[np.intp]:
    """Return for each pair the lowest rank of all pairs with the same end, (n,)."""
    order = np.lexsort((rank, end))
    starts = np.flatnonzero(np.diff(end[order], prepend=-1))
    lowest = np.empty(len(end), np.intp)
    lowest[order] = np.repeat(rank[order[starts]], np.diff(starts, append=len(end)))
    return lowest


def _with_means(known: Positions, catalogue: Positions, pairs: CandidatePairs) -> Positions:
    """Return the sources with the mean positions of their entries so far and of the paired entries."""
    paired = catalogue.take(pairs.measurement)
    before = known.take(pairs.entry)
    share_ew, error_ew = _combined(before.uncertainty_ew, paired.uncertainty_ew)
    share_ns, error_ns = _combined(before.uncertainty_ns, paired.uncertainty_ns)
    ra, dec = move(before.ra, before.dec, share_ew * pairs.east, share_ns * pairs.north)
    means = {"ra": ra, "dec": dec, "uncertainty_ew": error_ew, "uncertainty_ns": error_ns}
    columns = {name: values.copy() for name, values in known.as_dict().items()}
    for name, values in means.items():
        columns[name][pairs.entry] = values
    return Positions.of(**columns)


def _combined(before: Array, added: Array) -> tuple[Array, Array]:
    """Return the weight of an added value relative to the sum of both weights, and the error of the mean."""
    weight_before, weight_added = before**-2.0, added**-2.0
    total = weight_before + weight_added
    return weight_added / total, total**-0.5
