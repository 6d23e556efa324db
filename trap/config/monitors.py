"""Monitored positions: measured in every image, whether or not a source is detected there."""

from __future__ import annotations

import csv
import json
import math
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astropy.coordinates import Angle
from astropy.io.votable import parse_single_table
from astropy.io.votable.exceptions import VOTableSpecWarning
from astropy.units import Unit
from astropy.utils.exceptions import AstropyWarning

from trap.catalogues import MonitorPositions
from trap.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["load_monitors", "parse_positions"]

MAX_SHOWN = 200
"""Largest number of characters of a value in a message."""
NAME_LENGTH = 100
"""Largest number of characters in the name of a position, as the database stores it."""
VOTABLE_SUFFIXES = (".vot", ".votable", ".xml")
RA_NAMES = ("ra", "_raj2000", "raj2000", "ra_j2000", "alpha_j2000", "ra_icrs", "_ra_icrs", "_ra", "ra_deg")
DEC_NAMES: tuple[str, ...] = ("dec", "decl", "_dej2000", "dej2000", "de_j2000", "decj2000", "dec_j2000", "delta_j2000")
DEC_NAMES += ("de_icrs", "_de_icrs", "dec_icrs", "_de", "dec_deg")
NAME_NAMES = ("name", "main_id", "source_name", "designation")
"""Names of columns, in lower case, the preferred ones first."""
HOUR = 15.0
"""Degrees of an hour of right ascension."""
HEADING = re.compile(r"\s*(.*?)\s*(?:[\[(]([^\])]*)[\])])?\s*")
"""Heading of a column of a CSV file: its name, and its unit in brackets if it has one."""


def load_monitors(path: str | Path) -> MonitorPositions:
    """Read positions from a file.

    Parameters
    ----------
    path
        A CSV file (``.csv``) or a VOTable (``.vot``, ``.votable``, ``.xml``) with columns ``ra`` and
        ``dec``, ICRS, and optionally ``name``; other columns are ignored. The columns may also have the names of
        catalogues, such as ``RAJ2000`` and ``_DEJ2000``, or the UCDs ``pos.eq.ra`` and ``pos.eq.dec``. Numbers are in
        degrees or in the unit of the column; text may be sexagesimal, with right ascensions in hours. A file with any
        other suffix is JSON, see :func:`parse_positions`.

    Raises
    ------
    ConfigError
        If the file cannot be read or an item is not a position; the message names the file and the value.
    """
    suffix = Path(path).suffix.lower()
    read = _from_csv if suffix == ".csv" else _from_votable if suffix in VOTABLE_SUFFIXES else _from_json
    try:
        return read(Path(path))
    except ConfigError as error:
        msg = f"{path}: {error}"
        raise ConfigError(msg) from None
    # For a file in the wrong format, astropy and csv raise errors of many types.
    except (OSError, ValueError, csv.Error, IndexError, OverflowError, RecursionError) as error:
        msg = f"{path}: cannot read the positions to monitor: {' '.join(str(error).split())}"
        raise ConfigError(msg) from error


def parse_positions(text: str) -> MonitorPositions:
    """Read positions from JSON.

    Parameters
    ----------
    text
        A list of ``[ra, dec]`` pairs, as in TraP, or of objects ``{"name": …, "ra": …, "dec": …}``, where
        the name is optional; degrees, ICRS.

    Raises
    ------
    ConfigError
        If the text is not JSON, or an item is not a position.
    """
    try:
        items = json.loads(text)
    except (ValueError, RecursionError) as error:
        msg = f"cannot read the positions to monitor: {error}"
        raise ConfigError(msg) from error
    if not isinstance(items, list):
        msg = f"must be a JSON list of positions, got {type(items).__name__}"
        raise ConfigError(msg)
    return _to_table(_position(item) for item in items)


def _from_json(path: Path) -> MonitorPositions:
    return parse_positions(path.read_text(encoding="utf-8"))


def _from_csv(path: Path) -> MonitorPositions:
    # Spreadsheets begin their files with a byte order mark.
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, skipinitialspace=True)
        headings = {str(name): HEADING.fullmatch(str(name)) for name in reader.fieldnames or ()}
        columns = [_Column(name, found[1], found[2] or "") for name, found in headings.items() if found]
        return _read_rows(reader, columns)


def _from_votable(path: Path) -> MonitorPositions:
    """Read positions from the first table of a VOTable."""
    with warnings.catch_warnings():
        # Small violations of the standard are common and harmless.
        warnings.simplefilter("ignore", AstropyWarning)
        warnings.simplefilter("ignore", VOTableSpecWarning)
        table = parse_single_table(path).to_table(use_names_over_ids=True)
    ucds = {name: str(table[name].meta.get("ucd") or "") for name in table.colnames}
    units = {name: str(table[name].unit or "") for name in table.colnames}
    columns = [_Column(name, name, units[name], ucds[name].lower()) for name in table.colnames]
    return _read_rows(table, columns)


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of a table: its key in a row, its name, its unit as text, and its UCD (empty in a CSV file)."""

    key: str
    name: str
    unit: str = ""
    ucd: str = ""


def _read_rows(rows: Iterable[Any], columns: Sequence[_Column]) -> MonitorPositions:
    """Read the positions in the rows of a table, from the columns with known names or UCDs."""
    ra = _find(columns, RA_NAMES, "pos.eq.ra")
    dec = _find(columns, DEC_NAMES, "pos.eq.dec")
    if ra is None or dec is None:
        found = ", ".join(column.name for column in columns)
        msg = (
            "must have columns ra and dec (or RAJ2000 and DEJ2000, RA_ICRS and DE_ICRS, or with the UCDs pos.eq.ra and "
            f"pos.eq.dec), got {found or 'none'}"
        )
        raise ConfigError(msg)
    name = _find(columns, NAME_NAMES, "meta.id;meta.main")
    return _to_table(
        _position(
            {
                "name": "" if name is None else str(row[name.key] or ""),
                "ra": _angle(row[ra.key], ra, "ra"),
                "dec": _angle(row[dec.key], dec, "dec"),
            }
        )
        for row in rows
    )


def _find(columns: Sequence[_Column], names: Sequence[str], ucd: str) -> _Column | None:
    """Return the column with the first of some names, or with a UCD that begins so; None without one."""
    by_name = {column.name.lower(): column for column in columns}
    named = (by_name[name] for name in names if name in by_name)
    # Of several positions in a table, the main one has the longer UCD.
    described = (
        column for column in sorted(columns, key=lambda c: -len(c.ucd)) if f"{column.ucd};".startswith(f"{ucd};")
    )
    return next(named, next(described, None))


def _angle(value: Any, column: _Column, axis: str) -> float:  # noqa: ANN401 (text, or a number of a table)
    """Convert a cell to degrees: a number in the unit of its column, or a sexagesimal angle (hours for ra)."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        try:
            return float(Angle(str(value), "hourangle" if axis == "ra" else "deg").deg)
        except (ValueError, TypeError):  # astropy's errors of units and angles are both
            msg = f"{axis} must be a number of degrees or a sexagesimal angle, got {value!r}"
            raise ConfigError(msg) from None
    unit = column.unit.strip()
    try:
        return number * (HOUR if unit.lower() in {"h", "hour", "hours"} else float(Unit(unit or "deg").to("deg")))
    except (ValueError, TypeError):  # an unknown unit, or the unit of another quantity
        msg = f"column {column.name} must be in deg, rad, hourangle or another unit of angles, got {unit}"
        raise ConfigError(msg) from None


def _to_table(positions: Iterable[tuple[str, float, float]]) -> MonitorPositions:
    """Collect positions in a table."""
    rows = list(positions)
    if not rows:
        return MonitorPositions.empty()
    names, ra, dec = zip(*rows, strict=True)
    return MonitorPositions.of(ra=ra, dec=dec, name=names)


def _position(item: Any) -> tuple[str, float, float]:  # noqa: ANN401 (any value of JSON)
    """Check an item of a list of positions; return its name, right ascension in [0, 360) and declination."""
    if isinstance(item, dict) and {"ra", "dec"} <= item.keys() <= {"name", "ra", "dec"}:
        name, ra, dec = item.get("name", ""), item["ra"], item["dec"]
    elif isinstance(item, list) and len(item) == 2:
        name, (ra, dec) = "", item
    else:
        msg = f'must be [ra, dec] or {{"name": …, "ra": …, "dec": …}}, got {_shown(item)}'
        raise ConfigError(msg)
    if not isinstance(name, str) or len(name) > NAME_LENGTH:
        msg = f"a name must be text of at most {NAME_LENGTH} characters, got {_shown(name)}"
        raise ConfigError(msg)
    if re.search(r"[\0\ud800-\udfff]", name):
        msg = f"a name must not have a NUL character or halves of characters, got {name!r}"
        raise ConfigError(msg)
    return name, _degrees("ra", ra, -360.0, 360.0) % 360.0, _degrees("dec", dec, -90.0, 90.0)


def _degrees(name: str, value: Any, low: float, high: float) -> float:  # noqa: ANN401 (as above)
    """Check an angle of a position; return it in degrees."""
    # Any integer can be compared; one of a thousand digits is no float.
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or (isinstance(value, float) and not math.isfinite(value)):
        msg = f"{name} must be a number of degrees, got {_shown(value)}"
        raise ConfigError(msg)
    if not low <= value <= high:
        msg = f"{name} must be between {low:g} and {high:g} degrees, got {_shown(value)}"
        raise ConfigError(msg)
    return float(value)


def _shown(value: object) -> str:
    """Write a value of JSON for a message, shortened."""
    try:
        text = json.dumps(value)
    except (ValueError, RecursionError):  # a number of thousands of digits, or deep nesting
        text = type(value).__name__
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}…"
