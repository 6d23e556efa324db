"""``--dataset``: several datasets of one database as one, with sources merged by position."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.cli.export import export, save_plot
from trap.cli.selection import given_selection, named_cone, selected_entry
from trap.codes import STOKES
from trap.db.merged_tables import MERGED_TABLES, read_merged_rows
from trap.db.merging import merge_datasets
from trap.errors import ConfigError, TrapError
from trap.report.columns import ExportTable
from trap.report.plots import LightCurve, plot_light_curves
from trap.report.summary import gains_lines, light_curve_text
from trap.report.text import sky_position
from trap.selection import Selection

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from trap.db.engine import Connection
    from trap.db.merged import MergedDatasets
    from trap.tables import Column
    from trap.typing import Columns

__all__ = ["all_datasets", "described_rows", "merged_variables", "show_merged_light_curve"]


def all_datasets(arguments: Namespace) -> list[int]:
    """Return the numbers of the datasets that a command line names, in the order of merging.

    Parameters
    ----------
    arguments
        Arguments of :func:`~trap.cli.result_options.add_datasets`.
    """
    return [arguments.dataset, *(arguments.others or [])]


def show_merged_light_curve(connection: Connection, arguments: Namespace) -> list[str]:
    """Write or plot the light curve of a source over several datasets.

    Parameters
    ----------
    connection
        Connection in a transaction of the caller.
    arguments
        Arguments of ``transients lightcurve``.

    Returns
    -------
    Lines to print; none if a table for programs was written.

    Raises
    ------
    ConfigError
        If the arguments name no source or two, or an option is for one dataset.
    TrapError
        If no dataset has such a source.
    """
    for option in ("limits", "cutouts"):
        if getattr(arguments, option):
            msg = f"--{option} shows one dataset; leave out --dataset"
            raise ConfigError(msg)
    merged = merge_datasets(connection, all_datasets(arguments))
    source, distance, n_near = _source(connection, arguments, merged)
    selection = given_selection(arguments, entry=source)
    place = read_merged_rows(connection, merged, "sources", Selection(entries=(source,)))
    points = read_merged_rows(connection, merged, "lightcurves", selection)
    facts = {"id": place["source"][0], "wm_ra": place["wm_ra"][0], "wm_decl": place["wm_decl"][0]}
    numbered = {**points, "stokes": np.array([STOKES[letter] for letter in points["stokes"].tolist()], int)}
    if arguments.plot is not None:
        curve = LightCurve.of_points(sky_position(facts["wm_ra"], facts["wm_decl"]), numbered)
        save_plot(lambda: plot_light_curves([curve]), arguments.plot)
    if arguments.format is not None:
        about: dict[str, str | float] = {"datasets": ", ".join(map(str, merged.datasets)), "source": int(facts["id"])}
        columns = described_rows("lightcurves", points)
        export(ExportTable(name="light curve points", columns=columns, about=about), arguments)
        return []
    text = light_curve_text({**facts, "distance_deg": distance}, numbered, n_near=n_near, kind="source")
    return [text, *gains_lines(merged.gain_table())]


def merged_variables(connection: Connection, arguments: Namespace) -> tuple[Columns, list[str]]:
    """Read the light curves of merged sources that pass the filters of ``transients variables``.

    Parameters
    ----------
    connection
        Connection in a transaction of the caller.
    arguments
        Arguments of the command.

    Returns
    -------
    columns
        Columns of the merged table ``sources``; each source with its brightest light curve, or with the chosen ones.
    lines
        Lines about the gains of the datasets.
    """
    merged = merge_datasets(connection, all_datasets(arguments))
    selection = given_selection(arguments)
    rows = read_merged_rows(connection, merged, "sources", selection)
    keep = rows["f_datapoints"] >= 2
    if not selection.bands and not selection.stokes:
        keep &= _is_brightest(rows)
    return {name: values[keep] for name, values in rows.items()}, gains_lines(merged.gain_table())


def described_rows(table: str, rows: Columns) -> dict[str, tuple[Column, NDArray[Any]]]:
    """Add units and meanings to rows of a table of merged datasets.

    Parameters
    ----------
    table
        Name of the table.
    rows
        (n,) values by name.
    """
    described = MERGED_TABLES[table].columns
    return {name: (described[name], values) for name, values in rows.items()}


def _source(connection: Connection, arguments: Namespace, merged: MergedDatasets) -> tuple[int, float, int]:
    """Return the number of an entry of the source, its distance in deg, and the number of sources within the radius."""
    cone = named_cone(arguments)
    if cone is not None:
        near = merged.entries(connection, (cone.ra, cone.dec, cone.radius))
        if not len(near):
            where = f"{3600 * cone.radius:g} arcsec of {sky_position(cone.ra, cone.dec)}"
            msg = f"no source of datasets {', '.join(map(str, merged.datasets))} within {where}"
            raise TrapError(msg)
        return int(near.source[0]), float(near.distance_from(cone.ra, cone.dec)[0]), len(np.unique(near.source))
    missing: Exception | None = None
    for dataset in merged.datasets:
        try:
            entry: Mapping[str, Any] = selected_entry(connection, _of_dataset(arguments, dataset))
        except ConfigError:
            raise
        except TrapError as error:
            missing = missing or error
        else:
            return int(entry["id"]), math.nan, 1
    assert missing is not None  # noqa: S101 (there is a dataset at least)
    raise missing


def _of_dataset(arguments: Namespace, dataset: int) -> Namespace:
    return type(arguments)(**{**vars(arguments), "dataset": dataset})


def _is_brightest(rows: Columns) -> NDArray[np.bool_]:
    """Return which light curve of each source is the brightest by its mean flux density."""
    order = np.lexsort((np.abs(rows["lightcurve_avg"]), rows["source"]))
    is_last = np.diff(rows["source"][order], append=-1) != 0
    brightest = np.zeros(len(order), bool)
    brightest[order[is_last]] = True
    return brightest
