"""Association of blends and their parts: sources that one image shows as one and another as several.

An island of pixels that is fitted with two components in one image may be fitted with one in the
next, because of noise or a larger beam. Joined by position alone, the flux densities of both would be
added to the light curve of one, which then seems to vary, while the other vanishes or seems new. So
the blend is an entry in addition to its parts, and each light curve holds the measurements of one entry.

A change in the number of components may also be a source that appeared or faded. The hypotheses are
compared in :mod:`trap.association.hypotheses`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from trap.angles import offsets
from trap.association.entries import NOT_PART
from trap.association.hypotheses import measured_as_one
from trap.association.pairs import CandidatePairs, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from trap.association.hypotheses import KnownEntries
    from trap.catalogues import Measurements
    from trap.typing import Indices

    Near = tuple[Indices, Indices]

__all__ = ["Merge", "Resolution", "resolve_blends"]

NONE = np.empty(0, np.intp)
"""No rows."""


class Merge(NamedTuple):
    """Entries that an image shows as one source.

    Parameters
    ----------
    measurement
        Row of the measurement.
    entries
        Rows of the entries.
    """

    measurement: int
    entries: tuple[int, ...]


class Resolution(NamedTuple):
    """Identification of the measurements of an image; measurements that are not listed are new sources.

    Parameters
    ----------
    pairs
        Measurements of known entries, resolved.
    parts
        (n,) rows of measurements that are newly found parts of a blend, and (n,) rows of these blends.
    merges
        Measurements that are newly found blends.
    neighbours
        (n,) rows of measurements that are new sources next to known ones, and (n,) rows of these entries.
    """

    pairs: CandidatePairs
    parts: Near = (NONE, NONE)
    merges: Sequence[Merge] = ()
    neighbours: Near = (NONE, NONE)


def resolve_blends(pairs: CandidatePairs, near: Near, measured: Measurements, catalogue: KnownEntries) -> Resolution:
    """Resolve candidate pairs, and find blends and their parts.

    Parameters
    ----------
    pairs
        All candidates.
    near
        (n_near,) rows of measurements and (n_near,) rows of entries that are close enough to be compared.
    measured
        Measurements of the image. An ``island`` of 0 means that the island is unknown; such a measurement
        is never a part.
    catalogue
        Entries and light curves before this image.
    """
    if (measured.island < 0).any():
        # The sources of an island are counted, so islands of negative sources get the numbers after the others.
        island = np.where(measured.island < 0, measured.island.max(initial=0) - measured.island, measured.island)
        measured = measured.with_columns(island=island)
    pairs, parts = _choose_sides(pairs, measured, catalogue)
    pairs = resolve(pairs)
    parts = _joined(parts, _find_splits(pairs, near, measured, catalogue))
    pairs = _without(pairs, parts[0])
    merges = _find_merges(pairs, near, measured, catalogue, excluded=parts[0])
    return Resolution(_without(pairs, np.array([merge.measurement for merge in merges], np.intp)), parts, merges)


def _without(pairs: CandidatePairs, measurements: Indices) -> CandidatePairs:
    """Drop the pairs of some measurements."""
    return pairs.take(~np.isin(pairs.measurement, measurements)) if measurements.size else pairs


def _choose_sides(
    pairs: CandidatePairs, measured: Measurements, catalogue: KnownEntries
) -> tuple[CandidatePairs, Near]:
    """Decide for every known blend whether an image shows the blend or its parts, and drop the other pairs.

    If several measurements match the blend or its parts, the image shows the parts; if only one does,
    the better match decides. A measurement that matched only a blend whose parts are shown is a new part.

    Returns
    -------
    The remaining pairs, and the new parts: rows of measurements and of their blends.
    """
    entries = catalogue.entries
    blend = entries["blend"][pairs.entry]
    # A blend and its parts are a family, numbered by the row of the blend.
    family = np.where(entries["is_blend"][pairs.entry], pairs.entry, blend)
    if (family == NOT_PART).all():
        return pairs, _joined()
    keep = np.ones(len(pairs), bool)
    # A loop is affordable: blends are few.
    for number in np.unique(family[family != NOT_PART]):
        rows = np.flatnonzero(family == number)
        is_part = blend[rows] != NOT_PART
        keep[rows] = is_part if _shows_parts(pairs.take(rows), is_part, measured, catalogue) else ~is_part
    unmatched = np.flatnonzero(~keep & ~np.isin(pairs.measurement, pairs.measurement[keep]))
    measurements, first = np.unique(pairs.measurement[unmatched], return_index=True)
    return pairs.take(keep), (measurements, pairs.entry[unmatched[first]])


def _shows_parts(
    pairs: CandidatePairs, is_part: NDArray[np.bool_], measured: Measurements, catalogue: KnownEntries
) -> bool:
    """Return whether an image shows the parts of a blend, given the pairs of its family."""
    if is_part.all() or not is_part.any():
        return bool(is_part.all())
    if len(np.unique(pairs.measurement)) > 1:
        return True
    chi_squared = catalogue.of_pairs(pairs, measured)
    return bool(chi_squared[is_part].min() < chi_squared[~is_part].min())


def _find_splits(pairs: CandidatePairs, near: Near, measured: Measurements, catalogue: KnownEntries) -> Near:
    """Find entries that this image shows as several components of one island.

    Returns
    -------
    Rows of the measurements that are parts, and of the entries that turn out to be blends.
    """
    measurements, rows = near
    # Only an island of several components can be a split, and most islands have one component.
    is_crowded = (np.bincount(measured.island, minlength=1) > 1)[measured.island[measurements]]
    measurements, rows = measurements[is_crowded], rows[is_crowded]
    if not rows.size:
        return _joined()
    nearest_first = pairs.take(np.lexsort((pairs.measurement, pairs.de_ruiter_radius, pairs.entry)))
    first = np.flatnonzero(np.diff(nearest_first.entry, prepend=-1))
    # The nearest measurement of each entry, -1 for an entry without a pair.
    own = _look_up(rows, nearest_first.entry[first], nearest_first.measurement[first], missing=-1)
    partner = np.full(len(measured), -1)
    partner[pairs.measurement] = pairs.entry
    n_partners = np.bincount(pairs.measurement, minlength=len(measured))
    # Candidates for parts: components that are paired with no other entry, in the island of the entry's own
    # measurement if it has one.
    island = measured.island[measurements]
    is_candidate = _is_single(catalogue.entries[rows]) & (island > 0)
    is_candidate &= (own < 0) | (island == measured.island[own])
    is_candidate &= (n_partners[measurements] == 0) | (
        (n_partners[measurements] == 1) & (partner[measurements] == rows)
    )
    n_islands = measured.island.max(initial=0) + 1
    splits: list[Near] = []
    for group, parts in _several(rows[is_candidate] * n_islands + island[is_candidate], measurements[is_candidate]):
        entry = group // n_islands
        best = nearest_first.take(nearest_first.entry == entry).take(slice(1))
        whole, together = catalogue.as_one(np.array([entry])), measured_as_one(measured, parts)
        # The alternative: the nearest component is the entry and the others are new, or the entry has faded.
        faded = catalogue.absence(np.array([entry]), together.flux_variance)
        others = parts[~np.isin(parts, best.measurement)]
        alone = (catalogue.of_pairs(best, measured) + catalogue.newness(measured, others).sum()).min(initial=faded)
        is_possible = np.isin(best.measurement, parts).all()
        is_possible &= catalogue.is_unresolved(measured.ra[parts], measured.dec[parts])
        if is_possible and catalogue.deviation(together, whole, alone) is not None:
            splits.append((parts, np.full(len(parts), entry)))
    return _joined(*splits)


def _find_merges(
    pairs: CandidatePairs, near: Near, measured: Measurements, catalogue: KnownEntries, *, excluded: Indices
) -> list[Merge]:
    """Find entries that this image shows as the only component of one island.

    The entries were detected in their latest image and have no measurement of their own in this one.
    Of the entries near the measurement, the nearest are merged, as many as fit best.

    Parameters
    ----------
    pairs, near, measured, catalogue
        As for :func:`resolve_blends`.
    excluded
        Rows of measurements that are parts of a blend.
    """
    measurements, rows = near
    # Measurements that are alone in their island, with several entries nearby.
    is_possible = (measured.island > 0) & (np.bincount(measured.island, minlength=1)[measured.island] == 1)
    is_possible[excluded] = False
    is_possible &= np.bincount(measurements, minlength=len(measured)) > 1
    is_candidate = is_possible[measurements]
    measurements, rows = measurements[is_candidate], rows[is_candidate]
    if not rows.size:
        return []
    entries = catalogue.entries[rows]
    is_candidate = _is_single(entries) & (entries["forcedfits_count"] == 0)
    measurements, rows = measurements[is_candidate], rows[is_candidate]
    # Entries without a pair, or paired with this measurement alone: the number of their pairs is 0, or it
    # is 1 and the pair is this one.
    near_pairs = pairs.take(np.isin(pairs.entry, rows))
    paired_entries, n_pairs = np.unique(near_pairs.entry, return_counts=True)
    n_entries = len(catalogue.entries)
    is_pair = np.isin(measurements * n_entries + rows, near_pairs.measurement * n_entries + near_pairs.entry)
    is_candidate = _look_up(rows, paired_entries, n_pairs, missing=0) == is_pair
    merges = (
        _best_merge(measurement, members, pairs, measured, catalogue)
        for measurement, members in _several(measurements[is_candidate], rows[is_candidate])
    )
    return [merge for merge in merges if merge is not None]


def _best_merge(
    measurement: int, members: Indices, pairs: CandidatePairs, measured: Measurements, catalogue: KnownEntries
) -> Merge | None:
    """Merge the nearest of some entries into one measurement, as many as fit best; None if no merge is preferred."""
    one = measured_as_one(measured, np.array([measurement]))
    own = pairs.take(pairs.measurement == measurement)
    of_own, rms = catalogue.of_pairs(own, measured), measured.rms[measurement]
    places = catalogue.entries[members]
    distance = np.hypot(*offsets(one.ra, one.dec, places["wm_ra"], places["wm_dec"]))
    nearest_first = members[np.lexsort((places["wm_dec"], distance))]
    best, lowest = None, np.inf
    for n in range(2, len(nearest_first) + 1):
        parts = nearest_first[:n]
        places = catalogue.entries[parts]
        if not catalogue.is_unresolved(places["wm_ra"], places["wm_dec"]):
            continue
        # The alternative: the measurement is one of the entries and the others are too faint, or all have faded.
        too_faint = catalogue.faintness(parts, rms)
        own_part = (own.entry[:, np.newaxis] == parts) @ too_faint
        alone = (of_own + too_faint.sum() - own_part).min(initial=catalogue.absence(parts, one.flux_variance))
        deviation = catalogue.deviation(one, catalogue.as_one(parts), alone)
        if deviation is not None and deviation < lowest:
            best, lowest = Merge(measurement, tuple(parts.tolist())), deviation
    return best


def _joined(*parts: Near) -> Near:
    """Concatenate pairs of index arrays."""
    none = np.empty(0, np.intp)
    return np.concatenate([none, *(first for first, _ in parts)]), np.concatenate([none, *(rows for _, rows in parts)])


def _is_single(entries: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which entries are neither blends nor parts of one; only these are split or merged."""
    single: NDArray[np.bool_] = (entries["blend"] == NOT_PART) & ~entries["is_blend"]
    return single


def _look_up(rows: Indices, keys: Indices, values: Indices, *, missing: int) -> Indices:
    """Return the value of each row; ``keys`` are sorted, and a row that is not among them gets ``missing``."""
    if not keys.size:
        return np.full(len(rows), missing)
    place = np.minimum(np.searchsorted(keys, rows), len(keys) - 1)
    values_of_rows: Indices = np.where(keys[place] == rows, values[place], missing)
    return values_of_rows


def _several(group: Indices, members: Indices) -> Iterator[tuple[int, Indices]]:
    """Yield the groups of more than one member; they are few."""
    numbers, n = np.unique(group, return_counts=True)
    for number in numbers[n > 1].tolist():
        yield number, members[group == number]
