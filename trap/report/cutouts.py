"""Plots of cut-outs: what images show at a position, side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.escapes import plain_page
from trap.report.figures import own_style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

    from trap.images.cutouts import CutOut

__all__ = ["draw_cutouts", "plot_cutouts"]

PANEL, LEFT, BOTTOM, TOP, GAP, RIGHT = 2.6, 0.55, 0.5, 0.5, 0.45, 0.85
"""inch — side of a panel, and the margins around the panels and between their columns."""


@own_style()
def plot_cutouts(cutouts: Sequence[CutOut], *, columns: int = 6) -> Figure:
    """Plot cut-outs side by side, all in the same shades.

    Parameters
    ----------
    cutouts
        At least one cut-out. The one that is brightest at the position sets the shades: from its noise to its peak.
    columns
        Largest number of cut-outs in a row.
    """
    from matplotlib.figure import Figure

    # Fixed places: a layout that makes room for everything takes longer than the drawing itself.
    columns = min(columns, len(cutouts))
    rows = -(-len(cutouts) // columns)
    row_height = BOTTOM + PANEL + TOP
    width, height = LEFT + columns * (PANEL + GAP) - GAP + RIGHT, rows * row_height
    figure = Figure(figsize=(width, height))
    axes = []
    for i in range(len(cutouts)):
        row, column = divmod(i, columns)
        x, y = LEFT + column * (PANEL + GAP), (rows - 1 - row) * row_height + BOTTOM
        axes.append(figure.add_axes((x / width, y / height, PANEL / width, PANEL / height)))
    pictures = draw_cutouts(axes, cutouts)
    first_row = (rows - 1) * row_height + BOTTOM
    place = ((width - RIGHT + 0.12) / width, first_row / height, 0.12 / width, PANEL / height)
    bar = figure.colorbar(pictures[0], cax=figure.add_axes(place))
    bar.set_label("mJy/beam", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return figure


def draw_cutouts(axes: Sequence[Axes], cutouts: Sequence[CutOut]) -> list[AxesImage]:
    """Draw cut-outs on axes, all in the same shades, as :func:`plot_cutouts` does.

    Parameters
    ----------
    axes
        (n,) — axes to draw on. Their style is not changed.
    cutouts
        (n,) — at least one cut-out.

    Returns
    -------
    (n,) — pictures in mJy/beam, for a bar of colours.
    """
    low, high = _shades(cutouts)
    return [_draw(ax, cutout, low, high) for ax, cutout in zip(axes, cutouts, strict=True)]


def _shades(cutouts: Sequence[CutOut]) -> tuple[float, float]:
    """Return the darkest and the brightest shade in mJy/beam.

    They follow from the position, so that a bright neighbour does not hide the source.
    """
    reference = max(cutouts, key=_peak_at_position)
    pixels = 1e3 * reference.pixels
    finite = pixels[np.isfinite(pixels)]
    if not finite.size:
        return 0.0, 1.0
    median = float(np.median(finite))
    noise = 1.4826 * float(np.median(np.abs(finite - median)))
    peak = 1e3 * _peak_at_position(reference)
    brightest = peak if np.isfinite(peak) else float(finite.max())
    return median - 3 * noise, max(brightest, median + 5 * noise)


def _peak_at_position(cutout: CutOut) -> float:
    """Return the highest pixel within a beam of the position, in Jy/beam; -inf if there is no value."""
    x, y = cutout.position
    rows, columns = np.indices(cutout.pixels.shape)
    radius = np.hypot(*cutout.beam.T).max() if len(cutout.beam) else 3.0
    near = cutout.pixels[np.hypot(columns - x, rows - y) <= radius]
    return float(np.nanmax(near)) if np.isfinite(near).any() else -np.inf


def _draw(ax: Axes, cutout: CutOut, low: float, high: float) -> AxesImage:
    """Draw a cut-out with north and east, the beam, and four lines that point to the position."""
    (ny, nx), (x, y), scale = cutout.pixels.shape, cutout.position, cutout.scale
    extent = ((-0.5 - x) * scale, (nx - 0.5 - x) * scale, (-0.5 - y) * scale, (ny - 0.5 - y) * scale)
    picture = ax.imshow(1e3 * cutout.pixels, origin="lower", extent=extent, cmap="viridis", vmin=low, vmax=high)
    side = max(map(abs, extent))
    ax.set(xlim=(-side, side), ylim=(-side, side), facecolor="0.6")
    ax.set_title(plain_page(cutout.title), fontsize=8, parse_math=False)  # in several lines
    ax.tick_params(labelsize=7)
    ax.set_xlabel("arcsec", fontsize=8)
    for along in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        gap, reach = np.outer((0.22, 0.4), along) * side
        ax.plot((gap[0], reach[0]), (gap[1], reach[1]), "-", color="w", lw=1.0)
    corner = np.array([0.72, -0.86]) * side
    for name, direction in (("N", cutout.north), ("E", cutout.east)):
        x_tip, y_tip = corner + 0.24 * side * direction
        ax.annotate("", (x_tip, y_tip), tuple(corner), arrowprops={"arrowstyle": "-|>", "color": "w", "lw": 0.8})
        x_name, y_name = corner + 0.32 * side * direction
        ax.text(x_name, y_name, name, color="w", fontsize=7, ha="center", va="center")
    if len(cutout.beam):
        size = scale * np.abs(cutout.beam).max()
        ax.fill(*(scale * cutout.beam - side + 1.6 * size).T, fc="none", ec="w", lw=1.0)
    return picture
