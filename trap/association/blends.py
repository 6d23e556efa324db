"""Association of blends and their parts: sources that one image shows as one and another as several.

An island of pixels that is fitted with two components in one image may be fitted with one in the
next, because of noise or a larger beam. Joined by position alone, the flux densities of both would be
added to the light curve of one, which then seems to vary, while the other vanishes or seems new. So
the blend is an entry in addition to its parts, and each light curve holds the measurements of one entry.

A change in the number of components may also be a source that appeared or faded. The hypothesis
with the lower χ² of position and flux density is accepted:

    χ² = r² + (I − Ī)² / (σ_I² + σ_Ī²)

with r the de Ruiter radius and Ī the weighted mean of the earlier flux densities in the band. Several
sources seen as one have the sum of their flux densities, at the mean of their positions weighted by
flux density.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from trap.angles import displacement, move, offsets
from trap.association.entries import NOT_PART
from trap.association.pairs import CandidatePairs, resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from trap.catalogues import Measurements
    from trap.typing import Array, Indices

    Near = tuple[Indices, Indices]

__all__ = ["KnownEntries", "Merge", "Resolution", "resolve_blends"]


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
    """

    pairs: CandidatePairs
    parts: Near
    merges: list[Merge]


@dataclass(frozen=True, slots=True)
class KnownEntries:
    """Entries and light curves before an image, and the limit for pairs.

    Parameters
    ----------
    entries
        (n,) of :data:`~trap.association.entries.ENTRY`.
    curves
        (n,) of :data:`~trap.catalogues.FLUX_STATISTICS`, in the band and Stokes parameter of the image.
    other_bands
        The same, (n,) each, in all other bands and Stokes parameters.
    max_radius
        Largest de Ruiter radius of a pair.
    """

    entries: NDArray[Any]
    curves: NDArray[Any]
    other_bands: tuple[NDArray[Any], ...]
    max_radius: float

    def as_one(self, rows: Indices) -> _Source | None:
        """Combine entries into one source.

        If an entry has no flux density in this band, the flux density of the source is unknown, and the
        shares of the entries are taken from another band.

        Parameters
        ----------
        rows
            Rows of the entries.

        Returns
        -------
        The source; None for several entries that were not all measured in any one band.
        """
        picked = self.entries[rows]
        position, variances = (picked["wm_ra"], picked["wm_dec"]), (1 / picked["weight_ew"], 1 / picked["weight_ns"])
        for curves in (self.curves, *self.other_bands):
            if (curves["n"][rows] > 0).all():
                flux, variance = curves["wmean_f_int"][rows], 1 / curves["wsum_f_int"][rows]
                one = _as_one(position, variances, (flux, variance))
                return one if curves is self.curves else one._replace(flux=0.0, flux_variance=np.inf)
        # A single entry without any flux density still has a position.
        return _as_one(position, variances, (np.ones(1), np.full(1, np.inf))) if len(rows) == 1 else None

    def absence(self, rows: Indices, variance: float) -> float:
        """Compute χ² of the hypothesis that all these entries have faded; never below the limit for pairs.

        Parameters
        ----------
        rows
            Rows of the entries.
        variance
            Jy² — variance of the flux density in the image.
        """
        curves = self.curves[rows]
        measured = curves[curves["n"] > 0]
        faded = float((measured["wmean_f_int"] ** 2 / (variance + 1 / measured["wsum_f_int"])).sum())
        return max(faded, self.max_radius**2)

    def prefers(self, several: float, alone: float) -> bool:
        """Return whether a measurement is several sources seen as one rather than a single source.

        The hypothesis must fit better, and within the limit for pairs. A sum of Gaussians is never exact
        for bright sources, so a ten times smaller deviation is also accepted for them.

        Parameters
        ----------
        several, alone
            χ² of several sources seen as one, and of a single source.
        """
        return several < alone and several < max(self.max_radius**2, alone / 100)


class _Source(NamedTuple):
    """A position [deg] with variances [deg²], and a flux density [Jy] with its variance (infinite if unknown)."""

    ra: float
    dec: float
    variance_ew: float
    variance_ns: float
    flux: float
    flux_variance: float

    def chi_squared(self, other: _Source) -> tuple[float, float]:
        """Return r² and the χ² of the flux densities for two sources; the latter is 0 if a flux density is unknown."""
        east, north = (float(offset) for offset in offsets(self.ra, self.dec, other.ra, other.dec))
        squared = east**2 / (self.variance_ew + other.variance_ew) + north**2 / (self.variance_ns + other.variance_ns)
        return squared, (self.flux - other.flux) ** 2 / (self.flux_variance + other.flux_variance)


def _as_one(position: tuple[Array, Array], variances: tuple[Array, Array], fluxes: tuple[Array, Array]) -> _Source:
    """Add up flux densities at their weighted mean position; weights are equal if all are noise."""
    (ra, dec), (flux, flux_variance) = position, fluxes
    # A sum below -5 σ is of negative sources, as in Stokes V; any other negative flux density is noise.
    sizes = -flux if flux.sum() < -5 * np.sqrt(flux_variance.sum()) else flux
    share = np.maximum(sizes, 0.0) if (sizes > 0).any() else np.ones(len(flux))
    share = share / share.sum()
    east, north = displacement(ra, dec, ra[0], dec[0])
    mean_ra, mean_dec = move(ra[0], dec[0], (share * east).sum(), (share * north).sum())
    ew, ns = (float((share**2 * variance).sum()) for variance in variances)
    return _Source(float(mean_ra), float(mean_dec), ew, ns, float(flux.sum()), float(flux_variance.sum()))


def _measured_as_one(measured: Measurements, rows: Indices) -> _Source:
    """Combine measurements into one source."""
    picked = measured.take(rows)
    return _as_one(
        (picked.ra, picked.dec),
        (picked.uncertainty_ew**2, picked.uncertainty_ns**2),
        (picked.f_int, picked.f_int_err**2),
    )


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
    chi_squared = _of_pairs(pairs, measured, catalogue)
    return bool(chi_squared[is_part].min() < chi_squared[~is_part].min())


def _of_pairs(pairs: CandidatePairs, measured: Measurements, catalogue: KnownEntries) -> Array:
    """Compute χ² of single pairs; an entry without a flux density in the band contributes its position only."""
    curves, flux, error = catalogue.curves[pairs.entry], measured.f_int, measured.f_int_err
    has_flux = curves["n"] > 0
    variance = error[pairs.measurement] ** 2 + 1 / np.where(has_flux, curves["wsum_f_int"], 1.0)
    difference = np.where(has_flux, flux[pairs.measurement] - curves["wmean_f_int"], 0.0)
    total: Array = pairs.de_ruiter_radius**2 + difference**2 / variance
    return total


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
        whole, together = catalogue.as_one(np.array([entry])), _measured_as_one(measured, parts)
        # The alternative: the nearest component is the entry, or the entry has faded.
        faded = catalogue.absence(np.array([entry]), together.flux_variance)
        alone = _of_pairs(best, measured, catalogue).min(initial=faded)
        squared, of_flux = together.chi_squared(whole) if whole else (np.inf, 0.0)
        is_possible = squared < catalogue.max_radius**2 and np.isin(best.measurement, parts).all()
        if is_possible and catalogue.prefers(squared + of_flux, alone):
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
    one = _measured_as_one(measured, np.array([measurement]))
    own = pairs.take(pairs.measurement == measurement)
    alone = _of_pairs(own, measured, catalogue).min(initial=catalogue.absence(members, one.flux_variance))
    places = catalogue.entries[members]
    distance = np.hypot(*offsets(one.ra, one.dec, places["wm_ra"], places["wm_dec"]))
    nearest_first = members[np.lexsort((places["wm_dec"], distance))]
    best, lowest = None, np.inf
    for n in range(2, len(nearest_first) + 1):
        together = catalogue.as_one(nearest_first[:n])
        squared, of_flux = one.chi_squared(together) if together else (np.inf, 0.0)
        is_possible = squared < catalogue.max_radius**2
        if is_possible and squared + of_flux < lowest and catalogue.prefers(squared + of_flux, alone):
            best, lowest = Merge(measurement, tuple(nearest_first[:n].tolist())), squared + of_flux
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
