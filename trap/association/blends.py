"""Sources that are seen as one here and as several there: blends and their parts.

An island of pixels that is fitted with two components in one image may be fitted with one in the
next, by noise or by a larger beam. Joined by position alone, the flux densities of the two would be
added to the light curve of one, which then varies, while the other vanishes or seems new. Here the
blend is an entry beside its parts: each light curve holds what was measured of that entry alone.

Whether a change in the number of components is that, or a source that came or went, is decided by
which explains position and flux density better, in units of their errors:

    χ² = r² + (I − Ī)² / (σ_I² + σ_Ī²)

with r the de Ruiter radius and Ī the weighted mean of the earlier flux densities in the band. For
several sources as one, position and flux density are those of all of them: the mean of positions
weighted by flux density, and the sum.
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

__all__ = ["Known", "Merge", "Resolution", "resolve_blends"]


class Merge(NamedTuple):
    """Entries that an image shows as one: rows of the measurement and of the entries."""

    measurement: int
    entries: tuple[int, ...]


class Resolution(NamedTuple):
    """What the measurements of an image are.

    Those that are named nowhere here are new sources.

    Parameters
    ----------
    pairs
        Measurements of known entries, resolved.
    parts
        Indices of measurements that are parts of a blend not known before, and rows of these blends.
    merges
        Measurements that are blends not known before.
    """

    pairs: CandidatePairs
    parts: Near
    merges: list[Merge]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of the entries, and how far apart two positions may be to be compared at all.

    Parameters
    ----------
    entries
        (n,) of :data:`~trap.association.entries.ENTRY`.
    curves
        (n,) of :data:`~trap.variability.metrics.FLUX_STATISTICS`, in the band and Stokes parameter of the image.
    other_bands
        The same in all other bands and Stokes parameters.
    max_radius
        Largest de Ruiter radius of a pair.
    """

    entries: NDArray[Any]
    curves: NDArray[Any]
    other_bands: tuple[NDArray[Any], ...]
    max_radius: float

    def as_one(self, rows: Indices) -> _Source | None:
        """See some entries as one source; None for several that were not seen together in any band.

        Without a flux density in this band it is not known; another band then says what share each has.
        """
        picked = self.entries[rows]
        position, variances = (picked["wm_ra"], picked["wm_dec"]), (1 / picked["weight_ew"], 1 / picked["weight_ns"])
        for curves in (self.curves, *self.other_bands):
            if (curves["n"][rows] > 0).all():
                flux, variance = curves["wmean_f_int"][rows], 1 / curves["wsum_f_int"][rows]
                one = _as_one(position, variances, (flux, variance))
                return one if curves is self.curves else one._replace(flux=0.0, flux_variance=np.inf)
        return _as_one(position, variances, (np.ones(1), np.full(1, np.inf))) if len(rows) == 1 else None

    def absence(self, rows: Indices, variance: float) -> float:
        """χ² of all these entries being gone, measured with a variance [Jy²]: not less than excludes a pair."""
        curves = self.curves[rows]
        seen = curves[curves["n"] > 0]
        gone = float((seen["wmean_f_int"] ** 2 / (variance + 1 / seen["wsum_f_int"])).sum())
        return max(gone, self.max_radius**2)

    def prefers(self, several: float, alone: float) -> bool:
        """Whether what is seen is several sources as one, given χ² of that and of being one source.

        It must explain what is seen, and better. Of bright sources, for which no sum of Gaussians is
        exact, it is enough that the difference is ten times smaller.
        """
        return several < alone and several < max(self.max_radius**2, alone / 100)


class _Source(NamedTuple):
    """Position [deg], its variances [deg²], flux density [Jy] and its variance (infinite if not known)."""

    ra: float
    dec: float
    variance_ew: float
    variance_ns: float
    flux: float
    flux_variance: float

    def chi_squared(self, other: _Source) -> tuple[float, float]:
        """Compare with another: r² and the term of the flux densities, which is 0 where one is not known."""
        east, north = (float(offset) for offset in offsets(self.ra, self.dec, other.ra, other.dec))
        squared = east**2 / (self.variance_ew + other.variance_ew) + north**2 / (self.variance_ns + other.variance_ns)
        return squared, (self.flux - other.flux) ** 2 / (self.flux_variance + other.flux_variance)


def _as_one(position: tuple[Array, Array], variances: tuple[Array, Array], fluxes: tuple[Array, Array]) -> _Source:
    """Sum of the flux densities, at their weighted mean position; equal weights where none is positive."""
    (ra, dec), (flux, flux_variance) = position, fluxes
    share = np.maximum(flux, 0.0) if (flux > 0).any() else np.ones(len(flux))
    share = share / share.sum()
    east, north = displacement(ra, dec, ra[0], dec[0])
    mean_ra, mean_dec = move(ra[0], dec[0], (share * east).sum(), (share * north).sum())
    ew, ns = (float((share**2 * variance).sum()) for variance in variances)
    return _Source(float(mean_ra), float(mean_dec), ew, ns, float(flux.sum()), float(flux_variance.sum()))


def _measured_as_one(measured: Measurements, rows: Indices) -> _Source:
    picked = measured.take(rows)
    return _as_one(
        (picked.ra, picked.dec),
        (picked.uncertainty_ew**2, picked.uncertainty_ns**2),
        (picked.f_int, picked.f_int_err**2),
    )


def resolve_blends(pairs: CandidatePairs, near: Near, measured: Measurements, known: Known) -> Resolution:
    """Resolve candidate pairs, telling blends from their parts.

    Parameters
    ----------
    pairs
        All candidates.
    near
        (n_near,) rows of measurements and of entries that are close enough to be compared.
    measured
        Measurements of the image; those with an ``island`` of 0 are of no known island, and so never
        parts of one.
    known
        The catalogue so far.
    """
    pairs, parts = _choose_sides(pairs, measured, known)
    pairs = resolve(pairs)
    parts = _joined(parts, _find_splits(pairs, near, measured, known))
    pairs = _without(pairs, parts[0])
    merges = _find_merges(pairs, near, measured, known, taken=parts[0])
    return Resolution(_without(pairs, np.array([merge.measurement for merge in merges], np.intp)), parts, merges)


def _without(pairs: CandidatePairs, measurements: Indices) -> CandidatePairs:
    return pairs.take(~np.isin(pairs.measurement, measurements)) if measurements.size else pairs


def _choose_sides(pairs: CandidatePairs, measured: Measurements, known: Known) -> tuple[CandidatePairs, Near]:
    """Decide for every known blend whether an image shows it, or its parts, and drop the other pairs.

    Where several measurements may be of the blend or of its parts, it is the parts that are seen;
    where one may, what explains it better. A measurement that had no candidate but a blend whose
    parts are seen is a part not known before.
    """
    entries = known.entries
    blend = entries["blend"][pairs.entry]
    family = np.where(entries["is_blend"][pairs.entry], pairs.entry, blend)
    if (family == NOT_PART).all():
        return pairs, _joined()
    keep = np.ones(len(pairs), bool)
    # Blends are few.
    for number in np.unique(family[family != NOT_PART]):
        rows = np.flatnonzero(family == number)
        is_part = blend[rows] != NOT_PART
        keep[rows] = is_part if _shows_parts(pairs.take(rows), is_part, measured, known) else ~is_part
    lost = np.flatnonzero(~keep & ~np.isin(pairs.measurement, pairs.measurement[keep]))
    measurements, first = np.unique(pairs.measurement[lost], return_index=True)
    return pairs.take(keep), (measurements, pairs.entry[lost[first]])


def _shows_parts(pairs: CandidatePairs, is_part: NDArray[np.bool_], measured: Measurements, known: Known) -> bool:
    if is_part.all() or not is_part.any():
        return bool(is_part.all())
    if len(np.unique(pairs.measurement)) > 1:
        return True
    chi_squared = _of_pairs(pairs, measured, known)
    return bool(chi_squared[is_part].min() < chi_squared[~is_part].min())


def _of_pairs(pairs: CandidatePairs, measured: Measurements, known: Known) -> Array:
    """χ² of single pairs."""
    curves, flux, error = known.curves[pairs.entry], measured.f_int, measured.f_int_err
    is_known = curves["n"] > 0
    variance = error[pairs.measurement] ** 2 + 1 / np.where(is_known, curves["wsum_f_int"], 1.0)
    difference = np.where(is_known, flux[pairs.measurement] - curves["wmean_f_int"], 0.0)
    total: Array = pairs.de_ruiter_radius**2 + difference**2 / variance
    return total


def _find_splits(pairs: CandidatePairs, near: Near, measured: Measurements, known: Known) -> Near:
    """Find the measurements of entries that this image shows as several components of one island."""
    measurements, rows = near
    # Only an island of several components can be a split, and most have one.
    is_crowded = (np.bincount(measured.island, minlength=1) > 1)[measured.island[measurements]]
    measurements, rows = measurements[is_crowded], rows[is_crowded]
    if not rows.size:
        return _joined()
    ordered = pairs.take(np.lexsort((pairs.measurement, pairs.de_ruiter_radius, pairs.entry)))
    first = np.flatnonzero(np.diff(ordered.entry, prepend=-1))
    own = _look_up(rows, ordered.entry[first], ordered.measurement[first], missing=-1)
    partner = np.full(len(measured), -1)
    partner[pairs.measurement] = pairs.entry
    n_partners = np.bincount(pairs.measurement, minlength=len(measured))
    # Components that no other entry has a claim on, of the island of its own measurement if it has one.
    island = measured.island[measurements]
    loose = _is_single(known.entries[rows]) & (island > 0)
    loose &= (own < 0) | (island == measured.island[own])
    loose &= (n_partners[measurements] == 0) | ((n_partners[measurements] == 1) & (partner[measurements] == rows))
    n_islands = measured.island.max(initial=0) + 1
    splits: list[Near] = []
    for group, parts in _several(rows[loose] * n_islands + island[loose], measurements[loose]):
        entry = group // n_islands
        best = ordered.take(ordered.entry == entry).take(slice(1))
        whole, seen = known.as_one(np.array([entry])), _measured_as_one(measured, parts)
        alone = _of_pairs(best, measured, known).min(initial=known.absence(np.array([entry]), seen.flux_variance))
        squared, of_flux = seen.chi_squared(whole) if whole else (np.inf, 0.0)
        is_possible = squared < known.max_radius**2 and np.isin(best.measurement, parts).all()
        if is_possible and known.prefers(squared + of_flux, alone):
            splits.append((parts, np.full(len(parts), entry)))
    return _joined(*splits)


def _find_merges(
    pairs: CandidatePairs, near: Near, measured: Measurements, known: Known, *, taken: Indices
) -> list[Merge]:
    """Find entries that this image shows as the only component of one island.

    They are sources that were seen when last looked at and have no measurement of their own here:
    those nearest to the measurement, as many as explain it best. Measurements that are ``taken`` are
    something else.
    """
    measurements, rows = near
    is_possible = (measured.island > 0) & (np.bincount(measured.island, minlength=1)[measured.island] == 1)
    is_possible[taken] = False
    is_possible &= np.bincount(measurements, minlength=len(measured)) > 1
    free = is_possible[measurements]
    measurements, rows = measurements[free], rows[free]
    if not rows.size:
        return []
    entries = known.entries[rows]
    free = _is_single(entries) & (entries["forcedfits_count"] == 0)
    measurements, rows = measurements[free], rows[free]
    near_pairs = pairs.take(np.isin(pairs.entry, rows))
    claimed, n_claims = np.unique(near_pairs.entry, return_counts=True)
    n_entries = len(known.entries)
    is_pair = np.isin(measurements * n_entries + rows, near_pairs.measurement * n_entries + near_pairs.entry)
    free = _look_up(rows, claimed, n_claims, missing=0) == is_pair
    merges = (
        _best_merge(measurement, members, pairs, measured, known)
        for measurement, members in _several(measurements[free], rows[free])
    )
    return [merge for merge in merges if merge is not None]


def _best_merge(
    measurement: int, members: Indices, pairs: CandidatePairs, measured: Measurements, known: Known
) -> Merge | None:
    one = _measured_as_one(measured, np.array([measurement]))
    own = pairs.take(pairs.measurement == measurement)
    alone = _of_pairs(own, measured, known).min(initial=known.absence(members, one.flux_variance))
    places = known.entries[members]
    distance = np.hypot(*offsets(one.ra, one.dec, places["wm_ra"], places["wm_dec"]))
    ordered = members[np.lexsort((places["wm_dec"], distance))]
    best, lowest = None, np.inf
    for n in range(2, len(ordered) + 1):
        together = known.as_one(ordered[:n])
        squared, of_flux = one.chi_squared(together) if together else (np.inf, 0.0)
        is_possible = squared < known.max_radius**2
        if is_possible and squared + of_flux < lowest and known.prefers(squared + of_flux, alone):
            best, lowest = Merge(measurement, tuple(ordered[:n].tolist())), squared + of_flux
    return best


def _joined(*found: Near) -> Near:
    none = np.empty(0, np.intp)
    return np.concatenate([none, *(first for first, _ in found)]), np.concatenate([none, *(rows for _, rows in found)])


def _is_single(entries: NDArray[Any]) -> NDArray[np.bool_]:
    """Entries that are neither blends nor parts of one: a blend of blends is not made."""
    single: NDArray[np.bool_] = (entries["blend"] == NOT_PART) & ~entries["is_blend"]
    return single


def _look_up(wanted: Indices, keys: Indices, values: Indices, *, missing: int) -> Indices:
    """Values of keys, which are sorted."""
    if not keys.size:
        return np.full(len(wanted), missing)
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found: Indices = np.where(keys[place] == wanted, values[place], missing)
    return found


def _several(group: Indices, members: Indices) -> Iterator[tuple[int, Indices]]:
    """Groups of more than one member, which are few."""
    numbers, n = np.unique(group, return_counts=True)
    for number in numbers[n > 1].tolist():
        yield number, members[group == number]
