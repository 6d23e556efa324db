"""What LOFAR's images say of their observation, in the tables of attributes that come with them.

As CASA tables and in HDF5 they hold the same attributes ("CASA image description for LOFAR", 0.03.00). They
become the keywords of LOFAR's FITS images.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.units import Unit

from trap.images.headers.times import from_mjd

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import ArrayLike

    Columns = Mapping[str, Any]
    Card = tuple[str, Any]

__all__ = ["covered_seconds", "lofar_cards"]

_SECONDS_PER_DAY = 86400.0
_SUBBANDS_PER_CLOCK = 1024
"""A subband is the clock divided by this: 195.3125 kHz at 200 MHz."""


def lofar_cards(tables: Mapping[str, Columns]) -> Iterator[Card]:
    """Write the attributes of an image as keywords.

    Parameters
    ----------
    tables
        Columns of ``LOFAR_OBSERVATION`` (times in s of MJD), ``LOFAR_ORIGIN``, ``LOFAR_ANTENNA`` and whatever
        else there is; what is missing gives no keyword. The unit of ``CLOCK_FREQUENCY`` is beside it, as
        ``CLOCK_FREQUENCY_UNIT``.

    Raises
    ------
    ValueError
        If an attribute that must be one for all subbands is not.
    """
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
    """Time that intervals cover, where they overlap counted once.

    Parameters
    ----------
    start, end
        (n,) s — of the intervals.
    """
    order = np.argsort(np.ravel(start), kind="stable")
    starts, ends = np.ravel(start)[order].astype(float), np.ravel(end)[order].astype(float)
    reached = np.concatenate([starts[:1], np.maximum.accumulate(ends)[:-1]])
    return float(np.maximum(ends - np.maximum(starts, reached), 0).sum())


def _only(table: Columns, name: str) -> Any:  # noqa: ANN401 (text or a number)
    values = np.unique(np.asarray(table[name]))
    if values.size != 1:
        msg = f"{name} must be the same for the whole image, got {', '.join(map(str, values))}"
        raise ValueError(msg)
    return values[0]


def _stations(tables: Mapping[str, Columns]) -> Iterator[Card]:
    """Stations of which visibilities were used, by the first letters of their names."""
    antennas = tables.get("LOFAR_ANTENNA", {})
    used = next((table["NVIS_USED"] for table in tables.values() if "NVIS_USED" in table), None)
    if used is None or "NAME" not in antennas:
        return
    counts = np.asarray(used).sum(axis=2)[0] > 0
    names = np.asarray(antennas["NAME"])
    ids = np.asarray(antennas.get("STATION_ID", np.arange(names.size)))
    stations = names[ids[counts[: ids.size]]]
    yield "NCORE", sum(name.startswith("CS") for name in stations)
    yield "NREMOTE", sum(name.startswith("RS") for name in stations)
    yield "NINTL", sum(not name.startswith(("CS", "RS")) for name in stations)
