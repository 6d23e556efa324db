"""``transients variables``: list the sources whose flux densities vary."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from trap.cli.database import reading_database
from trap.cli.export import check_export, export
from trap.cli.selection import given_selection, selected_rows
from trap.cli.terminal import command
from trap.db import lightcurves
from trap.db.datasets import find_dataset
from trap.db.meanings import describe_variables
from trap.db.result_conditions import check_range, selected_bands
from trap.db.result_tables import RESULT_TABLES, read_rows
from trap.db.shared_errors import load_shared_errors
from trap.db.variable_sources import MetricCuts, most_variable, only_light_curves
from trap.report.columns import ExportTable
from trap.report.summary import variables_table
from trap.report.text import count
from trap.selection import SHORT_NAMES, Selection

if TYPE_CHECKING:
    import argparse

    from trap.db.engine import Connection
    from trap.typing import Columns, Indices

__all__ = ["show_variables"]

SORT_COLUMNS = {"eta": "eta_int", "v": "v_int", "p": "eta_p_value", "modulation": "modulation", "step": "vs_max"}
"""Columns by the words of ``--sort``. All but the probability are sorted from high to low absolute values."""


def show_variables(arguments: argparse.Namespace) -> int:
    """Print the most variable sources of a dataset.

    Raises
    ------
    ConfigError
        If the dataset has no such band, or the table cannot be written in the chosen format.
    DatasetNotFoundError
        If there is no such dataset.
    """
    check_export(arguments)
    dataset, selection = arguments.dataset, given_selection(arguments)
    if arguments.others:
        return _show_merged(arguments)
    with reading_database(arguments.database) as connection:
        find_dataset(connection, dataset)
        shown, n_found = _most_variable(connection, arguments, selection)
    if arguments.format is not None:
        export(ExportTable(name="variables", columns=describe_variables(shown), about={"dataset": dataset}), arguments)
        return 0
    print("\n".join([*([variables_table(shown)] if n_found else []), *_footer(n_found, arguments)]))
    return 0


def _show_merged(arguments: argparse.Namespace) -> int:
    """Print the most variable sources of several datasets, and the flux scales of these."""
    from trap.cli.merged import all_datasets, described_rows, merged_variables  # association, which one needs not

    with reading_database(arguments.database) as connection:
        columns, lines = merged_variables(connection, arguments)
    order = _selected(columns, arguments)
    shown = {name: values[order[: arguments.limit]] for name, values in columns.items()}
    if arguments.format is not None:
        about: dict[str, str | float] = {"datasets": ", ".join(map(str, all_datasets(arguments)))}
        export(ExportTable(name="variables", columns=described_rows("sources", shown), about=about), arguments)
        return 0
    print("\n".join([*([variables_table(shown)] if len(order) else []), *_footer(len(order), arguments), *lines]))
    return 0


def _most_variable(connection: Connection, arguments: argparse.Namespace, selection: Selection) -> tuple[Columns, int]:
    """Return the light curves to be listed, and the number of all that meet the cuts."""
    dataset = arguments.dataset
    if not _is_of_brightest_bands(connection, dataset, selection):
        columns = _filtered(connection, dataset, selection, _light_curves(connection, arguments, selection))
        order = _selected(columns, arguments)
        return {name: values[order[: arguments.limit]] for name, values in columns.items()}, len(order)
    others, entries = replace(selection, bands=(), stokes=()), None
    if others != Selection():
        entries = read_rows(connection, "sources", [dataset], others, columns=["runcat"])["runcat"]
    cuts = MetricCuts(
        max_p=arguments.max_p,
        min_eta=arguments.min_eta,
        min_v=arguments.min_v,
        min_modulation=arguments.min_modulation,
    )
    sort = SORT_COLUMNS[arguments.sort]
    return most_variable(connection, dataset, cuts, sort=sort, limit=arguments.limit, entries=entries)


def _is_of_brightest_bands(connection: Connection, dataset: int, selection: Selection) -> bool:
    """Return whether the chosen light curves are the ones in the brightest bands, whose metrics are stored.

    So they are without a choice, and if there is no other band and Stokes parameter.
    """
    if not selection.bands and not selection.stokes:
        return True
    bands = selected_bands(connection, [dataset], selection.bands)
    key = only_light_curves(connection, dataset)
    return key is not None and (not bands or key[0] in bands) and (not selection.stokes or key[1] in selection.stokes)


def _light_curves(connection: Connection, arguments: argparse.Namespace, selection: Selection) -> Columns:
    """Read the light curves of the chosen bands and Stokes parameters."""
    from trap.variability.metrics import light_curve_metrics
    from trap.variability.shared_errors import degrees_of_freedom

    (stokes, *others) = selection.stokes or (None,)
    columns, statistics = lightcurves.light_curve_statistics(
        connection, arguments.dataset, stokes=None if others else stokes
    )
    shared = load_shared_errors(connection, arguments.dataset)
    freedom = degrees_of_freedom(statistics["n"], columns["band"], columns["stokes"], shared)
    columns |= light_curve_metrics(statistics, freedom)
    keep = columns["f_datapoints"] >= 2
    if selection.bands:
        keep &= np.isin(columns["band"], selected_bands(connection, [arguments.dataset], selection.bands))
    if others:
        keep &= np.isin(columns["stokes"], selection.stokes)
    return {name: values[keep] for name, values in columns.items()}


def _filtered(connection: Connection, dataset: int, selection: Selection, columns: Columns) -> Columns:
    """Return the light curves that pass the other filters; ranges of shown columns are of the shown light curves."""
    shown = [one for one in selection.ranges if SHORT_NAMES.get(one.column, one.column) in columns]
    others = tuple(one for one in selection.ranges if one not in shown)
    of_source = replace(selection, bands=(), stokes=(), ranges=others)
    found = selected_rows(connection, "sources", dataset, of_source, columns, key="runcat")
    for one in shown:
        name, _ = check_range(RESULT_TABLES["sources"], one)
        values = np.asarray(found[name], float)
        if name == "v_int":
            values = np.abs(values)
        keep = np.isfinite(values) if one.low is None else values >= one.low
        if one.high is not None:
            keep &= values <= one.high
        found = {column: rows[keep] for column, rows in found.items()}
    return found


def _selected(columns: Columns, arguments: argparse.Namespace) -> Indices:
    """Return the rows that meet all cuts, in the order of ``--sort``."""
    values = {name: np.asarray(columns[name], float) for name in SORT_COLUMNS.values()}
    keep = (values["eta_int"] >= arguments.min_eta) & (np.abs(values["v_int"]) >= arguments.min_v)
    if arguments.max_p < 1:
        keep &= values["eta_p_value"] <= arguments.max_p
    if arguments.min_modulation > 0:
        keep &= values["modulation"] >= arguments.min_modulation
    rows = np.flatnonzero(keep)
    key = values[SORT_COLUMNS[arguments.sort]][rows]
    # Of equal keys, such as probabilities of 0, the row with the higher η is first. NaN is last.
    order = np.lexsort((-values["eta_int"][rows], key if arguments.sort == "p" else -np.abs(key)))
    return rows[order]


def _footer(n_found: int, arguments: argparse.Namespace) -> list[str]:
    """Return the lines below the table: the number of sources, the cut, and the next command."""
    chance = "" if arguments.max_p >= 1 else f", constant with a probability of at most {arguments.max_p:g} (--max-p)"
    lines = [f"{count(n_found, 'variable source') if chance else count(n_found, 'source')}{chance}"]
    if n_found > arguments.limit:
        lines.append(f"the first {arguments.limit} are listed; --limit lists more")
    if n_found:
        others = [word for number in arguments.others or [] for word in ("--dataset", number)]
        where = [*others, *([] if arguments.database is None else ["--database", arguments.database])]
        name = "SOURCE" if others else "ENTRY"
        lines.append(f"light curve: {command('lightcurve', arguments.dataset, '--entry', name, *where)}")
    return lines
