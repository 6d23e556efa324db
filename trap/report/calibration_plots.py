"""Figures of calibrations: gains, shifts and scatter against time, and the displacements in an image as arrows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from trap import angles
from trap.report.calibration import find_bands, relative_calibrations
from trap.report.figures import own_style, write_title
from trap.report.plots import COLOURS, write_dates
from trap.report.text import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from trap.calibration.displacement import Displacement
    from trap.typing import Array, Columns, Indices

__all__ = ["plot_calibrations", "plot_displacement"]

N_ARROWS = 15
"""Number of arrows across the field."""
LONGEST = 1.5
"""Length of the longest arrow, in distances of arrows."""


@own_style()
def plot_calibrations(columns: Columns) -> Figure:
    """Draw gains, shifts, and the scatter of positions before and after the correction, against time.

    Applied values are filled, values that were only measured open. Images of Stokes Q, U and V, which have the
    calibration of Stokes I, are not drawn.

    Parameters
    ----------
    columns
        (n,) calibrations of images, as :func:`trap.db.calibrations.calibrations` returns them.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogFormatter

    relative = relative_calibrations(columns)
    figure = Figure(figsize=(7.2, 7.6), layout="constrained")
    axes = figure.subplots(4, 1, sharex=True)
    panels = ("gain", "shift_ew", "shift_ns")
    labels = ("gain (mean of the band 1)", "shift east (″)", "shift north (″)", "scatter (″)")
    for i, band in enumerate(find_bands(columns)):
        colour = COLOURS[i % len(COLOURS)]
        for ax, name in zip(axes, panels, strict=False):
            _draw_values(ax, relative, name, band.own, colour=colour, label=band.label)
        time = relative["taustart_ts"][band.own]
        before, after = (relative[name][band.own] for name in ("position_scatter_before", "position_scatter"))
        axes[3].plot(time, before, "o", ms=3, mfc="white", mew=0.8, color=colour)
        axes[3].plot(time, after, "o", ms=3, color=colour)
    for ax, label, level in zip(axes, labels, (1.0, 0.0, 0.0, None), strict=True):
        ax.set_ylabel(label, fontsize=8)
        ax.tick_params(which="both", labelsize=7)
        if level is not None:
            ax.axhline(level, color="0.7", lw=0.6, zorder=0)
    values = np.concatenate([relative[name] for name in ("position_scatter_before", "position_scatter")])
    if (values > 0).any():
        axes[3].set_yscale("log")
        for axis_formatter in (axes[3].yaxis.set_major_formatter, axes[3].yaxis.set_minor_formatter):
            axis_formatter(LogFormatter(minor_thresholds=(2, 0.4)))
    write_title(axes[0], "filled: applied; open: measured only", 8)
    write_title(axes[3], "scatter of positions along one axis; open: before the correction; filled: after it", 8)
    handles, names = axes[0].get_legend_handles_labels()
    if handles:
        axes[0].legend(handles, names, fontsize=7, frameon=False, ncols=4)
    write_dates(axes[3])
    return figure


@own_style()
def plot_displacement(title: str, displacement: Displacement) -> Figure:
    """Draw the displacements of sources in an image as arrows from the position of the reference, on a grid.

    A second panel has the same without the mean, in which the structure of the field is visible.

    Parameters
    ----------
    title
        Title of the figure.
    displacement
        Displacement of an image.
    """
    from matplotlib.figure import Figure

    x, y, ra, dec = _grid(displacement)
    east, north = (3600 * component for component in displacement.at(ra, dec))
    mean = float(east.mean()), float(north.mean())
    figure = Figure(figsize=(9.2, 4.8), layout="constrained")
    all_axes = figure.subplots(1, 2, sharex=True, sharey=True)
    shift = f"mean {number(mean[0], 3)}″ east, {number(mean[1], 3)}″ north"
    _draw_arrows(all_axes[0], x, y, east, north, title=shift)
    _draw_arrows(all_axes[1], x, y, east - mean[0], north - mean[1], title="without the mean")
    all_axes[0].set_ylabel("offset north (°)", fontsize=8)
    figure.suptitle(title, fontsize=9, parse_math=False)
    return figure


def _draw_values(ax: Axes, relative: Columns, name: str, own: Indices, *, colour: str, label: str) -> None:
    """Draw the values of a band with their errors: applied ones filled, others open."""
    time, value, error = (relative[column][own] for column in ("taustart_ts", name, f"{name}_err"))
    is_applied = np.isfinite(relative[f"{name}_applied"][own])
    for rows, face in ((is_applied, colour), (~is_applied & np.isfinite(value), "white")):
        ax.errorbar(time[rows], value[rows], error[rows], fmt="o", ms=3, lw=0.8, mew=0.8, color=colour, mfc=face)
    ax.plot([], [], "o", ms=3, color=colour, label=label)


def _grid(displacement: Displacement) -> tuple[Array, Array, Array, Array]:
    """Return the points of a grid in the area with calibrators: offsets to the east and to the north, and positions."""
    line = displacement.scale * np.linspace(-1, 1, N_ARROWS)
    x, y = (values.ravel() for values in np.meshgrid(line, line))
    inside = np.hypot(x, y) <= displacement.scale * (1 + 1e-9)
    x, y = x[inside], y[inside]
    ra, dec = angles.move(np.full(x.shape, displacement.ra), np.full(x.shape, displacement.dec), x, y)
    return x, y, ra, dec


def _draw_arrows(ax: Axes, x: Array, y: Array, east: Array, north: Array, *, title: str) -> None:
    """Draw arrows of arcseconds on offsets of degrees, with a key of their length. East is left."""
    longest = float(np.hypot(east, north).max())
    step = 2 * float(np.abs(x).max()) / (N_ARROWS - 1)
    # One arcsecond has this length in degrees on the figure; without a displacement the arrows are points.
    length = LONGEST * step / longest if longest > 0 else 1.0
    arrows = ax.quiver(x, y, east * length, north * length, angles="xy", scale_units="xy", scale=1.0, width=0.004,
                       color=COLOURS[0])  # fmt: skip
    if longest > 0:
        decade = 10.0 ** math.floor(math.log10(longest))
        key = max(step for step in (1, 2, 5) if step * decade <= longest * (1 + 1e-9)) * decade
        ax.quiverkey(arrows, 0.85, 0.03, key * length, f"{key:g}″", labelpos="E", fontproperties={"size": 8})
    margin = 2 * step
    limit = float(np.abs(x).max()) + margin
    ax.set(xlim=(limit, -limit), ylim=(-limit, limit), aspect="equal")
    ax.set_xlabel("offset east (°)", fontsize=8)
    ax.tick_params(labelsize=7)
    write_title(ax, title, 8)
