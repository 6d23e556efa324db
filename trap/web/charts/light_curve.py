"""The chart of a light curve: a colour and a shape for each band and Stokes parameter, with error bars and limits.

The rows of a band, its limits and its error bars are hidden together, and all of them lie inside the axes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.models import ColumnDataSource, LegendItem, Span

from trap.codes import ExtractType, stokes_letter
from trap.report.plots import COLOURS
from trap.report.text import MISSING, count, flag_names, megahertz, moment, number, with_error
from trap.web.charts.curve_points import CurveOptions, ShownPoints, shown_points
from trap.web.charts.style import GRID, SHAPES, Chart, add_hover, add_legend, add_taps, new_figure, padded

if TYPE_CHECKING:
    from bokeh.models import GlyphRenderer
    from bokeh.plotting import figure
    from numpy.typing import NDArray

    from trap.typing import Columns, Indices

__all__ = ["light_curve_chart"]

KINDS = {
    ExtractType.BLIND: ("detection", 1.0),
    ExtractType.NULL_DETECTION: ("forced fit", 0.0),
    ExtractType.MONITORED: ("monitored position", 0.0),
    ExtractType.JOINT: ("joint fit", 0.4),
}
"""Name, and opacity of the inside of the marker, of each kind of point."""
MARKS = {
    "detection": "Filled: detections.",
    "forced fit": "Open: forced fits.",
    "monitored position": "Open with a dot: fits at a monitored position.",
    "joint fit": "Half filled: joint fits of a crowded group.",
}
TOOLTIPS = (
    ("time", "@time"), ("band", "@band"), ("flux density", "@value"), ("kind", "@kind"), ("S/N", "@snr"),
    ("local noise", "@rms"), ("correction", "@correction"), ("warnings", "@flags"), ("image", "@image"),
)  # fmt: skip


def light_curve_chart(points: Columns, options: CurveOptions | None = None) -> Chart:
    """Draw the light curve of a source.

    Parameters
    ----------
    points
        Columns of :func:`trap.db.lightcurves.light_curve`.
    options
        Choices; None draws everything.
    """
    options = options or CurveOptions()
    shown = shown_points(points, options)
    unit = "mJy" if options.flux == "int" else "mJy/beam"
    plot = new_figure(_time_label(shown), f"{_flux_word(options)} ({unit})", **_axes(shown, options))
    if options.axis == "log":
        plot.yaxis.ticker.desired_num_ticks = 3
    plot.add_layout(Span(location=0, dimension="width", line_color=GRID, line_width=2, level="underlay"))
    marks, items = [], []
    for i, (label, members) in enumerate(_series(points, shown.rows)):
        source = ColumnDataSource(
            _rows(points, shown, members, unit=unit, shape=SHAPES[i % len(SHAPES)]), name="points"
        )
        scatter, bars = _draw(plot, source, COLOURS[i % len(COLOURS)])
        marks.append(scatter)
        best = int(np.argmax(source.data["fill"] - shown.is_limit[members]))
        items.append(LegendItem(label={"value": label}, renderers=[scatter, bars], index=best))
    add_legend(plot, items)
    add_taps(plot, marks)
    add_hover(plot, marks, [line for line in TOOLTIPS if line[0] != "warnings" or points["flags"][shown.rows].any()])
    return Chart(model=plot, notes=tuple(_notes(points, shown, options)), facts={"points": len(shown.rows)})


def _axes(shown: ShownPoints, options: CurveOptions) -> dict[str, Any]:
    """Return the ranges and types of the axes."""
    return {
        "x_range": padded(shown.x),
        "y_range": padded(shown.y, shown.low, shown.high, is_log=options.axis == "log"),
        "x_axis_type": "linear" if shown.start is not None else "datetime",
        "y_axis_type": options.axis,
    }


def _time_label(shown: ShownPoints) -> str:
    return "middle of the observation (UTC)" if shown.start is None else "time since the first detection (days)"


def _flux_word(options: CurveOptions) -> str:
    word = "flux density" if options.flux == "int" else "peak flux density"
    return word if options.calibrated == "corrected" else f"raw {word}"


def _series(points: Columns, rows: Indices) -> list[tuple[str, Indices]]:
    """Return the label of each band and Stokes parameter of all points, and the places of its members among rows."""
    keys = [
        (float(f), int(b), int(s))
        for f, b, s in zip(points["freq_central"], points["band"], points["stokes"], strict=True)
    ]
    several = len({stokes for _, _, stokes in keys}) > 1
    drawn = np.array([keys[row] for row in rows], float).reshape(-1, 3)
    found = []
    for frequency, band, stokes in sorted(set(keys), key=lambda key: (np.nan_to_num(key[0]), key[1:])):
        label = f"{megahertz(frequency)} MHz" + (f", Stokes {stokes_letter(stokes)}" if several else "")
        found.append((label, np.flatnonzero((drawn[:, 1] == band) & (drawn[:, 2] == stokes))))
    return [(label, members) for label, members in found if len(members)]


def _rows(points: Columns, shown: ShownPoints, members: Indices, *, unit: str, shape: str) -> dict[str, NDArray[Any]]:
    """Return the columns of a data source: places, marks, and texts of the tooltips."""
    rows = shown.rows[members]
    kinds = [KINDS[ExtractType(code)] for code in points["extract_type"][rows].tolist()]
    limited = shown.is_limit[members]
    marker = [
        "inverted_triangle" if limit else f"{shape}_dot" if name.startswith("monitored") else shape
        for limit, (name, _) in zip(limited.tolist(), kinds, strict=True)
    ]
    flux, error, y = (values[members] for values in (shown.flux, shown.error, shown.y))
    numbers = zip(flux.tolist(), error.tolist(), y.tolist(), limited.tolist(), strict=True)
    words = [f"{name}, limit" if limit else name for limit, (name, _) in zip(limited.tolist(), kinds, strict=True)]
    return {
        "x": shown.x[members],
        **{name: getattr(shown, name)[members] for name in ("y", "low", "high")},
        "marker": np.array(marker, object),
        "fill": np.array([0.0 if limit else fill for limit, (_, fill) in zip(limited.tolist(), kinds, strict=True)]),
        "image": points["image"][rows].astype(np.int32),
        "time": np.array([moment(time) for time in points["taustart_ts"][rows]], object),
        "band": np.array([f"{megahertz(one)} MHz" for one in points["freq_eff"][rows].tolist()], object),
        "value": np.array([_value(*one, unit) for one in numbers], object),
        "kind": np.array(words, object),
        "snr": np.array([number(one, 3) for one in (flux / np.where(error > 0, error, np.nan)).tolist()], object),
        "rms": np.array([f"{number(1e3 * one, 3)} mJy/beam" for one in points["rms"][rows].tolist()], object),
        "correction": np.array([_correction(points, row) for row in rows.tolist()], object),
        "flags": np.array([flag_names(one) or "none" for one in points["flags"][rows].tolist()], object),
    }  # fmt: skip


def _value(flux: float, error: float, limit: float, limited: bool, unit: str) -> str:  # noqa: FBT001 (of a row)
    text = f"{' ± '.join(with_error(flux, error))} {unit}"
    return f"below {number(limit, 3)} {unit} (fit {text})" if limited else text


def _correction(points: Columns, row: int) -> str:
    """Return the gain that the flux densities of a point were divided by."""
    raw, flux = float(points["f_int_raw"][row]), float(points["f_int"][row])
    if not np.isfinite(raw) or flux == 0:
        return "none"
    return (
        f"divided by the gain {' ± '.join(with_error(raw / flux, raw / flux * points['gain_err'][row]))}".removesuffix(
            f" ± {MISSING}"
        )
    )


def _draw(plot: figure, source: ColumnDataSource, colour: str) -> tuple[GlyphRenderer, GlyphRenderer]:
    """Draw the error bars of a series, and its markers on top. The other points fade if one is selected."""
    bars = plot.segment(
        x0="x", x1="x", y0="low", y1="high", source=source, color=colour, line_width=1.2, nonselection_alpha=0.4,
        selection_color=colour,
    )  # fmt: skip
    scatter = plot.scatter(
        x="x", y="y", marker="marker", fill_alpha="fill", source=source, color=colour, size=8, line_width=1.5,
        nonselection_fill_alpha=0.1, nonselection_line_alpha=0.4, selection_line_width=4, selection_fill_alpha=1.0,
    )  # fmt: skip
    return scatter, bars


def _notes(points: Columns, shown: ShownPoints, options: CurveOptions) -> list[str]:
    """Return the meaning of the marks in the chart, and the numbers of points that it cannot show."""
    codes = {int(code) for code in points["extract_type"][shown.rows[~shown.is_limit]].tolist()}
    notes = [MARKS[KINDS[kind][0]] for kind in KINDS if int(kind) in codes]
    if shown.is_limit.any():
        notes.append(
            f"Triangles with an arrow down: upper limits of fits below {options.snr:g} σ, "
            f"{options.limit_sigma:g} σ above the fit or zero."
        )
    if shown.start is not None:
        notes.append(f"The first detection was at {moment(shown.start)} UTC.")
    if shown.n_without_flux:
        notes.append(f"{count(shown.n_without_flux, 'point')} without a flux density.")
    if shown.n_without_place:
        notes.append(f"{count(shown.n_without_place, 'point')} at or below zero, left out of the logarithmic axis.")
    if not len(shown.rows):
        notes.insert(0, "No point fits these choices.")
    return notes
