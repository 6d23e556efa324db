"""Where the pixels of an image are on the sky: its full projection, in ICRS.

Everything astropy's WCS can read is kept: any projection, PC and CD matrices, distortions. Images
in another frame (B1950, FK5, galactic) are not resampled and their pixels not converted one by
one; the projection itself is turned to ICRS, so that there is one frame everywhere behind it.
"""

from __future__ import annotations

import re
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.coordinates import ICRS, SkyCoord
from astropy.io.fits import Header, VerifyError
from astropy.utils import iers
from astropy.utils.exceptions import AstropyWarning
from astropy.wcs import WCS, WcsError
from astropy.wcs.utils import proj_plane_pixel_scales, wcs_to_celestial_frame

from trap.angles import wrap_ra
from trap.errors import ImageError

if TYPE_CHECKING:
    from astropy.coordinates import BaseCoordinateFrame

__all__ = ["celestial_wcs", "centre_position", "pixel_increments"]

_EQUINOXES = (1800.0, 2200.0)
_OF_A_PROJECTION = re.compile(
    r"WCSAXES|NAXIS\d*|C(TYPE|UNIT|RVAL|RPIX|DELT|ROTA)\d+|(PC|CD)\d+_\d+|PC\d{6}|P[VS]\d+_\d+|PROJP\d+"
    r"|LONPOLE|LATPOLE|RADE(CS|S)YS|EQUINOX|EPOCH|VELREF|SPECSYS|REST(FRQ|FREQ|WAV)"
    r"|(A|B|AP|BP)_(ORDER|DMAX|\d+_\d+)|CPDIS\d|CPERR\d|DP\d|CQDIS\d|CQERR\d|DQ\d|D2IM\w*|AXISCORR"
)
"""Keywords that WCSLIB and astropy make a projection of; SIP and other distortions come last."""
_N_KEPT = 64


def celestial_wcs(header: Header, url: str = "") -> WCS:
    """Projection of the first two axes of an image, in ICRS.

    Pixel coordinates with ``origin`` 0 are array indices: the centre of the first pixel is (0, 0).

    Parameters
    ----------
    header
        Header of the image.
    url
        The image, for messages.

    Raises
    ------
    ImageError
        If the first two axes are not right ascension and declination, or another pair of
        celestial coordinates, in a projection that can be used.
    """
    try:
        cards = tuple(
            (card.keyword, type(card.value), card.value)
            for card in header.cards
            if _OF_A_PROJECTION.fullmatch(card.keyword)
        )
        return _projection(cards)
    except (VerifyError, ValueError) as error:
        message = error.message if isinstance(error, ImageError) else _unusable(error)
        raise ImageError(message, url) from error


def _unusable(error: Exception) -> str:
    return f"the celestial projection cannot be used: {' '.join(str(error).split())}"


@lru_cache(_N_KEPT)
def _projection(cards: tuple[tuple[str, type, Any], ...]) -> WCS:
    """Make a projection of what a header says of it.

    It is the same for the images of a pointing, whose headers differ in the date, and takes as long to make as a
    small image to search.
    """
    header = Header([(keyword, value) for keyword, _, value in cards])
    try:
        with warnings.catch_warnings():
            # Reports of what wcslib repaired (old names such as NCP; dates, which are not read from here), and of
            # cards that break the letter of the standard.
            warnings.simplefilter("ignore", AstropyWarning)
            wcs = WCS(header, naxis=2)
            _orient_at_pole(wcs, header)
            wcs.wcs.set()
    # Of keywords that hold a number where a text should be, astropy says an AttributeError.
    except (WcsError, VerifyError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ImageError(_unusable(error)) from error
    if (wcs.wcs.lng, wcs.wcs.lat) != (0, 1):
        kinds = ", ".join(f"CTYPE{axis} = {header.get(f'CTYPE{axis}', '')!r}" for axis in (1, 2))
        msg = f"the first two axes are not a longitude and a latitude on the sky: {kinds}"
        raise ImageError(msg)
    if not np.isfinite([*wcs.wcs.crval, *wcs.wcs.crpix]).all():
        msg = f"the reference of the projection is impossible: CRVAL {wcs.wcs.crval}, CRPIX {wcs.wcs.crpix}"
        raise ImageError(msg)
    with iers.conf.set_temp("auto_download", False), warnings.catch_warnings(), np.errstate(all="ignore"):
        # astropy looks for leap seconds with the first equinox that it meets, in the network where those that it
        # brings along are old. No equinox needs them.
        warnings.simplefilter("ignore", AstropyWarning)
        return _turn_to_icrs(wcs)


def centre_position(wcs: WCS, nx: int, ny: int) -> tuple[float, float]:
    """Position of the middle of an image of ``nx`` by ``ny`` pixels.

    Returns
    -------
    ra, dec
        deg — the right ascension in [0, 360); NaN where the middle is not on the sky.
    """
    ra, dec = wcs.all_pix2world((nx - 1) / 2, (ny - 1) / 2, 0)
    return float(wrap_ra(ra)), float(dec)


def pixel_increments(wcs: WCS) -> tuple[float, float]:
    """Size of a pixel along x and y at the reference pixel, with a sign.

    The sizes are those of the pixel on the sky whatever its rotation. The signs are those of the
    increments of an image that is not rotated, and of the diagonal of the matrix of one that is; at
    a rotation by exactly 90°, where that diagonal vanishes, x is taken as west and y as north.

    Returns
    -------
    deltax, deltay
        deg/pixel
    """
    scales = proj_plane_pixel_scales(wcs)
    diagonal = np.diag(wcs.pixel_scale_matrix)
    signs = np.where(np.abs(diagonal) < 1e-9 * scales, [-1.0, 1.0], np.sign(diagonal))
    deltax, deltay = scales * signs
    return float(deltax), float(deltay)


def _orient_at_pole(wcs: WCS, header: Header) -> None:
    """Take a field centred on the pole as the limit of fields ever closer to it.

    Such images without LONPOLE come from software that knows no native pole and uses the same
    formulas at every declination. The FITS standard's default turns by 180° in the limit.
    """
    if "LONPOLE" not in header and wcs.wcs.crval[1] == 90 and wcs.wcs.cel.prj.theta0 == 90:
        wcs.wcs.lonpole = 180.0


def _frame(wcs: WCS) -> BaseCoordinateFrame:
    equinox = float(wcs.wcs.equinox)
    if not (np.isnan(equinox) or _EQUINOXES[0] <= equinox <= _EQUINOXES[1]):
        msg = f"EQUINOX = {equinox:g}: no equinox of a celestial system"
        raise ImageError(msg)
    try:
        return wcs_to_celestial_frame(wcs)
    except ValueError as error:
        msg = f"unknown celestial system: RADESYS {wcs.wcs.radesys!r}, EQUINOX {wcs.wcs.equinox}"
        raise ImageError(msg) from error


def _turn_to_icrs(wcs: WCS) -> WCS:
    """The same projection with its reference position and its pole given in ICRS."""
    frame = _frame(wcs)
    if isinstance(frame, ICRS):
        return wcs
    reference = SkyCoord(*wcs.wcs.crval, unit="deg", frame=frame).icrs
    pole = SkyCoord(0.0, 90.0, unit="deg", frame=ICRS()).transform_to(frame).spherical
    lonpole, latpole = _native(wcs, float(pole.lon.deg), float(pole.lat.deg))
    turned = wcs.deepcopy()
    turned.wcs.ctype = [name + ctype[4:] for name, ctype in zip(("RA--", "DEC-"), wcs.wcs.ctype, strict=True)]
    turned.wcs.crval = reference.ra.deg, reference.dec.deg
    turned.wcs.lonpole, turned.wcs.latpole = lonpole, latpole
    turned.wcs.radesys, turned.wcs.equinox = "ICRS", np.nan
    turned.wcs.set()
    return turned


def _native(wcs: WCS, longitude: float, latitude: float) -> tuple[float, float]:
    """Native coordinates of a celestial position: Calabretta & Greisen (2002), eq. 5.

    LONPOLE and LATPOLE are by definition those of the celestial pole.
    """
    alpha_pole, co_delta_pole, phi_pole = wcs.wcs.cel.euler[:3]
    delta, difference = np.radians(latitude), np.radians(longitude - alpha_pole)
    sin_pole, cos_pole = np.cos(np.radians(co_delta_pole)), np.sin(np.radians(co_delta_pole))
    along = np.sin(delta) * cos_pole - np.cos(delta) * sin_pole * np.cos(difference)
    across = -np.cos(delta) * np.sin(difference)
    height = np.sin(delta) * sin_pole + np.cos(delta) * cos_pole * np.cos(difference)
    phi = phi_pole + np.degrees(np.arctan2(across, along))
    return float(np.mod(phi + 180, 360) - 180), float(np.degrees(np.arctan2(height, np.hypot(along, across))))
