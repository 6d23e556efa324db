"""Association of measurements with catalogue entries by position.

Candidate pairs are weighted by the de Ruiter radius, the distance in units of its error (de Ruiter
et al. 1977; Scheers 2011, sect. 3.2). Pairs are then dropped until only one-to-one, one-to-many and
many-to-one groups remain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np

from trap import angles
from trap.tables import ColumnTable, column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.catalogues import Measurements
    from trap.typing import Array, Indices


__all__ = ["COINCIDENT", "CandidatePairs", "Positions", "de_ruiter_radius", "find_pairs", "resolve"]

COINCIDENT = 0.65
"""Distance, in widths of the beam's shorter axis, below which a measurement and an entry are one source: closer ones
blend. Errors of position have long tails, at low S/N and around bright sources."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Positions(ColumnTable):
    """Positions of measurements or of entries, with errors."""

    ra: NDArray[np.float64] = column("f8", "deg", "Right ascension, ICRS.")
    dec: NDArray[np.float64] = column("f8", "deg", "Declination, ICRS.")
    uncertainty_ew: NDArray[np.float64] = column("f8", "deg", "1σ error along east-west, a true angle.")
    uncertainty_ns: NDArray[np.float64] = column("f8", "deg", "1σ error along north-south.")

    @classmethod
    def of_measurements(cls, measured: Measurements) -> Self:
        """Return the positions of measurements."""
        return cls(
            ra=measured.ra,
            dec=measured.dec,
            uncertainty_ew=measured.uncertainty_ew,
            uncertainty_ns=measured.uncertainty_ns,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CandidatePairs(ColumnTable):
    """Pairs of an entry and a measurement that may be the same source."""

    entry: NDArray[np.intp] = column(np.intp, "", "Row of the running catalogue.")
    measurement: NDArray[np.intp] = column(np.intp, "", "Row of the image's measurements.")
    de_ruiter_radius: NDArray[np.float64] = column("f8", "", "Distance in units of its error.")
    distance: NDArray[np.float64] = column("f8", "deg", "Great-circle distance.")
    east: NDArray[np.float64] = column("f8", "deg", "Offset of the measurement from the entry, to the east.")
    north: NDArray[np.float64] = column("f8", "deg", "Offset of the measurement from the entry, to the north.")


def de_ruiter_radius(measured: Positions, entries: Positions) -> Array:
    """Compute the distance of each measurement from its entry, in units of the combined position error.

    The offsets are taken on the plane tangent midway between the two. For close pairs they equal
    TraP's Δα cos δ̄ and Δδ; unlike TraP's, they are correct at the poles too.

    Parameters
    ----------
    measured, entries
        (n,) — row i of one is paired with row i of the other.

    Returns
    -------
    (n,) dimensionless
    """
    east, north = angles.offsets(measured.ra, measured.dec, entries.ra, entries.dec)
    return _de_ruiter_radius(east, north, measured, entries)


def _de_ruiter_radius(east: Array, north: Array, measured: Positions, entries: Positions) -> Array:
    variance_ew = measured.uncertainty_ew**2 + entries.uncertainty_ew**2
    variance_ns = measured.uncertainty_ns**2 + entries.uncertainty_ns**2
    radius: Array = np.sqrt(east**2 / variance_ew + north**2 / variance_ns)
    return radius


def find_pairs(
    measured: Positions,
    near: tuple[Indices, Indices],
    entries: Positions,
    *,
    search_radius: float,
    max_radius: float,
    coincidence: float = 0.0,
) -> CandidatePairs:
    """Select the pairs within a true angle and within a de Ruiter radius, anywhere on the sphere.

    Pairs that are much closer than the beam is wide are selected whatever their errors are: an image cannot show two
    such sources, and the artefacts around a bright source shift it by more than its errors, which are tiny.

    Parameters
    ----------
    measured
        (n,) — positions of the measurements of an image.
    near
        Measurements and entries that may be close enough: (n_pairs,) rows of ``measured`` and
        (n_pairs,) rows of the running catalogue, each pair once.
    entries
        (n_pairs,) — positions of the entries of these pairs.
    search_radius
        Largest great-circle distance, exclusive, in degrees.
    max_radius
        Largest de Ruiter radius, exclusive.
    coincidence
        Distance below which two positions are one source, in degrees.

    Returns
    -------
    Pairs in the order of ``near``.
    """
    measurement_rows, entry_rows = near
    paired = measured.take(measurement_rows)
    east, north = angles.offsets(paired.ra, paired.dec, entries.ra, entries.dec)
    distance = np.hypot(east, north)
    radius = _de_ruiter_radius(east, north, paired, entries)
    pairs = CandidatePairs(
        entry=entry_rows,
        measurement=measurement_rows,
        de_ruiter_radius=radius,
        distance=distance,
        east=east,
        north=north,
    )
    return pairs.take((distance < search_radius) & ((radius < max_radius) | (distance < coincidence)))


def resolve(pairs: CandidatePairs) -> CandidatePairs:
    """Drop pairs until every group is one-to-one, one entry to many, or many entries to one.

    The first step is TraP's: if a measurement with several candidates meets an entry with several,
    only the nearest of such pairs is kept. TraP stops there; exact ties and chains
    (entry – measurement – entry – measurement) survive, and break its database or put one
    measurement into two light curves that then fork. Here the farthest remaining pair whose two
    ends both have another partner is dropped, and the step is repeated until no such pair remains.
    Equal distances are decided by direction, so that the result does not depend on the order of rows.

    Parameters
    ----------
    pairs
        All candidates of one image.
    """
    has_several_entries = (np.bincount(pairs.measurement, minlength=1) > 1)[pairs.measurement]
    if not has_several_entries.any():
        return pairs
    # Only entries that share such a measurement can belong to a group that needs resolving.
    rows = np.flatnonzero(np.isin(pairs.entry, pairs.entry[has_several_entries]))
    contested = pairs.take(rows)
    # Renumbered from zero, so that the counts below have the length of these pairs, not of the catalogue.
    _, entry_numbers = np.unique(contested.entry, return_inverse=True)
    keep = np.ones(len(pairs), bool)
    keep[rows] = _untangle(contested.with_columns(entry=entry_numbers))
    return pairs.take(keep)


def _untangle(pairs: CandidatePairs) -> NDArray[np.bool_]:
    """Return the pairs that remain: first TraP's step, then the farthest tangled pairs one by one."""
    keep = np.ones(len(pairs), bool)
    tangled = _tangled(pairs, keep)
    nearest = np.full(pairs.measurement.max(initial=-1) + 1, np.inf)
    np.minimum.at(nearest, pairs.measurement[tangled], pairs.de_ruiter_radius[tangled])
    keep &= ~(tangled & (pairs.de_ruiter_radius > nearest[pairs.measurement]))

    # One pair at a time is affordable: only ties and chains in crowded groups are left.
    farthest_first = np.lexsort((pairs.east, pairs.north, -pairs.de_ruiter_radius))
    tangled = _tangled(pairs, keep)
    while tangled.any():
        keep[farthest_first[np.argmax(tangled[farthest_first])]] = False
        tangled = _tangled(pairs, keep)
    return keep


def _tangled(pairs: CandidatePairs, keep: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which of the kept pairs have an entry and a measurement that both have another kept partner."""
    n_of_entry = np.bincount(pairs.entry[keep], minlength=pairs.entry.max(initial=-1) + 1)
    n_of_measurement = np.bincount(pairs.measurement[keep], minlength=pairs.measurement.max(initial=-1) + 1)
    tangled: NDArray[np.bool_] = keep & (n_of_entry[pairs.entry] > 1) & (n_of_measurement[pairs.measurement] > 1)
    return tangled
