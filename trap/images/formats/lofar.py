"""Attributes of the observation in LOFAR's images, converted to the keywords of LOFAR's FITS images.

CASA tables and HDF5 files hold the same tables of attributes ("CASA image description for LOFAR", 0.03.00).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.units import Unit

from trap.errors import ImageError
from trap.images.headers.times import from_mjd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import ArrayLike

    from trap.typing import Card

    Table = Mapping[str, Any]

__all__ = ["covered_seconds", "lofar_cards"]

_SECONDS_PER_DAY = 86400.0
_SUBBANDS_PER_CLOCK = 1024
"""A subband is the clock divided by this: 195.3125 kHz at 200 MHz."""


def lofar_cards(tables: Mapping[str, Table], url: str = "") -> dict[str, Any]:
    """Convert the attributes of an image to keywords and values.

    Parameters
    ----------
    tables
        Columns of ``LOFAR_OBSERVATION`` (times in s of MJD), ``LOFAR_ORIGIN``, ``LOFAR_ANTENNA`` and other
        tables; a missing attribute gives no keyword. The unit of ``CLOCK_FREQUENCY`` is in the column
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
    except (ValueError, KeyError, IndexError) as error:
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
        yield "SUBBANDW", float(_only(observation, "CLOCK_FREQUENCY")) * Unit(unit).to("Hz") / _SUBBANDS_PER_CLOCK
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
    """Count the stations whose visibilities were used: core, remote and other ones, by the letters of their names."""
    antennas = tables.get("LOFAR_ANTENNA", {})
    used = next((table["NVIS_USED"] for table in tables.values() if "NVIS_USED" in table), None)
    if used is None or "NAME" not in antennas:
        return
    # (n_rows, n_stations, n): a station was used if the first row has any visibility of it.
    is_used = np.asarray(used).sum(axis=2)[0] > 0
    names = np.asarray(antennas["NAME"])
    ids = np.asarray(antennas.get("STATION_ID", np.arange(names.size)))
    stations = names[ids[is_used[: ids.size]]]
    yield "NCORE", sum(name.startswith("CS") for name in stations)
    yield "NREMOTE", sum(name.startswith("RS") for name in stations)
    yield "NINTL", sum(not name.startswith(("CS", "RS")) for name in stations)
