"""Celestial systems of images, and the rotation of a projection from such a system to ICRS.

The rotation acts on the pole of the projection, so that no pixel is resampled. A rotated projection is compared with
the transformation of astropy at some of its pixels before it is used.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from astropy.coordinates import (
    FK4,
    ICRS,
    BarycentricMeanEcliptic,
    Galactic,
    SkyCoord,
    Supergalactic,
    frame_transform_graph,
)
from astropy.time import Time
from astropy.wcs import WcsError
from astropy.wcs.utils import wcs_to_celestial_frame

from trap.angles import separation, unit_vectors
from trap.errors import ImageError

if TYPE_CHECKING:
    from astropy.coordinates import BaseCoordinateFrame
    from astropy.wcs import WCS

    from trap.typing import Array

__all__ = ["frames_table", "turn_to_icrs"]

_EQUINOXES = (1800.0, 2200.0)
"""Limits of the equinoxes that celestial systems have."""
_SYSTEMS = {
    ("RA--", "DEC-"): ("equatorial", "`RADESYS` ICRS, FK5, FK4 or FK4-NO-E; with any `EQUINOX` except ICRS"),
    ("GLON", "GLAT"): ("galactic (1958)", "`RADESYS` and `EQUINOX` have no meaning"),
    ("SLON", "SLAT"): ("supergalactic", "`RADESYS` and `EQUINOX` have no meaning"),
    ("ELON", "ELAT"): ("mean ecliptic", "`RADESYS` ICRS or FK5; with any `EQUINOX`"),
}
"""Beginnings of CTYPE of both axes: name of the system, and the keywords that define it."""
_ECLIPTIC = ("", "ICRS", "FK5")
"""RADESYS of the ecliptic systems that are converted."""
MAX_PIXELS = 1e-3
"""Distance between a rotated projection and the transformation of its pixels, above which it is not used."""
_E_TERMS_DEG = 0.7 / 3600
"""The aberration within FK4 positions, which is no rotation, changes by up to this over the sky."""
MAX_FRAMES = 64
"""Number of rotations that a process keeps."""
_MIN_EXTENT = 10.0
"""pixel — half extent of the pixels that are compared, if the image is smaller."""


def frames_table() -> str:
    """Make the table of the celestial systems, for the documentation."""
    lines = ["| axes | system | keywords |", "|---|---|---|"]
    lines += [f"| `{x}`, `{y}` | {name} | {keywords} |" for (x, y), (name, keywords) in _SYSTEMS.items()]
    return "\n".join(lines) + "\n"


def turn_to_icrs(wcs: WCS) -> WCS:
    """Return the same projection in ICRS.

    The result has the attribute ``header_pole``: right ascension and declination of the north pole of the system of
    the header, in deg.

    Parameters
    ----------
    wcs
        Celestial projection of the first two axes of an image, in any system.

    Raises
    ------
    ImageError
        If the system is unknown, or no rotation of the projection agrees with the transformation.
    """
    if wcs.wcs.radesys != wcs.wcs.radesys.upper():
        wcs.wcs.radesys = wcs.wcs.radesys.upper()
    frame = _frame(wcs)
    if isinstance(frame, ICRS):
        return wcs
    pixels = _sample(wcs)
    transformed = SkyCoord(*wcs.all_pix2world(*pixels, 0), unit="deg", frame=frame).icrs
    expected = transformed.ra.deg, transformed.dec.deg
    if not np.isfinite(expected[0]).any():
        msg = f"neither the image nor its reference is on the sky in the projection {wcs.wcs.ctype[0]!r}"
        raise ImageError(msg)
    has_e_terms = isinstance(frame, FK4)
    equinox = frame.equinox.jyear if hasattr(frame, "equinox") else np.nan
    rotation = _rotation(wcs, pixels, expected) if has_e_terms else _rotation_of_axes(frame.name, equinox)
    scale = np.sqrt(abs(np.linalg.det(wcs.pixel_scale_matrix)))
    tolerance = MAX_PIXELS * scale + (_E_TERMS_DEG if has_e_terms else 0.0)
    for turn in (_turned, _turned_about_native_pole):
        turned = turn(wcs, rotation)
        if turned is not None and _largest_distance(turned, pixels, expected) <= tolerance:
            turned = _with_e_terms(turned, pixels, expected) if has_e_terms else turned
            turned.header_pole = _angles(rotation @ [0.0, 0.0, 1.0])
            return turned
    msg = f"the projection {wcs.wcs.ctype[0]!r} cannot be rotated to ICRS within {MAX_PIXELS:g} pixel"
    raise ImageError(msg)


def _frame(wcs: WCS) -> BaseCoordinateFrame:
    """Return the celestial frame of a projection."""
    axes = tuple(ctype[:4] for ctype in wcs.wcs.ctype)
    system, equinox = wcs.wcs.radesys, float(wcs.wcs.equinox)
    if axes not in _SYSTEMS:
        known = ", ".join("/".join(names) for names in _SYSTEMS)
        msg = f"unknown celestial axes: {'/'.join(axes)}, must be one of {known}"
        raise ImageError(msg)
    if axes == ("GLON", "GLAT"):
        return Galactic()
    if axes == ("SLON", "SLAT"):
        return Supergalactic()
    if not (np.isnan(equinox) or _EQUINOXES[0] <= equinox <= _EQUINOXES[1]):
        msg = f"EQUINOX = {equinox:g}: must be {_EQUINOXES[0]:g} to {_EQUINOXES[1]:g}"
        raise ImageError(msg)
    try:
        if axes == ("RA--", "DEC-"):
            return wcs_to_celestial_frame(wcs)
        # WCSLIB fills in the system that a missing RADESYS means.
        if system in _ECLIPTIC:
            return BarycentricMeanEcliptic(equinox=Time(2000.0 if np.isnan(equinox) else equinox, format="jyear"))
    except ValueError as error:
        msg = f"unknown celestial system: RADESYS {system!r}, EQUINOX {equinox}"
        raise ImageError(msg) from error
    msg = f"unknown ecliptic system: RADESYS {system!r}, EQUINOX {equinox}; must be ICRS or FK5"
    raise ImageError(msg)


def _sample(wcs: WCS) -> tuple[Array, Array]:
    """Return (n,) pixels all over an image, and around its reference pixel, with origin 0."""
    reference = np.asarray(wcs.wcs.crpix, float) - 1
    # A cube has further axes.
    shape = np.array((wcs.pixel_shape or (0, 0))[:2], float)
    middle = (shape - 1) / 2 if shape.all() else reference
    extent = np.maximum((shape - 1) / 2, _MIN_EXTENT)
    steps = np.array(np.meshgrid(*[np.linspace(-1, 1, 5)] * 2)).reshape(2, -1)
    places = [middle[:, np.newaxis] + extent[:, np.newaxis] * steps, reference[:, np.newaxis] + _MIN_EXTENT * steps]
    x, y = np.concatenate(places, axis=1)
    return x, y


@lru_cache(MAX_FRAMES)
def _rotation_of_axes(name: str, equinox: float) -> Array:
    """Return the matrix (3, 3) that rotates unit vectors from a frame, by its name in astropy, to ICRS.

    It is kept: the images of a survey share a frame, and a transformation takes milliseconds.
    """
    kind = frame_transform_graph.lookup_name(name)
    frame = kind() if np.isnan(equinox) else kind(equinox=Time(equinox, format="jyear"))
    axes = SkyCoord([0.0, 90.0, 0.0], [0.0, 0.0, 90.0], unit="deg", frame=frame).icrs
    return _orthogonal(unit_vectors(axes.ra.deg, axes.dec.deg).T)


def _rotation(wcs: WCS, pixels: tuple[Array, Array], expected: tuple[Array, Array]) -> Array:
    """Return the matrix (3, 3) of the rotation that is best at some pixels: Kabsch (1976)."""
    stated, icrs = unit_vectors(*wcs.all_pix2world(*pixels, 0)), unit_vectors(*expected)
    is_known = np.isfinite(stated[:, 0] + icrs[:, 0])
    # The first half covers the image, and the other half only its reference, which may be far from it.
    half = len(stated) // 2
    if is_known[:half].any():
        is_known[half:] = False
    return _orthogonal(icrs[is_known].T @ stated[is_known])


def _with_e_terms(turned: WCS, pixels: tuple[Array, Array], expected: tuple[Array, Array]) -> WCS:
    """Return a rotated projection with the linear part of the aberration, by which FK4 deviates from a rotation.

    Over a degree the aberration shifts positions by 0.004″, and over ten by 0.04″; a tenth of this remains at most.
    """
    x, y = pixels
    places = turned.all_world2pix(*expected, 0, quiet=True)
    is_known = np.isfinite(places[0] + places[1])
    is_known[len(x) // 2 :] = False
    if is_known.sum() < x.size // 2 or turned.sip is not None:
        return turned
    terms = np.column_stack([x, y, np.ones(x.size)])[is_known]
    solution, *_ = np.linalg.lstsq(terms, np.column_stack(places)[is_known])
    matrix, shift = solution[:2].T, solution[2]
    sheared = turned.deepcopy()
    increments = turned.wcs.get_cdelt()[:, np.newaxis] * turned.wcs.get_pc()
    sheared.wcs.cd = increments @ matrix
    sheared.wcs.crpix = np.linalg.solve(matrix, turned.wcs.crpix - 1 - shift) + 1
    sheared.wcs.set()
    # Over most of the sky, where pixels wrap around, the linear part is no better.
    image = (x[is_known], y[is_known]), (expected[0][is_known], expected[1][is_known])
    return min(turned, sheared, key=lambda wcs: _largest_distance(wcs, *image))


def _largest_distance(wcs: WCS, pixels: tuple[Array, Array], expected: tuple[Array, Array]) -> float:
    """Return the largest distance in deg between positions of a projection and expected positions.

    A few places at the border of a projection may be off its sky by rounding; if most are, the distance is infinite.
    """
    ra, dec = wcs.all_pix2world(*pixels, 0)
    distance = separation(ra, dec, *expected)
    is_known = np.isfinite(distance)
    if 2 * is_known.sum() < np.isfinite(expected[0]).sum():
        return np.inf
    return float(distance.max(initial=0.0, where=is_known))


def _orthogonal(matrix: Array) -> Array:
    """Return the rotation that is closest to a matrix (3, 3)."""
    left, _, right = np.linalg.svd(matrix)
    rotation: Array = left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right
    return rotation


def _turned(wcs: WCS, rotation: Array) -> WCS | None:
    """Rotate a projection, which keeps its reference; None if WCSLIB finds no such projection."""
    pole, lonpole = _pole(wcs, rotation)
    return _changed(wcs, _angles(rotation @ unit_vectors(*wcs.wcs.crval)), lonpole, pole[1], {})


def _turned_about_native_pole(wcs: WCS, rotation: Array) -> WCS | None:
    """Rotate a projection, whose reference becomes its native pole.

    The pole of some projections, such as a plate carrée with its reference at the celestial pole, is poorly determined
    by another reference: Calabretta & Greisen (2002), section 2.4. Projected coordinates still begin at CRPIX.
    """
    pole, lonpole = _pole(wcs, rotation)
    return _changed(wcs, pole, lonpole, pole[1], {0: 0.0, 1: 0.0, 2: 90.0})


def _changed(
    wcs: WCS, reference: tuple[float, float], lonpole: float, latpole: float, fiducial: dict[int, float]
) -> WCS | None:
    """Return a projection with another reference, LONPOLE and LATPOLE, in ICRS; None if WCSLIB finds none."""
    turned = wcs.deepcopy()
    turned.wcs.ctype = [name + ctype[4:] for name, ctype in zip(("RA--", "DEC-"), wcs.wcs.ctype, strict=True)]
    turned.wcs.crval = reference
    turned.wcs.lonpole, turned.wcs.latpole = lonpole, latpole
    # Parameters 0 to 2 of the longitude define the reference; 3 and 4 have precedence over LONPOLE and LATPOLE.
    kept = [(axis, m, value) for axis, m, value in wcs.wcs.get_pv() if axis != 1 or m not in (3, 4, *fiducial)]
    turned.wcs.set_pv([*kept, *((1, m, value) for m, value in fiducial.items())])
    turned.wcs.radesys, turned.wcs.equinox = "ICRS", np.nan
    try:
        turned.wcs.set()
    except (WcsError, ValueError):
        return None
    return turned


def _pole(wcs: WCS, rotation: Array) -> tuple[tuple[float, float], float]:
    """Return the ICRS position of the native pole, and the native longitude of the ICRS pole, in deg."""
    alpha_pole, co_delta_pole, phi_pole = wcs.wcs.cel.euler[:3]
    delta_pole = 90.0 - co_delta_pole
    pole = _angles(rotation @ unit_vectors(alpha_pole, delta_pole))
    # A direction on the native equator fixes the longitudes. It also cancels the rounding of the pole's.
    away, direction = _celestial((alpha_pole, delta_pole), phi_pole)
    lonpole = direction - _native_longitude(_angles(rotation @ away), pole)
    return pole, float(np.mod(lonpole + 180, 360) - 180)


def _celestial(pole: tuple[float, float], phi_pole: float) -> tuple[Array, float]:
    """Return the unit vector of a direction on the native equator, and its native longitude in deg.

    Calabretta & Greisen (2002), eq. 2, for the direction 90° from the meridian of the celestial pole.
    """
    alpha, _ = pole
    # With φ - φ_p = 90° and θ = 0 the declination is 0, and the right ascension is α_p - 90°.
    return unit_vectors(alpha - 90.0, 0.0), phi_pole + 90.0


def _native_longitude(position: tuple[float, float], pole: tuple[float, float]) -> float:
    """Return the native longitude of a position from the meridian of the celestial pole: eq. 5, in deg."""
    delta, delta_pole = np.radians(position[1]), np.radians(pole[1])
    difference = np.radians(position[0] - pole[0])
    across = -np.cos(delta) * np.sin(difference)
    along = np.sin(delta) * np.cos(delta_pole) - np.cos(delta) * np.sin(delta_pole) * np.cos(difference)
    return float(np.degrees(np.arctan2(across, along)))


def _angles(vector: Array) -> tuple[float, float]:
    """Return right ascension and declination of a vector, in deg."""
    x, y, z = vector
    return float(np.degrees(np.arctan2(y, x)) % 360), float(np.degrees(np.arctan2(z, np.hypot(x, y))))
