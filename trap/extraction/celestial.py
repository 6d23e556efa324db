"""From pixels to the sky: positions, ellipses and their errors, through the image's full projection.

An ellipse is carried as the three coefficients (a, b, c) of the exponent of a Gaussian,
exp(-½ (a u² + 2 b u v + c v²)) at the offset (u, v) from its centre. In that form it goes through
any linear map, so rotated, sheared and non-square pixels need no case of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.angles import offsets, wrap_ra

if TYPE_CHECKING:
    from astropy.wcs import WCS
    from numpy.typing import ArrayLike

    from trap.images.beam import Beam
    from trap.typing import Array


__all__ = ["HWHM_PER_SIGMA", "beam_form", "celestial_columns", "ellipse_axes", "pixel_forms", "sky_ellipses"]

HWHM_PER_SIGMA = float(np.sqrt(2 * np.log(2)))
"""Half width at half maximum of a Gaussian over its standard deviation."""


def beam_form(beam: Beam, wcs: WCS) -> Array:
    """(3,) pix⁻² — coefficients of the restoring beam's exponent in pixels.

    Taken at the reference position of the projection, as the beam is one shape in the projected
    image: the one that it was restored with.
    """
    # With increments of one degree the axes are east and north themselves.
    on_sky = np.array([beam.quadratic_form(1.0, 1.0)])
    form: Array = _transformed(on_sky, wcs.pixel_scale_matrix[np.newaxis])[0]
    return form


def ellipse_axes(form: ArrayLike) -> tuple[Array, Array, Array]:
    """Semi-axes at half maximum and the direction of the major one.

    Parameters
    ----------
    form
        (..., 3) — coefficients (a, b, c); must be positive definite.

    Returns
    -------
    semimajor, semiminor
        (...) — in the unit whose inverse square the coefficients have.
    angle
        (...) rad — from the first axis towards the second, in (-π/2, π/2].
    """
    a, b, c = np.moveaxis(np.asarray(form, float), -1, 0)
    middle, half_range = (a + c) / 2, np.hypot((a - c) / 2, b)
    largest = middle + half_range
    # The product of the eigenvalues is the determinant: no cancellation in elongated shapes.
    smallest = (a * c - b**2) / largest
    return HWHM_PER_SIGMA / np.sqrt(smallest), HWHM_PER_SIGMA / np.sqrt(largest), np.arctan2(-2 * b, c - a) / 2


def celestial_columns(wcs: WCS, x: Array, y: Array, *, form: Array, position_cov: Array) -> dict[str, Array]:
    """Describe Gaussians in pixels on the sky.

    Parameters
    ----------
    wcs
        Projection; array indices are its pixels with origin 0.
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
    to_sky = _jacobians(wcs, x, y)
    semimajor, semiminor, angle = ellipse_axes(_transformed(form, np.asarray(np.linalg.inv(to_sky), float)))
    xx, xy, yy = position_cov.T
    east, north = (
        np.sqrt(step[:, 0] ** 2 * xx + 2 * step[:, 0] * step[:, 1] * xy + step[:, 1] ** 2 * yy)
        for step in (to_sky[:, 0], to_sky[:, 1])
    )
    return {
        "ra": wrap_ra(ra),
        "dec": dec,
        "ew_fit_err": east,
        "ns_fit_err": north,
        "semimajor": semimajor * 3600,
        "semiminor": semiminor * 3600,
        # The angle runs from east to north, the position angle from north to east.
        "pa": _wrapped(90 - np.degrees(angle)),
    }


def pixel_forms(wcs: WCS, x: Array, y: Array, *, semimajor: Array, semiminor: Array, pa: Array) -> Array:
    """(n, 3) pix⁻² — coefficients of Gaussians described on the sky, undoing :func:`celestial_columns`.

    Parameters
    ----------
    x, y
        (n,) pix — centres.
    semimajor, semiminor
        (n,) arcsec — semi-axes at half maximum.
    pa
        (n,) deg — position angle of the major axis, north through east.
    """
    along, across = (HWHM_PER_SIGMA * 3600 / semimajor) ** 2, (HWHM_PER_SIGMA * 3600 / semiminor) ** 2
    sin, cos = np.sin(np.radians(pa)), np.cos(np.radians(pa))
    on_sky: Array = np.stack(
        [along * sin**2 + across * cos**2, (along - across) * sin * cos, along * cos**2 + across * sin**2], -1
    )
    return _transformed(on_sky, _jacobians(wcs, x, y))


def sky_ellipses(wcs: WCS, x: Array, y: Array, form: Array) -> tuple[Array, Array, Array]:
    """Axes on the sky of Gaussians in pixels.

    Parameters
    ----------
    x, y
        (n,) pix — centres.
    form
        (n, 3) pix⁻² — coefficients of the exponents; (3,) for one shape everywhere.

    Returns
    -------
    semimajor, semiminor
        (n,) arcsec — at half maximum.
    pa
        (n,) deg — position angle of the major axis in [0, 180), north through east.
    """
    to_pixels = np.asarray(np.linalg.inv(_jacobians(wcs, x, y)), float)
    semimajor, semiminor, angle = ellipse_axes(_transformed(np.broadcast_to(form, (len(x), 3)), to_pixels))
    # The angle runs from east to north, the position angle from north to east.
    return semimajor * 3600, semiminor * 3600, _wrapped(90 - np.degrees(angle))


def _jacobians(wcs: WCS, x: Array, y: Array) -> Array:
    """(n, 2, 2) deg/pix — true angles to the east and to the north per step along x and y."""
    steps = []
    for step_x, step_y in ((0.5, 0.0), (0.0, 0.5)):
        ahead = wcs.all_pix2world(x + step_x, y + step_y, 0)
        behind = wcs.all_pix2world(x - step_x, y - step_y, 0)
        steps.append(np.stack(offsets(*ahead, *behind), axis=-1))
    return np.stack(steps, axis=-1)


def _wrapped(angle: Array) -> Array:
    """Position angles in [0, 180)."""
    wrapped = np.mod(angle, 180.0)
    # A tiny negative angle rounds up to exactly 180.
    return np.where(wrapped >= 180.0, 0.0, wrapped)


def _transformed(form: Array, matrices: Array) -> Array:
    """(n, 3) — coefficients in the coordinates that the (n, 2, 2) matrices turn into the present ones."""
    a, b, c = form.T
    matrix = np.stack([np.stack([a, b], -1), np.stack([b, c], -1)], -2)
    turned = np.swapaxes(matrices, -1, -2) @ matrix @ matrices
    return np.stack([turned[:, 0, 0], turned[:, 0, 1], turned[:, 1, 1]], -1)
