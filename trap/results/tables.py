"""Tables of results for notebooks: columns with units, meanings and UCDs, times, and missing values that are masked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.table import Column as PlainColumn
from astropy.table import MaskedColumn, QTable
from astropy.time import Time
from astropy.timeseries import TimeSeries

from trap.codes import STOKES
from trap.errors import ConfigError
from trap.software import install_command

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from trap.tables import Column

__all__ = ["LightCurve", "Results", "Series", "as_results", "as_series", "plain", "stokes_codes"]

POSITIONS = (("ra", "dec"), ("ra", "decl"), ("wm_ra", "wm_decl"))
"""Names of the columns of a position."""
_MINUTE, _HOUR = 60_000_000, 3_600_000_000
"""µs"""
UNITLESS = {"", "sigma"}
"""Units of pure numbers."""


class Frames:
    """Conversions that tables and light curves share."""

    def to_pandas(self, **options: Any) -> Any:  # noqa: ANN401 (pandas is optional, and has no types here)
        """Convert to a data frame of pandas; its ``attrs["units"]`` has the units of the columns, by name.

        Times become ``datetime64`` in UTC without a zone, and quantities plain numbers. The index of a light curve is
        its time.

        Parameters
        ----------
        **options
            As for :meth:`astropy.table.Table.to_pandas`.

        Raises
        ------
        ConfigError
            If pandas is not installed.

        Examples
        --------
        >>> frame = dataset.sources().to_pandas()  # doctest: +SKIP
        >>> frame.attrs["units"]["f_int"]  # doctest: +SKIP
        'Jy'
        """
        columns: Any = self
        try:
            # astropy cannot convert times of a table without rows, nor masked ones under each version of pandas.
            plain_times = {name: _stamps(columns[name]) for name in columns.colnames if isinstance(columns[name], Time)}
            table = QTable({name: plain_times.get(name, columns[name]) for name in columns.colnames}, copy=False)
            frame = table.to_pandas(**options)
        except ImportError as error:
            msg = f"data frames require pandas: {install_command('pandas')}"
            raise ConfigError(msg) from error
        frame.attrs["units"] = {name: str(columns[name].unit) for name in frame if _unit(columns[name])}
        return frame

    def with_text_times(self) -> Results:
        """Return a copy whose times are ISO 8601 text in UTC, for files that hold no times, such as VOTables.

        Examples
        --------
        >>> dataset.sources().with_text_times().write("sources.vot", format="votable")  # doctest: +SKIP
        """
        columns: Any = self
        table = Results(meta=columns.meta)
        for name in columns.colnames:
            column = columns[name]
            if not isinstance(column, Time):
                table[name] = column
                continue
            stamps = _stamps(column)
            texts = np.datetime_as_string(stamps, unit=("s", "ms", "us")[(0, 3, 6).index(_digits(stamps))])
            table[name] = PlainColumn(np.where(np.isnat(stamps), "", texts))
            table[name].info.description, table[name].info.meta = column.info.description, column.info.meta
        return table


class Results(Frames, QTable):  # type: ignore[misc]
    """A table of results: astropy's :class:`~astropy.table.QTable` with positions and data frames.

    ``table.info("attributes")`` lists the columns with their units and meanings; ``table["f_int"].info.meta["ucd"]`` is
    the UCD of a column.
    """

    @property
    def coordinates(self) -> SkyCoord:
        """Positions of the rows, ICRS."""
        for ra, dec in POSITIONS:
            if ra in self.colnames and dec in self.colnames:
                return SkyCoord(self[ra], self[dec], frame="icrs")
        msg = f"no position among the columns {', '.join(self.colnames)}"
        raise ConfigError(msg)


class Series(Frames, TimeSeries):  # type: ignore[misc]
    """Values of observations: astropy's :class:`~astropy.timeseries.TimeSeries`, whose ``time`` is their middle.

    It can be written as ECSV and read again: ``TimeSeries.read("curve.ecsv", time_column="time")``.
    """

    def to_pandas(self, **options: Any) -> Any:  # noqa: ANN401 (pandas is optional, and has no types here)
        """Convert to a data frame of pandas whose index is the time, in UTC, as :meth:`Results.to_pandas` does."""
        return super().to_pandas(**{"index": "time", **options})


class LightCurve(Series):
    """The light curve of a source: a :class:`Series` with detections, forced fits and limits."""

    @property
    def detections(self) -> LightCurve:
        """The points that were detected in their images, without forced fits."""
        points: LightCurve = self[self["kind"] == "detection"]
        return points

    @property
    def limits(self) -> LightCurve:
        """The forced fits that are no detection; ``upper_limit`` has their limits."""
        points: LightCurve = self[self["is_limit"]]
        return points


AnySeries = TypeVar("AnySeries", bound=Series)
"""A time series of any class."""


def as_results(columns: Mapping[str, tuple[Column, NDArray[Any]]], about: Mapping[str, Any]) -> Results:
    """Make a table of described columns.

    Parameters
    ----------
    columns
        Unit, meaning and (n,) values of each column, by name.
    about
        Properties that all rows share, for the ``meta`` of the table.

    Returns
    -------
    Floats with a unit are quantities, NaN if missing. Times are in UTC. Missing texts, integers and times are masked.
    """
    table = Results(meta=dict(about))
    for name, (column, values) in columns.items():
        table[name] = _column(column, np.asanyarray(values))
        _describe(table[name], column)
    return table


def as_series(
    kind: type[AnySeries],
    start: NDArray[np.datetime64],
    duration: NDArray[np.float64],
    columns: Mapping[str, tuple[Column, NDArray[Any]]],
    about: Mapping[str, Any],
) -> AnySeries:
    """Make a time series of described columns.

    Parameters
    ----------
    kind
        Class of the series.
    start
        (n,) UTC — start of each observation.
    duration
        (n,) s — its duration; NaN if unknown, which counts as 0.
    columns, about
        As for :func:`as_results`.
    """
    half = np.round(5e5 * np.nan_to_num(np.asarray(duration, float))).astype("m8[us]")
    series = kind(time=_time(np.asarray(start, "M8[us]") + half), meta=dict(about))
    series["time"].info.description = "Middle of the observation, UTC."
    series["time"].info.meta = {"ucd": "time.epoch;obs.exposure"}
    table = as_results(columns, {})
    for name in table.colnames:
        series[name] = table[name]
    return series


def plain(column: Any) -> NDArray[Any]:  # noqa: ANN401 (a column of any of astropy's kinds)
    """Return the values of a column without unit and meaning; masked texts and integers stay masked."""
    if hasattr(column, "unit") and column.unit is not None and hasattr(column, "value"):
        return np.asarray(column.value)
    return column.data if isinstance(column, MaskedColumn) else np.asarray(column)


def stokes_codes(letters: NDArray[Any]) -> NDArray[np.int64]:
    """Return the codes of Stokes parameters that :func:`trap.codes.stokes_letter` has written, (n,)."""
    codes = {letter: STOKES[letter] if letter in STOKES else int(letter) for letter in map(str, np.unique(letters))}
    return np.array([codes[str(letter)] for letter in letters], np.int64)


def _column(column: Column, values: NDArray[Any]) -> Any:  # noqa: ANN401 (a column of any of astropy's kinds)
    """Convert the values of a column to a quantity, times, or a plain column, masked if values are missing."""
    if values.dtype.kind == "M":
        return _time(values)
    if values.dtype.kind == "O":
        missing = np.array([value is None for value in values], bool)
        # Without any value, a column with a unit is one of numbers, and one without is one of text.
        kind = np.array([value for value in values if value is not None] or ([0.0] if column.unit else [""]))
        filled = np.array([kind.dtype.type() if value is None else value for value in values], kind.dtype)
        values = np.ma.MaskedArray(filled, missing) if missing.any() else filled
    unit = units.Unit(column.unit) if column.unit not in UNITLESS else None
    if unit is not None and values.dtype.kind in "fi" and not np.ma.isMaskedArray(values):
        return units.Quantity(values, unit, copy=False)
    return (MaskedColumn if np.ma.isMaskedArray(values) else PlainColumn)(values, unit=unit)


def _time(values: NDArray[np.datetime64]) -> Time:
    """Convert times, shown to the second, the millisecond or the microsecond, whichever all of them need."""
    stamps = values.astype("M8[us]")
    is_missing = np.isnat(stamps)
    filled = np.where(is_missing, np.datetime64(0, "us"), stamps)
    months, days = filled.astype("M8[M]"), filled.astype("M8[D]")
    rest = (filled - days).astype(np.int64)
    # By parts: astropy reads datetime64 one by one as text, which takes 40 times as long.
    parts = {
        "year": months.astype("M8[Y]").astype(int) + 1970,
        "month": months.astype(int) % 12 + 1,
        "day": (days - months.astype("M8[D]")).astype(int) + 1,
        "hour": rest // _HOUR,
        "minute": rest % _HOUR // _MINUTE,
        "second": rest % _MINUTE / 1e6,
    }
    time = Time(parts, format="ymdhms", scale="utc")
    time.format, time.precision = "isot", _digits(stamps)
    if is_missing.any():
        time[is_missing] = np.ma.masked
    return time


def _digits(stamps: NDArray[np.datetime64]) -> int:
    """Return the number of decimals of a second that times, (n,) in microseconds, need: 0, 3 or 6."""
    rest = stamps[~np.isnat(stamps)].astype(np.int64)
    return next((digits for digits in (0, 3) if not (rest % 10 ** (6 - digits)).any()), 6)


def _stamps(time: Time) -> NDArray[np.datetime64]:
    """Return times as numpy has them, to the microsecond; a missing time is NaT."""
    is_missing = np.asarray(time.mask)
    stamps = np.full(len(time), np.datetime64("NaT"), "M8[us]")
    parts = time[~is_missing].unmasked.ymdhms
    months = (12 * (parts["year"].astype(int) - 1970) + parts["month"] - 1).astype("M8[M]")
    seconds = np.round(1e6 * parts["second"]).astype(np.int64)
    rest = _HOUR * parts["hour"].astype(np.int64) + _MINUTE * parts["minute"].astype(np.int64) + seconds
    stamps[~is_missing] = (months.astype("M8[D]") + (parts["day"].astype(int) - 1)) + rest.astype("m8[us]")
    return stamps


def _describe(column: Any, described: Column) -> None:  # noqa: ANN401 (a column of any of astropy's kinds)
    """Add the meaning and the UCD to a column of astropy."""
    column.info.description = described.doc or None
    if described.ucd:
        column.info.meta = {"ucd": described.ucd}


def _unit(column: Any) -> str:  # noqa: ANN401 (a column of any of astropy's kinds)
    return str(getattr(column, "unit", None) or "")
