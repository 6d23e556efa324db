"""The columns of a reference catalogue: found by the settings or by common names, and converted to degrees and Jy."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from astropy import units

from trap.config.monitors import DEC_NAMES, RA_NAMES
from trap.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from astropy.table import Column

    from trap.calibration.reference_files import Heading, TableFile
    from trap.config.calibration import ColumnChoice
    from trap.typing import Array

__all__ = ["ReadColumns", "read_columns"]

NAMES: dict[str, tuple[str, ...]] = {
    "ra": (*RA_NAMES, "ra_deg_cont", "wm_ra"),
    "dec": (*DEC_NAMES, "dec_deg_cont", "wm_decl"),
    "flux": (
        "f_int", "int_flux", "flux_int", "total_flux", "total_flux_source", "s_int", "sint", "fint", "s_total",
        "stotal", "int_flux_wide", "fintwide", "integrated_flux", "flux_total", "avg_f_int", "stot", "flux",
    ),
}  # fmt: skip
"""Common names of columns, in lower case, the preferred ones first."""
UCDS = {"ra": "pos.eq.ra", "dec": "pos.eq.dec"}
FLUX_AT = re.compile(r"s_?\d+(\.\d+)?")
"""A flux density that is named after its frequency, such as S1.4."""
ERROR_FORMS = ("e_{}", "err_{}", "{}_err", "{}_error", "e{}", "{}err", "unc_{}", "sigma_{}")
GENERAL_ERRORS = {
    "ra_err": ("ew_err", "uncertainty_ew", "wm_uncertainty_ew"),
    "dec_err": ("ns_err", "uncertainty_ns", "wm_uncertainty_ns"),
}
SHORT = {"ra_err": ("ra",), "dec_err": ("dec", "de"), "flux_err": ()}
ERROR_OF = {"ra_err": "ra", "dec_err": "dec", "flux_err": "flux"}
TARGETS = {"ra": "deg", "dec": "deg", "ra_err": "deg", "dec_err": "deg", "flux": "Jy", "flux_err": "Jy"}
HOUR = 15.0
"""Degrees of an hour of right ascension."""
MAX_POSITION_ERROR = 0.05
"""deg — largest median error of the positions of a catalogue; a larger one is in another unit."""
MAX_SHOWN = 40
"""Largest number of columns in a message."""
MARKS = str.maketrans(dict.fromkeys(":hmsHMSdD°'\"′″", " "))


class ReadColumns(NamedTuple):
    """Columns that were read, by role, and a text about each assumption."""

    values: dict[str, Array]
    names: dict[str, str]
    assumed: tuple[str, ...]


def read_columns(
    file: TableFile, choices: Mapping[str, ColumnChoice], roles: Sequence[str], *, setting: str
) -> ReadColumns:
    """Read the columns of a catalogue and convert them.

    Parameters
    ----------
    file
        The table.
    choices
        Columns that the settings name, by role. Others are found by common names.
    roles
        Roles of the columns that are needed; ``flux_err``, ``ra_err`` and ``dec_err`` are left out if they are not
        found, ``spectral_index`` is read only if the settings name it.
    setting
        Name of the setting that names columns, for messages.

    Returns
    -------
    Columns in deg and Jy. Errors of right ascension are true angles. Missing values are NaN.

    Raises
    ------
    ConfigError
        If a column is missing or has no suitable unit.
    """
    found = _find_all(file.headings, choices, roles, setting)
    table = file.read(list(dict.fromkeys(heading.name for heading in found.values())))
    values: dict[str, Array] = {}
    assumed = []
    for role, heading in found.items():
        unit = choices[role].unit if role in choices and choices[role].unit else heading.unit.strip()
        numbers, is_sexagesimal = _numbers(table[heading.name], role, unit)
        if role in TARGETS and not is_sexagesimal:
            if not unit:
                assumed.append(f"{heading.name} in {TARGETS[role]}")
            numbers = numbers * _factor(heading.name, unit, role, setting)
        if role == "ra_err" and _unit(unit) in {units.s, units.hourangle}:
            numbers = numbers * np.cos(np.radians(values["dec"]))
        if role in {"ra_err", "dec_err"} and not unit:
            _check_size(numbers, heading.name, role, setting)
        values[role] = numbers
    return ReadColumns(values, {role: heading.name for role, heading in found.items()}, tuple(assumed))


def _find_all(
    headings: Sequence[Heading], choices: Mapping[str, ColumnChoice], roles: Sequence[str], setting: str
) -> dict[str, Heading]:
    """Return the columns of the roles; errors and spectral indices only if there are any."""
    by_name = {heading.name: heading for heading in headings}
    by_plain_name = {_plain(heading.name): heading for heading in reversed(headings)}
    found: dict[str, Heading] = {}
    for role in roles:
        if role in choices:
            name = choices[role].name
            heading = by_name.get(name) or by_plain_name.get(_plain(name))
            if heading is None:
                raise ConfigError(f"there is no column {name} ({setting}: {role}); {_shown(headings)}")
        elif role in ERROR_OF:
            names = _error_names(role, found[ERROR_OF[role]].name)
            heading = next((by_plain_name[name] for name in names if name in by_plain_name), None)
        elif role in NAMES:
            heading = _find(headings, by_plain_name, role)
            if heading is None:
                msg = f'no column has a common name of {role}; name it by {setting} = ["{role}=…"]; {_shown(headings)}'
                raise ConfigError(msg)
        else:
            heading = None
        if heading is not None:
            found[role] = heading
    return found


def _plain(name: str) -> str:
    """Return the name of a column in lower case, without the prefix of Selavy's tables."""
    return name.lower().removeprefix("col_")


def _find(headings: Sequence[Heading], by_plain_name: Mapping[str, Heading], role: str) -> Heading | None:
    """Return the column of a position or a flux density by its name or its UCD; None if there is none."""
    named = next((by_plain_name[name] for name in NAMES[role] if name in by_plain_name), None)
    if named is not None:
        return named
    if role == "flux":
        at_frequency = [heading for heading in headings if FLUX_AT.fullmatch(heading.name.lower())]
        return at_frequency[0] if len(at_frequency) == 1 else None
    # Of several positions in a table, the main one has the longer UCD.
    described = sorted(headings, key=lambda heading: -len(heading.ucd))
    return next((one for one in described if f"{one.ucd.lower()};".startswith(f"{UCDS[role]};")), None)


def _error_names(role: str, name: str) -> list[str]:
    """Return the common names of the error of a column, in lower case."""
    stems = (_plain(name), *SHORT[role])
    return [*(form.format(stem) for stem in stems for form in ERROR_FORMS), *GENERAL_ERRORS.get(role, ())]


def _shown(headings: Sequence[Heading]) -> str:
    """List the columns of a file for a message."""
    names = [heading.name for heading in headings]
    more = f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
    return f"the columns are {', '.join(names[:MAX_SHOWN])}{more}"


def _unit(text: str) -> Any:  # noqa: ANN401 (a unit of astropy, or None)
    """Return a unit; None if the text is no unit."""
    plain = {"h": "hourangle", "hour": "hourangle", "hours": "hourangle", "degrees": "deg", "degree": "deg"}
    try:
        return units.Unit(plain.get(text.lower(), text))
    except (ValueError, TypeError):
        return None


def _factor(name: str, text: str, role: str, setting: str) -> float:
    """Return the factor that converts a column to deg or Jy."""
    target = units.Unit(TARGETS[role])
    unit = _unit(text or TARGETS[role])
    if unit == units.s and role == "ra_err":
        return HOUR / 3600
    for scale in (units.dimensionless_unscaled, units.beam):
        # Flux densities of compact sources are given in Jy/beam as well.
        if unit is not None and (unit * scale).is_equivalent(target):
            return float((unit * scale).to(target))
    kind = "flux density" if target == units.Jy else "angle"
    msg = f"column {name} has the unit {text!r}, not of a{'n' if kind == 'angle' else ''} {kind}; name another one by "
    raise ConfigError(f'{msg}{setting} = ["{role}={name} [{TARGETS[role]}]"]')


def _check_size(errors: Array, name: str, role: str, setting: str) -> None:
    """Refuse errors of positions that are no degrees, if the file has no unit."""
    known = errors[errors > 0]
    if known.size and np.median(known) > MAX_POSITION_ERROR:
        msg = (
            f"column {name} has no unit, and {np.median(known):.3g} deg is no error of a position; name the unit by "
            f'{setting} = ["{role}={name} [arcsec]"]'
        )
        raise ConfigError(msg)


def _numbers(column: Column, role: str, unit: str) -> tuple[Array, bool]:
    """Return the values of a column, NaN where they are missing, and whether they were sexagesimal."""
    if column.ndim != 1:
        msg = f"column {column.name} has several values in a row"
        raise ConfigError(msg)
    if column.dtype.kind in "fiub":
        values = np.array(np.ma.getdata(column), float)
        values[np.ma.getmaskarray(column)] = np.nan
        return values, False
    cells = np.ma.filled(np.ma.asarray(column).astype(object), "")
    texts = [cell.decode(errors="replace") if isinstance(cell, bytes) else str(cell) for cell in cells]
    parts = [_parts(text) for text in texts]
    is_sexagesimal = role in {"ra", "dec"} and any(len(part) > 1 for part in parts)
    values = np.array([_angle(part) for part in parts], float)
    is_in_degrees = _unit(unit) == units.deg or any("d" in text.lower() or "°" in text for text in texts)
    if is_sexagesimal and role == "ra" and not is_in_degrees:
        values *= HOUR
    return values, is_sexagesimal


def _parts(text: str) -> list[str]:
    """Split a sexagesimal text; a number is one part, and other texts have none."""
    try:
        float(text)
    except ValueError:
        return text.translate(MARKS).split()
    return [text]


def _angle(parts: list[str]) -> float:
    """Return the number of a sexagesimal text in units of its first part; NaN if it is none."""
    try:
        numbers = [float(part) for part in parts[:4]]
    except ValueError:
        return np.nan
    if not 1 <= len(numbers) <= 3:
        return np.nan
    size = math.fsum(abs(number) / 60.0**i for i, number in enumerate(numbers))
    return -size if parts[0].startswith("-") else size
