"""Which measurements are the same source as which catalogue entry.

Candidate pairs are found on unit vectors and weighed by the de Ruiter radius, the distance in
units of its error (de Ruiter et al. 1977; Scheers 2011, sect. 3.2). They are then resolved until
nothing but one-to-one, one-to-many and many-to-one groups is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trap import angles
from trap.tables import ColumnTable, column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.typing import Array


__all__ = ["CandidatePairs", "Positions", "de_ruiter_radius", "find_pairs", "resolve"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Positions(ColumnTable):
    """Positions with their errors, of measurements or of entries."""

    ra: NDArray[np.float64] = column("f8", "deg", "Right ascension, ICRS.")
    dec: NDArray[np.float64] = column("f8", "deg", "Declination, ICRS.")
    uncertainty_ew: NDArray[np.float64] = column("f8", "deg", "1σ error along east-west, a true angle.")
    uncertainty_ns: NDArray[np.float64] = column("f8", "deg", "1σ error along north-south.")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CandidatePairs(ColumnTable):
    """Pairs of an entry and a measurement that may be the same source."""

    entry: NDArray[np.intp] = column(np.intp, "", "Row of the entry's position.")
    measurement: NDArray[np.intp] = column(np.intp, "", "Row of the measurement's position.")
    de_ruiter_radius: NDArray[np.float64] = column("f8", "", "Distance in units of its error.")
    distance: NDArray[np.float64] = column("f8", "deg", "Great-circle distance.")
    east: NDArray[np.float64] = column("f8", "deg", "Offset of the measurement from the entry, to the east.")
    north: NDArray[np.float64] = column("f8", "deg", "Offset of the measurement from the entry, to the north.")


def de_ruiter_radius(measured: Positions, known: Positions) -> Array:
    """Distance of each measurement from its entry, in units of the combined position error.

    The offsets are taken on the plane tangent midway between the two, which is TraP's
    Δα cos δ̄ and Δδ for close pairs and stays right at the poles (TraP's does not).

    Parameters
    ----------
    measured, known
        (n,) — row i of one is paired with row i of the other.

    Returns
    -------
    (n,) dimensionless
    """
    return _de_ruiter_radius(*angles.offsets(measured.ra, measured.dec, known.ra, known.dec), measured, known)


def _de_ruiter_radius(east: Array, north: Array, measured: Positions, known: Positions) -> Array:
    variance_ew = measured.uncertainty_ew**2 + known.uncertainty_ew**2
    variance_ns = measured.uncertainty_ns**2 + known.uncertainty_ns**2
    radius: Array = np.sqrt(east**2 / variance_ew + north**2 / variance_ns)
    return radius


def find_pairs(
    measured: Positions,
    near: tuple[NDArray[np.intp], NDArray[np.intp]],
    known: Positions,
    *,
    search_radius: float,
    max_radius: float,
) -> CandidatePairs:
    """Keep the pairs closer than a true angle and than a de Ruiter radius, anywhere on the sphere.

    Parameters
    ----------
    measured
        (n,) — measurements of an image.
    near
        (n_pairs,) rows of measurements and of entries that may be close enough, each pair once.
    known
        (n_pairs,) — positions of the entries of these pairs.
    search_radius
        Largest great-circle distance, exclusive, in degrees.
    max_radius
        Largest de Ruiter radius, exclusive.

    Returns
    -------
    Pairs in the order given.
    """
    rows, entries = near
    paired = measured.take(rows)
    east, north = angles.offsets(paired.ra, paired.dec, known.ra, known.dec)
    distance = np.hypot(east, north)
    radius = _de_ruiter_radius(east, north, paired, known)
    pairs = CandidatePairs(
        entry=entries, measurement=rows, de_ruiter_radius=radius, distance=distance, east=east, north=north
    )
    return pairs.take((distance < search_radius) & (radius < max_radius))


def resolve(pairs: CandidatePairs) -> CandidatePairs:
    """Drop pairs until every group is one-to-one, one entry to many, or many entries to one.

    First, as TraP does: where a measurement with several candidates meets an entry with several,
    it keeps the nearest of such pairs. TraP stops there; exact ties and chains
    (entry – measurement – entry – measurement) survive, and break its database or put one
    measurement into two light curves that then fork. Here the farthest remaining pair whose two
    ends both have another partner is dropped, again and again, until there is none. Equal
    distances are decided by direction, so that the order of rows does not matter.
    """
    has_several = (np.bincount(pairs.measurement, minlength=1) > 1)[pairs.measurement]
    if not has_several.any():
        return pairs
    # Most groups are nowhere near these, and are left out.
    rows = np.flatnonzero(np.isin(pairs.entry, pairs.entry[has_several]))
    some = pairs.take(rows)
    # Numbered from zero, the rows of a large catalogue cost nothing to count.
    _, entry = np.unique(some.entry, return_inverse=True)
    keep = np.ones(len(pairs), bool)
    keep[rows] = _untangle(some.with_columns(entry=entry))
    return pairs.take(keep)


def _untangle(pairs: CandidatePairs) -> NDArray[np.bool_]:
    keep = np.ones(len(pairs), bool)
    tangled = _tangled(pairs, keep)
    nearest = np.full(pairs.measurement.max(initial=-1) + 1, np.inf)
    np.minimum.at(nearest, pairs.measurement[tangled], pairs.de_ruiter_radius[tangled])
    keep &= ~(tangled & (pairs.de_ruiter_radius > nearest[pairs.measurement]))

    # Few pairs, in crowded or tied groups only, ever come here; one at a time is affordable.
    order = np.lexsort((pairs.east, pairs.north, -pairs.de_ruiter_radius))
    tangled = _tangled(pairs, keep)
    while tangled.any():
        keep[order[np.argmax(tangled[order])]] = False
        tangled = _tangled(pairs, keep)
    return keep


def _tangled(pairs: CandidatePairs, keep: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Kept pairs whose entry and whose measurement both have another kept partner."""
    n_of_entry = np.bincount(pairs.entry[keep], minlength=pairs.entry.max(initial=-1) + 1)
    n_of_measurement = np.bincount(pairs.measurement[keep], minlength=pairs.measurement.max(initial=-1) + 1)
    tangled: NDArray[np.bool_] = keep & (n_of_entry[pairs.entry] > 1) & (n_of_measurement[pairs.measurement] > 1)
    return tangled
