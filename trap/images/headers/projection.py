"""Celestial projection of an image, in ICRS.

All that astropy's WCS can read is kept: any projection, PC and CD matrices, distortions. Images in another
frame (B1950, FK5, galactic) are neither resampled nor converted pixel by pixel. Instead the projection is
rotated to ICRS, so that all positions of the pipeline are in one frame.
"""

from __future__ import annotations

import re
import warnings
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io.fits import Header
from astropy.utils import iers
from astropy.utils.exceptions import AstropyWarning
from astropy.wcs import WCS, NoConvergence

from trap.angles import wrap_ra
from trap.errors import ImageError
from trap.images.headers.frames import turn_to_icrs
from trap.images.headers.projection_cards import projection_cards

if TYPE_CHECKING:
    from collections.abc import Iterator


__all__ = ["celestial_wcs", "centre_position", "check_distortion", "projection_errors"]

_PLACE_IN_WCSLIB = re.compile(r"ERROR \d+ in \w+\(\) at line \d+ of file \S+?: ")
"""The beginning of each sentence in a message of WCSLIB."""
_MAX_ERROR = 0.1
"""pixel — distance of a position from its pixel beyond which a distortion is not inverted."""
MAX_PROJECTIONS = 64
"""Number of projections that a process keeps."""


def celestial_wcs(header: Header, url: str = "") -> WCS:
    """Return the projection of the first two axes of an image, in ICRS.

    Pixel coordinates with ``origin`` 0 are array indices: the centre of the first pixel is (0, 0).

    Parameters
    ----------
    header
        Header of the image.
    url
        Path of the image, for messages.

    Raises
    ------
    ImageError
        If the first two axes are not a pair of celestial coordinates, or their projection cannot be used.
    """
    with projection_errors(url):
        return _projection(tuple((keyword, type(value), value) for keyword, value in projection_cards(header, url)))


@contextmanager
def projection_errors(url: str = "") -> Iterator[None]:
    """Convert the errors of projections to errors of the image.

    Parameters
    ----------
    url
        Path of the image, for messages.

    Raises
    ------
    ImageError
        If the projection cannot be used.
    """
    try:
        yield
    except ImageError as error:
        raise ImageError(error.message, url) from error
    # WCSLIB reports impossible values by errors of any class, such as MemoryError and SystemError.
    except Exception as error:
        reason = _PLACE_IN_WCSLIB.sub("", " ".join(str(error).split())) or type(error).__name__
        msg = f"the celestial projection cannot be used: {reason}"
        raise ImageError(msg, url) from error


@lru_cache(MAX_PROJECTIONS)
def _projection(cards: tuple[tuple[str, type, Any], ...]) -> WCS:
    """Create the projection that the cards of a header describe.

    The result is kept: the images of a pointing share a projection, although their headers differ in the date, and
    to create it takes as long as to search a small image.
    """
    header = Header([(keyword, value) for keyword, _, value in cards])
    with warnings.catch_warnings():
        # Reports of repairs by wcslib (old names such as NCP), and of small violations of the standard.
        warnings.simplefilter("ignore", AstropyWarning)
        wcs = WCS(header, naxis=2)
        _orient_at_pole(wcs, header)
        wcs.wcs.set()
    if (wcs.wcs.lng, wcs.wcs.lat) != (0, 1):
        kinds = ", ".join(f"CTYPE{axis} = {header.get(f'CTYPE{axis}', '')!r}" for axis in (1, 2))
        msg = f"the first two axes are not a longitude and a latitude on the sky: {kinds}"
        raise ImageError(msg)
    if not np.isfinite([*wcs.wcs.crval, *wcs.wcs.crpix]).all():
        msg = f"the reference of the projection must be finite, got CRVAL {wcs.wcs.crval}, CRPIX {wcs.wcs.crpix}"
        raise ImageError(msg)
    with iers.conf.set_temp("auto_download", False), warnings.catch_warnings(), np.errstate(all="ignore"):
        # For the first equinox astropy loads leap seconds, by download if its own table is old. No equinox needs
        # them.
        warnings.simplefilter("ignore", AstropyWarning)
        return turn_to_icrs(wcs)


def centre_position(wcs: WCS, nx: int, ny: int) -> tuple[float, float]:
    """Return the position of the middle of an image.

    Parameters
    ----------
    wcs
        Celestial projection of the image.
    nx, ny
        Numbers of columns and rows.

    Returns
    -------
    ra, dec
        deg — the right ascension in [0, 360); NaN if the middle is not on the sky.
    """
    ra, dec = wcs.all_pix2world((nx - 1) / 2, (ny - 1) / 2, 0)
    return float(wrap_ra(ra)), float(dec)


def check_distortion(wcs: WCS, nx: int, ny: int) -> None:
    """Check that pixels and positions of an image correspond one to one, which wild coefficients prevent.

    Parameters
    ----------
    wcs
        Celestial projection of the image.
    nx, ny
        Numbers of columns and rows.

    Raises
    ------
    ImageError
        If the position of a corner, or of a place between corners, does not lead back to its pixel.
    """
    # Parameters of the longitude turn a projection; parameters of the latitude shape it.
    if not (wcs.has_distortion or any(axis == 2 for axis, *_ in wcs.wcs.get_pv())):
        return
    x, y = (places.ravel() for places in np.meshgrid(np.linspace(0, nx - 1, 3), np.linspace(0, ny - 1, 3)))
    try:
        found = wcs.all_world2pix(*wcs.all_pix2world(x, y, 0), 0)
    except NoConvergence:
        found = (np.inf, np.inf)
    # A pixel off the sky has no position, NaN, and is left out of the comparison.
    if np.any(np.hypot(found[0] - x, found[1] - y) > _MAX_ERROR):
        raise ImageError("the projection cannot be inverted: several pixels have one position (see PVi_j and A_ORDER)")


def _orient_at_pole(wcs: WCS, header: Header) -> None:
    """Orient a field centred on the pole like fields close to it.

    Such images without LONPOLE come from software without the concept of a native pole, which uses the same
    formulas at every declination. The default of the FITS standard differs from their limit by 180°.
    """
    if "LONPOLE" not in header and wcs.wcs.crval[1] == 90 and wcs.wcs.cel.prj.theta0 == 90:
        wcs.wcs.lonpole = 180.0
