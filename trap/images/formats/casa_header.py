"""Conversion of casacore's image record, with coordinates, beam and units, to a FITS header.

CASA image tables and LOFAR's HDF5 images hold the same record in two forms. As a header it is read like a FITS
header, so that an image has the same metadata in every format.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io.fits import Header
from astropy.units import Unit

from trap.config import STOKES
from trap.errors import ImageError
from trap.images.headers.axis_units import unit_factor
from trap.images.headers.planes import choose_plane, place_of
from trap.images.headers.times import from_mjd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from trap.config import ReadingConfig
    from trap.typing import Card

    Record = Mapping[str, Any]

__all__ = ["header_of_record"]

_FRAMES = {
    "J2000": ("FK5", 2000.0, "RA--", "DEC-"),
    "ICRS": ("ICRS", None, "RA--", "DEC-"),
    "B1950": ("FK4", 1950.0, "RA--", "DEC-"),
    "GALACTIC": (None, None, "GLON", "GLAT"),
    "SUPERGAL": (None, None, "SLON", "SLAT"),
    "ECLIPTIC": ("FK5", 2000.0, "ELON", "ELAT"),
}
"""casacore's names of celestial systems: RADESYS, EQUINOX, and the beginnings of CTYPE of both axes."""
_FIRST_PARAMETER = {"ZPN": 0}
"""Number of the first projection parameter, for projections whose first is not 1."""
_NO_DATE = 0.0
"""casacore's day of observation (MJD) if the day is unknown."""


def header_of_record(record: Record, shape: Sequence[int], url: str, settings: ReadingConfig) -> Header:
    """Convert the record of an image to a FITS header with all axes of the image.

    Parameters
    ----------
    record
        Fields ``coords``, ``imageinfo``, ``units`` and ``miscinfo``, as casacore names them; only the first is
        required.
    shape
        (n_axes,) — lengths of the axes in the order of FITS.
    url
        Path of the image, for messages.
    settings
        Settings of reading, which select the plane whose beam the header holds.

    Raises
    ------
    ImageError
        If FITS cannot express the coordinates, or they are incomplete.
    """
    header = Header([("SIMPLE", True), ("BITPIX", -32), ("NAXIS", len(shape))])
    header.extend((f"NAXIS{axis}", int(length)) for axis, length in enumerate(shape, 1))
    try:
        for name, coordinate in record["coords"].items():
            kind, number = name.rstrip("0123456789"), name[len(name.rstrip("0123456789")) :]
            if kind in _WRITERS and number:
                axes = [int(axis) + 1 for axis in np.atleast_1d(record["coords"][f"pixelmap{number}"])]
                header.extend(_WRITERS[kind](coordinate, axes), unique=True)
        header.extend(_observation(record["coords"]))
        header.extend(_beam(record.get("imageinfo", {}), place_of(choose_plane(header, url, settings), header)))
    except ImageError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        msg = f"the coordinates of the image cannot be used: {' '.join(str(error).split())}"
        raise ImageError(msg, url) from error
    if record.get("units"):
        header["BUNIT"] = str(record["units"])
    return header


def _direction(coordinate: Record, axes: Sequence[int]) -> Iterator[Card]:
    """Yield the cards of the two axes of the sky: projection, frame and pole."""
    system, projection = str(coordinate["system"]), str(coordinate["projection"])
    if system not in _FRAMES:
        msg = f"unknown celestial system {system!r}"
        raise ValueError(msg)
    radesys, equinox, *names = _FRAMES[system]
    for place, axis in enumerate(axes):
        degrees = unit_factor(str(coordinate["units"][place]), "deg")
        yield f"CTYPE{axis}", f"{names[place]}-{projection}"
        yield f"CRVAL{axis}", float(coordinate["crval"][place]) * degrees
        yield f"CDELT{axis}", float(coordinate["cdelt"][place]) * degrees
        # casacore counts pixels from 0.
        yield f"CRPIX{axis}", float(coordinate["crpix"][place]) + 1
        yield f"CUNIT{axis}", "deg"
    for (row, column), value in np.ndenumerate(np.asarray(coordinate["pc"], float)):
        yield f"PC{axes[row]}_{axes[column]}", float(value)
    for number, value in enumerate(coordinate.get("projection_parameters", ()), _FIRST_PARAMETER.get(projection, 1)):
        if value:
            yield f"PV{axes[1]}_{number}", float(value)
    for keyword, key in (("LONPOLE", "longpole"), ("LATPOLE", "latpole")):
        if key in coordinate:
            yield keyword, float(coordinate[key])
    if radesys:
        yield "RADESYS", radesys
    if equinox:
        yield "EQUINOX", equinox


def _spectral(coordinate: Record, axes: Sequence[int]) -> Iterator[Card]:
    """Yield the cards of the frequency axis; a table of frequencies is taken as linear from its first two."""
    axis = axes[0]
    scale = unit_factor(str(coordinate.get("unit", "Hz")), "Hz")
    if "tabular" in coordinate:
        values = np.asarray(coordinate["tabular"]["worldvalues"], float)
        value, step, reference = values[0], (values[1] - values[0] if values.size > 1 else 0.0), 0.0
    else:
        linear = coordinate["wcs"]
        value, step, reference = (float(linear[key]) for key in ("crval", "cdelt", "crpix"))
    yield f"CTYPE{axis}", "FREQ"
    yield f"CRVAL{axis}", float(value) * scale
    yield f"CDELT{axis}", float(step) * scale
    yield f"CRPIX{axis}", float(reference) + 1
    yield f"CUNIT{axis}", "Hz"
    if coordinate.get("restfreq"):
        yield "RESTFRQ", float(coordinate["restfreq"])


def _stokes(coordinate: Record, axes: Sequence[int]) -> Iterator[Card]:
    """Yield the cards of the Stokes axis, whose codes must be evenly spaced, since FITS has only linear axes."""
    codes = [STOKES[str(name)] for name in np.atleast_1d(coordinate["stokes"])]
    steps = set(np.diff(codes).tolist()) or {1}
    if len(steps) > 1:
        msg = f"the codes of the Stokes parameters are not evenly spaced: {', '.join(coordinate['stokes'])}"
        raise ValueError(msg)
    yield f"CTYPE{axes[0]}", "STOKES"
    yield f"CRVAL{axes[0]}", float(codes[0])
    yield f"CDELT{axes[0]}", float(steps.pop())
    yield f"CRPIX{axes[0]}", 1.0


_WRITERS = {"direction": _direction, "spectral": _spectral, "stokes": _stokes}


def _observation(coords: Record) -> Iterator[Card]:
    """Yield the cards of telescope, observer and start of the observation."""
    for keyword, key in (("TELESCOP", "telescope"), ("OBSERVER", "observer")):
        if coords.get(key):
            yield keyword, str(coords[key])
    date = coords.get("obsdate", {})
    if "m0" in date:
        days = float(date["m0"]["value"]) * Unit(str(date["m0"]["unit"])).to("d")
        if days != _NO_DATE:
            yield "DATE-OBS", from_mjd(days).isoformat()
            yield "TIMESYS", str(date.get("refer", "UTC"))


def _beam(info: Record, place: tuple[tuple[int, int], tuple[int, int]]) -> Iterator[Card]:
    """Yield the cards of the restoring beam; if each plane has its own, the beam of the plane at a place."""
    beam = info.get("restoringbeam") or {}
    if planes := info.get("perplanebeams", {}):
        # The channel varies fastest. A cube with one beam for all channels, or all Stokes parameters, has one there.
        (channel, _), (stokes, _) = place
        n_channels, n_stokes = int(planes.get("nChannels", 1)), int(planes.get("nStokes", 1))
        number = min(channel, n_channels - 1) + n_channels * min(stokes, n_stokes - 1)
        beam = planes.get(f"*{number}") or {}
    for keyword, key in (("BMAJ", "major"), ("BMIN", "minor"), ("BPA", "positionangle")):
        if key in beam:
            yield keyword, float(beam[key]["value"]) * unit_factor(str(beam[key]["unit"]), "deg")
