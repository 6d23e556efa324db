"""The chart of η against V: points or their density, the distributions at the sides, and the cuts.

Of more sources than a screen has room for, the chart shows the density of all and the points beyond the cuts. Bokeh
could draw points with the graphics processor, but its script for that compiles text as code, which the pages forbid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.layouts import column, row
from bokeh.models import (
    BoxAnnotation,
    ColumnDataSource,
    LegendItem,
    NumeralTickFormatter,
    Range1d,
    Spacer,
    Span,
)

from trap.report.plots import COLOURS
from trap.report.text import count, number
from trap.web.charts.plane import DEFAULT_SIGMA
from trap.web.charts.style import INK, QUIET, Chart, add_hover, add_legend, add_taps, new_figure, padded

if TYPE_CHECKING:
    from bokeh.plotting import figure

    from trap.typing import Indices
    from trap.web.charts.plane import Cuts, Distribution, Plane

__all__ = ["eta_v_chart"]

MANY = 10_000
"""Number of points above which the density is drawn."""
MOST_BEYOND = 5_000
"""Largest number of points beyond the cuts that are drawn over a density."""
FEW = 30
"""Number of sources below which a sentence doubts the fit."""
SIDE = 90
"""pix — height of the distribution of V, and width of that of η."""
MARGIN = 72
"""pix — space of the labels on the left, so that the figures stand one below the other."""
V_LABEL, ETA_LABEL = "V (scatter over mean)", "η (reduced χ² of a constant)"


def eta_v_chart(plane: Plane, *, sigma_eta: float = DEFAULT_SIGMA, sigma_v: float = DEFAULT_SIGMA) -> Chart:
    """Draw η against V.

    Parameters
    ----------
    plane
        η and V of the sources.
    sigma_eta, sigma_v
        σ above the mean of the constant sources at which the cuts lie.

    Returns
    -------
    The chart; its facts are the cuts ``eta`` and ``v``, and the numbers ``sources``, ``shown`` and ``beyond``.
    """
    cuts = plane.cuts(sigma_eta, sigma_v)
    beyond = plane.beyond(cuts)
    main = new_figure(
        V_LABEL, ETA_LABEL, height=420, toolbar_location="below", tools="box_select", active_drag="box_select",
        x_axis_type="log", y_axis_type="log", min_border_left=MARGIN,
        x_range=padded(10 ** plane.v.edges, np.array([cuts.v or np.nan]), is_log=True),
        y_range=padded(10 ** plane.eta.edges, np.array([cuts.eta or np.nan]), is_log=True),
    )  # fmt: skip
    _draw_sources(main, plane, beyond)
    _draw_cuts(main, cuts)
    top = new_figure("", "sources", height=SIDE, x_axis_type="log", x_range=main.x_range, min_border_left=MARGIN)
    right = new_figure(
        "sources", "", height=420, width=SIDE, min_width=SIDE, sizing_mode="fixed", y_axis_type="log",
        y_range=main.y_range,
    )  # fmt: skip
    _draw_distribution(top, plane.v, is_vertical=True)
    _draw_distribution(right, plane.eta, is_vertical=False)
    wide = {"sizing_mode": "stretch_width"}
    layout = column(row(top, Spacer(width=SIDE, height=SIDE), **wide), row(main, right, **wide), **wide)
    facts = {"eta": cuts.eta, "v": cuts.v, "sources": len(plane), "shown": plane.n_shown, "beyond": len(beyond)}
    return Chart(model=layout, notes=tuple(_notes(plane, cuts, beyond, (sigma_eta, sigma_v))), facts=facts)


def _draw_sources(plot: figure, plane: Plane, beyond: Indices) -> None:
    """Draw the sources in three kinds: below a cut, beyond both cuts, and transient candidates."""
    is_dense, is_candidate = plane.n_shown > MANY, plane.points["candidate"]
    is_other = plane.shown & ~is_candidate
    is_other[beyond] = False
    marked = beyond[~is_candidate[beyond]]
    kinds = {
        "below a cut": (np.flatnonzero(is_other), QUIET, "circle", 5, 0.7),
        "beyond both cuts": (marked[:MOST_BEYOND] if is_dense else marked, COLOURS[1], "diamond", 9, 0.85),
        "transient candidate": (np.flatnonzero(plane.shown & is_candidate), COLOURS[2], "triangle", 10, 0.85),
    }
    if is_dense:
        _draw_density(plot, plane)
        del kinds["below a cut"]
    marks, items = [], []
    for label, (rows, colour, shape, size, alpha) in kinds.items():
        if not len(rows):
            continue
        mark = plot.scatter(
            x="v", y="eta", source=ColumnDataSource(_rows(plane, rows), name="points"), marker=shape, size=size,
            color=colour, fill_alpha=alpha, line_alpha=alpha, nonselection_fill_alpha=0.25,
            nonselection_line_alpha=0.25, selection_line_color=INK,
        )  # fmt: skip
        marks.append(mark)
        items.append(LegendItem(label={"value": label}, renderers=[mark]))
    add_taps(plot, marks)
    formats = {"@v": "printf", "@eta": "printf"}
    add_hover(plot, marks, [("source", "@runcat"), ("η", "@eta{%.4g}"), ("V", "@v{%.4g}"), ("points", "@n")], formats)
    add_legend(plot, items)


def _rows(plane: Plane, rows: Indices) -> dict[str, Any]:
    """Return the columns of a data source in half the precision, which is more than a screen has."""
    kinds = {"v": np.float32, "eta": np.float32, "runcat": np.int32, "n": np.int32}
    return {name: plane.points[name][rows].astype(kind) for name, kind in kinds.items()}


def _draw_density(plot: figure, plane: Plane) -> None:
    """Draw the cells that have sources; their opacity is the logarithm of the number."""
    counts, v, eta = plane.density
    i, j = np.nonzero(counts)
    opacity = 0.12 + 0.8 * np.log1p(counts[i, j]) / np.log1p(counts.max())
    cells = {"left": 10 ** v[i], "right": 10 ** v[i + 1], "bottom": 10 ** eta[j], "top": 10 ** eta[j + 1]}
    source = ColumnDataSource({**cells, "opacity": opacity, "sources": counts[i, j].astype(np.int32)})
    mark = plot.quad(
        **{name: name for name in cells}, source=source, color=COLOURS[4], fill_alpha="opacity", line_alpha=0
    )
    add_hover(plot, [mark], [("sources", "@sources")])


def _draw_cuts(plot: figure, cuts: Cuts) -> None:
    """Draw the cuts as dashed lines, and shade the corner beyond both."""
    if cuts.eta is None or cuts.v is None:
        return
    plot.add_layout(Span(location=cuts.v, dimension="height", line_color=INK, line_dash="dashed", line_width=1.5))
    plot.add_layout(Span(location=cuts.eta, dimension="width", line_color=INK, line_dash="dashed", line_width=1.5))
    plot.add_layout(
        BoxAnnotation(left=cuts.v, bottom=cuts.eta, fill_color=COLOURS[1], fill_alpha=0.07, line_color=None)
    )


def _draw_distribution(plot: figure, distribution: Distribution, *, is_vertical: bool) -> None:
    """Draw the distribution of a metric, and the normal distribution of the constant sources."""
    plot.toolbar_location = None
    plot.grid.grid_line_color = None
    labelled, counted = (plot.xaxis, plot.yaxis) if is_vertical else (plot.yaxis, plot.xaxis)
    labelled.visible = False
    counted.ticker.desired_num_ticks = 2
    counted.formatter = NumeralTickFormatter(format="0a")
    numbers, edges, fit = distribution.numbers, distribution.edges, distribution.fit
    low, high = 10 ** edges[:-1], 10 ** edges[1:]
    zero = np.zeros(len(numbers))
    bars = (low, high, zero, numbers) if is_vertical else (zero, numbers, low, high)
    names = ("left", "right", "bottom", "top")
    plot.quad(**dict(zip(names, bars, strict=True)), color=QUIET, fill_alpha=0.5, line_alpha=0)
    highest = float(numbers.max())
    if fit is not None:
        x = np.linspace(edges[0], edges[-1], 200)
        expected = fit.density(x) * (edges[1] - edges[0])
        highest = max(highest, float(expected.max()))
        line = (10**x, expected) if is_vertical else (expected, 10**x)
        plot.line(*line, color=COLOURS[0], line_width=2)
    setattr(plot, "y_range" if is_vertical else "x_range", Range1d(0, 1.08 * highest or 1.0))


def _notes(plane: Plane, cuts: Cuts, beyond: Indices, sigmas: tuple[float, float]) -> list[str]:
    """Return the meaning of the cuts, and the numbers of sources that the chart does not show."""
    notes = list(plane.left_out())
    if cuts.eta is None or cuts.v is None:
        few = f"{count(plane.n_shown, 'source')}: too few, or too similar, for a fit of their distribution."
        return [few, *notes]
    fits = " and ".join(
        f"{name} > {number(cut, 3)} ({sigma:g} σ above the mean of log10 {name}, {fit.mean:.2f} ± {fit.sigma:.2f})"
        for name, cut, sigma, fit in zip("ηV", (cuts.eta, cuts.v), sigmas, (plane.eta.fit, plane.v.fit), strict=True)
        if fit is not None
    )
    notes.insert(0, f"{count(len(beyond), 'source')} of {plane.n_shown} beyond both cuts: {fits}.")
    if plane.n_shown < FEW:
        notes.append(f"A fit of {plane.n_shown} sources is uncertain.")
    if plane.n_shown > MANY:
        notes.append(
            f"Shades: number of sources in each cell; points: candidates, and sources beyond both cuts"
            f"{f' (the {MOST_BEYOND} with the highest η)' if len(beyond) > MOST_BEYOND else ''}."
        )
    return notes
