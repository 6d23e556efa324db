"""Assign the points of light curves to the true sources that they show, and measure how pure and whole entries are.

A point shows nothing, one source, or two sources as one. Each of these hypotheses predicts a position and a flux
density. The owner is the hypothesis with the lowest χ². The prediction for two sources is the sum of their flux
densities, at the centroid that these weight. Nothing has no flux density, and any position.

An entry's owner is the most frequent owner of its points. A point is *foreign* to its entry if the entry's owner is
excluded for it by 5σ and another source explains it better by 5σ. Purity is the share of points that are not foreign:
an entry that always shows the same two sources as one is pure, and one that changes between them and a single source
is not. Wholeness is the share of the points of a source that lie in its main entry, the one with most of its points.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import KDTree

from trap.angles import unit_vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.typing import Array

    Rows = NDArray[np.intp]

__all__ = ["LightCurvePoints", "Ownership", "TrueSources", "own_points"]

_N_NEAREST = 4
"""Sources near a point that may be its owner, alone or two together."""
_REACH = 1.0
"""Largest distance of an owner from a point, in beam widths."""
_POSITION_FLOOR = 0.1
"""Least error of a position, in beam widths, since fits of blended sources are wrong by more than their errors."""
_FLUX_FLOOR = 0.05
"""Least relative error of a flux density, for the same reason."""
_EXCLUDED = 5.0**2
"""χ² above which a hypothesis is excluded."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrueSources:
    """The sources of a simulated survey in one band.

    Parameters
    ----------
    ra, dec
        (n_sources,) deg — positions.
    flux
        (n_sources, n_images) Jy — flux densities.
    beam
        deg — width of the beam.
    """

    ra: Array
    dec: Array
    flux: Array
    beam: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LightCurvePoints:
    """The points of all light curves; a measurement that belongs to two entries has two rows.

    Parameters
    ----------
    entry, image
        (n,) — number of the entry, and column of ``TrueSources.flux``.
    ra, dec
        (n,) deg — measured positions.
    position_error
        (n,) deg — their errors along an axis.
    flux, flux_error
        (n,) Jy — measured flux densities with errors.
    """

    entry: NDArray[Any]
    image: NDArray[Any]
    ra: Array
    dec: Array
    position_error: Array
    flux: Array
    flux_error: Array


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ownership:
    """The owners of points and entries.

    Owners are pairs of rows of the sources, in increasing order. (-1, i) is source i alone, and (-1, -1) is nothing.

    Parameters
    ----------
    of_point
        (n, 2) — owner of each point.
    entries, of_entry
        (n_entries,) and (n_entries, 2) — numbers of the entries, and their owners.
    is_foreign
        (n,) — whether a point is foreign to its entry.
    main_entry
        (n_sources,) — row in ``entries`` of the main entry of each source; -1 for a source without points.
    in_main
        (n,) — whether a point belongs to the main entry of its owner, a single source.
    """

    of_point: Rows
    entries: NDArray[Any]
    of_entry: Rows
    is_foreign: NDArray[np.bool_]
    main_entry: Rows
    in_main: NDArray[np.bool_]

    @property
    def is_single(self) -> NDArray[np.bool_]:
        """(n,) — whether the owner of a point is a single source."""
        return (self.of_point[:, 0] < 0) & (self.of_point[:, 1] >= 0)

    @property
    def purity(self) -> float:
        """Share of the points that are not foreign to their entries, among points that show anything."""
        shown = self.of_point[:, 1] >= 0
        return 1 - float(np.mean(self.is_foreign[shown])) if shown.any() else float("nan")

    def wholeness(self, selected: NDArray[np.bool_]) -> float:
        """Compute the share of the points of single sources that lie in the main entries of these.

        Parameters
        ----------
        selected
            (n,) — points that count, such as those of bright sources.
        """
        counted = selected & self.is_single
        return float(np.mean(self.in_main[counted])) if counted.any() else float("nan")


def own_points(points: LightCurvePoints, sources: TrueSources) -> Ownership:
    """Assign points and entries to their owners.

    Parameters
    ----------
    points
        Points of light curves in one band. Points without a flux density show nothing.
    sources
        Sources in the same band.
    """
    owners = _possible_owners(points, sources)
    chi2 = _chi2(points, sources, owners)
    best = chi2.argmin(axis=1)
    least, of_point = chi2[np.arange(len(best)), best], owners[np.arange(len(best)), best]
    entries, entry = np.unique(points.entry, return_inverse=True)
    of_entry = _most_frequent(entry, of_point, len(entries))
    # χ² of the owner of the entry, which is infinite if this owner is out of reach.
    is_entry_owner = np.all(owners == of_entry[entry][:, np.newaxis], axis=2)
    of_main = np.where(is_entry_owner, chi2, np.inf).min(axis=1, initial=np.inf)
    is_excluded = (of_main > _EXCLUDED) & (of_main - least > _EXCLUDED)
    is_single = (of_point[:, 0] < 0) & (of_point[:, 1] >= 0)
    single = of_point[is_single, 1]
    places = np.column_stack([np.full(len(single), -1), entry[is_single]])
    main_entry = _most_frequent(single, places, len(sources.ra))[:, 1]
    in_main = np.zeros(len(entry), bool)
    in_main[is_single] = main_entry[single] == entry[is_single]
    return Ownership(
        of_point=of_point,
        entries=entries,
        of_entry=of_entry,
        is_foreign=is_excluded & (of_point[:, 1] >= 0) & (of_entry[entry, 1] >= 0),
        main_entry=main_entry,
        in_main=in_main,
    )


def _possible_owners(points: LightCurvePoints, sources: TrueSources) -> Rows:
    """Return the possible owners of each point, (n, n_hypotheses, 2): one source, two, and last nothing."""
    at = unit_vectors(points.ra, points.dec)
    usable = np.all(np.isfinite(at), axis=1) & np.isfinite(points.flux)
    near = np.full((len(at), _N_NEAREST), -1)
    n_found = min(_N_NEAREST, len(sources.ra))
    if n_found and usable.any():
        tree, reach = KDTree(unit_vectors(sources.ra, sources.dec)), np.radians(_REACH * sources.beam)
        _, found = tree.query(at[usable], k=np.arange(1, n_found + 1), distance_upper_bound=reach)
        near[usable, :n_found] = np.where(found < len(sources.ra), found, -1)
    first, second = np.triu_indices(_N_NEAREST, 1)
    nothing = np.full((len(at), 1), -1)
    # One source comes before two: a second one without a flux density changes nothing.
    smaller = np.concatenate([np.full_like(near, -1), near[:, first], nothing], axis=1)
    larger = np.concatenate([near, near[:, second], nothing], axis=1)
    return np.sort(np.stack([smaller, larger], axis=2), axis=2)


def _chi2(points: LightCurvePoints, sources: TrueSources, owners: Rows) -> Array:
    """Return χ² of each possible owner of each point, (n, n_hypotheses); infinite if it is nothing again."""
    # The last row, which -1 selects, is no source.
    places = np.append(unit_vectors(sources.ra, sources.dec), np.zeros((1, 3)), axis=0)
    fluxes = np.append(sources.flux, np.zeros((1, sources.flux.shape[1])), axis=0)
    flux = fluxes[owners, np.asarray(points.image)[:, np.newaxis, np.newaxis]]
    # Sources that are off in the image have a place, too.
    weights = np.where(owners >= 0, np.maximum(flux, np.finfo(float).tiny), 0.0)
    total = flux.sum(axis=2)
    with np.errstate(invalid="ignore"):  # NaN, of no source, is not used
        centroid = np.einsum("nhs,nhsx->nhx", weights / weights.sum(axis=2, keepdims=True), places[owners])
    offset = centroid - unit_vectors(points.ra, points.dec)[:, np.newaxis]
    position_error = np.radians(np.hypot(points.position_error, _POSITION_FLOOR * sources.beam))
    flux_error = np.hypot(points.flux_error[:, np.newaxis], _FLUX_FLOOR * total)
    chi2 = np.sum(offset**2, axis=2) / position_error[:, np.newaxis] ** 2
    chi2 += ((points.flux[:, np.newaxis] - total) / flux_error) ** 2
    chi2 = np.where(owners[:, :, 1] >= 0, chi2, np.inf)
    chi2[:, -1] = np.nan_to_num((points.flux / points.flux_error) ** 2)
    return chi2


def _most_frequent(group: NDArray[Any], values: Rows, n_groups: int) -> Rows:
    """Return the most frequent row of ``values``, (n, 2), in each group, (n_groups, 2); (-1, -1) if it has none.

    Rows that show nothing do not count, unless a group has no others.
    """
    result = np.full((n_groups, 2), -1)
    distinct, counts = np.unique(np.column_stack([group, values]), axis=0, return_counts=True)
    counts = np.where(distinct[:, 2] < 0, 0, counts)
    order = np.lexsort((-counts, distinct[:, 0]))
    groups, first = np.unique(distinct[order, 0], return_index=True)
    result[groups] = distinct[order][first, 1:]
    return result
