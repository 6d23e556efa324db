"""Monitored positions: measured in every image, whether or not a source is detected there."""

from __future__ import annotations

import csv
import json
import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astropy.io.votable import parse_single_table
from astropy.io.votable.exceptions import VOTableSpecWarning
from astropy.utils.exceptions import AstropyWarning

from trap.catalogues import MonitorPositions
from trap.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["load_monitors", "parse_positions"]

NAME_LENGTH = 100
"""Largest number of characters in the name of a position, as the database stores it."""
VOTABLE_SUFFIXES = (".vot", ".votable", ".xml")


def load_monitors(path: str | Path) -> MonitorPositions:
    """Read positions from a file.

    Parameters
    ----------
    path
        A CSV file (``.csv``) or a VOTable (``.vot``, ``.votable``, ``.xml``) with columns ``ra`` and
        ``dec`` in degrees, ICRS, and optionally ``name``; other columns are ignored. A file with any
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
    except (OSError, ValueError, csv.Error, IndexError) as error:
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
    except ValueError as error:
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
        columns = {str(name).strip().lower(): name for name in reader.fieldnames or ()}
        _check_columns(columns)
        return _to_table(_row({key: row[name] for key, name in columns.items()}) for row in reader)


def _from_votable(path: Path) -> MonitorPositions:
    """Read positions from the first table of a VOTable."""
    with warnings.catch_warnings():
        # Small violations of the standard are common and harmless.
        warnings.simplefilter("ignore", AstropyWarning)
        warnings.simplefilter("ignore", VOTableSpecWarning)
        table = parse_single_table(path).to_table()
    columns = {str(name).lower(): name for name in table.colnames}
    _check_columns(columns)
    for name in ("ra", "dec"):
        unit = table[columns[name]].unit
        if unit is not None and str(unit) != "deg":
            msg = f"column {columns[name]} must be in deg, got {unit}"
            raise ConfigError(msg)
    return _to_table(_row({key: row[name] for key, name in columns.items()}) for row in table)


def _check_columns(columns: Iterable[str]) -> None:
    names = list(columns)
    if not {"ra", "dec"} <= set(names):
        msg = f"must have columns ra and dec, got {', '.join(names) or 'none'}"
        raise ConfigError(msg)


def _row(values: dict[str, Any]) -> tuple[str, float, float]:
    """Convert the cells of a row to a position: name, right ascension and declination."""
    numbers = []
    for column in ("ra", "dec"):
        try:
            numbers.append(float(values[column]))
        except (TypeError, ValueError):
            msg = f"{column} must be a number of degrees, got {values[column]!r}"
            raise ConfigError(msg) from None
    return _position({"name": str(values.get("name") or ""), "ra": numbers[0], "dec": numbers[1]})


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
        msg = f'must be [ra, dec] or {{"name": …, "ra": …, "dec": …}}, got {json.dumps(item)}'
        raise ConfigError(msg)
    if not isinstance(name, str) or len(name) > NAME_LENGTH:
        msg = f"a name must be text of at most {NAME_LENGTH} characters, got {json.dumps(name)}"
        raise ConfigError(msg)
    return name, _degrees("ra", ra, -360.0, 360.0) % 360.0, _degrees("dec", dec, -90.0, 90.0)


def _degrees(name: str, value: Any, low: float, high: float) -> float:  # noqa: ANN401 (as above)
    """Check an angle of a position; return it in degrees."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        msg = f"{name} must be a number of degrees, got {json.dumps(value)}"
        raise ConfigError(msg)
    if not low <= value <= high:
        msg = f"{name} must be between {low:g} and {high:g} degrees, got {value}"
        raise ConfigError(msg)
    return float(value)
