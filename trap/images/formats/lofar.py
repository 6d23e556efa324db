"""Attributes of the observation in LOFAR's images, converted to the keywords of LOFAR's FITS images.

CASA tables and HDF5 files hold the same tables of attributes ("CASA image description for LOFAR", 0.03.00).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trap.errors import ImageError
from trap.images.headers.axis_units import unit_factor
from trap.images.headers.times import from_mjd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import ArrayLike

    from trap.typing import Card

    Table = Mapping[str, Any]

__all__ = ["COLUMNS", "covered_seconds", "lofar_cards"]

COLUMNS = frozenset(
    {"OBSERVATION_START", "ANTENNA_SET", "CLOCK_FREQUENCY", "CLOCK_FREQUENCY_UNIT", "START", "END", "NUM_CHAN"}
    | {"NVIS_USED", "NAME", "STATION_ID"}
)
"""Attributes that are used. Others need not be readable: rows of ``LOFAR_HISTORY`` have arrays of different lengths."""
_SECONDS_PER_DAY = 86400.0
_SUBBANDS_PER_CLOCK = 1024
"""A subband is the clock divided by this: 195.3125 kHz at 200 MHz."""


def lofar_cards(tables: Mapping[str, Table], url: str = "") -> dict[str, Any]:
    """Convert the attributes of an image to keywords and values.

    Parameters
    ----------
    tables
        Columns of ``LOFAR_OBSERVATION`` (times in s of MJD), ``LOFAR_ORIGIN``, ``LOFAR_ANTENNA``, ``LOFAR_STATION`` and
        other tables; a missing attribute gives no keyword. The unit of ``CLOCK_FREQUENCY`` is in the column
        ``CLOCK_FREQUENCY_UNIT``.
    url
        Path of the image, for messages.

    Raises
    ------
    ImageError
        If an attribute differs between subbands that must share it, or has an impossible value.
    """
    try:
        return dict(_cards(tables))
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise ImageError(str(error), url) from error


def _cards(tables: Mapping[str, Table]) -> Iterator[Card]:
    """Yield the keywords of an image in the order of LOFAR's FITS images."""
    observation, origin = tables.get("LOFAR_OBSERVATION", {}), tables.get("LOFAR_ORIGIN", {})
    if "OBSERVATION_START" in observation:
        start = float(np.min(observation["OBSERVATION_START"]))
        yield "DATE-OBS", from_mjd(start / _SECONDS_PER_DAY).isoformat()
        yield "TIMESYS", "UTC"
    if {"START", "END"} <= origin.keys():
        yield "TAU_TIME", covered_seconds(origin["START"], origin["END"])
    if "ANTENNA_SET" in observation:
        yield "ANTENNA", str(_only(observation, "ANTENNA_SET"))
    if "NUM_CHAN" in origin:
        yield "SUBBANDS", int(_only(origin, "NUM_CHAN"))
    if "CLOCK_FREQUENCY" in observation:
        unit = str(_only(observation, "CLOCK_FREQUENCY_UNIT")) if "CLOCK_FREQUENCY_UNIT" in observation else "Hz"
        yield "SUBBANDW", float(_only(observation, "CLOCK_FREQUENCY")) * unit_factor(unit, "Hz") / _SUBBANDS_PER_CLOCK
    yield from _stations(tables)


def covered_seconds(start: ArrayLike, end: ArrayLike) -> float:
    """Compute the time that intervals cover; overlaps count once.

    Parameters
    ----------
    start, end
        (n,) s — starts and ends of the intervals.

    Returns
    -------
    float
        s
    """
    order = np.argsort(np.ravel(start), kind="stable")
    starts, ends = np.ravel(start)[order].astype(float), np.ravel(end)[order].astype(float)
    # Latest end of all earlier intervals: only the time after it is new.
    covered_until = np.concatenate([starts[:1], np.maximum.accumulate(ends)[:-1]])
    return float(np.maximum(ends - np.maximum(starts, covered_until), 0).sum())


def _only(table: Table, name: str) -> Any:  # noqa: ANN401 (text or a number)
    """Return the value of an attribute, which must be the same in all rows."""
    values = np.unique(np.asarray(table[name]))
    if values.size != 1:
        msg = f"{name} must be the same for the whole image, got {', '.join(map(str, values))}"
        raise ValueError(msg)
    return values[0]


def _stations(tables: Mapping[str, Table]) -> Iterator[Card]:
    """Count the antennas whose visibilities were used: of core, remote and other stations, by the letters of a name.

    A core station may have two antennas.
    """
    antennas = tables.get("LOFAR_ANTENNA", {})
    used = next((table["NVIS_USED"] for table in tables.values() if "NVIS_USED" in table), None)
    if used is None or not antennas.keys() & {"NAME", "STATION_ID"}:
        return
    # (n_rows, n_antennas, n): an antenna was used if the first row has any visibility of it.
    is_used = np.asarray(used).sum(axis=2)[0] > 0
    names = [name for name, counts in zip(_station_names(tables), is_used, strict=False) if counts]
    yield "NCORE", sum(name.startswith("CS") for name in names)
    yield "NREMOTE", sum(name.startswith("RS") for name in names)
    yield "NINTL", sum(not name.startswith(("CS", "RS")) for name in names)


def _station_names(tables: Mapping[str, Table]) -> list[str]:
    """Return the name of the station of each antenna.

    STATION_ID is the row in ``LOFAR_STATION``; without that, the name of an antenna begins with its station.
    """
    antennas, stations = tables["LOFAR_ANTENNA"], list(tables.get("LOFAR_STATION", {}).get("NAME", ()))
    ids = [int(number) for number in antennas.get("STATION_ID", ())]
    if stations and ids and 0 <= min(ids) <= max(ids) < len(stations):
        return [str(stations[number]) for number in ids]
    return [str(name) for name in antennas.get("NAME", ())]
