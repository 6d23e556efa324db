"""``transients variables``: list the sources whose flux densities vary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.cli.database import reading_database
from trap.cli.export import check_export, export
from trap.cli.terminal import command
from trap.config import STOKES
from trap.db import lightcurves
from trap.db.datasets import find_dataset
from trap.db.meanings import describe_variables
from trap.db.shared_errors import load_shared_errors
from trap.errors import ConfigError
from trap.report.columns import ExportTable
from trap.report.summary import variables_table
from trap.report.text import count

if TYPE_CHECKING:
    import argparse

    from numpy.typing import NDArray

    from trap.db.engine import Connection
    from trap.typing import Array, Columns, Indices

__all__ = ["show_variables"]

SORT_COLUMNS = {"eta": "eta_int", "v": "v_int", "p": "eta_p_value", "modulation": "modulation", "step": "vs_max"}
"""Columns by the words of ``--sort``. All but the probability are sorted from high to low absolute values."""
_BAND_SHARE = 0.005
"""Largest relative difference between a band's frequency and the frequency on the command line that names it."""


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
    dataset = arguments.dataset
    with reading_database(arguments.database) as connection:
        find_dataset(connection, dataset)
        columns = _light_curves(connection, arguments)
    order = _selected(columns, arguments)
    shown = {name: values[order[: arguments.limit]] for name, values in columns.items()}
    if arguments.format is not None:
        export(ExportTable(name="variables", columns=describe_variables(shown), about={"dataset": dataset}), arguments)
        return 0
    print("\n".join([*([variables_table(shown)] if len(order) else []), *_footer(len(order), arguments)]))
    return 0


def _light_curves(connection: Connection, arguments: argparse.Namespace) -> Columns:
    """Read the light curves of the brightest bands, or of the chosen band and Stokes parameter."""
    if arguments.band is None and arguments.stokes is None:
        return lightcurves.variables(
            connection,
            arguments.dataset,
            min_eta=arguments.min_eta,
            min_v=arguments.min_v,
            max_p=arguments.max_p,
            limit=None,
        )
    from trap.variability.metrics import light_curve_metrics
    from trap.variability.shared_errors import degrees_of_freedom

    stokes = None if arguments.stokes is None else STOKES.get(arguments.stokes)
    if arguments.stokes is not None and stokes is None:
        msg = f"--stokes {arguments.stokes}: no Stokes parameter; choose one of {', '.join(STOKES)}"
        raise ConfigError(msg)
    columns, statistics = lightcurves.light_curve_statistics(connection, arguments.dataset, stokes=stokes)
    shared = load_shared_errors(connection, arguments.dataset)
    freedom = degrees_of_freedom(statistics["n"], columns["band"], columns["stokes"], shared)
    columns |= light_curve_metrics(statistics, freedom)
    keep = columns["f_datapoints"] >= 2
    if arguments.band is not None:
        keep &= _is_in_band(columns["freq_central"], arguments)
    return {name: values[keep] for name, values in columns.items()}


def _is_in_band(frequency: Array, arguments: argparse.Namespace) -> NDArray[np.bool_]:
    """Return whether light curves, (n,) Hz, are of the band of the arguments."""
    bands = np.unique(frequency) / 1e6
    if not len(bands):
        return np.zeros(0, bool)
    nearest = bands[np.abs(bands - arguments.band).argmin()]
    if abs(nearest - arguments.band) > _BAND_SHARE * nearest:
        listed = ", ".join(f"{band:.7g}" for band in bands)
        msg = f"--band {arguments.band:g}: dataset {arguments.dataset} has no such band; its bands are {listed} MHz"
        raise ConfigError(msg)
    is_nearest: NDArray[np.bool_] = frequency / 1e6 == nearest
    return is_nearest


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
        where = () if arguments.database is None else ("--database", arguments.database)
        lines.append(f"light curve: {command('lightcurve', arguments.dataset, '--entry', 'ENTRY', *where)}")
    return lines
