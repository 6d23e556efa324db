"""Print and plot the results in a database: datasets, candidates and light curves."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from trap.catalogues import VARIABLE_P, with_stokes_letters
from trap.cli.database import database_url, reading_database
from trap.cli.export import check_export, export, save_plot
from trap.cli.selection import given_selection, selected_entry, selected_position, selected_rows
from trap.cli.terminal import command
from trap.db import lightcurves, overview
from trap.db.datasets import find_dataset, stored_config
from trap.db.kept_pixels import find_pixels
from trap.db.meanings import describe_light_curve, describe_limits, describe_transients
from trap.db.runs import run_table
from trap.db.searched_areas import searched_areas
from trap.db.shared_errors import effective_epochs
from trap.db.variable_sources import MetricCuts, most_variable
from trap.errors import ConfigError
from trap.escapes import plain_text
from trap.report.columns import ExportTable
from trap.report.cutouts import plot_cutouts
from trap.report.dataset_facts import largest_unsearched
from trap.report.export import as_json, as_rows
from trap.report.noise import noise_lines
from trap.report.plots import LightCurve, plot_light_curves
from trap.report.summary import dataset_page, dataset_text, datasets_table, light_curve_text, limits_table
from trap.report.text import shared_errors_lines, sky_position
from trap.steps.prettyprint import prettyprint

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Mapping
    from pathlib import Path

    from trap.config import ReadingConfig
    from trap.typing import Columns

__all__ = ["list_datasets", "show_candidates", "show_dataset", "show_light_curve"]


def list_datasets(arguments: Namespace) -> int:
    """Print the datasets of a database, one per line."""
    with reading_database(arguments.database) as connection:
        datasets = overview.list_datasets(connection)
    print(as_json(datasets) if arguments.json else datasets_table(datasets))
    return 0


def show_dataset(arguments: Namespace) -> int:
    """Print the contents of a dataset, the images that were left out with their reasons, and its settings.

    Raises
    ------
    DatasetNotFoundError
        If there is no such dataset.
    """
    number = arguments.dataset
    with reading_database(arguments.database) as connection:
        summary = overview.dataset_summary(connection, number)
        tables = {
            "bands": overview.frequency_bands(connection, number),
            "timesteps": overview.timestep_table(connection, number),
            "images": overview.image_table(connection, number),
            "unreadable": overview.unreadable_table(connection, number),
            "runs": run_table(connection, number),
        }
        config = stored_config(connection, number)
        epochs = effective_epochs(connection, number)
        is_page = not (arguments.json or arguments.all)
        variables = most_variable(connection, number, MetricCuts(max_p=VARIABLE_P), limit=None)[0] if is_page else {}
    settings = config.science_items()
    if arguments.json:
        listed = {**tables, "epochs": epochs}
        rows = {name: list(as_rows(with_stokes_letters(columns))) for name, columns in listed.items()}
        print(as_json({**summary, "settings": {f"{section}.{key}": value for section, key, value in settings}, **rows}))
        return 0
    unsearched = largest_unsearched(tables["images"], config)
    if arguments.all:
        print(dataset_text(summary, settings, unsearched=unsearched, **tables))
    else:
        print(dataset_page(summary, settings, variables=variables, **tables))
        if unsearched is not None:
            print(unsearched.text())
    print("".join(f"{line}\n" for line in shared_errors_lines(epochs)), end="")
    if is_page:
        print(plain_text(f"now: {command('serve', database_url(arguments.database))}"))
    return 0


def show_candidates(arguments: Namespace) -> int:
    """Print the transient candidates of a dataset, those with the highest score first, and its negative peaks.

    Raises
    ------
    ConfigError
        If the table cannot be written in the chosen format, or a filter has no meaning.
    DatasetNotFoundError
        If there is no such dataset.
    """
    check_export(arguments)
    selection = given_selection(arguments)
    with reading_database(arguments.database) as connection:
        find_dataset(connection, arguments.dataset)
        transients = lightcurves.transients(connection, arguments.dataset)
        transients = selected_rows(connection, "transients", arguments.dataset, selection, transients, key="newsource")
        areas = [] if arguments.format else searched_areas(connection, arguments.dataset)
    if arguments.format is None:
        prettyprint(transients)
        if len(transients["runcat"]):
            print("".join(f"{line}\n" for line in noise_lines(areas)), end="")
    else:
        about = {"dataset": arguments.dataset}
        export(ExportTable(name="transients", columns=describe_transients(transients), about=about), arguments)
    return 0


def show_light_curve(arguments: Namespace) -> int:
    """Print the light curve of a source, and plot it if there is a file for the plot.

    Raises
    ------
    DatasetNotFoundError
        If there is no such dataset.
    ConfigError
        If the arguments name no source or two, or the table or a figure cannot be written.
    TrapError
        If the dataset has no such source.
    """
    check_export(arguments)
    if arguments.others:
        from trap.cli.merged import show_merged_light_curve  # association, which one light curve does not need

        with reading_database(arguments.database) as connection:
            lines = show_merged_light_curve(connection, arguments)
        print("".join(f"{line}\n" for line in lines), end="")
        return 0
    if arguments.limits:
        return _show_limits(arguments)
    if arguments.keep and not arguments.forced:
        msg = "--keep needs --forced: light curves of sources are kept already"
        raise ConfigError(msg)
    if arguments.forced:
        from trap.cli.photometry import show_photometry

        return show_photometry(arguments)
    with reading_database(arguments.database) as connection:
        find_dataset(connection, arguments.dataset)
        entry = selected_entry(connection, arguments)
        points = lightcurves.light_curve(connection, int(entry["id"]))
        selection = given_selection(arguments, entry=int(entry["id"]))
        points = selected_rows(connection, "lightcurves", arguments.dataset, selection, points, key="xtrsrc")
        files = find_pixels(connection, points["image"].tolist())
        settings = stored_config(connection, arguments.dataset).reading
    # Figures are written first: a reader of the printed table may close the pipe (… | head).
    if arguments.plot is not None:
        curve = LightCurve.of_points(sky_position(entry["wm_ra"], entry["wm_decl"]), points)
        save_plot(lambda: plot_light_curves([curve]), arguments.plot)
    if arguments.cutouts is not None:
        _plot_cutouts(arguments, entry, points, files, settings)
    if arguments.format is None:
        print(light_curve_text(entry, points, n_near=entry["n_near"]))
    else:
        about = {"dataset": arguments.dataset, "entry": int(entry["id"])}
        export(ExportTable(name="light curve points", columns=describe_light_curve(points), about=about), arguments)
    return 0


def _show_limits(arguments: Namespace) -> int:
    """Print the upper limit of each image at a position, with or without a known source."""
    from trap.cli.photometry import selected_points
    from trap.db.limits import upper_limits  # HEALPix, which a light curve does not need

    selection = given_selection(arguments, entry=0)
    if selection.ranges or selection.without_flags:
        msg = "--limits has no --min, --max or --without-flags; it has --band, --stokes, --since and --until"
        raise ConfigError(msg)
    with reading_database(arguments.database) as connection:
        find_dataset(connection, arguments.dataset)
        ra, dec = selected_position(connection, arguments)
        found = upper_limits(connection, arguments.dataset, ra, dec)
        limits = selected_points(found, overview.frequency_bands(connection, arguments.dataset), selection)
    if arguments.format is None:
        print(limits_table(limits))
    else:
        about = {"dataset": arguments.dataset, "ra": ra, "dec": dec}
        export(ExportTable(name="upper limits", columns=describe_limits(limits), about=about), arguments)
    return 0


def _plot_cutouts(
    arguments: Namespace, entry: Mapping[str, Any], points: Columns, files: Mapping[int, Path], settings: ReadingConfig
) -> None:
    """Plot a cut-out for each point of a light curve, and name the points that are not shown on standard error."""
    from trap.report.epochs import read_epochs, select_epochs  # readers of images, which a light curve does not need

    shown = select_epochs(points, arguments.max_cutouts or len(points["image"]))
    cutouts, missing = read_epochs(shown, float(entry["wm_ra"]), float(entry["wm_decl"]), kept=files, settings=settings)
    save_plot(lambda: plot_cutouts(cutouts), arguments.cutouts)
    n_omitted = len(points["image"]) - len(shown["image"])
    notes = [f"no cut-out: {reason}" for reason in missing]
    notes += [f"{n_omitted} more without a cut-out, by --max-cutouts"] if n_omitted else []
    for note in notes:
        print(plain_text(note), file=sys.stderr)
