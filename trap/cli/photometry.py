"""The light curve of any position on the command line: ``transients lightcurve --forced``."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.cli.database import database_url, reading_database
from trap.cli.export import export, save_plot
from trap.cli.progress import progress_bar
from trap.cli.selection import given_selection, selected_position
from trap.codes import stokes_letter
from trap.db.datasets import find_dataset
from trap.db.meanings import describe_position_points
from trap.db.overview import frequency_bands
from trap.db.reader import Reader
from trap.errors import ConfigError
from trap.report.columns import ExportTable
from trap.report.plots import LightCurve, plot_light_curves
from trap.report.text import count, flag_names, flux_text, megahertz, moment, number, sky_position, text_table
from trap.results.curves import of_selection
from trap.results.photometry import measure_position
from trap.selection import Selection

if TYPE_CHECKING:
    from argparse import Namespace

    from numpy.typing import NDArray

    from trap.typing import Columns

__all__ = ["selected_points", "show_photometry"]


def show_photometry(arguments: Namespace) -> int:
    """Measure a position in all images that may show it, and print its light curve.

    Raises
    ------
    ConfigError
        If the options contradict each other, or name no position.
    DatasetNotFoundError
        If there is no such dataset.
    DatabaseError
        If the points are to be kept and the database cannot be written.
    """
    selection = given_selection(arguments, entry=0)
    if arguments.cutouts is not None or selection.ranges or selection.without_flags:
        msg = "--forced has no --cutouts, --min, --max or --without-flags; it has --band, --stokes, --since and --until"
        raise ConfigError(msg)
    with reading_database(arguments.database) as connection:
        find_dataset(connection, arguments.dataset)
        ra, dec = selected_position(connection, arguments)
        bands = frequency_bands(connection, arguments.dataset)
    reader, place = Reader(database_url(arguments.database)), (ra % 360.0, dec)
    with progress_bar("images") as progress:
        curve = measure_position(reader, arguments.dataset, place, keep=arguments.keep, progress=progress)
    curve = selected_points(curve, bands, selection)
    if arguments.plot is not None:
        points = {name: values[np.isfinite(curve["f_int"])] for name, values in curve.items()}
        save_plot(lambda: plot_light_curves([LightCurve.of_points(sky_position(*place), points)]), arguments.plot)
    if arguments.format is None:
        print(_text(curve, place))
    else:
        about = {"dataset": arguments.dataset, "ra": place[0], "dec": place[1]}
        export(ExportTable(name="light curve points", columns=describe_position_points(curve), about=about), arguments)
    return 0


def selected_points(points: Columns, bands: Columns, selection: Selection) -> Columns:
    """Select points at a position by band, Stokes parameter and time.

    Parameters
    ----------
    points
        One row a point: ``image``, ``band``, ``stokes``, ``taustart_ts``.
    bands
        Frequency bands of the dataset, as :func:`trap.db.overview.frequency_bands` returns them.
    selection
        Selection, whose other parts do not matter here.
    """
    rows = of_selection(points, bands, selection) & _in_time(points, selection)
    return {name: values[rows] for name, values in points.items()}


def _in_time(curve: Columns, selection: Selection) -> NDArray[np.bool_]:
    """Return which points are between the times of a selection."""
    keep = np.ones(len(curve["image"]), bool)
    for bound, compare in ((selection.since, np.greater_equal), (selection.until, np.less_equal)):
        if bound is not None:
            keep &= compare(curve["taustart_ts"], np.datetime64(bound.replace(tzinfo=None), "us"))
    return keep


def _text(curve: Columns, place: tuple[float, float]) -> str:
    """Write the table of points, with the reasons of the images without a flux density as its last line."""
    measured = np.flatnonzero(np.isfinite(curve["f_int"])).tolist()
    reasons = Counter(reason for reason in curve["reason"].tolist() if reason)
    heading = f"{sky_position(*place)}, {count(len(measured), 'image')} measured"
    table = text_table((_row(curve, i) for i in measured), right=("MHz", "mJy", "±", "S/N", "noise mJy/beam", "gain"))
    left_out = "; ".join(f"{reason} ({n})" for reason, n in reasons.most_common())
    return "\n".join(filter(None, [heading, table, left_out and f"without a flux density: {left_out}"]))


def _row(curve: Columns, row: int) -> dict[str, Any]:
    """Return one row of the table."""
    point = {name: values[row] for name, values in curve.items()}
    return {
        "time (UTC)": moment(point["taustart_ts"]),
        "MHz": megahertz(point["freq_eff"]),
        "Stokes": stokes_letter(point["stokes"]),
        **dict(zip(("mJy", "±"), flux_text(point["f_int"], point["f_int_err"]), strict=True)),
        "S/N": number(point["det_sigma"], 3),
        "noise mJy/beam": number(1e3 * point["rms"], 3),
        "gain": number(point["gain"]),
        "flags": flag_names(point["flags"]),
    }
