"""Differences, offsets and distances of directions on the sky.

Right ascension wraps at 0/360° and is undefined at the poles. Therefore no other module subtracts two
right ascensions: positions are compared by the unit vectors or the tangent-plane offsets defined
here. Arguments and results are in degrees.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from trap.typing import Array


__all__ = [
    "delta_ra",
    "displacement",
    "enclosing_circle",
    "move",
    "offsets",
    "ra_inflation",
    "separation",
    "unit_vectors",
    "wrap_ra",
]

MAX_STEPS = 1000
"""Largest number of steps in the search for a circle, which needs some ten."""


def wrap_ra(ra: ArrayLike) -> Array:
    """Wrap right ascension into [0, 360).

    Parameters
    ----------
    ra
        (...) deg — right ascension; NaN stays NaN.

    Returns
    -------
    (...) deg
    """
    wrapped = np.mod(np.asarray(ra, float), 360.0)
    # A tiny negative angle rounds up to exactly 360.
    in_range: Array = np.where(wrapped >= 360.0, 0.0, wrapped)
    return in_range


def delta_ra(ra: ArrayLike, reference: ArrayLike) -> Array:
    """Compute the signed difference ``ra - reference`` in [-180, 180).

    Parameters
    ----------
    ra, reference
        (...) deg — right ascensions, in any turn; broadcast against each other.

    Returns
    -------
    (...) deg
    """
    difference = np.asarray(ra, float) - np.asarray(reference, float)
    # Subtracting whole turns is exact, and a remainder is not: small differences keep every bit.
    folded = difference - 360.0 * np.rint(difference / 360.0)
    # At half a turn the quotient may be rounded up or down.
    signed: Array = np.where(folded >= 180.0, folded - 360.0, np.where(folded < -180.0, folded + 360.0, folded))
    return signed


def unit_vectors(ra: ArrayLike, dec: ArrayLike) -> Array:
    """Compute the unit vectors (cos δ cos α, cos δ sin α, sin δ) of positions.

    Parameters
    ----------
    ra, dec
        (...) deg — right ascension α and declination δ.

    Returns
    -------
    (..., 3)
    """
    alpha, delta = np.radians(np.asarray(ra, float)), np.radians(np.asarray(dec, float))
    cos_delta = np.cos(delta)
    return np.stack([cos_delta * np.cos(alpha), cos_delta * np.sin(alpha), np.sin(delta)], axis=-1)


def separation(ra_1: ArrayLike, dec_1: ArrayLike, ra_2: ArrayLike, dec_2: ArrayLike) -> Array:
    """Compute great-circle distances by the haversine formula, which is precise at small angles.

    Parameters
    ----------
    ra_1, dec_1, ra_2, dec_2
        (...) deg — first and second positions; broadcast against each other. NaN gives NaN.

    Returns
    -------
    (...) deg
        From 0 to 180.
    """
    half_dec = np.radians(np.asarray(dec_2, float) - np.asarray(dec_1, float)) / 2
    half_ra = np.radians(delta_ra(ra_2, ra_1)) / 2
    cosines = np.cos(np.radians(dec_1)) * np.cos(np.radians(dec_2))
    haversine = np.sin(half_dec) ** 2 + cosines * np.sin(half_ra) ** 2
    angle: Array = np.degrees(2 * np.arcsin(np.sqrt(np.clip(haversine, 0.0, 1.0))))
    return angle


def offsets(ra: ArrayLike, dec: ArrayLike, ra_ref: ArrayLike, dec_ref: ArrayLike) -> tuple[Array, Array]:
    """Compute the offsets of positions to the east and to the north of a reference, as true angles.

    Offsets are measured on the plane that is tangent to the sphere midway between the two positions,
    so that they change sign if the positions are swapped, and are scaled to the great-circle distance.
    For close positions they equal (Δα cos δ̄, Δδ); unlike that expression, they are valid at the poles
    too.

    Parameters
    ----------
    ra, dec, ra_ref, dec_ref
        (n,) deg — positions and references; broadcast against each other.

    Returns
    -------
    east, north
        (n,) deg
    """
    half_ra = np.radians(delta_ra(ra, ra_ref)) / 2
    dec_a, dec_b = np.radians(np.asarray(dec, float)), np.radians(np.asarray(dec_ref, float))
    middle, half_dec = (dec_a + dec_b) / 2, (dec_a - dec_b) / 2
    # The chord, in the frame of the meridian halfway between the positions: exact, without cancellation.
    chord_e = (np.cos(dec_a) + np.cos(dec_b)) * np.sin(half_ra)
    chord_r = -2 * np.sin(middle) * np.sin(half_dec) * np.cos(half_ra)
    chord_z = 2 * np.cos(middle) * np.sin(half_dec)
    # The midpoint on the sphere lies on that meridian, up to half the difference in declination.
    mid_r = (np.cos(dec_a) + np.cos(dec_b)) / 2 * np.cos(half_ra)
    mid_z = (np.sin(dec_a) + np.sin(dec_b)) / 2
    mid_e = (np.cos(dec_a) - np.cos(dec_b)) / 2 * np.sin(half_ra)
    return _project((chord_r, chord_e, chord_z), (mid_r, mid_e, mid_z))


def _project(chord: tuple[Array, Array, Array], middle: tuple[Array, Array, Array]) -> tuple[Array, Array]:
    """Compute the components of a chord along east and north at its middle, scaled from chord to arc [deg]."""
    (chord_r, chord_e, chord_z), (mid_r, mid_e, mid_z) = chord, middle
    rho = np.hypot(mid_r, mid_e)
    at_pole = rho < 1e-12
    safe_rho = np.where(at_pole, 1.0, rho)
    # At a pole all directions are equivalent, and any frame is valid: the frame of the meridian is used.
    cos_a, sin_a = np.where(at_pole, 1.0, mid_r / safe_rho), np.where(at_pole, 0.0, mid_e / safe_rho)
    length = np.hypot(rho, mid_z)
    sin_d, cos_d = mid_z / length, rho / length
    east = cos_a * chord_e - sin_a * chord_r
    radial = cos_a * chord_r + sin_a * chord_e
    north = cos_d * chord_z - sin_d * radial
    half_chord = np.clip(np.sqrt(chord_r**2 + chord_e**2 + chord_z**2) / 2, 0.0, 1.0)
    tiny = half_chord < 1e-9
    stretch = np.where(tiny, 1.0, np.arcsin(half_chord) / np.where(tiny, 1.0, half_chord))
    return np.degrees(east * stretch), np.degrees(north * stretch)


def displacement(ra: ArrayLike, dec: ArrayLike, ra_ref: ArrayLike, dec_ref: ArrayLike) -> tuple[Array, Array]:
    """Compute the offsets that bring :func:`move` from a reference to a position.

    They are the components along east and north, at the reference, of the great-circle arc to the
    position. :func:`offsets` uses east and north at the middle of the arc, which differ near a pole.

    Parameters
    ----------
    ra, dec, ra_ref, dec_ref
        As for :func:`offsets`.

    Returns
    -------
    east, north
        (n,) deg
    """
    turn, rise = np.radians(delta_ra(ra, ra_ref)), np.radians(np.asarray(dec, float) - np.asarray(dec_ref, float))
    dec_rad, ref_rad = np.radians(np.asarray(dec, float)), np.radians(np.asarray(dec_ref, float))
    # cos δ₀ sin δ − sin δ₀ cos δ cos Δα and the cosine of the arc, without cancellation.
    versine = 2 * np.sin(turn / 2) ** 2
    east = np.cos(dec_rad) * np.sin(turn)
    north = np.sin(rise) + np.sin(ref_rad) * np.cos(dec_rad) * versine
    sine, cosine = np.hypot(east, north), np.cos(rise) - np.cos(ref_rad) * np.cos(dec_rad) * versine
    stretch = np.where(sine > 0, np.arctan2(sine, cosine) / np.where(sine > 0, sine, 1.0), 1.0)
    return np.degrees(east * stretch), np.degrees(north * stretch)


def move(ra: ArrayLike, dec: ArrayLike, east: ArrayLike, north: ArrayLike) -> tuple[Array, Array]:
    """Move positions along great circles.

    An offset of exactly zero returns the position unchanged.

    Parameters
    ----------
    ra, dec
        (n,) deg — positions to start from.
    east, north
        (n,) deg — components along east and north, at the start, of the arc to move along.

    Returns
    -------
    ra, dec
        (n,) deg — right ascension in [0, 360).
    """
    east, north = np.radians(np.asarray(east, float)), np.radians(np.asarray(north, float))
    dec_rad = np.radians(np.asarray(dec, float))
    angle = np.hypot(east, north)
    # sin(angle)/angle. Below 1e-6 its series is exact to double precision, and has no 0/0 at zero.
    sinc = np.where(angle < 1e-6, 1.0 - angle**2 / 6, np.sin(angle) / np.where(angle == 0, 1.0, angle))
    sin_e, sin_n = sinc * east, sinc * north
    radial = np.cos(angle) * np.cos(dec_rad) - sin_n * np.sin(dec_rad)
    height = np.cos(angle) * np.sin(dec_rad) + sin_n * np.cos(dec_rad)
    new_ra = wrap_ra(np.asarray(ra, float) + np.degrees(np.arctan2(sin_e, radial)))
    new_dec = np.degrees(np.arctan2(height, np.hypot(radial, sin_e)))
    still = angle == 0
    return np.where(still, ra, new_ra), np.where(still, dec, new_dec)


def ra_inflation(angle: ArrayLike, dec: ArrayLike) -> Array:
    """Compute the half-width in right ascension of a circle on the sky.

    By spherical trigonometry, as in TraP's SQL function ``alpha``: arctan(sin θ / √(cos(δ − θ) cos(δ + θ))).
    If the circle comes within 0.1° of a pole, the half-width is 180°, as in TraP.

    Parameters
    ----------
    angle
        (...) deg — radius θ of the circle.
    dec
        (...) deg — declination δ of its centre; broadcast against ``angle``.

    Returns
    -------
    (...) deg
        From 0 to 180.
    """
    theta, delta = np.broadcast_arrays(np.asarray(angle, float), np.asarray(dec, float))
    polar = np.abs(delta) + theta > 89.9
    low, high = np.radians(np.where(polar, 0.0, delta - theta)), np.radians(np.where(polar, 0.0, delta + theta))
    sine = np.sin(np.radians(theta)) / np.sqrt(np.abs(np.cos(low) * np.cos(high)))
    return np.where(polar, 180.0, np.abs(np.degrees(np.arctan(sine))))


def enclosing_circle(ra: ArrayLike, dec: ArrayLike) -> tuple[float, float, float]:
    """Find the smallest circle on the sky that encloses positions, which lie within less than half of the sky.

    Parameters
    ----------
    ra, dec
        (n,) deg — positions, at least one.

    Returns
    -------
    ra, dec
        deg — centre of the circle; the right ascension in [0, 360).
    radius
        deg — its radius; 0 for a single position.
    """
    vectors = unit_vectors(ra, dec)
    held = [int(np.argmax(_cosine_distance(vectors, vectors[0])))]
    centre, reach = vectors[held[0]], 0.0
    # Each step adds the farthest position and keeps the at most three that fix the circle, so that it grows every time.
    for _ in range(MAX_STEPS):
        distances = _cosine_distance(vectors, centre)
        farthest = int(np.argmax(distances))
        if distances[farthest] <= reach * (1 + 1e-12) + 1e-18:
            break
        held, centre, reach = _smallest_of([*dict.fromkeys((*held, farthest))], vectors)
    longitude = math.degrees(math.atan2(centre[1], centre[0])) % 360.0
    latitude = math.degrees(math.atan2(centre[2], math.hypot(centre[0], centre[1])))
    return longitude, latitude, float(separation(longitude, latitude, ra, dec).max())


def _smallest_of(rows: Sequence[int], vectors: Array) -> tuple[list[int], Array, float]:
    """Return the smallest circle around a few positions, as one through two or three of them: rows, centre, reach."""
    best: tuple[list[int], Array, float] = ([], vectors[rows[0]], math.inf)
    for size in (2, 3):
        for chosen in combinations(rows, size):
            points = vectors[list(chosen)]
            middle = points.sum(axis=0)
            normal = middle if size == 2 else np.cross(points[1] - points[0], points[2] - points[0])
            length = float(np.linalg.norm(normal))
            if length == 0:
                continue
            centre = math.copysign(1 / length, float(normal @ middle)) * normal
            reach = float(_cosine_distance(points, centre).max())
            if reach < best[2] and _cosine_distance(vectors[rows], centre).max() <= reach * (1 + 1e-9) + 1e-18:
                best = list(chosen), centre, reach
    return best


def _cosine_distance(vectors: Array, centre: Array) -> Array:
    """Return half the squared chords, (n,), from unit vectors to one; exact for small angles, unlike a cosine."""
    distances: Array = ((vectors - centre) ** 2).sum(axis=1) / 2
    return distances
