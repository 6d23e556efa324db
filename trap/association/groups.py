"""Groups of sources closer than an image can reliably part, and the images that need a joint measurement of them.

Whether blind deblending parts two close sources depends on the noise of each image. If their light curves followed it,
they would jump whenever it changes. So the sources of a *group*, in which each has a neighbour closer than about 1.5
beam widths, are measured at the positions of the catalogue, all at once, in every image whose blind components do not
match the entries of the group one-to-one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from trap import angles
from trap.association.entry_arrays import MIN_EXTENT, MIN_POINTS
from trap.association.sky_index import chord_of
from trap.catalogues import Flag
from trap.tables import ColumnTable, column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.association.entries import LightCurveKey
    from trap.association.entry_arrays import EntryArrays
    from trap.association.pairs import CandidatePairs
    from trap.catalogues import Measurements
    from trap.typing import Array, Indices

__all__ = ["NO_ROW", "GroupLimits", "GroupMembers", "find_groups", "neighbours_of"]

MOVED = 4.0
"""De Ruiter radius beyond which a source has moved; few errors of position are as large."""
NO_ROW = -1
"""Value of ``entry`` for a component that is no entry, and of ``measurement`` for an entry without one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroupMembers(ColumnTable):
    """Members of the groups that an image does not show one-to-one: known entries, and components beside them."""

    group: NDArray[np.int64] = column("i8", "", "Number of the group within the image.")
    entry: NDArray[np.int64] = column(
        "i8", "", "Row of the running catalogue; -1 for a component that is no entry yet."
    )
    measurement: NDArray[np.int64] = column("i8", "", "Row of the blind measurement; -1 if the image shows none.")
    is_new: NDArray[np.bool_] = column("?", "", "Whether the member is a component that matches no entry.")
    is_blind: NDArray[np.bool_] = column(
        "?", "", "Whether its point is the blind measurement, not the joint fit, if nothing is hidden in that."
    )
    ra: NDArray[np.float64] = column("f8", "deg", "Right ascension where it is fitted, ICRS.")
    dec: NDArray[np.float64] = column("f8", "deg", "Declination where it is fitted, ICRS.")
    stretch: NDArray[np.float64] = column(
        "f8", "", "Error of the position over that of the measurement; above 1 for a source hidden in a measurement."
    )


class GroupLimits(NamedTuple):
    """Entries that make up a group.

    Parameters
    ----------
    distance
        deg — distance below which two sources belong to one group; 0 makes no groups.
    expiration
        Number of forced fits since the last blind detection at which an entry counts as gone.
    threshold
        Lowest ratio of peak to noise of a detection.
    inseparable
        deg — distance below which the beam cannot part two sources.
    """

    distance: float
    expiration: int
    threshold: float
    inseparable: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Components(ColumnTable):
    """Components of an image that are no entries, each next to an entry or to another component."""

    beside: NDArray[np.int64] = column("i8", "", "Row of the entry; -1 for a component next to other components alone.")
    measurement: NDArray[np.int64] = column("i8", "", "Row of the measurement that shows the component.")
    ra: NDArray[np.float64] = column("f8", "deg", "Right ascension, ICRS.")
    dec: NDArray[np.float64] = column("f8", "deg", "Declination, ICRS.")
    stretch: NDArray[np.float64] = column("f8", "", "As in GroupMembers.")


def find_groups(
    pairs: CandidatePairs, measured: Measurements, catalogue: EntryArrays, key: LightCurveKey, limits: GroupLimits
) -> GroupMembers:
    """Find the groups that an image does not show one-to-one.

    Parameters
    ----------
    pairs
        Measurements and their entries, one-to-one.
    measured
        Blind measurements of the image.
    catalogue
        Entries before the image.
    key
        Band and Stokes parameter of the image.
    limits
        Entries that make up a group.

    Returns
    -------
    All members of these groups: entries with or without a measurement, and the components that match no entry.
    """
    alone = np.setdiff1d(np.arange(len(measured)), pairs.measurement)
    places, beside = _close(catalogue, measured.ra[alone], measured.dec[alone], limits.distance)
    left = alone[places]
    shown = _Components.of(beside=beside, measurement=left, ra=measured.ra[left], dec=measured.dec[left], stretch=1.0)
    components = _Components.concatenate([shown, _hidden(pairs, measured, catalogue, key, limits)])
    links = neighbours_of(catalogue, np.union1d(pairs.entry, beside), limits.distance)
    # The last value is that of components without an entry.
    expected = np.append(_is_expected(catalogue, limits, pairs.entry), True)
    is_link = expected[links[0]] & expected[links[1]]
    links = links[0][is_link], links[1][is_link]
    components = components.take(expected[components.beside])
    twins = _twins(measured, alone, limits.inseparable)
    lone = np.setdiff1d(np.concatenate(twins), components.measurement)
    without = _Components.of(beside=NO_ROW, measurement=lone, ra=measured.ra[lone], dec=measured.dec[lone], stretch=1.0)
    components = _Components.concatenate([components, without])
    lost, changed = _misshapen(pairs, measured, catalogue, key, limits.threshold)
    if not links[0].size and not len(components) and not changed.any():
        return GroupMembers.empty()
    beside = components.beside[components.beside != NO_ROW]
    entries = np.unique(np.concatenate([*links, beside, pairs.entry[changed]]))
    is_misshapen = np.isin(entries, pairs.entry[lost | changed])
    return _members(pairs, catalogue, (entries, is_misshapen), links, (components, twins))


def _twins(measured: Measurements, rows: Indices, distance: float) -> tuple[Indices, Indices]:
    """Return pairs of rows of measurements that are closer than a distance [deg]: noise has parted one source."""
    if len(rows) < 2:
        return rows[:0], rows[:0]
    tree = cKDTree(angles.unit_vectors(measured.ra[rows], measured.dec[rows]))
    found = tree.query_pairs(chord_of(distance), output_type="ndarray")
    return rows[found[:, 0]], rows[found[:, 1]]


def _members(
    pairs: CandidatePairs,
    catalogue: EntryArrays,
    known: tuple[Indices, NDArray[np.bool_]],
    links: tuple[Indices, Indices],
    shown: tuple[_Components, tuple[Indices, Indices]],
) -> GroupMembers:
    """Join linked entries and components to groups, and return the groups that an image does not show one-to-one.

    ``known`` are all entries in question, in order, and whether the image shows each in a wrong shape; ``shown`` are
    the components, and pairs of measurements of components that are linked with each other.
    """
    (entries, is_misshapen), (components, twins) = known, shown
    # Components that no entry matches may be next to several entries; hidden ones share the measurement of an entry.
    _, first, number = np.unique(
        np.column_stack([components.measurement, components.stretch]), axis=0, return_index=True, return_inverse=True
    )
    n_entries, n = len(entries), len(entries) + len(first)
    node = n_entries + number
    is_beside = components.beside != NO_ROW
    node_of = dict(zip(components.measurement.tolist(), node.tolist(), strict=True))
    ends = (
        np.concatenate([np.searchsorted(entries, links[0]), node[is_beside], _looked_up(node_of, twins[0])]),
        np.concatenate(
            [
                np.searchsorted(entries, links[1]),
                np.searchsorted(entries, components.beside[is_beside]),
                _looked_up(node_of, twins[1]),
            ]
        ),
    )
    n_groups, group = connected_components(coo_matrix((np.ones(len(ends[0])), ends), shape=(n, n)), directed=False)
    measurement = np.full(n, NO_ROW)
    own = np.isin(pairs.entry, entries)
    measurement[np.searchsorted(entries, pairs.entry[own])] = pairs.measurement[own]
    measurement[n_entries:] = components.measurement[first]
    is_new, stretch = np.arange(n) >= n_entries, np.concatenate([np.ones(n_entries), components.stretch[first]])
    is_hidden = stretch > 1
    is_wrong = (is_new & ~is_hidden) | (measurement == NO_ROW)
    # Another member explains the excess, if a group has one without a partner.
    is_excess = is_hidden & (np.bincount(group, weights=is_wrong, minlength=n_groups) > 0)[group]
    # A single entry may change its shape with the source that is hidden in it.
    is_single = np.bincount(group, weights=~is_new, minlength=n_groups) == 1
    has_hidden = np.bincount(group, weights=is_hidden, minlength=n_groups) > 0
    is_wrong[:n_entries] |= is_misshapen & ~(is_single & has_hidden)[group[:n_entries]]
    differs = np.bincount(group, weights=is_wrong, minlength=n_groups) > 0
    is_blind = ~is_new & ~differs[group]
    differs |= has_hidden
    is_shown = np.bincount(group, weights=measurement != NO_ROW, minlength=n_groups) > 0
    members = GroupMembers.of(
        group=group,
        entry=np.concatenate([entries, np.full(len(first), NO_ROW)]),
        measurement=measurement,
        is_new=is_new,
        is_blind=is_blind,
        ra=np.concatenate([catalogue.entries["wm_ra"][entries], components.ra[first]]),
        dec=np.concatenate([catalogue.entries["wm_dec"][entries], components.dec[first]]),
        stretch=stretch,
    ).take((differs & is_shown)[group] & ~is_excess)
    return members.take(np.lexsort((members.measurement, members.entry, members.group)))


def _looked_up(values: dict[int, int], keys: Indices) -> Indices:
    """Return the value of each key."""
    return np.array([values[key] for key in keys.tolist()], np.intp)


def _misshapen(
    pairs: CandidatePairs, measured: Measurements, catalogue: EntryArrays, key: LightCurveKey, threshold: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which pairs have a measurement whose shape is not that of its entry: (n_pairs,) each.

    Where two beams blend, a fit with free shapes may give one of them the flux of the other. And where noise hides the
    extent of a source, the beam is fitted instead, which leaves out a part of its flux.

    Returns
    -------
    Pairs that matter in a group: an entry like the beam and a measurement unlike it. And pairs that matter alone:
    these, if the entry has several points and its peak is as before, and a wider entry and a measurement like the beam.
    """
    extent, curves = catalogue.extent(pairs.entry, key), catalogue.fluxes(key)[pairs.entry]
    peak, error = measured.f_peak[pairs.measurement], measured.f_peak_err[pairs.measurement]
    shown = measured.f_int[pairs.measurement] / peak
    is_beam = measured.flags[pairs.measurement] & int(Flag.POINT_LIKE) != 0
    lost = (extent == 1) & (np.abs(shown - 1) > MIN_EXTENT - 1)
    is_established = (curves["n"] >= MIN_POINTS) & (np.abs(peak - curves["wmean_f_peak"]) < threshold * error)
    shrunk = (extent > 1) & is_beam & (shown < (1 + extent) / 2)
    return lost, shrunk | (lost & is_established)


def _hidden(
    pairs: CandidatePairs, measured: Measurements, catalogue: EntryArrays, key: LightCurveKey, limits: GroupLimits
) -> _Components:
    """Find measurements that have moved away from their entries and brightened: a new source may be hidden in them.

    If the entry has its mean flux density Ī still, the excess I − Ī lies at the position whose mean with that of the
    entry, weighted by flux density, is the measured one.
    """
    curves = catalogue.fluxes(key)[pairs.entry]
    has_points = curves["n"] > 0
    flux, error = measured.f_int[pairs.measurement], measured.f_int_err[pairs.measurement]
    excess = flux - np.where(has_points, curves["wmean_f_int"], np.inf)
    is_likely = (pairs.de_ruiter_radius > MOVED) & (curves["wmean_f_int"] > 0) & (excess > limits.threshold * error)
    rows = np.flatnonzero(is_likely)
    rows = rows[catalogue.extent(pairs.entry[rows], key, min_points=1) == 1]
    stretch = flux[rows] / excess[rows]
    is_near = stretch * pairs.distance[rows] < limits.distance
    rows, stretch = rows[is_near], stretch[is_near]
    entries = catalogue.entries[pairs.entry[rows]]
    ra, dec = angles.move(entries["wm_ra"], entries["wm_dec"], stretch * pairs.east[rows], stretch * pairs.north[rows])
    return _Components(beside=pairs.entry[rows], measurement=pairs.measurement[rows], ra=ra, dec=dec, stretch=stretch)


def neighbours_of(catalogue: EntryArrays, rows: Indices, distance: float) -> tuple[Indices, Indices]:
    """Find the entries around entries, without themselves.

    Parameters
    ----------
    catalogue
        All entries.
    rows
        (n,) — rows of entries.
    distance
        deg — largest distance, exclusive.

    Returns
    -------
    (n_pairs,) rows of the given entries, and (n_pairs,) rows of entries near them.
    """
    entries = catalogue.entries[rows]
    places, others = _close(catalogue, entries["wm_ra"], entries["wm_dec"], distance)
    is_other = rows[places] != others
    return rows[places][is_other], others[is_other]


def _close(catalogue: EntryArrays, ra: Array, dec: Array, distance: float) -> tuple[Indices, Indices]:
    """Return numbers of positions and rows of the entries closer than a distance."""
    places, rows = catalogue.near(ra, dec, distance)
    entries = catalogue.entries[rows]
    is_close = angles.separation(ra[places], dec[places], entries["wm_ra"], entries["wm_dec"]) < distance
    return places[is_close], rows[is_close]


def _is_expected(catalogue: EntryArrays, limits: GroupLimits, matched: Indices) -> NDArray[np.bool_]:
    """Return which entries an image should show, (n_all,): not gone, or matched in it.

    An entry that another band of the same time has first shown counts: one band may part what the next one blends.
    """
    is_expected: NDArray[np.bool_] = catalogue.entries["forcedfits_count"] < limits.expiration
    is_expected[matched] = True
    return is_expected
