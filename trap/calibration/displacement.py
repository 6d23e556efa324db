"""The displacement of the sources of an image, as a function of position, and its inverse.

A displacement is a smooth vector field on the sky: a shift, a linear part, and Gaussian radial basis functions.
Directions are those of the centre of the image, carried along great circles to each position. East and north would turn
around a pole within the field.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from trap import angles

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from trap.typing import Array

__all__ = ["NO_DISPLACEMENT", "Displacement", "PositionModel", "frame_coordinates", "frame_turn", "radial_basis"]

PositionModel = Literal["none", "shift", "affine", "field"]

N_ITERATIONS = 8
"""Steps of the inverse. A displacement changes by a small part of itself over its own length, so that a few suffice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Displacement:
    """Displacement of sources in an image from the positions of the reference.

    Parameters
    ----------
    ra, dec
        deg — centre of the image, where the two directions are east and north.
    scale
        deg — distance from the centre that has coordinate 1.
    shift
        deg — displacement at the centre, to the east and to the north.
    linear
        deg — change of both components with the coordinate to the east, then with the coordinate to the north:
        ``(east by u, north by u, east by v, north by v)``.
    knots
        Coordinates (u, v) of the knots of the radial basis functions.
    width
        Standard deviation of a radial basis function, in units of ``scale``.
    weights
        deg — amplitudes of each radial basis function, to the east and to the north.
    """

    ra: float
    dec: float
    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)
    linear: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    knots: tuple[tuple[float, float], ...] = ()
    width: float = 1.0
    weights: tuple[tuple[float, float], ...] = ()

    @property
    def is_zero(self) -> bool:
        """Whether no position is displaced."""
        return self.shift == (0.0, 0.0) and not any(self.linear) and not any(map(any, self.weights))

    def at(self, ra: ArrayLike, dec: ArrayLike) -> tuple[Array, Array]:
        """Compute the displacement of sources at positions in the image.

        Parameters
        ----------
        ra, dec
            (n,) deg — positions as the image shows them.

        Returns
        -------
        east, north
            (n,) deg — components along east and north at the positions themselves.
        """
        u, v = frame_coordinates(ra, dec, self.ra, self.dec)
        u, v = u / self.scale, v / self.scale
        first = self.shift[0] + self.linear[0] * u + self.linear[2] * v
        second = self.shift[1] + self.linear[1] * u + self.linear[3] * v
        if self.knots:
            basis = radial_basis(u, v, np.array(self.knots), self.width)
            # A sum of products instead of a matrix product: its result for a source depends on that source alone.
            weights = np.array(self.weights)
            first = first + (basis * weights[:, 0]).sum(axis=1)
            second = second + (basis * weights[:, 1]).sum(axis=1)
        cosine, sine = frame_turn(ra, dec, self.ra, self.dec)
        return cosine * first + sine * second, cosine * second - sine * first

    def correct(self, ra: ArrayLike, dec: ArrayLike) -> tuple[Array, Array]:
        """Convert positions in the image to positions on the sky of the reference.

        Parameters
        ----------
        ra, dec
            (n,) deg

        Returns
        -------
        ra, dec
            (n,) deg
        """
        east, north = self.at(ra, dec)
        return angles.move(ra, dec, -east, -north)

    def to_image(self, ra: ArrayLike, dec: ArrayLike) -> tuple[Array, Array]:
        """Convert positions of the reference to the positions in the image; the inverse of :meth:`correct`.

        Parameters
        ----------
        ra, dec
            (n,) deg

        Returns
        -------
        ra, dec
            (n,) deg
        """
        ra, dec = np.asarray(ra, float), np.asarray(dec, float)
        if self.is_zero:
            return ra, dec
        shown_ra, shown_dec = ra, dec
        for _ in range(N_ITERATIONS):
            back_ra, back_dec = self.correct(shown_ra, shown_dec)
            east, north = angles.displacement(ra, dec, back_ra, back_dec)
            shown_ra, shown_dec = angles.move(shown_ra, shown_dec, east, north)
        return shown_ra, shown_dec

    def as_json(self) -> str:
        """Return the parameters as JSON, exact to the last bit."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Displacement:
        """Return the displacement that :meth:`as_json` wrote.

        Parameters
        ----------
        text
            The JSON.
        """
        values = json.loads(text)
        east_u, north_u, east_v, north_v = values["linear"]
        return cls(
            **{name: values[name] for name in ("ra", "dec", "scale", "width")},
            shift=(values["shift"][0], values["shift"][1]),
            linear=(east_u, north_u, east_v, north_v),
            knots=tuple((u, v) for u, v in values["knots"]),
            weights=tuple((east, north) for east, north in values["weights"]),
        )


NO_DISPLACEMENT = Displacement(ra=0.0, dec=0.0)
"""The displacement of an image whose sources are where they should be."""


def frame_coordinates(ra: ArrayLike, dec: ArrayLike, centre_ra: float, centre_dec: float) -> tuple[Array, Array]:
    """Compute coordinates around a centre: the distance from it, along east and north at the centre.

    Parameters
    ----------
    ra, dec
        (n,) deg
    centre_ra, centre_dec
        deg

    Returns
    -------
    u, v
        (n,) deg — zenithal equidistant projection (Calabretta & Greisen 2002, sect. 5.1.7).
    """
    return angles.displacement(ra, dec, centre_ra, centre_dec)


def frame_turn(ra: ArrayLike, dec: ArrayLike, centre_ra: float, centre_dec: float) -> tuple[Array, Array]:
    """Compute the turn from the directions of a centre, carried along great circles, to east and north at positions.

    Components (a, b) in the carried directions are (c a + s b, c b − s a) along east and north.

    Parameters
    ----------
    ra, dec, centre_ra, centre_dec
        As for :func:`frame_coordinates`.

    Returns
    -------
    cosine, sine
        (n,) — c and s.
    """
    out_e, out_n = angles.displacement(ra, dec, centre_ra, centre_dec)
    back_e, back_n = angles.displacement(centre_ra, centre_dec, ra, dec)
    length = np.hypot(out_e, out_n) * np.hypot(back_e, back_n)
    # The direction away from the centre has the components (out_e, out_n) there, and minus (back_e, back_n) here.
    at_centre = length == 0
    safe = np.where(at_centre, 1.0, length)
    cosine = np.where(at_centre, 1.0, -(out_e * back_e + out_n * back_n) / safe)
    sine = np.where(at_centre, 0.0, -(out_n * back_e - out_e * back_n) / safe)
    return cosine, sine


def radial_basis(u: Array, v: Array, knots: Array, width: float) -> Array:
    """Evaluate Gaussian radial basis functions.

    Parameters
    ----------
    u, v
        (n,) — coordinates.
    knots
        (n_knots, 2) — coordinates of the knots.
    width
        Standard deviation.

    Returns
    -------
    (n, n_knots)
    """
    square = (u[:, np.newaxis] - knots[:, 0]) ** 2 + (v[:, np.newaxis] - knots[:, 1]) ** 2
    basis: Array = np.exp(-square / (2 * width**2))
    return basis
