"""The local scale of a projection: the size, the orientation and the solid angle of its pixels.

The increments of a header hold at the reference position of common projections only. Elsewhere, and everywhere in
projections such as HPX and TSC, a pixel has another size and shape on the sky.

An imager restores a synthesis image in the plane of the orthographic projection (SIN, NCP), where the beam is the same
at all places. An image in any other projection was resampled, or is a mosaic. Its beam is the same on the sky.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.angles import offsets, separation, unit_vectors

if TYPE_CHECKING:
    from astropy.wcs import WCS

    from trap.typing import Array

__all__ = [
    "farthest_pixel",
    "header_jacobians",
    "is_restored_in_plane",
    "jacobians",
    "pixel_areas",
    "pixel_increments",
    "scale_matrix",
]

NEGLIGIBLE = 1e-3
"""Relative difference of a local scale from the increments of the header, up to which these are used."""
DEGENERATE = 1e-2
"""Width of a pixel over the width in the header, below which the pixel is at a pole that is a line."""
_PLACES_PER_AXIS = 33
"""Number of places along each axis where the distance from the middle is computed."""
_ROWS = 256
"""Number of rows whose solid angles are computed at once, to bound the memory."""


def is_restored_in_plane(wcs: WCS) -> bool:
    """Return whether the beam of an image is the same at all places of its plane, and not of the sky."""
    return bool(wcs.wcs.cel.prj.code == "SIN")


def jacobians(wcs: WCS, x: Array, y: Array) -> Array:
    """Compute the true angles to the east and north per step along x and y.

    Parameters
    ----------
    wcs
        Projection of the image.
    x, y
        (n,) pix — places.

    Returns
    -------
    (n, [east, north], [x, y]) deg/pix
        NaN off the sky.
    """
    steps = []
    for step_x, step_y in ((0.5, 0.0), (0.0, 0.5)):
        ahead = wcs.all_pix2world(x + step_x, y + step_y, 0)
        behind = wcs.all_pix2world(x - step_x, y - step_y, 0)
        steps.append(np.stack(offsets(*ahead, *behind), axis=-1))
    return np.stack(steps, axis=-1)


def header_jacobians(wcs: WCS, x: Array, y: Array) -> Array:
    """Compute the same as :func:`jacobians`, with east and north of the celestial system of the header.

    The position angle of a beam refers to the north of the header. The projection has the pole of that system as an
    attribute, see :func:`trap.images.headers.frames.turn_to_icrs`.

    Parameters
    ----------
    wcs, x, y
        As for :func:`jacobians`.

    Returns
    -------
    (n, [east, north], [x, y]) deg/pix
        NaN off the sky, and at poles that are lines in the projection.
    """
    matrices = jacobians(wcs, x, y)
    # The determinant over the norm is the smaller width, within a factor √2.
    with np.errstate(invalid="ignore"):
        widths = np.abs(np.linalg.det(matrices)) / np.linalg.norm(matrices, axis=(1, 2))
    matrices[~(widths > DEGENERATE * np.sqrt(abs(np.linalg.det(wcs.pixel_scale_matrix))))] = np.nan
    pole = getattr(wcs, "header_pole", None)
    if pole is None:
        return matrices
    ra, dec = (np.radians(angle) for angle in wcs.all_pix2world(x, y, 0))
    pole_ra, pole_dec = np.radians(pole)
    east = np.cos(pole_dec) * np.sin(pole_ra - ra)
    north = np.sin(pole_dec) * np.cos(dec) - np.cos(pole_dec) * np.sin(dec) * np.cos(pole_ra - ra)
    with np.errstate(invalid="ignore"):
        length = np.hypot(east, north)
        sin, cos = east / length, north / length
        turned: Array = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2) @ matrices
    return turned


def scale_matrix(wcs: WCS, nx: int, ny: int) -> Array:
    """Return the scale at the place where the restoring beam and the pixel size of an image are stated.

    The place is the reference pixel if the image was restored in its plane, and its middle otherwise.

    Parameters
    ----------
    wcs
        Projection of the image.
    nx, ny
        Numbers of columns and rows.

    Returns
    -------
    ([east, north], [x, y]) deg/pix
        East and north of the celestial system of the header.
    """
    stated: Array = np.asarray(wcs.pixel_scale_matrix, float)
    if is_restored_in_plane(wcs):
        return stated
    (local,) = header_jacobians(wcs, np.array([(nx - 1) / 2]), np.array([(ny - 1) / 2]))
    # The increments of the header are kept where they are right: they have no rounding.
    if not np.isfinite(local).all() or np.linalg.norm(local - stated) <= NEGLIGIBLE * np.linalg.norm(stated):
        return stated
    return np.asarray(local, float)


def pixel_increments(wcs: WCS, nx: int, ny: int) -> tuple[float, float]:
    """Return the signed size of a pixel along x and y, at the place of :func:`scale_matrix`.

    The size does not depend on the rotation of the image. The sign is the sign of the diagonal of the scale
    matrix, and so of the increments of an image that is not rotated. At a rotation by exactly 90°, where
    the diagonal is zero, x is taken as west and y as north.

    Parameters
    ----------
    wcs, nx, ny
        As for :func:`scale_matrix`.

    Returns
    -------
    deltax, deltay
        deg/pixel
    """
    matrix = scale_matrix(wcs, nx, ny)
    scales, diagonal = np.sqrt((matrix**2).sum(axis=0)), np.diag(matrix)
    signs = np.where(np.abs(diagonal) < 1e-9 * scales, [-1.0, 1.0], np.sign(diagonal))
    deltax, deltay = scales * signs
    return float(deltax), float(deltay)


def farthest_pixel(wcs: WCS, nx: int, ny: int) -> float:
    """Compute the distance on the sky from the middle of an image to its farthest pixel.

    Parameters
    ----------
    wcs, nx, ny
        As for :func:`scale_matrix`.

    Returns
    -------
    deg
        At most 180. A place between two of the compared places may be farther; their distance is added if a part of
        the image is off the sky.
    """
    x, y = np.meshgrid(*[np.linspace(-0.5, n - 0.5, _PLACES_PER_AXIS) for n in (nx, ny)])
    ra, dec = wcs.all_pix2world(x, y, 0)
    middle = _PLACES_PER_AXIS // 2
    distance = separation(ra, dec, ra[middle, middle], dec[middle, middle])
    is_known = np.isfinite(distance)
    between = 0.0
    if not is_known.all():
        neighbours = separation(ra[:, 1:], dec[:, 1:], ra[:, :-1], dec[:, :-1]).ravel()
        between = float(neighbours.max(initial=0.0, where=np.isfinite(neighbours)))
    return min(float(distance.max(initial=0.0, where=is_known)) + between, 180.0)


def pixel_areas(wcs: WCS, rows: slice, columns: slice) -> Array:
    """Compute the solid angles of the pixels of a part of an image.

    Parameters
    ----------
    wcs
        Projection of the image.
    rows, columns
        Slices along y and x, with a start and a stop.

    Returns
    -------
    (n_rows, n_columns) deg²
        NaN for a pixel with a corner off the sky.
    """
    edges_x = np.arange(columns.start, columns.stop + 1) - 0.5
    areas = np.empty((rows.stop - rows.start, columns.stop - columns.start))
    for start in range(rows.start, rows.stop, _ROWS):
        stop = min(start + _ROWS, rows.stop)
        x, y = np.meshgrid(edges_x, np.arange(start, stop + 1) - 0.5)
        corners = unit_vectors(*wcs.all_pix2world(x, y, 0))
        # A quadrangle has half the area of the parallelogram of its diagonals.
        diagonals = np.cross(corners[1:, 1:] - corners[:-1, :-1], corners[1:, :-1] - corners[:-1, 1:])
        areas[start - rows.start : stop - rows.start] = np.linalg.norm(diagonals, axis=-1) / 2
    solid_angles: Array = np.degrees(np.degrees(areas))
    return solid_angles
