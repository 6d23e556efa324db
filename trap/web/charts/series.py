"""Charts of a dataset against time: noise, gain and shift of its images, and the numbers of sources of its timesteps.

A colour and a shape belong to each band, as in light curves. A tap on a point chooses its image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.models import ColumnDataSource, LegendItem, Span

from trap.codes import stokes_letter
from trap.escapes import plain_text
from trap.report.calibration import find_bands, relative_calibrations
from trap.report.plots import COLOURS
from trap.report.text import count, megahertz, moment, number, with_error
from trap.web.charts.style import GRID, SHAPES, Chart, add_hover, add_legend, add_taps, milliseconds, new_figure, padded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bokeh.models import GlyphRenderer
    from bokeh.plotting import figure
    from numpy.typing import NDArray

    from trap.typing import Array, Columns, Indices

__all__ = ["counts_chart", "gain_chart", "noise_chart", "shift_chart"]

TIME = "start of the observation (UTC)"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Series:
    """The points of one label of a legend.

    Parameters
    ----------
    label
        Text of the legend.
    rows
        (n,) — rows of the images.
    values, errors
        (n,) — values on the axis, and their errors; NaN without one.
    opacity
        (n,) — of the inside of the markers.
    texts
        (n,) — value in the tooltip.
    """

    label: str
    rows: Indices
    values: Array
    errors: Array
    opacity: Array
    texts: list[str]


def noise_chart(images: Columns) -> Chart:
    """Draw the noise of images against time.

    Parameters
    ----------
    images
        Columns of :func:`trap.db.overview.image_table`.
    """
    noise = 1e6 * np.asarray(images["rms_qc"], float)
    is_rejected = np.array([reason is not None for reason in images["reason"].tolist()], bool)
    shown = np.isfinite(noise)
    plot = _time_figure("noise (µJy/beam)", images["taustart_ts"], noise[shown], is_log=_spans_decades(noise[shown]))
    series = [
        Series(
            label=label,
            rows=rows,
            values=noise[rows],
            errors=np.full(len(rows), np.nan),
            opacity=np.where(is_rejected[rows], 0.0, 0.8),
            texts=[f"{number(value)} µJy/beam" for value in noise[rows].tolist()],
        )
        for label, rows in _by_frequency(images, shown)
    ]
    reasons = [plain_text(reason) if reason else "accepted" for reason in images["reason"].tolist()]
    _draw(plot, series, images["taustart_ts"], images["id"], np.array(reasons, object))
    notes = [f"Open: the {count(int((is_rejected & shown).sum()), 'rejected image')}."] if is_rejected.any() else []
    if not shown.all():
        notes.append(f"{count(int((~shown).sum()), 'image')} without a measured noise.")
    return Chart(model=plot, notes=tuple(notes), facts={"points": int(shown.sum())})


def gain_chart(calibrations: Columns) -> Chart:
    """Draw the gains of images against time, in units of the mean of their band.

    Parameters
    ----------
    calibrations
        Columns of :func:`trap.db.calibrations.calibrations`.
    """
    return _calibration_chart(calibrations, {"gain": ""}, "relative gain", 1.0)


def shift_chart(calibrations: Columns) -> Chart:
    """Draw the shifts of images against time, towards the east and towards the north, from the mean of their band.

    Parameters
    ----------
    calibrations
        Columns of :func:`trap.db.calibrations.calibrations`.
    """
    directions = {"shift_ew": "east", "shift_ns": "north"}
    return _calibration_chart(calibrations, directions, "shift (arcsec)", 0.0)


def counts_chart(timesteps: Columns) -> Chart:
    """Draw the numbers of sources, forced fits, candidates and rejected images of timesteps.

    Parameters
    ----------
    timesteps
        Columns of :func:`trap.db.overview.timestep_table`.
    """
    kinds = {
        "detections": "n_measured",
        "forced fits": "n_forced_measured",
        "new sources": "n_new_entries",
        "candidates": "n_newsources",
        "rejected images": "n_rejected",
    }
    stored = np.array([state != "failed" for state in timesteps["state"].tolist()], bool)
    time = timesteps["taustart_ts"]
    numbers = {label: np.asarray(timesteps[name], float)[stored] for label, name in kinds.items()}
    plot = _time_figure("number per timestep", time, *numbers.values(), np.zeros(1))
    items, marks = [], []
    texts = np.array([moment(one) for one in time[stored]], object)
    for i, (label, values) in enumerate(numbers.items()):
        source = ColumnDataSource(
            {"x": milliseconds(time[stored]), "y": values, "time": texts, "kind": np.full(len(values), label, object)}
        )
        line = plot.line("x", "y", source=source, color=COLOURS[i], line_width=1.2, line_alpha=0.6)
        mark = plot.scatter("x", "y", source=source, color=COLOURS[i], marker=SHAPES[i], size=6, fill_alpha=0.8)
        marks.append(mark)
        items.append(LegendItem(label={"value": label}, renderers=[mark, line]))
    add_hover(plot, marks, [("timestep", "@time"), ("@kind", "@y{0,0}")])
    add_legend(plot, items)
    n_failed = int((~stored).sum())
    notes = (f"{count(n_failed, 'timestep')} failed, and holds no images.",) if n_failed else ()
    return Chart(model=plot, notes=notes, facts={"points": int(stored.sum())})


def _calibration_chart(calibrations: Columns, quantities: dict[str, str], label: str, level: float) -> Chart:
    """Draw quantities of a calibration with their errors: applied ones filled, others open."""
    relative = relative_calibrations(calibrations)
    series = [
        _of_calibration(relative, name, f"{band.label} {direction}".strip(), band.own)
        for name, direction in quantities.items()
        for band in find_bands(calibrations)
    ]
    ends = [values for one in series for values in (one.values - _zero(one.errors), one.values + _zero(one.errors))]
    plot = _time_figure(label, calibrations["taustart_ts"], *ends, np.array([level]))
    plot.add_layout(Span(location=level, dimension="width", line_color=GRID, line_width=2, level="underlay"))
    state = np.array([plain_text(note or "none") for note in calibrations["position_note"].tolist()], object)
    if "gain" in quantities:
        state = np.array([plain_text(note or "none") for note in calibrations["flux_note"].tolist()], object)
    _draw(plot, series, calibrations["taustart_ts"], calibrations["image"], state)
    n_points = sum(len(one.rows) for one in series)
    mean = f"The mean of a band is {level:g}. Filled: applied to the measurements; open: measured only."
    notes = (mean,) if n_points else ("No image has one.",)
    return Chart(model=plot, notes=notes, facts={"points": n_points})


def _of_calibration(relative: Columns, name: str, label: str, own: Indices) -> Series:
    """Return the finite values of a quantity in the images of a band with a calibration of their own."""
    rows = own[np.isfinite(relative[name][own])]
    values, errors = relative[name][rows], np.asarray(relative[f"{name}_err"], float)[rows]
    return Series(
        label=label,
        rows=rows,
        values=values,
        errors=errors,
        opacity=np.where(np.isfinite(relative[f"{name}_applied"][rows]), 0.8, 0.0),
        texts=[" ± ".join(with_error(*pair)) for pair in zip(values.tolist(), errors.tolist(), strict=True)],
    )


def _by_frequency(images: Columns, shown: NDArray[np.bool_]) -> Iterable[tuple[str, Indices]]:
    """Yield the label and the rows of the images of each band and Stokes parameter."""
    band, stokes = (np.asarray(images[name], int) for name in ("band", "stokes"))
    frequency = np.asarray(images["freq_eff"], float)
    several = len(np.unique(stokes)) > 1
    keys = {(int(b), int(s)) for b, s in zip(band[shown], stokes[shown], strict=True)}
    groups = [(np.flatnonzero((band == b) & (stokes == s) & shown), s) for b, s in keys]
    for rows, code in sorted(groups, key=lambda group: (float(np.median(frequency[group[0]])), group[1])):
        label = f"{megahertz(float(np.median(frequency[rows])))} MHz"
        yield label + (f", Stokes {stokes_letter(code)}" if several else ""), rows


def _time_figure(label: str, time: NDArray[np.datetime64], *values: Array, is_log: bool = False) -> figure:
    return new_figure(
        TIME, label, height=280, x_axis_type="datetime", x_range=padded(milliseconds(time)),
        y_axis_type="log" if is_log else "linear", y_range=padded(*values, is_log=is_log),
    )  # fmt: skip


def _draw(
    plot: figure, series: list[Series], time: NDArray[np.datetime64], image: NDArray[Any], state: NDArray[Any]
) -> None:
    """Draw series with error bars, tooltips and a legend."""
    items, marks = [], []
    for i, one in enumerate(series):
        if not len(one.rows):
            continue
        colour, shape = COLOURS[i % len(COLOURS)], SHAPES[i % len(SHAPES)]
        source = ColumnDataSource(
            {
                "x": milliseconds(time[one.rows]), "y": one.values, "fill": one.opacity,
                "low": one.values - one.errors, "high": one.values + one.errors,
                "image": np.asarray(image[one.rows], np.int32),
                "time": np.array([moment(each) for each in time[one.rows]], object),
                "value": np.array(one.texts, object), "state": state[one.rows],
            },
            name="points",
        )  # fmt: skip
        drawn: list[GlyphRenderer] = []
        if np.isfinite(one.errors).any():
            drawn.append(plot.segment("x", "low", "x", "high", source=source, color=colour, line_alpha=0.7))
        mark = plot.scatter(
            "x", "y", source=source, color=colour, marker=shape, size=6, fill_alpha="fill", nonselection_alpha=0.4
        )
        marks.append(mark)
        items.append(LegendItem(label={"value": one.label}, renderers=[mark, *drawn]))
    add_taps(plot, marks)
    add_hover(plot, marks, [("time", "@time"), ("value", "@value"), ("image", "@image"), ("note", "@state")])
    add_legend(plot, items)


def _spans_decades(values: Array) -> bool:
    """Return whether positive values span more than a factor that a linear axis can show."""
    return bool(values.size and values.min() > 0 and values.max() > 20 * values.min())


def _zero(errors: Array) -> Array:
    return np.nan_to_num(errors)
