"""A selection as conditions of SQL, with bound values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import Double, Float, case, func, literal, select

from trap import angles
from trap.db.bulk import is_among, read_columns
from trap.db.models import AssocXtrSource, ExtractedSource, FrequencyBand, NewSource, Rating, RunningCatalog, SkyRegion
from trap.db.overview import images_near
from trap.db.rated_columns import rating_conditions
from trap.db.ratings import rated_measurements
from trap.errors import ConfigError
from trap.selection import SHORT_NAMES, nearest_names

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import ColumnElement, Connection

    from trap.db.result_columns import Query, ResultTable
    from trap.selection import Cone, Range, Selection
    from trap.tables import Column
    from trap.typing import Ids

__all__ = ["check_columns", "check_range", "conditions", "selected_bands", "selected_regions"]

BAND_SHARE = 0.005
"""Largest relative difference between a frequency outside all bands and the centre of the band that it names."""
SLACK_DEG = 1e-9
"""Summand of the strip of declinations, which only has to contain the cone: far above the rounding of the numbers."""


def conditions(
    connection: Connection, table: ResultTable, datasets: Sequence[int], selection: Selection
) -> list[ColumnElement[bool]]:
    """Return the conditions of the rows of some datasets that pass a selection.

    Parameters
    ----------
    connection
        Open connection; bands and sky regions are looked up.
    table
        Table with a query.
    datasets
        Numbers of the datasets.
    selection
        Filters.

    Raises
    ------
    ConfigError
        If the table has no such column, the column has no numbers, no dataset has such a band, or the table has no
        rows that the filter could apply to.
    """
    query = _query(table)
    # Few entries are the way into the tables: the index on datasets would read all entries for each of them.
    dataset = query.dataset if selection.entries is None else query.dataset + 0
    found: list[ColumnElement[bool]] = [dataset.in_([int(number) for number in datasets]), *query.where]
    if selection.near is not None:
        found += _in_cone(connection, query, datasets, selection.near)
    found += [condition for one in selection.ranges for condition in _in_range(connection, table, one)]
    if selection.bands:
        found.append(is_among(connection, query.band, selected_bands(connection, datasets, selection.bands)))
    if selection.stokes:
        found.append(query.stokes.in_(selection.stokes))
    if selection.since is not None:
        found.append(query.time >= selection.since)
    if selection.until is not None:
        found.append(query.time <= selection.until)
    return [*found, *_of_sources(connection, table, datasets, selection)]


def check_columns(table: ResultTable, names: Sequence[str]) -> None:
    """Refuse names that are no columns of a table.

    Parameters
    ----------
    table
        Table of results.
    names
        Names.

    Raises
    ------
    ConfigError
        With the nearest names.
    """
    for name in names:
        if name not in table.columns:
            msg = f"table {table.name} has no column {name!r}{nearest_names(name, table.columns)}"
            raise ConfigError(msg)


def check_range(table: ResultTable, one: Range) -> tuple[str, Column]:
    """Return the name and the description of the column of a range.

    Parameters
    ----------
    table
        Table of results.
    one
        Range of a column, which may have a short name.

    Raises
    ------
    ConfigError
        If the table has no such column, or the column has no numbers.
    """
    name = SHORT_NAMES.get(one.column, one.column)
    check_columns(table, [name])
    column = table.columns[name]
    if column.dtype.kind not in "fi":
        other = "; since and until select by time" if column.dtype.kind == "M" else ""
        msg = f"column {name} of table {table.name} has no numbers, so that no range can select from it{other}"
        raise ConfigError(msg)
    return name, column


def selected_bands(connection: Connection, datasets: Sequence[int], frequencies: Sequence[float]) -> list[int]:
    """Return the row numbers of the bands that contain frequencies, one for each frequency and dataset at most.

    Parameters
    ----------
    connection, datasets
        Open connection, and numbers of the datasets.
    frequencies
        Hz — each selects the nearest of the bands that contain it, or the band whose centre is within 0.5 %.

    Raises
    ------
    ConfigError
        If a frequency is in no band of any dataset.
    """
    band = FrequencyBand
    rows = read_columns(
        connection,
        select(band.id, band.dataset, band.freq_central, band.freq_low, band.freq_high).where(
            band.dataset.in_([int(number) for number in datasets])
        ),
    )
    found = []
    for frequency in frequencies:
        difference = np.abs(rows["freq_central"] - frequency)
        is_inside = (rows["freq_low"] <= frequency) & (frequency <= rows["freq_high"])
        is_inside |= difference <= BAND_SHARE * rows["freq_central"]
        if not is_inside.any():
            listed = ", ".join(f"{one / 1e6:.7g}" for one in np.unique(rows["freq_central"])) or "none"
            numbers = ", ".join(map(str, datasets))
            has, its = ("dataset {} has", "its") if len(datasets) == 1 else ("datasets {} have", "their")
            msg = f"band {frequency / 1e6:g} MHz: {has.format(numbers)} no such band; {its} bands are {listed} MHz"
            raise ConfigError(msg)
        for dataset in np.unique(rows["dataset"][is_inside]):
            candidates = np.flatnonzero(is_inside & (rows["dataset"] == dataset))
            found.append(int(rows["id"][candidates[difference[candidates].argmin()]]))
    return found


def selected_regions(connection: Connection, datasets: Sequence[int], cone: Cone) -> Ids:
    """Return the row numbers of the sky regions that overlap a cone.

    Parameters
    ----------
    connection, datasets
        Open connection, and numbers of the datasets.
    cone
        Circle on the sky.
    """
    region = SkyRegion
    rows = read_columns(
        connection,
        select(region.id, region.centre_ra, region.centre_decl, region.xtr_radius).where(
            region.dataset.in_([int(number) for number in datasets])
        ),
    )
    distance = angles.separation(rows["centre_ra"], rows["centre_decl"], cone.ra, cone.dec)
    overlapping: Ids = rows["id"][distance <= rows["xtr_radius"] + cone.radius]
    return overlapping


def _query(table: ResultTable) -> Query:
    if table.query is None:
        msg = f"table {table.name} is computed, and has no query"
        raise ValueError(msg)
    return table.query


def _in_cone(
    connection: Connection, query: Query, datasets: Sequence[int], cone: Cone
) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions of a cone: a strip of declinations for the index, and the exact distance.

    The square of the chord between unit vectors needs no functions that a database may lack, and is valid at RA 0 and
    at the poles.
    """
    if query.place is SkyRegion:
        region: Any = query.root
        yield is_among(connection, region.skyrgn, selected_regions(connection, datasets, cone))
        return
    if cone.radius >= 180:
        return
    place: Any = query.place
    if query.place is ExtractedSource:
        # The index of measurements is one of declinations within each image.
        images = images_near(connection, datasets, cone.ra, cone.dec, radius=cone.radius)
        yield is_among(connection, ExtractedSource.image, images)
    declination = place.wm_decl if query.place is RunningCatalog else place.decl
    yield declination.between(cone.dec - cone.radius - SLACK_DEG, cone.dec + cone.radius + SLACK_DEG)
    centre = [float(axis) for axis in angles.unit_vectors(cone.ra, cone.dec)]
    dx, dy, dz = (axis - value for axis, value in zip((place.x, place.y, place.z), centre, strict=True))
    yield dx * dx + dy * dy + dz * dz <= (2 * math.sin(math.radians(cone.radius) / 2)) ** 2


def _in_range(connection: Connection, table: ResultTable, one: Range) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions of a range. NULL passes no comparison; NaN would be PostgreSQL's largest number."""
    query, (name, _) = _query(table), check_range(table, one)
    compared = query.fields[name]
    is_float = isinstance(compared.type, Float | Double)
    if name == "v_int":
        # The mean of Stokes Q, U and V may be negative: the scatter relative to it is a size.
        compared = case((query.stokes != 1, func.abs(compared)), else_=compared)
    if one.low is not None:
        yield compared >= float(one.low)
    if one.high is not None:
        yield compared <= float(one.high)
    if is_float and connection.dialect.name == "postgresql" and one.high is None:
        yield compared != literal(math.nan)


def _of_sources(
    connection: Connection, table: ResultTable, datasets: Sequence[int], selection: Selection
) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions on entries, candidates, ratings and flags, which only some tables have."""
    query = _query(table)
    if selection.without_flags:
        if query.flags is None:
            msg = f"table {table.name} has no flags to select by"
            raise ConfigError(msg)
        yield query.flags.bitwise_and(selection.without_flags) == 0
    if query.root is Rating:
        yield from rating_conditions(selection.ratings, selection.tags)
    is_of_sources = query.entry is not None or query.root is ExtractedSource
    is_rated = bool(selection.ratings or selection.tags) and query.root is not Rating
    if not is_of_sources and (selection.entries is not None or selection.candidates_only or is_rated):
        kind = "entries" if selection.entries is not None else "ratings" if is_rated else "candidates"
        msg = f"table {table.name} has no {kind} to select by"
        raise ConfigError(msg)
    entry: Any = AssocXtrSource.runcat if query.entry is None else query.entry
    of_entries = []
    if selection.entries is not None:
        of_entries.append(is_among(connection, entry, selection.entries))
    if selection.candidates_only:
        of_entries.append(entry.in_(select(NewSource.runcat)))
    if is_rated:
        rated = rated_measurements(connection, datasets, ratings=selection.ratings, tags=selection.tags)
        is_chosen = is_among(connection, NewSource.trigger_xtrsrc, rated)
        of_entries.append(
            is_chosen if query.root is NewSource else entry.in_(select(NewSource.runcat).where(is_chosen))
        )
    if query.entry is None and of_entries:
        yield ExtractedSource.id.in_(select(AssocXtrSource.xtrsrc).where(*of_entries))
    else:
        yield from of_entries
