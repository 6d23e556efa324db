"""The selection of results: the same filters for the commands, the interface in Python and the exports.

A selection holds values only; :mod:`trap.db.result_tables` applies it in SQL. This module imports nothing slow, since
the help of the commands needs it.
"""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from trap.codes import STOKES, Flag
from trap.errors import ConfigError
from trap.written_positions import POSITION_EXAMPLES, parse_position

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "POSITION_EXAMPLES",
    "SHORT_NAMES",
    "VERDICTS",
    "Cone",
    "Range",
    "Selection",
    "nearest_names",
    "parse_position",
]

SHORT_NAMES = {"eta": "eta_int", "v": "v_int", "p": "eta_p_value"}
"""Columns by their short names in ranges."""
VERDICTS = ("true", "false", "unsure")
"""Ratings: whether a candidate is a transient."""
DEFAULT_RADIUS_ARCSEC = 30.0
MJD_ZERO = datetime(1858, 11, 17, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cone:
    """A circle on the sky, its rim included.

    Parameters
    ----------
    ra, dec
        deg, ICRS — centre.
    radius
        deg — radius, from 0 to 180.

    Raises
    ------
    ConfigError
        If the declination or the radius is impossible.
    """

    ra: float
    dec: float
    radius: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.ra) and -90 <= self.dec <= 90):
            msg = f"not a position: ra {self.ra:g}, dec {self.dec:g} degrees"
            raise ConfigError(msg)
        if not 0 < self.radius <= 180:
            msg = f"the radius of a cone must be above 0 and at most 180 degrees, got {self.radius:g} degrees"
            raise ConfigError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A range of the values of a column, its ends included. NaN and NULL are in no range.

    Parameters
    ----------
    column
        Name of a column of numbers, or a short name of :data:`SHORT_NAMES`.
    low, high
        Ends in the unit of the column; None leaves an end open.

    Raises
    ------
    ConfigError
        If no value can be in the range.
    """

    column: str
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        ends = [end for end in (self.low, self.high) if end is not None]
        if any(math.isnan(end) for end in ends) or ends != sorted(ends):
            msg = f"no value of {self.column} is from {self.low} to {self.high}"
            raise ConfigError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Filters of rows of a result table; a row is selected if it passes all of them.

    Parameters
    ----------
    near
        Circle around a position: the mean position of sources, of light curves and of candidates, the own position of
        measurements. Images, and coverage, are selected if their sky region overlaps it.
    ranges
        Ranges of columns of the table.
    bands
        Hz — frequencies; each selects the band that contains it.
    stokes
        Stokes parameters as FITS numbers them; empty selects all.
    without_flags
        Sum of :class:`~trap.codes.Flag`: measurements with any of them are left out.
    candidates_only
        Whether only sources that are transient candidates are selected.
    entries
        Row numbers of the running catalogue; None selects all, and an empty tuple nothing.
    since, until
        First and last time, in UTC: of the first detection of sources, of the start of the image of all others.
    ratings, tags
        Words of ratings, and tags: candidates that a person has rated with any of each, and their sources.
    """

    near: Cone | None = None
    ranges: tuple[Range, ...] = ()
    bands: tuple[float, ...] = ()
    stokes: tuple[int, ...] = ()
    without_flags: int = 0
    candidates_only: bool = False
    entries: tuple[int, ...] | None = None
    since: datetime | None = field(default=None)
    until: datetime | None = field(default=None)
    ratings: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.since is not None and self.until is not None and self.since > self.until:
            msg = f"no time is since {self.since.isoformat()} and until {self.until.isoformat()}"
            raise ConfigError(msg)

    @classmethod
    def of(  # noqa: PLR0913 (one keyword for each filter)
        cls,
        *,
        near: Any = None,  # noqa: ANN401 (a position in any form)
        radius: Any = None,  # noqa: ANN401 (a number or a quantity)
        band: Any = None,  # noqa: ANN401
        stokes: str | Sequence[str] | None = None,
        without_flags: str | int | Sequence[str] = (),
        candidates_only: bool = False,
        entries: int | Iterable[int] | None = None,
        since: Any = None,  # noqa: ANN401 (a time in any form)
        until: Any = None,  # noqa: ANN401
        rating: str | Sequence[str] | None = None,
        tag: str | Sequence[str] | None = None,
        **limits: float | None,
    ) -> Self:
        """Make a selection of values as users write them.

        Parameters
        ----------
        near
            Position: a text such as :data:`POSITION_EXAMPLES`, a pair (ra, dec) in degrees, a ``SkyCoord``, or a
            :class:`Cone`.
        radius
            Radius around the position: a number in arcsec, or a quantity; 30 arcsec by default.
        band
            Frequency in MHz, a quantity, or several of them; each selects the band that contains it. None selects all.
        stokes
            Letters of Stokes parameters, such as "I" or ["Q", "U"]; None selects all.
        without_flags
            Names of :class:`~trap.codes.Flag` in any case, such as "edge,blended", or their sum.
        candidates_only
            Whether to leave out sources that are no transient candidates.
        entries
            Row numbers of the running catalogue; None selects all, and an empty list nothing.
        since, until
            First and last time: ISO 8601 text, a number (MJD), a ``datetime`` or a ``Time``; UTC unless it has a zone.
        rating
            "true", "false" or "unsure", or several: the candidates that a person has rated so, with their sources.
        tag
            Tags of ratings, with commas between them, or a list: candidates whose rating has any of them.
        limits
            ``min_COLUMN`` and ``max_COLUMN`` for any column of numbers; None sets no limit.

        Raises
        ------
        ConfigError
            If a value has no meaning, or a keyword is unknown.
        """
        return cls(
            near=_cone(near, radius),
            ranges=_ranges(limits),
            bands=tuple(_in_hz(one) for one in _choices("band", band)),
            stokes=tuple(_stokes_code(one) for one in _choices("stokes", stokes)),
            without_flags=_flags(without_flags),
            candidates_only=_yes_or_no("candidates_only", candidates_only),
            entries=None if entries is None else tuple(_row_number(one) for one in _listed(entries)),
            since=_moment("since", since),
            until=_moment("until", until),
            ratings=tuple(_verdict(one) for one in _choices("rating", rating)),
            tags=tuple(_tags(tag)),
        )


def nearest_names(word: str, known: Iterable[str]) -> str:
    """Return the known names that a word may stand for, as the end of an error message.

    Parameters
    ----------
    word
        Unknown name.
    known
        Possible names.

    Returns
    -------
    ``"; did you mean …?"`` if some names are near, all names otherwise.
    """
    names = list(known)
    near = difflib.get_close_matches(word, names, n=3)
    return f"; did you mean {' or '.join(near)}?" if near else f"; choose from {', '.join(names)}"


def _cone(near: Any, radius: Any) -> Cone | None:  # noqa: ANN401
    """Make a cone of a position in any form; a radius without a position is an error."""
    if near is None or isinstance(near, Cone):
        if radius is not None:
            msg = f"radius {radius} needs a position, near"
            raise ConfigError(msg)
        return near
    if isinstance(near, str):
        ra, dec = parse_position(near)
    elif hasattr(near, "icrs"):
        ra, dec = float(near.icrs.ra.deg), float(near.icrs.dec.deg)
    else:
        try:
            ra, dec = map(float, near)
        except (TypeError, ValueError) as error:
            msg = f"{near!r} is no position; examples: {POSITION_EXAMPLES}"
            raise ConfigError(msg) from error
    size = DEFAULT_RADIUS_ARCSEC if radius is None else radius
    degrees = float(size.to_value("deg")) if hasattr(size, "to_value") else _number("radius", size) / 3600
    return Cone(ra=ra % 360.0, dec=dec, radius=degrees)


def _ranges(limits: Mapping[str, float | None]) -> tuple[Range, ...]:
    """Make ranges of keywords ``min_COLUMN`` and ``max_COLUMN``."""
    ends: dict[str, dict[str, float]] = {}
    for keyword, value in limits.items():
        kind, _, column = keyword.partition("_")
        if kind not in ("min", "max") or not column:
            msg = f"unknown filter {keyword!r}{nearest_names(keyword, FILTERS)}"
            raise ConfigError(msg)
        if value is not None:
            ends.setdefault(column, {})["low" if kind == "min" else "high"] = _number(keyword, value)
    return tuple(Range(column=column, **of_column) for column, of_column in ends.items())


def _listed(values: Any) -> list[Any]:  # noqa: ANN401
    """Return one value, or several, as a list. A quantity of one value has a length no more than a number has."""
    if isinstance(values, str):
        return values.replace(",", " ").split()
    try:
        return list(values)
    except TypeError:
        return [values]


def _choices(name: str, values: Any) -> list[Any]:  # noqa: ANN401
    """Return the chosen values of a filter; None chooses all, which has none."""
    chosen = [] if values is None else _listed(values)
    if values is not None and not chosen:
        msg = f"{name} is empty, so that nothing is selected; None selects all"
        raise ConfigError(msg)
    return chosen


def _yes_or_no(name: str, value: Any) -> bool:  # noqa: ANN401
    if value not in (True, False):
        msg = f"{name} must be True or False, got {value!r}"
        raise ConfigError(msg)
    return bool(value)


def _number(name: str, value: Any) -> float:  # noqa: ANN401
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        msg = f"{name} must be a number, got {value!r}"
        raise ConfigError(msg) from error


def _row_number(value: Any) -> int:  # noqa: ANN401
    try:
        number = operator.index(int(value) if isinstance(value, str) else _no_flag(value))
        number.to_bytes(8, signed=True)  # the numbers that databases have
    except (TypeError, ValueError, OverflowError) as error:
        msg = f"entries must be row numbers of the running catalogue, got {value!r}"
        raise ConfigError(msg) from error
    return number


def _no_flag(value: Any) -> Any:  # noqa: ANN401
    """Return a value; True and False are whole numbers to Python, and never meant as such here."""
    if isinstance(value, bool):
        msg = f"{value} is no number"
        raise TypeError(msg)
    return value


def _in_hz(value: Any) -> float:  # noqa: ANN401
    return float(value.to_value("Hz")) if hasattr(value, "to_value") else _number("band", value) * 1e6


def _stokes_code(letter: Any) -> int:  # noqa: ANN401
    code = STOKES.get(str(letter).upper())
    if code is None:
        msg = f"stokes {letter}: no Stokes parameter; choose one of {', '.join(STOKES)}"
        raise ConfigError(msg)
    return code


def _verdict(word: Any) -> str:  # noqa: ANN401
    if word not in VERDICTS:
        msg = f"rating {word}: no rating; choose from {', '.join(VERDICTS)}"
        raise ConfigError(msg)
    return str(word)


def _tags(tags: Any) -> list[str]:  # noqa: ANN401
    """Return tags, which may have blanks within them."""
    chosen = [tags] if isinstance(tags, str) else tags or []
    if any("\0" in str(text) for text in chosen):
        msg = "a tag has a character without a meaning"
        raise ConfigError(msg)
    return [word.strip() for text in chosen for word in str(text).split(",") if word.strip()]


def _flags(names: Any) -> int:  # noqa: ANN401
    """Return the sum of flags that are named, or given as a number."""
    if isinstance(names, int):
        if not 0 <= names < 2 * max(Flag):
            msg = f"flags {names} is no sum of flags; the flags are {', '.join(_FLAG_NAMES)}"
            raise ConfigError(msg)
        return int(names)
    total = 0
    for name in _listed(names):
        word = str(name).lower().replace("-", "_")
        if word not in _FLAG_NAMES:
            msg = f"unknown flag {name!r}{nearest_names(word, _FLAG_NAMES)}"
            raise ConfigError(msg)
        total |= int(_FLAG_NAMES[word])
    return total


def _moment(name: str, value: Any) -> datetime | None:  # noqa: ANN401
    """Read a time: text, MJD, datetime, or any object that converts to a datetime."""
    if value is None:
        return None
    try:
        if hasattr(value, "to_datetime"):  # astropy's Time
            value = value.utc.to_datetime()
        if isinstance(_no_flag(value), int | float) or re.fullmatch(r"\d{1,6}(\.\d*)?", str(value).strip()):
            return MJD_ZERO + timedelta(days=float(value))
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value).strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError) as error:
        msg = f"{name} {value!r} is no time; examples: 2026-05-01, 2026-05-01T12:00:00, 61161.5 (MJD)"
        raise ConfigError(msg) from error


_FLAG_NAMES = {str(flag.name).lower(): flag for flag in Flag}
FILTERS = (
    "near", "radius", "band", "stokes", "without_flags", "candidates_only", "entries", "since", "until",
    "rating", "tag", "min_COLUMN", "max_COLUMN",
)  # fmt: skip
"""Keywords of :meth:`Selection.of`."""
