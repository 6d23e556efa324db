"""The source that a command line names: by candidate, entry, monitored position, or position on the sky."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from trap.db import lightcurves
from trap.errors import ConfigError, TrapError
from trap.report.text import sky_position
from trap.selection import parse_position

if TYPE_CHECKING:
    from argparse import Namespace

    from trap.db.engine import Connection

__all__ = ["selected_entry", "selected_position"]

ARCSEC = 1 / 3600
MAX_RADIUS_ARCSEC = 90 * 3600.0
"""arcsec — largest radius of a search around a position."""


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
    _check_selection(arguments)
    dataset = arguments.dataset
    if arguments.position:
        ra, dec = parse_position(arguments.position)
        if not 0 < arguments.radius <= MAX_RADIUS_ARCSEC:
            msg = f"--radius must be above 0 and at most {MAX_RADIUS_ARCSEC:g} arcsec, got {arguments.radius:g}"
            raise ConfigError(msg)
        near = lightcurves.entries_near(connection, dataset, ra, dec, radius=arguments.radius * ARCSEC)
        if not len(near["id"]):
            msg = f"dataset {dataset} has no source within {arguments.radius:g} arcsec of {sky_position(ra, dec)}"
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
