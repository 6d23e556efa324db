"""The result tables of several datasets that are read as one: ``sources`` and ``lightcurves``.

They are computed from the tables of the single datasets (:mod:`trap.db.merged`) and have their names, units and
meanings. The selections are the same, see :class:`trap.selection.Selection`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import select

from trap.codes import stokes_letter
from trap.db.bulk import is_among, read_columns
from trap.db.models import NewSource, RunningCatalog
from trap.db.ratings import rated_measurements
from trap.db.result_columns import ResultTable
from trap.db.result_conditions import check_range, selected_bands
from trap.db.result_tables import RESULT_TABLES
from trap.errors import ConfigError
from trap.selection import SHORT_NAMES
from trap.tables import Column

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from trap.db.merged import MergedDatasets
    from trap.db.merged_entries import MergedEntries
    from trap.selection import Selection
    from trap.typing import Columns

__all__ = [
    "MERGED_TABLES",
    "PLACE_COLUMNS",
    "find_merged_table",
    "read_merged_places",
    "read_merged_rows",
    "stream_merged_rows",
]

ENTRIES_PER_CHUNK = 2000
"""Number of entries whose light curves are read at once."""
_SOURCE = Column(
    np.dtype("i8"), "", "Number of the source: of its entry in the first dataset that has it.", ucd="meta.id;meta.main"
)
_METRICS = (
    *("wm_ra", "wm_decl", "freq_central", "stokes", "f_datapoints", "v_int", "eta_int", "eta_p_value"),
    *("modulation", "modulation_err", "vs_max", "m_max", "v_peak", "eta_peak"),
    *("lightcurve_max", "lightcurve_avg", "lightcurve_wavg"),
)
"""Columns of the table ``sources`` of one dataset that merged sources have too."""

MERGED_TABLES = {
    "sources": ResultTable(
        name="sources",
        description="Sources of all datasets, one row for each band and Stokes parameter.",
        columns={
            "source": _SOURCE,
            "n_datasets": Column(np.dtype("i8"), "", "Number of datasets that have the source in the band."),
            **{name: RESULT_TABLES["sources"].columns[name] for name in _METRICS},
        },
    ),
    "lightcurves": ResultTable(
        name="lightcurves",
        description="Points of the light curves of merged sources, on the flux scale of the first dataset.",
        columns={
            "source": _SOURCE,
            **RESULT_TABLES["lightcurves"].columns,
            "dataset_gain": Column(
                np.dtype("f8"), "", "Factor that the flux densities of the dataset were divided by.", ucd="arith.factor"
            ),
        },
        nullable=RESULT_TABLES["lightcurves"].nullable,
    ),
}
"""Tables of merged datasets, by name."""
PLACE_COLUMNS = {name: MERGED_TABLES["sources"].columns[name] for name in ("source", "wm_ra", "wm_decl", "n_datasets")}
"""Columns of merged sources without their metrics."""


def find_merged_table(name: str) -> ResultTable:
    """Return the description of a table of merged datasets.

    Parameters
    ----------
    name
        Name of the table.

    Raises
    ------
    ConfigError
        If several datasets have no such table.
    """
    if name not in MERGED_TABLES:
        msg = f"{name} of several datasets cannot be merged; choose {' or '.join(MERGED_TABLES)}, or one dataset"
        raise ConfigError(msg)
    return MERGED_TABLES[name]


def read_merged_rows(connection: Connection, merged: MergedDatasets, name: str, selection: Selection) -> Columns:
    """Read a table of merged datasets.

    Parameters
    ----------
    connection
        Connection in a transaction of the caller.
    merged
        The datasets.
    name
        Name of the table.
    selection
        Filters. The cone compares the mean positions of the sources.

    Returns
    -------
    Columns of the table, in order of the sources; the nearest source first if there is a cone.

    Raises
    ------
    ConfigError
        If there is no such table or column, or the table has no rows that a filter could apply to.
    """
    table = find_merged_table(name)
    parts = list(stream_merged_rows(connection, merged, name, selection))
    if not parts:
        return {key: np.empty(0, column.dtype) for key, column in table.columns.items()}
    joined: Any = {name: np.ma.concatenate if name in table.nullable else np.concatenate for name in table.columns}
    return {name: join([part[name] for part in parts]) for name, join in joined.items()}


def stream_merged_rows(
    connection: Connection, merged: MergedDatasets, name: str, selection: Selection
) -> Iterator[Columns]:
    """Yield the rows of a table of merged datasets in chunks of whole sources.

    Parameters
    ----------
    connection, merged, name, selection
        As for :func:`read_merged_rows`.

    Yields
    ------
    Columns of at least one row.

    Raises
    ------
    ConfigError
        As for :func:`read_merged_rows`.
    """
    table = find_merged_table(name)
    for one in selection.ranges:
        check_range(table, one)
    if name == "sources" and (selection.without_flags or selection.since or selection.until):
        msg = "sources of several datasets cannot be selected by flags or times; select their light curves"
        raise ConfigError(msg)
    cone = selection.near
    entries = merged.entries(connection, None if cone is None else (cone.ra, cone.dec, cone.radius))
    entries = _of_selected_sources(connection, entries, selection)
    if name == "sources":
        curves, _ = merged.statistics(connection, entries)
        letters = np.array([stokes_letter(code) for code in curves["stokes"].tolist()], object)
        curves = {**curves, "stokes": letters}
        chunks = iter([curves if cone is None else _take(curves, _nearest_first(entries, curves["source"]))])
    else:
        chunks = (merged.light_curves(connection, part) for part in _parts(entries))
    bands = None
    if selection.bands:
        bands = [merged.bands[one] for one in selected_bands(connection, merged.datasets, selection.bands)]
    for rows in chunks:
        selected = _take(rows, _passes(rows, selection, bands))
        if len(selected["source"]):
            yield {key: selected[key] for key in table.columns}


def read_merged_places(connection: Connection, merged: MergedDatasets, selection: Selection) -> Columns:
    """Read the positions of merged sources.

    Parameters
    ----------
    connection, merged
        As for :func:`read_merged_rows`.
    selection
        Filters of sources: the cone, entries, and whether they are candidates.

    Returns
    -------
    Columns :data:`PLACE_COLUMNS`, one row for each source, in order of their numbers.
    """
    cone = selection.near
    entries = merged.entries(connection, None if cone is None else (cone.ra, cone.dec, cone.radius))
    entries = _of_selected_sources(connection, entries, selection)
    source, first, n_datasets = np.unique(entries.source, return_index=True, return_counts=True)
    return {"source": source, "wm_ra": entries.ra[first], "wm_decl": entries.dec[first], "n_datasets": n_datasets}


def _of_selected_sources(connection: Connection, entries: MergedEntries, selection: Selection) -> MergedEntries:
    """Select the sources with one of the selected entries, and the candidates."""
    if selection.entries is not None:
        chosen = entries.source[np.isin(entries.entry, selection.entries)]
        entries = entries.take(np.isin(entries.source, chosen))
    if selection.candidates_only:
        rows = select(NewSource.runcat).join(RunningCatalog, RunningCatalog.id == NewSource.runcat)
        candidates = read_columns(connection, rows.where(RunningCatalog.dataset.in_(set(entries.dataset.tolist()))))
        chosen = entries.source[np.isin(entries.entry, candidates["runcat"])]
        entries = entries.take(np.isin(entries.source, chosen))
    if selection.ratings or selection.tags:
        of_datasets = np.unique(entries.dataset).tolist()
        rated = rated_measurements(connection, of_datasets, ratings=selection.ratings, tags=selection.tags)
        rows = select(NewSource.runcat).where(is_among(connection, NewSource.trigger_xtrsrc, rated))
        chosen = entries.source[np.isin(entries.entry, read_columns(connection, rows)["runcat"])]
        entries = entries.take(np.isin(entries.source, chosen))
    return entries


def _parts(entries: MergedEntries) -> Iterator[MergedEntries]:
    """Yield the entries in parts with whole sources."""
    starts = np.flatnonzero(np.diff(entries.source, prepend=-1))
    bounds = starts[np.diff(starts // ENTRIES_PER_CHUNK, prepend=-1) != 0]
    for first, end in pairwise([*bounds.tolist(), len(entries)]):
        yield entries.take(slice(first, end))


def _nearest_first(entries: MergedEntries, sources: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the order of rows by the order of their sources among the entries, which is by distance."""
    listed, first = np.unique(entries.source, return_index=True)
    return np.argsort(first[np.searchsorted(listed, sources)], kind="stable")


def _passes(rows: Columns, selection: Selection, bands: Sequence[int] | None) -> NDArray[np.bool_]:
    """Return which rows pass the filters of values; ``bands`` are numbers of merged bands."""
    keep = np.ones(len(rows["source"]), bool)
    for one in selection.ranges:
        values: NDArray[Any] = np.ma.filled(np.ma.asarray(rows[SHORT_NAMES.get(one.column, one.column)], float), np.nan)
        if one.column in ("v_int", "v"):  # as for single datasets: the mean of Q, U and V may be negative
            values = np.where(rows["stokes"].astype(str) == "I", values, np.abs(values))
        keep &= np.isfinite(values)
        if one.low is not None:
            keep &= values >= one.low
        if one.high is not None:
            keep &= values <= one.high
    if bands is not None:
        keep &= np.isin(rows["merged_band"], bands)
    if selection.stokes:
        keep &= np.isin(rows["stokes"].astype(str), [stokes_letter(code) for code in selection.stokes])
    if selection.without_flags:
        keep &= rows["flags"] & selection.without_flags == 0
    for moment, is_after in ((selection.since, True), (selection.until, False)):
        if moment is not None:
            limit = np.datetime64(moment.replace(tzinfo=None))
            keep &= rows["taustart_ts"] >= limit if is_after else rows["taustart_ts"] <= limit
    return keep


def _take(rows: Columns, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> Columns:
    return {key: values[chosen] for key, values in rows.items()}
