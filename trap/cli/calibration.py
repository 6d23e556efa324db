"""``transients dataset calibration``: the gain and the displacement of each image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.calibration.displacement import Displacement
from trap.cli.database import reading_database
from trap.cli.export import check_export, export, save_plot
from trap.db.calibrations import calibrations
from trap.db.datasets import find_dataset
from trap.db.meanings import describe_calibrations
from trap.errors import ConfigError, TrapError
from trap.escapes import plain_page
from trap.report.calibration import calibration_text, relative_calibrations
from trap.report.calibration_plots import plot_calibrations, plot_displacement
from trap.report.columns import ExportTable
from trap.report.text import megahertz, moment

if TYPE_CHECKING:
    from argparse import Namespace

    from matplotlib.figure import Figure

    from trap.typing import Columns

__all__ = ["show_calibration"]


def show_calibration(arguments: Namespace) -> int:
    """Print the gain and the displacement of each image of a dataset, and plot them if there is a file for the plot.

    Raises
    ------
    ConfigError
        If options contradict each other, the dataset has no such image, or a file cannot be written.
    DatasetNotFoundError
        If there is no such dataset.
    TrapError
        If the image has no displacement.
    """
    check_export(arguments)
    if arguments.image is not None and arguments.plot is None:
        msg = f"--image {arguments.image} is drawn; name the file with --plot"
        raise ConfigError(msg)
    with reading_database(arguments.database) as connection:
        find_dataset(connection, arguments.dataset)
        columns = calibrations(connection, arguments.dataset)
    # The figure is written first: a reader of the printed table may close the pipe (… | head).
    if arguments.plot is not None:
        save_plot(lambda: _draw(columns, arguments), arguments.plot)
    if arguments.format is None:
        print(plain_page(calibration_text(columns)))
    else:
        described = describe_calibrations(relative_calibrations(columns))
        export(ExportTable(name="calibrations", columns=described, about={"dataset": arguments.dataset}), arguments)
    return 0


def _draw(columns: Columns, arguments: Namespace) -> Figure:
    """Draw all images against time, or the displacements in one of them."""
    if arguments.image is None:
        return plot_calibrations(columns)
    rows = np.flatnonzero(columns["image"] == arguments.image)
    if not rows.size:
        msg = f"--image {arguments.image}: dataset {arguments.dataset} has no calibrated image of this number"
        raise ConfigError(msg)
    row = int(rows[0])
    text = columns["displacement"][row]
    if text is None:
        reason = columns["position_note"][row] or "not measured"
        msg = f"no position of image {arguments.image} was corrected: {reason}"
        raise TrapError(msg)
    time, mhz = moment(columns["taustart_ts"][row]), megahertz(columns["freq_central"][row])
    title = f"image {arguments.image}, {time}, {mhz} MHz: {columns['position_model'][row]}"
    return plot_displacement(title, Displacement.from_json(text))
