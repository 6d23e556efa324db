"""The source or position that a call names: a number, a row of a table, a name, or a place on the sky."""

from __future__ import annotations

import difflib
import math
import numbers
import operator
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, TypedDict

from astropy import units
from astropy.coordinates import SkyCoord
from astropy.table import Row

from trap.db import lightcurves
from trap.db.monitors import monitor_names
from trap.db.nearest import nearest_entry
from trap.errors import ConfigError, TrapError
from trap.report.text import sky_position
from trap.selection import parse_position

if TYPE_CHECKING:
    from trap.db.engine import Connection
    from trap.typing import Columns

__all__ = [
    "DEFAULT_RADIUS",
    "Angle",
    "Choice",
    "Filter",
    "Frequencies",
    "Letters",
    "Place",
    "Source",
    "as_degrees",
    "as_position",
    "find_entry",
    "is_number",
    "nearest_words",
    "row_number",
    "whole_number",
]

Angle: TypeAlias = float | units.Quantity
"""A number in the unit that the docstring names, or a quantity."""
Place: TypeAlias = SkyCoord | str | Sequence[Angle] | Angle
"""Coordinates, text, a pair (ra, dec) or a right ascension."""
Source: TypeAlias = int | Row | Place
"""Number of an entry, a row with it, or a place."""
Frequencies: TypeAlias = float | units.Quantity | Sequence[float] | None
"""Frequency in MHz, a quantity, or several; None for all bands."""
Letters: TypeAlias = str | Sequence[str] | None
"""Letters of Stokes parameters; None for all."""
Filter: TypeAlias = Any
"""Value of a filter: a number, a quantity, text, a time, or several of them."""
DEFAULT_RADIUS = 30.0
"""arcsec — search radius around a position, as of ``transients lightcurve``."""


class Choice(TypedDict, total=False):
    """Keywords of a light curve: other names of its source, and its band and Stokes parameter."""

    name: str | None
    """Name of a monitored position."""
    candidate: int | Row | None
    """Number of a transient candidate, or row of a table of candidates."""
    radius: Angle
    """Largest distance from a position: arcsec, or a quantity."""
    band: Frequencies
    """Frequency in MHz, a quantity, or several; None for all bands."""
    stokes: Letters
    """Letters of Stokes parameters; None for all."""


def find_entry(
    connection: Connection,
    dataset: int,
    source: Source | None = None,
    dec: Angle | None = None,
    *,
    name: str | None = None,
    candidate: int | Row | None = None,
    radius: Angle = DEFAULT_RADIUS,
) -> dict[str, Any]:
    """Find the entry of the running catalogue that a call names.

    Parameters
    ----------
    connection, dataset
        Connection in a transaction of the caller, and number of the dataset.
    source
        Number of the entry, row of a table of sources, or position: coordinates, text, or right ascension in degrees.
    dec
        deg — declination, if ``source`` is a right ascension.
    name
        Name of a monitored position.
    candidate
        Number of a transient candidate.
    radius
        arcsec, or a quantity — largest distance from a position.

    Returns
    -------
    Row of :func:`trap.db.lightcurves.entries_near`.

    Raises
    ------
    ConfigError
        If the call names no source, or two, or the position is none.
    TrapError
        If the dataset has no such source. The message names the nearest source, or similar names.
    """
    given = [value for value in (source, name, candidate) if value is not None]
    if len(given) != 1:
        msg = "name one source: by its entry, a position, name=, or candidate="
        raise ConfigError(msg)
    if name is not None:
        found = lightcurves.entries_named(connection, dataset, name=name)
        return _first(found) or _refuse_name(connection, dataset, name)
    if candidate is not None:
        number = row_number(candidate, ("newsource",), "candidate")
        found = lightcurves.entries_named(connection, dataset, candidate=number)
        return _first(found) or _refuse(f"dataset {dataset} has no candidate {number}; .transients() lists them")
    if dec is None and is_number(source):
        number = row_number(source, ("runcat", "entry"), "entry")
        found = lightcurves.entries_named(connection, dataset, entry=number)
        return _first(found) or _refuse(f"dataset {dataset} has no entry {number}; .sources() lists them")
    return _nearest(connection, dataset, *as_position(source, dec), radius=as_degrees(radius, "radius"))


def as_position(place: Place, dec: Angle | None = None) -> tuple[float, float]:
    """Convert a place on the sky to degrees, ICRS.

    Parameters
    ----------
    place
        Coordinates, text such as "11h32m32.8s +27d41m56s", a pair, or a right ascension (deg, or a quantity).
    dec
        Declination, if ``place`` is a right ascension.

    Raises
    ------
    ConfigError
        If it is no position.
    """
    if dec is None and isinstance(place, str):
        return parse_position([place])
    if dec is None and isinstance(place, SkyCoord):
        if place.size != 1:
            msg = f"one position is needed, got {place.size}; take one of them, as in coordinates[0]"
            raise ConfigError(msg)
        icrs = place.ravel()[0].icrs
        return float(icrs.ra.deg), float(icrs.dec.deg)
    try:
        pair: Any = place if dec is None else (place, dec)
        degrees = [float(units.Quantity(value, units.deg).value) for value in pair]
    except (TypeError, ValueError, units.UnitConversionError) as error:
        msg = f"{place!r} is no position: give coordinates, text, or right ascension and declination in degrees"
        raise ConfigError(msg) from error
    if len(degrees) != 2:
        msg = f"a position has two numbers, right ascension and declination, got {place!r}"
        raise ConfigError(msg)
    return parse_position([repr(value) for value in degrees])


def as_degrees(angle: Angle, what: str) -> float:
    """Convert an angle, arcsec or a quantity, to degrees.

    Parameters
    ----------
    angle
        The angle; positive.
    what
        Name of the argument, for the message.

    Raises
    ------
    ConfigError
        If it is no positive angle.
    """
    try:
        degrees = float(units.Quantity(angle, units.arcsec).to_value(units.deg))
    except (TypeError, ValueError, units.UnitConversionError) as error:
        msg = f"{what} must be an angle, in arcsec or as a quantity, got {angle!r}"
        raise ConfigError(msg) from error
    if not (math.isfinite(degrees) and 0 < degrees <= 180):
        msg = f"{what} must be above 0 and at most 180 degrees, got {angle}"
        raise ConfigError(msg)
    return degrees


def row_number(value: int | Row, names: tuple[str, ...], what: str) -> int:
    """Return a number, or the number that a row of a table has.

    Parameters
    ----------
    value
        Number, or row.
    names
        Columns of the number; the first that the row has is taken.
    what
        Name of the argument, for the message.

    Raises
    ------
    ConfigError
        If the value is neither.
    """
    columns = getattr(value, "colnames", ())
    name = next((name for name in names if name in columns), None)
    try:
        chosen: Any = None if isinstance(value, bool) else value
        return operator.index(chosen if name is None else chosen[name])
    except TypeError as error:
        msg = f"{what} must be a number, or a row with a column {' or '.join(names)}, got {value!r}"
        raise ConfigError(msg) from error


def whole_number(value: object, what: str, low: int, high: int) -> int:
    """Return a whole number within limits.

    Parameters
    ----------
    value
        The number, of Python or numpy.
    what
        Name of the argument, for the message.
    low, high
        Smallest and largest number.

    Raises
    ------
    ConfigError
        If it is none, or outside the limits.
    """
    if isinstance(value, bool):
        value = None
    number = operator.index(value) if isinstance(value, numbers.Integral) else low - 1
    if not low <= number <= high:
        msg = f"{what} must be a whole number from {low} to {high}, got {value!r}"
        raise ConfigError(msg)
    return number


def is_number(source: Source | None) -> bool:
    """Return whether a call names its source by a number or by the row of a table, and not by a position."""
    return isinstance(source, numbers.Integral) or bool(getattr(source, "colnames", ()))


def nearest_words(word: str, known: list[str]) -> str:
    """List the known words that are nearest to a word; empty without any.

    Parameters
    ----------
    word
        The unknown word.
    known
        All words to choose from.
    """
    return ", ".join(map(repr, difflib.get_close_matches(word, known, n=3, cutoff=0.5)))


def _nearest(connection: Connection, dataset: int, ra: float, dec: float, *, radius: float) -> dict[str, Any]:
    """Find the nearest entry within a radius of a position (deg)."""
    found = _first(lightcurves.entries_near(connection, dataset, ra, dec, radius=radius))
    if found is not None:
        return found
    place = f"dataset {dataset} has no source within {3600 * radius:.6g} arcsec of {sky_position(ra, dec)}"
    near = nearest_entry(connection, dataset, ra, dec)
    if near is None:
        _refuse(f"{place}, nor anywhere else")
    apart = near["distance_deg"]
    distance = f"{apart:.4g} degrees" if apart >= 1 else f"{3600 * apart:.4g} arcsec"
    where = sky_position(near["wm_ra"], near["wm_decl"])
    return _refuse(f"{place}; the nearest is entry {near['id']} at {where}, {distance} away")


def _first(found: Columns) -> dict[str, Any] | None:
    """Return the first row of entries; None without one. A position without a distance has NaN."""
    if not len(found["id"]):
        return None
    return {"distance_deg": math.nan, **{name: values[0] for name, values in found.items()}}


def _refuse_name(connection: Connection, dataset: int, name: str) -> NoReturn:
    """Raise the error for a name that no monitored position has."""
    near = nearest_words(name, monitor_names(connection, dataset))
    hint = f"; similar names: {near}" if near else ""
    _refuse(f"dataset {dataset} monitors no position named {name!r}{hint}")


def _refuse(message: str) -> NoReturn:
    raise TrapError(message)
