"""Positions that the user wants measured in every image, whether or not a source is seen there."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from trap.catalogues import MonitorPositions
from trap.errors import ConfigError

__all__ = ["load_monitors"]

NAME_LENGTH = 100


def load_monitors(path: str | Path) -> MonitorPositions:
    """Read positions from a JSON file.

    Parameters
    ----------
    path
        A file with a list of ``[ra, dec]`` pairs, as TraP's, or of objects ``{"name": …, "ra": …,
        "dec": …}``, whose name may be left out; degrees, ICRS.

    Raises
    ------
    ConfigError
        If the file cannot be read or an item is not a position; the message names file and value.
    """
    try:
        items = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{path}: cannot read the positions to monitor: {error}"
        raise ConfigError(msg) from error
    if not isinstance(items, list):
        msg = f"{path}: must be a JSON list of positions, got {type(items).__name__}"
        raise ConfigError(msg)
    try:
        positions = [_position(item) for item in items]
    except ConfigError as error:
        msg = f"{path}: {error}"
        raise ConfigError(msg) from None
    if not positions:
        return MonitorPositions.empty()
    names, ra, dec = zip(*positions, strict=True)
    return MonitorPositions.of(ra=ra, dec=dec, name=names)


def _position(item: Any) -> tuple[str, float, float]:  # noqa: ANN401 (whatever the file holds)
    if isinstance(item, dict) and {"ra", "dec"} <= item.keys() <= {"name", "ra", "dec"}:
        name, ra, dec = item.get("name", ""), item["ra"], item["dec"]
    elif isinstance(item, list) and len(item) == 2:
        name, (ra, dec) = "", item
    else:
        msg = f'must be [ra, dec] or {{"name": …, "ra": …, "dec": …}}, got {json.dumps(item)}'
        raise ConfigError(msg)
    if not isinstance(name, str) or len(name) > NAME_LENGTH:
        msg = f"a name is text of at most {NAME_LENGTH} characters, got {json.dumps(name)}"
        raise ConfigError(msg)
    return name, _degrees("ra", ra, -360.0, 360.0) % 360.0, _degrees("dec", dec, -90.0, 90.0)


def _degrees(which: str, value: Any, low: float, high: float) -> float:  # noqa: ANN401
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        msg = f"{which} must be a number of degrees, got {json.dumps(value)}"
        raise ConfigError(msg)
    if not low <= value <= high:
        msg = f"{which} must be between {low:g} and {high:g} degrees, got {value}"
        raise ConfigError(msg)
    return float(value)
