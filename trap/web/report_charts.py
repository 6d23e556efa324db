"""The charts of a whole dataset in its report, in the order in which the report shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.db.calibrations import calibrations
from trap.db.result_tables import read_rows
from trap.db.source_numbers import candidate_positions, entry_positions, metric_points
from trap.web.charts.eta_v import eta_v_chart
from trap.web.charts.plane import Plane
from trap.web.charts.series import counts_chart, gain_chart, noise_chart, shift_chart
from trap.web.charts.sky import SKY_COLUMNS, sky_chart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trap.db.engine import Connection
    from trap.typing import Columns
    from trap.web.charts.style import Chart

__all__ = ["FIRST_CHART", "dataset_charts"]

FIRST_CHART = "eta-v"
"""Name of the chart that the report shows before the candidates; the others follow the variables."""


def dataset_charts(
    connection: Connection, number: int, *, images: Columns, timesteps: Columns
) -> Iterator[tuple[str, str, Chart]]:
    """Yield the charts of a dataset; a chart without a value to show is left out.

    Parameters
    ----------
    connection, number
        Connection in a transaction of the caller, and number of the dataset.
    images
        Columns of :func:`trap.db.overview.image_table`.
    timesteps
        Columns of :func:`trap.db.overview.timestep_table`.

    Yields
    ------
    name
        Name among the charts of a report.
    title
        Title for a reader.
    chart
        The chart.
    """
    plane = Plane(points=metric_points(connection, number))
    if plane.n_shown:
        yield FIRST_CHART, "η against V", eta_v_chart(plane)
    entries, candidates = entry_positions(connection, number), candidate_positions(connection, number)
    areas = read_rows(connection, "images", [number], columns=list(SKY_COLUMNS))
    if len(entries) or len(images["id"]):
        yield "sky", "Sources on the sky", sky_chart(entries, candidates, areas)
    if np.isfinite(images["rms_qc"].astype(float)).any():
        yield "noise", "Noise of the images", noise_chart(images)
    measured = calibrations(connection, number)
    if np.isfinite(measured["gain"].astype(float)).any():
        yield "gain", "Gain of the images, before its correction", gain_chart(measured)
    if np.isfinite(measured["shift_ew"].astype(float)).any():
        yield "shift", "Shift of the images, before its correction", shift_chart(measured)
    if len(timesteps["state"]):
        yield "counts", "Numbers of sources and candidates", counts_chart(timesteps)
