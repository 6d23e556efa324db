"""CASA's table of the beams of all channels and Stokes parameters, a further HDU of a FITS file."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from trap.images.headers.axis_units import unit_factor
from trap.images.headers.keywords import Keywords
from trap.images.headers.planes import place_of

if TYPE_CHECKING:
    from astropy.io import fits
    from numpy.typing import NDArray

    from trap.images.headers.planes import Plane

__all__ = ["beam_of_plane"]

_log = structlog.get_logger(__name__)

_NAME = "BEAMS"
_COLUMNS = {"BMAJ", "BMIN", "BPA", "CHAN", "POL"}
_USUAL_PIXELS = 4.0
"""pixel — usual width of a beam, which decides the unit of a table without one."""


def beam_of_plane(hdus: fits.HDUList, header: fits.Header, plane: Plane, url: str) -> dict[str, float]:
    """Return the beam of a plane, from the table of beams.

    The table counts if ``CASAMBM`` is true, or if the header has no beam.

    Parameters
    ----------
    hdus
        HDUs of the file.
    header
        Header of the image, with all axes.
    plane
        Plane of the image.
    url
        Path of the file, for messages.

    Returns
    -------
    BMAJ, BMIN and BPA in deg. They are zero if the table has no usable beam for the plane, and missing if it has no row
    for the plane, or the file has no table.
    """
    keywords = Keywords(header, url)
    has_table = keywords.text("CASAMBM").upper() in ("T", "TRUE")
    if not has_table and keywords.text("BMAJ"):
        return {}
    table = next((hdu for hdu in hdus if str(hdu.name).strip().upper() == _NAME and hasattr(hdu, "columns")), None)
    units: dict[str, str] = {}
    columns: dict[str, NDArray[Any]] = {}
    if table is not None:
        units = {str(column.name).upper(): str(column.unit or "") for column in table.columns}
        columns = {name: np.atleast_1d(table.data[name]) for name in units.keys() & _COLUMNS}
    row = _row(columns, place_of(plane, header)) if {"BMAJ", "BMIN"} <= columns.keys() else None
    if row is None:
        if has_table:
            _log.warning("beam_of_plane_missing", image=url)
        return {}
    beam = {name: float(columns[name][row]) if name in columns else 0.0 for name in ("BMAJ", "BMIN", "BPA")}
    width_unit = _unit_of_widths(beam["BMAJ"], keywords, plane)
    try:
        for name, default in (("BMAJ", width_unit), ("BMIN", units["BMAJ"] or width_unit), ("BPA", "deg")):
            beam[name] *= unit_factor(units.get(name) or default, "deg")
    except ValueError as error:
        return _no_beam(str(error), url)
    if not (all(map(math.isfinite, beam.values())) and min(beam["BMAJ"], beam["BMIN"]) > 0):
        return _no_beam(", ".join(f"{name} = {value}" for name, value in beam.items()), url)
    return beam


def _no_beam(reason: str, url: str) -> dict[str, float]:
    """Return zeros, which are no beam, so that the beam of another plane is not used."""
    _log.warning("beam_of_plane_unusable", image=url, reason=reason)
    return dict.fromkeys(("BMAJ", "BMIN", "BPA"), 0.0)


def _row(columns: dict[str, NDArray[Any]], place: tuple[tuple[int, int], tuple[int, int]]) -> int | None:
    """Return the number of the plane's row; without columns that number planes, the channel varies fastest."""
    (channel, n_channels), (stokes, n_stokes) = place
    rows = np.arange(len(columns["BMAJ"]))
    if "POL" in columns:
        rows = rows[_from_zero(columns["POL"], n_stokes) == stokes]
    if "CHAN" in columns:
        rows = rows[_from_zero(columns["CHAN"], n_channels)[rows] == channel]
        number = 0 if "POL" in columns else stokes
    else:
        number = channel if "POL" in columns else channel + stokes * n_channels
    # A single row is for all planes.
    number = 0 if len(rows) == 1 else number
    return int(rows[number]) if number < len(rows) else None


def _from_zero(numbers: NDArray[Any], length: int) -> NDArray[Any]:
    """Return the numbers of planes along an axis from 0, as CASA writes them; in the table they may begin with 1."""
    counts_from_one = numbers.size > 0 and numbers.min() == 1 and numbers.max() == length
    return numbers - 1 if counts_from_one else numbers


def _unit_of_widths(width: float, keywords: Keywords, plane: Plane) -> str:
    """Return the unit of widths in a table without units.

    It is the unit that makes the width nearer to the beam in the header, or to the usual number of pixels.
    """
    axis = plane.order[1] + 1
    pixel = keywords.optional_number(f"CDELT{axis}") or keywords.optional_number(f"CD{axis}_{axis}") or 0.0
    usual = keywords.optional_number("BMAJ") or _USUAL_PIXELS * abs(pixel)
    if not (usual > 0 and width > 0):
        return "arcsec"
    return min("arcsec", "deg", key=lambda unit: abs(math.log(width * unit_factor(unit, "deg") / usual)))
