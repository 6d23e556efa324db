"""The looks that all charts share, and the form in which they are sent.

Colours are as in the figures in files, which colour-blind readers can distinguish; the shape of a marker is a second
sign. Backgrounds are transparent. A dark page has light colours in place of :data:`INK` and :data:`GRID`, which
``static/charts.js`` exchanges: the server does not know the colours of a browser.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.core.validation import silence
from bokeh.core.validation.warnings import MISSING_RENDERERS
from bokeh.embed import json_item
from bokeh.models import DatetimeTickFormatter, HoverTool, Legend, LegendItem, Range1d, TapTool
from bokeh.plotting import figure
from bokeh.themes import Theme

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bokeh.models import GlyphRenderer, UIElement
    from numpy.typing import NDArray

    from trap.typing import Array

__all__ = [
    "GRID",
    "INK",
    "QUIET",
    "SHAPES",
    "Chart",
    "add_hover",
    "add_legend",
    "add_taps",
    "milliseconds",
    "new_figure",
    "padded",
]

# A chart without points is a result, for which its notes give the reason.
silence(MISSING_RENDERERS)

INK = "#24292f"
"""Colour of texts and lines, which a dark page exchanges."""
GRID = "#d8dee4"
"""Colour of grids, which a dark page exchanges."""
QUIET = "#7d8590"
"""Colour of points that are not the subject of a chart; visible on light and on dark pages."""
SHAPES = ("circle", "square", "diamond", "triangle", "hex", "star")
"""Markers of the bands and Stokes parameters, in their order. Each has a form with a dot."""
PADDING = 0.06
"""Share of the extent of the values that a range adds at either end."""
LEGEND_LETTERS = 51
"""Number of letters in a row of a legend that fit on the screen of a telephone."""
_TEXT = {"text_color": INK, "text_font_size": "13px"}
_THEME = Theme(
    json={
        "attrs": {
            "Plot": {"background_fill_alpha": 0.0, "border_fill_alpha": 0.0, "outline_line_color": GRID},
            "Axis": {
                "axis_label_text_color": INK,
                "axis_label_text_font_style": "normal",
                "axis_label_text_font_size": "13px",
                "axis_line_color": INK,
                "major_label_text_color": INK,
                "major_label_text_font_size": "12px",
                "major_tick_line_color": INK,
                "minor_tick_line_color": None,
            },
            "Grid": {"grid_line_color": GRID, "grid_line_width": 1},
            "Title": {"text_color": INK, "text_font_size": "13px", "text_font_style": "normal"},
            "Legend": {
                "label_text_color": INK,
                "label_text_font_size": "12px",
                "title_text_color": INK,
                "background_fill_alpha": 0.0,
                "border_line_color": None,
            },
        }
    }
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chart:
    """A chart, and the sentences that belong to it.

    Attributes
    ----------
    model
        Figure, or layout of figures. A data source with the name ``points`` has the rows that a tap selects; its
        columns of whole numbers ``image`` or ``runcat`` are passed on to the page.
    notes
        Sentences below the chart: the values that it cannot show, and the meaning of its marks.
    facts
        Numbers for the page, by name.
    """

    model: UIElement
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the chart as values for JSON: ``item`` for Bokeh's script, ``notes`` and ``facts``."""
        item = json_item(self.model, theme=_THEME)
        return {"item": item, "notes": list(self.notes), "facts": dict(self.facts)}

    def encoded(self) -> bytes:
        """Return the chart as a file of JSON."""
        return json.dumps(self.as_json(), allow_nan=False).encode()


def new_figure(x: str, y: str, *, height: int = 320, tools: str = "", **options: Any) -> figure:  # noqa: ANN401
    """Make an empty figure as wide as its page.

    Parameters
    ----------
    x, y
        Labels of the axes, with units.
    height
        pix
    tools
        Names of further tools. None of the tools that drag is active, since they would keep a page from scrolling
        under a finger.
    **options
        Further properties of a figure of Bokeh.
    """
    defaults = {"active_drag": None, "active_scroll": None, "toolbar_location": "right"}
    plot = figure(
        **{
            **defaults,
            "height": height,
            "sizing_mode": "stretch_width",
            "min_width": 200,
            "tools": ",".join(filter(None, ["pan,box_zoom,wheel_zoom,reset,save", tools])),
            **options,
        }
    )
    plot.toolbar.logo = None
    plot.toolbar.autohide = True
    plot.xaxis.axis_label, plot.yaxis.axis_label = x, y
    if options.get("x_axis_type") == "datetime":
        plot.xaxis.formatter = DatetimeTickFormatter(
            hours="%H:%M", days="%d %b", months="%b %Y", years="%Y", context="%Y", hide_repeats=True
        )
        plot.xaxis.ticker.desired_num_ticks = 5
    return plot


def add_hover(
    plot: figure,
    renderers: Sequence[GlyphRenderer],
    tooltips: Sequence[tuple[str, str]],
    formats: Mapping[str, str] | None = None,
) -> None:
    """Add tooltips to marks. Bokeh writes their values as text, not as HTML.

    Parameters
    ----------
    plot
        Figure.
    renderers
        Marks with tooltips.
    tooltips
        Label and column, as ``@name``, of each line.
    formats
        Way of formatting of columns.
    """
    plot.add_tools(
        HoverTool(renderers=list(renderers), tooltips=list(tooltips), formatters=dict(formats or {}), limit=4)
    )


def add_taps(plot: figure, renderers: Sequence[GlyphRenderer]) -> None:
    """Let a tap choose one of the marks, whatever was chosen before.

    Parameters
    ----------
    plot
        Figure.
    renderers
        Marks that can be chosen.
    """
    plot.add_tools(TapTool(renderers=list(renderers), mode="replace"))


def add_legend(plot: figure, items: Sequence[LegendItem]) -> None:
    """Add a legend above a figure, whose labels hide their marks and show them again.

    Parameters
    ----------
    plot
        Figure.
    items
        Labels, each with the marks that it hides together.
    """
    if items:
        longest = max(len(item.label.value) for item in items)
        columns = max(1, min(LEGEND_LETTERS // (longest + 4), len(items)))
        plot.add_layout(
            Legend(items=list(items), click_policy="hide", orientation="horizontal", ncols=columns), "above"
        )


def milliseconds(times: NDArray[np.datetime64]) -> Array:
    """Convert times to the numbers of Bokeh's axes of dates: milliseconds since 1970 in UTC, NaN for a missing time.

    Parameters
    ----------
    times
        (n,)
    """
    stamps = np.asarray(times, "M8[us]")
    return np.where(np.isnat(stamps), np.nan, stamps.astype(np.int64) / 1e3)


def padded(*values: Array, is_log: bool = False) -> Range1d:
    """Return a range that contains all finite values, with space at its ends.

    Parameters
    ----------
    *values
        Values of any shape.
    is_log
        Whether the axis is logarithmic, on which only positive values have a place.
    """
    every = np.concatenate([np.ravel(np.asarray(one, float)) for one in values] or [np.empty(0)])
    every = every[np.isfinite(every) & ((every > 0) | (not is_log))]
    if is_log:
        every = np.log10(every)
    if not every.size:
        every = np.array([0.0, 1.0])
    low, high = float(every.min()), float(every.max())
    space = PADDING * (high - low) or (0.3 if is_log else 0.1 * abs(high) or 1.0)
    low, high = low - space, high + space
    return Range1d(10.0**low, 10.0**high) if is_log else Range1d(low, high)
