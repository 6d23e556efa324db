"""From pixels to the sky: positions, ellipses and their errors, through the full projection of the image.

An ellipse is represented by the three coefficients (a, b, c) of the exponent of a Gaussian,
exp(-½ (a u² + 2 b u v + c v²)) at the offset (u, v) from its centre. Such a form can be transformed
by any linear map, so rotated, sheared and non-square pixels need no special cases.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from trap.angles import wrap_ra
from trap.images.headers.scale import header_jacobians, is_restored_in_plane, jacobians, scale_matrix

if TYPE_CHECKING:
    from collections.abc import Callable

    from astropy.wcs import WCS
    from numpy.typing import ArrayLike

    from trap.images.beam import Beam
    from trap.typing import Array


__all__ = [
    "HWHM_PER_SIGMA",
    "LocalBeams",
    "beam_form",
    "celestial_columns",
    "ellipse_axes",
    "largest_eigenvalue",
    "local_beams",
    "other_beams",
    "pixel_forms",
    "sky_ellipses",
    "wrap_position_angle",
]

HWHM_PER_SIGMA = float(np.sqrt(2 * np.log(2)))
"""Half width at half maximum of a Gaussian over its standard deviation."""
SAME_BEAM = 1e-3
"""Relative difference of the coefficients, up to which the beams of an image are one."""
NATIVE_POLE = 90.0
"""deg — native latitude of the reference of zenithal projections."""
_PLACES_PER_AXIS = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LocalBeams:
    """The restoring beam of an image that is the same on the sky, and not in pixels.

    Parameters
    ----------
    beam
        Restoring beam on the sky.
    wcs
        Projection of the image, for these beams alone: not all versions of astropy's are thread-safe.
    form
        (3,) pix⁻² — coefficients of the beam in the middle of the image.
    """

    beam: Beam
    wcs: WCS
    form: Array
    lock: Lock = field(default_factory=Lock)

    def at(self, x: ArrayLike, y: ArrayLike) -> Array:
        """Express the beam in pixels at some places.

        Parameters
        ----------
        x, y
            (n,) pix — places; off the sky, the beam in the middle of the image is used.

        Returns
        -------
        (n, 3) pix⁻²
            Coefficients (a, b, c) of the exponents.
        """
        with self.lock:
            matrices = header_jacobians(self.wcs, np.asarray(x, float), np.asarray(y, float))
        with np.errstate(invalid="ignore"):
            forms = _transformed(np.array([self.beam.quadratic_form(1.0, 1.0)]), matrices)
        local: Array = np.where(np.isfinite(forms).all(axis=1, keepdims=True), forms, self.form)
        return local


def local_beams(beam: Beam, wcs: WCS, shape: tuple[int, int]) -> LocalBeams | None:
    """Return the beams at all places of an image; None if they have one shape in pixels.

    Parameters
    ----------
    beam
        Restoring beam on the sky.
    wcs
        Projection of the image.
    shape
        (ny, nx) of the image.
    """
    return None if is_restored_in_plane(wcs) else _beams_on_sky(beam, wcs, shape)


def other_beams(beam: Beam, wcs: WCS, shape: tuple[int, int]) -> Callable[[ArrayLike, ArrayLike], Array] | None:
    """Return the beams of an image that was not restored as its projection suggests.

    A mosaic may have the projection of synthesis images, and its beams one shape on the sky. And an image may be
    restored in the plane of another zenithal projection, and its beams have one shape in pixels.

    Parameters
    ----------
    beam, wcs, shape
        As for :func:`local_beams`.

    Returns
    -------
    Callable or None
        Function of places, as :meth:`LocalBeams.at`. None for other projections, and if the beams are the same.
    """
    if is_restored_in_plane(wcs):
        beams = _beams_on_sky(beam, wcs, shape)
        return None if beams is None else beams.at
    if wcs.wcs.cel.prj.theta0 != NATIVE_POLE:
        return None
    form = _transformed(np.array([beam.quadratic_form(1.0, 1.0)]), np.array([wcs.pixel_scale_matrix]))
    is_same = np.abs(form[0] - beam_form(beam, wcs, shape)).max() <= SAME_BEAM * largest_eigenvalue(form[0])
    if is_same and local_beams(beam, wcs, shape) is None:
        return None
    return lambda x, _: np.tile(form, (np.size(x), 1))


def _beams_on_sky(beam: Beam, wcs: WCS, shape: tuple[int, int]) -> LocalBeams | None:
    """Return the beams of one shape on the sky; None if they have one shape in pixels too."""
    beams = LocalBeams(beam=beam, wcs=wcs.deepcopy(), form=beam_form(beam, wcs, shape))
    places = np.meshgrid(*[np.linspace(0, n - 1, _PLACES_PER_AXIS) for n in reversed(shape)])
    difference = np.abs(beams.at(*(place.ravel() for place in places)) - beams.form)
    return beams if difference.max() > SAME_BEAM * largest_eigenvalue(beams.form) else None


def beam_form(beam: Beam, wcs: WCS, shape: tuple[int, int]) -> Array:
    """Express the restoring beam in pixels.

    An image that was restored in its plane has one beam in all pixels, which is computed at the reference position of
    the projection. In other images the beam in the middle is returned; see :func:`local_beams`.

    Parameters
    ----------
    beam
        Restoring beam on the sky.
    wcs
        Projection of the image.
    shape
        (ny, nx) of the image.

    Returns
    -------
    (3,) pix⁻²
        Coefficients (a, b, c) of the exponent.
    """
    # With increments of one degree the axes are east and north themselves.
    on_sky = np.array([beam.quadratic_form(1.0, 1.0)])
    ny, nx = shape
    form: Array = _transformed(on_sky, scale_matrix(wcs, nx, ny)[np.newaxis])[0]
    return form


def largest_eigenvalue(form: ArrayLike) -> Array:
    """Compute the largest eigenvalue of forms, which is 1/σ² along the minor axis.

    Parameters
    ----------
    form
        (..., 3) — coefficients (a, b, c).
    """
    a, b, c = np.moveaxis(np.asarray(form, float), -1, 0)
    eigenvalue: Array = (a + c) / 2 + np.hypot((a - c) / 2, b)
    return eigenvalue


def ellipse_axes(form: ArrayLike) -> tuple[Array, Array, Array]:
    """Compute the semi-axes at half maximum, and the direction of the major axis.

    Parameters
    ----------
    form
        (..., 3) — coefficients (a, b, c); must be positive definite.

    Returns
    -------
    semimajor, semiminor
        (...) — in the unit whose inverse square is the unit of the coefficients.
    angle
        (...) rad — from the first axis towards the second, in (-π/2, π/2].
    """
    a, b, c = np.moveaxis(np.asarray(form, float), -1, 0)
    largest = largest_eigenvalue(form)
    # The product of the eigenvalues is the determinant. Their difference would cancel in elongated shapes.
    smallest = (a * c - b**2) / largest
    return HWHM_PER_SIGMA / np.sqrt(smallest), HWHM_PER_SIGMA / np.sqrt(largest), np.arctan2(-2 * b, c - a) / 2


def celestial_columns(wcs: WCS, x: Array, y: Array, *, form: Array, position_cov: Array) -> dict[str, Array]:
    """Describe Gaussians in pixels on the sky.

    Parameters
    ----------
    wcs
        Projection of the image; array indices are its pixels with origin 0.
    x, y
        (n,) pix — centres.
    form
        (n, 3) pix⁻² — coefficients of the exponents.
    position_cov
        (n, 3) pix² — variance of x, covariance of x and y, variance of y.

    Returns
    -------
    dict
        The columns ra, dec, ew_fit_err, ns_fit_err (deg), semimajor, semiminor (arcsec) and pa
        (deg) of :class:`trap.catalogues.Measurements`.
    """
    ra, dec = wcs.all_pix2world(x, y, 0)
    to_sky = jacobians(wcs, x, y)
    semimajor, semiminor, pa = _sky_axes(form, to_sky)
    xx, xy, yy = position_cov.T

    def error_along(gradient: Array) -> Array:
        """Propagate the position errors to a direction with the given gradient, (n, 2) deg/pix."""
        along_x, along_y = gradient[:, 0], gradient[:, 1]
        error: Array = np.sqrt(along_x**2 * xx + 2 * along_x * along_y * xy + along_y**2 * yy)
        return error

    return {
        "ra": wrap_ra(ra),
        "dec": dec,
        "ew_fit_err": error_along(to_sky[:, 0]),
        "ns_fit_err": error_along(to_sky[:, 1]),
        "semimajor": semimajor,
        "semiminor": semiminor,
        "pa": pa,
    }


def pixel_forms(wcs: WCS, x: Array, y: Array, *, semimajor: Array, semiminor: Array, pa: Array) -> Array:
    """Express Gaussians on the sky in pixels: the inverse of :func:`sky_ellipses`.

    Parameters
    ----------
    wcs
        Projection of the image.
    x, y
        (n,) pix — centres.
    semimajor, semiminor
        (n,) arcsec — semi-axes at half maximum.
    pa
        (n,) deg — position angle of the major axis, north through east.

    Returns
    -------
    (n, 3) pix⁻²
        Coefficients of the exponents.
    """
    along, across = (HWHM_PER_SIGMA * 3600 / semimajor) ** 2, (HWHM_PER_SIGMA * 3600 / semiminor) ** 2
    sin, cos = np.sin(np.radians(pa)), np.cos(np.radians(pa))
    on_sky: Array = np.stack(
        [along * sin**2 + across * cos**2, (along - across) * sin * cos, along * cos**2 + across * sin**2], -1
    )
    return _transformed(on_sky, jacobians(wcs, x, y))


def sky_ellipses(wcs: WCS, x: Array, y: Array, form: Array) -> tuple[Array, Array, Array]:
    """Compute the axes on the sky of Gaussians in pixels.

    Parameters
    ----------
    wcs, x, y
        Projection of the image, and centres: (n,) pix each.
    form
        (n, 3) pix⁻² — coefficients of the exponents; (3,) for one shape at all positions.

    Returns
    -------
    semimajor, semiminor
        (n,) arcsec — at half maximum.
    pa
        (n,) deg — position angle of the major axis in [0, 180), north through east.
    """
    return _sky_axes(np.broadcast_to(form, (len(x), 3)), jacobians(wcs, x, y))


def wrap_position_angle(angle: Array) -> Array:
    """Wrap position angles in deg to [0, 180)."""
    wrapped = np.mod(angle, 180.0)
    # A tiny negative angle rounds up to exactly 180.
    return np.where(wrapped >= 180.0, 0.0, wrapped)


def _sky_axes(form: Array, to_sky: Array) -> tuple[Array, Array, Array]:
    """Compute semi-axes in arcsec and position angles in deg from forms in pixels and the local Jacobians."""
    semimajor, semiminor, angle = ellipse_axes(_transformed(form, _inverse(to_sky)))
    # The angle runs from east to north, the position angle from north to east.
    return semimajor * 3600, semiminor * 3600, wrap_position_angle(90 - np.degrees(angle))


def _inverse(matrices: Array) -> Array:
    """Invert matrices (n, 2, 2). Where a projection is degenerate, as at a pole that is a line, the inverse is NaN."""
    (a, b), (c, d) = np.moveaxis(matrices, 0, -1)
    determinant = a * d - b * c
    adjugate = np.moveaxis(np.array([[d, -b], [-c, a]]), -1, 0)
    return np.asarray(adjugate / np.where(determinant, determinant, np.nan)[:, None, None], float)


def _transformed(form: Array, matrices: Array) -> Array:
    """Transform forms (n, 3) to new coordinates; the (n, 2, 2) matrices map the new coordinates to the present ones."""
    a, b, c = form.T
    matrix = np.stack([np.stack([a, b], -1), np.stack([b, c], -1)], -2)
    turned = np.swapaxes(matrices, -1, -2) @ matrix @ matrices
    return np.stack([turned[:, 0, 0], turned[:, 0, 1], turned[:, 1, 1]], -1)
