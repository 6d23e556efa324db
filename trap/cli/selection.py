"""The source that a command line names: by candidate, entry, monitored position, or position on the sky."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.db import lightcurves
from trap.db.result_tables import read_rows
from trap.errors import ConfigError, TrapError
from trap.report.text import sky_position
from trap.selection import SHORT_NAMES, Cone, Selection, parse_position

if TYPE_CHECKING:
    from argparse import Namespace

    from numpy.typing import NDArray

    from trap.db.engine import Connection
    from trap.typing import Columns

__all__ = ["given_selection", "named_cone", "selected_entry", "selected_position", "selected_rows"]

ARCSEC = 1 / 3600
MAX_RADIUS_ARCSEC = 90 * 3600.0
"""arcsec — largest radius of a search around a position."""


def given_selection(arguments: Namespace, *, entry: int | None = None) -> Selection:
    """Return the filters of a command line.

    Parameters
    ----------
    arguments
        Arguments of :func:`~trap.cli.result_options.add_filters`.
    entry
        Row number of the one source that the command shows.

    Raises
    ------
    ConfigError
        If a filter has no meaning.
    """
    limits: dict[str, Any] = {}
    for end in ("min", "max"):
        for text in getattr(arguments, end) or []:
            column, is_there, value = text.partition("=")
            name = f"{end}_{SHORT_NAMES.get(column.strip(), column.strip())}"
            if not (is_there and column.strip()) or name in limits:
                problem = "a column has two" if name in limits else "write it as COLUMN=VALUE"
                msg = f"--{end} {text}: {problem}"
                raise ConfigError(msg)
            limits[name] = value.strip()
    own: dict[str, Any] = {"entries": entry}
    if entry is None:
        own = {
            "near": None if arguments.near is None else " ".join(arguments.near),
            "radius": arguments.radius,
            "entries": arguments.entry,
            "candidates_only": arguments.candidates_only,
        }
    return Selection.of(
        band=arguments.band,
        stokes=arguments.stokes,
        without_flags=arguments.without_flags or "",
        since=arguments.since,
        until=arguments.until,
        rating=arguments.rating,
        tag=arguments.tag,
        **own,
        **limits,
    )


def selected_rows(
    connection: Connection, name: str, dataset: int, selection: Selection, rows: Columns, *, key: str
) -> dict[str, NDArray[Any]]:
    """Return the rows of a query that pass a selection.

    Parameters
    ----------
    connection
        Connection in a transaction of the caller.
    name
        Name of the result table that the filters are applied to.
    dataset
        Number of the dataset.
    selection
        Filters; without any, all rows pass, and nothing is read.
    rows
        (n,) values by name.
    key
        Name of a column of row numbers that the table has too.

    Raises
    ------
    ConfigError
        If the selection does not fit the table.
    """
    if selection == Selection():
        return dict(rows)
    passed = read_rows(connection, name, [dataset], selection, columns=[key])[key]
    keep = np.isin(rows[key], passed)
    return {column: values[keep] for column, values in rows.items()}


def selected_entry(connection: Connection, arguments: Namespace) -> dict[str, Any]:
    """Find the entry of the running catalogue that the arguments name.

    Parameters
    ----------
    connection
        Connection in a transaction of the caller.
    arguments
        Arguments of :func:`~trap.cli.result_options.add_selection`, and the number of the dataset.

    Returns
    -------
    Row of :func:`trap.db.lightcurves.entries_near`, with ``n_near``, the number of entries within the search radius.
    ``distance_deg`` is NaN if no position was given.

    Raises
    ------
    ConfigError
        If the arguments name no source, or two, or the position is none.
    TrapError
        If the dataset has no such entry.
    """
    cone, dataset = named_cone(arguments), arguments.dataset
    if cone is not None:
        near = lightcurves.entries_near(connection, dataset, cone.ra, cone.dec, radius=cone.radius)
        if not len(near["id"]):
            place = sky_position(cone.ra, cone.dec)
            msg = f"dataset {dataset} has no source within {arguments.radius:g} arcsec of {place}"
            raise TrapError(msg)
        return {**{name: values[0] for name, values in near.items()}, "n_near": len(near["id"])}
    which = "candidate" if arguments.candidate is not None else "entry" if arguments.entry is not None else "name"
    value = getattr(arguments, which)
    found = lightcurves.entries_named(connection, dataset, **{which: value})
    if not len(found["id"]):
        listed = {"candidate": "candidates", "entry": "variables", "name": "dataset show"}[which]
        msg = f"dataset {dataset} has no {which} {value!r}; 'transients {listed} {dataset}' lists them"
        raise TrapError(msg)
    return {**{name: values[0] for name, values in found.items()}, "distance_deg": math.nan, "n_near": 1}


def named_cone(arguments: Namespace) -> Cone | None:
    """Return the circle around the position that the arguments name; None if they name a source in another way.

    Parameters
    ----------
    arguments
        As for :func:`selected_entry`.

    Raises
    ------
    ConfigError
        If the arguments name no source, or two, or the position is none.
    """
    _check_selection(arguments)
    if not arguments.position:
        return None
    ra, dec = parse_position(arguments.position)
    if not 0 < arguments.radius <= MAX_RADIUS_ARCSEC:
        msg = f"--radius must be above 0 and at most {MAX_RADIUS_ARCSEC:g} arcsec, got {arguments.radius:g}"
        raise ConfigError(msg)
    return Cone(ra=ra, dec=dec, radius=arguments.radius * ARCSEC)


def selected_position(connection: Connection, arguments: Namespace) -> tuple[float, float]:
    """Return the position that the arguments name: itself, or the position of the entry.

    Parameters
    ----------
    connection, arguments
        As for :func:`selected_entry`.

    Returns
    -------
    ra, dec
        deg, ICRS

    Raises
    ------
    ConfigError
        If the arguments name no source, or two, or the position is none.
    TrapError
        If the dataset has no such entry.
    """
    _check_selection(arguments)
    if arguments.position:
        return parse_position(arguments.position)
    entry = selected_entry(connection, arguments)
    return float(entry["wm_ra"]), float(entry["wm_decl"])


def _check_selection(arguments: Namespace) -> None:
    """Refuse arguments that name no source, or more than one."""
    options = ("candidate", "entry", "name")
    named = [f"--{option}" for option in options if getattr(arguments, option) is not None]
    named += ["a position"] if arguments.position else []
    if len(named) != 1:
        problem = f"{' and '.join(named)} name two sources" if named else "no source is named"
        msg = f"{problem}; give a position, --candidate, --entry or --name"
        raise ConfigError(msg)
