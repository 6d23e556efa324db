"""``trap dataset``, ``trap transients`` and ``trap lightcurve``: what is in the database, for people and programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trap.cli.database import reading_database
from trap.cli.files import reported
from trap.db import lightcurves, overview
from trap.db.datasets import find_dataset, stored_config
from trap.db.kept_pixels import find_pixels
from trap.db.limits import upper_limits
from trap.db.runs import run_table
from trap.errors import ConfigError, TrapError
from trap.images.kept_pixels import read_cutout
from trap.report.export import as_csv, as_json, as_rows
from trap.report.plots import LightCurve, plot_cutouts, plot_light_curves, save_figure
from trap.report.summary import dataset_text, datasets_table, light_curve_text, limits_table
from trap.report.text import moment, sky_position
from trap.steps.prettyprint import prettyprint

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from trap.typing import Columns


__all__ = ["list_datasets", "show_dataset", "show_light_curve", "show_transients"]

ARCSEC = 1 / 3600


def list_datasets(arguments: Namespace) -> int:
    """Print the datasets of a database, a line each."""
    with reading_database(arguments.database) as connection:
        datasets = overview.list_datasets(connection)
    print(as_json(datasets) if arguments.json else datasets_table(datasets))
    return 0


def show_dataset(arguments: Namespace) -> int:
    """Print what a dataset holds, what it left out and why, and its settings.

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
        settings = stored_config(connection, number).science_items()
    if arguments.json:
        rows = {name: list(as_rows(columns)) for name, columns in tables.items()}
        print(as_json({**summary, "settings": {f"{section}.{key}": value for section, key, value in settings}, **rows}))
    else:
        print(dataset_text(summary, settings, **tables))
    return 0


def show_transients(arguments: Namespace) -> int:
    """Print the transient candidates of a dataset, the most significant first.

    Raises
    ------
    DatasetNotFoundError
        If there is no such dataset.
    """
    with reading_database(arguments.database) as connection:
        find_dataset(connection, arguments.dataset)
        transients = lightcurves.transients(connection, arguments.dataset)
    if not _exported(transients, arguments):
        prettyprint(transients)
    return 0


def show_light_curve(arguments: Namespace) -> int:
    """Print the light curve of the source nearest to a position, and draw it where that is asked for.

    Raises
    ------
    DatasetNotFoundError
        If there is no such dataset.
    ConfigError
        If the figure cannot be written.
    TrapError
        If there is no source within the radius.
    """
    _check_position(arguments.ra, arguments.dec)
    if arguments.limits:
        return _show_limits(arguments)
    with reading_database(arguments.database) as connection:
        find_dataset(connection, arguments.dataset)
        near = lightcurves.entries_near(
            connection, arguments.dataset, arguments.ra, arguments.dec, radius=arguments.radius * ARCSEC
        )
        if not len(near["id"]):
            position = sky_position(arguments.ra, arguments.dec)
            msg = f"dataset {arguments.dataset} has no source within {arguments.radius:g} arcsec of {position}"
            raise TrapError(msg)
        entry = {name: values[0] for name, values in near.items()}
        points = lightcurves.light_curve(connection, int(entry["id"]))
        files = find_pixels(connection, points["image"].tolist())
    if not _exported(points, arguments):
        print(light_curve_text(entry, points, n_near=len(near["id"])))
    if arguments.plot is not None:
        curve = LightCurve.of_points(sky_position(entry["wm_ra"], entry["wm_decl"]), points)
        _save(lambda: plot_light_curves([curve]), arguments.plot)
    if arguments.cutouts is not None:
        cutouts = _cutouts(entry, points, files)
        _save(lambda: plot_cutouts(cutouts), arguments.cutouts)
    return 0


def _show_limits(arguments: Namespace) -> int:
    """Print what every image would have found at a position, whether or not a source is known there."""
    with reading_database(arguments.database) as connection:
        find_dataset(connection, arguments.dataset)
        limits = upper_limits(connection, arguments.dataset, arguments.ra, arguments.dec)
    if not _exported(limits, arguments):
        print(limits_table(limits))
    return 0


def _exported(columns: Columns, arguments: Namespace) -> bool:
    """Print columns in the form asked for; False where that is the one for people."""
    if arguments.json:
        print(as_json(list(as_rows(columns))))
    elif arguments.csv:
        print(as_csv(columns))
    return bool(arguments.json or arguments.csv)


def _check_position(ra: float, dec: float) -> None:
    if not (-360 <= ra <= 360 and -90 <= dec <= 90):
        msg = f"not a position: ra {ra:g}, dec {dec:g} degrees"
        raise ConfigError(msg)


def _cutouts(
    entry: Mapping[str, Any], points: Columns, files: Mapping[int, Path]
) -> list[tuple[str, NDArray[np.float32]]]:
    """What the kept pixels of the images of a light curve show at its position, each with its time and frequency."""
    found = []
    for image, time, frequency in zip(points["image"], points["taustart_ts"], points["freq_central"], strict=True):
        pixels = read_cutout(files[image], entry["wm_ra"], entry["wm_decl"]) if image in files else None
        if pixels is not None:
            found.append((f"{moment(time)}\n{frequency / 1e6:.5g} MHz", pixels))
    if not found:
        msg = "no pixels of this source were kept; execution.keep_pixels says which ones a run keeps"
        raise TrapError(msg)
    return found


def _save(draw: Callable[[], Figure], path: Path) -> None:
    try:
        with reported(path):
            save_figure(draw(), path)
    except ValueError as error:
        if isinstance(error, ConfigError):
            raise
        msg = f"{path}: {error}"
        raise ConfigError(msg) from error
