"""The map of a dataset: where its images were searched, its sources, and its transient candidates.

A field is drawn with distances from its centre that are true (zenithal equidistant projection); more of the sky in the
equal-area projection of Hammer (1892), with a grid of right ascensions and declinations. East is left.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from bokeh.models import ColumnDataSource, DataRange1d, LegendItem

from trap import angles
from trap.report.plots import COLOURS
from trap.report.text import count, sky_position
from trap.web.charts.style import GRID, INK, QUIET, Chart, add_hover, add_legend, add_taps, new_figure

if TYPE_CHECKING:
    from bokeh.plotting import figure
    from numpy.typing import NDArray

    from trap.typing import Array, Columns

__all__ = ["SKY_COLUMNS", "sky_chart"]

SKY_COLUMNS = ("centre_ra", "centre_decl", "xtr_radius", "nx", "ny", "deltax", "deltay")
"""Columns of the images that the map needs."""
FIELD_RADIUS = 40.0
"""deg — largest distance from the centre of a map of a field."""
MANY = 5_000
"""Number of sources above which their density is drawn."""
MOST_OUTLINES = 1_000
CELLS = (140, 90)
PART = 50_000
N_BEARINGS = 73
STEP = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """A map of the sky.

    Parameters
    ----------
    ra, dec
        deg — centre.
    is_field
        Whether the map shows a field, and not the sky.
    """

    ra: float
    dec: float
    is_field: bool

    def __call__(self, ra: Array, dec: Array) -> tuple[Array, Array]:
        """Return the places of positions [deg]: deg to the east and to the north on a map of a field."""
        step = np.radians(angles.delta_ra(np.asarray(ra, float), self.ra))
        dec, centre = np.radians(np.asarray(dec, float)), np.radians(self.dec)
        if not self.is_field:
            scale = np.sqrt(2 / (1 + np.cos(dec) * np.cos(step / 2)))
            return -2 * scale * np.cos(dec) * np.sin(step / 2), scale * np.sin(dec)
        east = np.cos(dec) * np.sin(step)
        north = np.cos(centre) * np.sin(dec) - np.sin(centre) * np.cos(dec) * np.cos(step)
        ahead = np.sin(centre) * np.sin(dec) + np.cos(centre) * np.cos(dec) * np.cos(step)
        aside = np.hypot(east, north)
        scale = np.divide(np.degrees(np.arctan2(aside, ahead)), aside, out=np.zeros_like(aside), where=aside > 0)
        return scale * east, scale * north


def sky_chart(entries: NDArray[Any], candidates: NDArray[Any], images: Columns) -> Chart:
    """Draw the map.

    Parameters
    ----------
    entries, candidates
        Records of :func:`trap.db.source_numbers.entry_positions`, and of ``candidate_positions``.
    images
        (n,) values of :data:`SKY_COLUMNS` of the images: positions, radii and sizes of pixels [deg], numbers of pixels.
    """
    outlines = _outlines(images)
    projection = _projection(entries, outlines)
    plot = _figure(projection)
    if not projection.is_field:
        _draw_grid(plot, projection)
    items = []
    if outlines:
        lines = [_broken(*projection(*outline)) for outline in outlines[:MOST_OUTLINES]]
        mark = plot.multi_line([x for x, _ in lines], [y for _, y in lines], color=COLOURS[0], line_alpha=0.5)
        items.append(LegendItem(label={"value": "searched area"}, renderers=[mark]))
    is_dense = len(entries) > MANY
    kinds = [("candidate", candidates, COLOURS[1], "triangle", 10)]
    if is_dense:
        _draw_density(plot, *_projected(entries, projection))
    else:
        kinds.insert(0, ("source", entries, QUIET, "circle", 4))
    marks = []
    for label, records, colour, shape, size in kinds:
        if len(records):
            source = ColumnDataSource(_rows(records, projection), name="points")
            mark = plot.scatter("x", "y", source=source, color=colour, marker=shape, size=size, fill_alpha=0.7)
            marks.append(mark)
            items.append(LegendItem(label={"value": label}, renderers=[mark]))
    if not projection.is_field:
        _draw_labels(plot, projection)
    add_taps(plot, marks)
    formats = {"@ra": "printf", "@dec": "printf"}
    add_hover(plot, marks, [("source", "@runcat"), ("RA, Dec (deg)", "@ra{%.4f} @dec{%+.4f}")], formats)
    add_legend(plot, items)
    notes = [f"{count(len(entries), 'source')}, {count(len(candidates), 'transient candidate')}."]
    if is_dense:
        notes.append("Shades: number of sources in each cell, on a logarithmic scale.")
    if projection.is_field:
        notes.append(f"Centre: {sky_position(projection.ra, projection.dec)} degrees.")
    if len(outlines) > MOST_OUTLINES:
        notes.append(f"{MOST_OUTLINES} of {len(outlines)} searched areas are drawn.")
    return Chart(model=plot, notes=tuple(notes), facts={"sources": len(entries), "candidates": len(candidates)})


def _outlines(images: Columns) -> list[tuple[Array, Array]]:
    """Return the outlines of the different searched areas, as positions [deg]: circles, cut by the edges of images."""
    columns = np.stack([np.ma.filled(np.ma.asarray(images[name]).astype(float), 0.0) for name in SKY_COLUMNS])
    columns = np.nan_to_num(columns)  # NaN equals nothing, and an image of unknown size would be drawn each time
    found = []
    for ra, dec, radius, nx, ny, deltax, deltay in np.unique(np.round(columns, 9), axis=1).T:
        bearing = np.linspace(0, 2 * np.pi, N_BEARINGS)
        reach = np.full(N_BEARINGS, radius)
        with np.errstate(divide="ignore"):
            for n, size, share in ((nx, deltax, np.sin(bearing)), (ny, deltay, np.cos(bearing))):
                half = abs(n * size) / 2
                if half > 0:
                    reach = np.minimum(reach, half / np.abs(share))
        found.append(_move(ra, dec, np.radians(reach), bearing))
    return found


def _move(ra: float, dec: float, distance: Array, bearing: Array) -> tuple[Array, Array]:
    """Return the positions [deg] at distances [rad] and bearings [rad, north through east] from a position."""
    start = np.radians(dec)
    sine = np.sin(start) * np.cos(distance) + np.cos(start) * np.sin(distance) * np.cos(bearing)
    east = np.sin(bearing) * np.sin(distance) * np.cos(start)
    return ra + np.degrees(np.arctan2(east, np.cos(distance) - np.sin(start) * sine)), np.degrees(np.arcsin(sine))


def _projection(entries: NDArray[Any], outlines: list[tuple[Array, Array]]) -> Projection:
    """Return the projection that shows all sources and outlines."""
    # Some thousand of a million sources are as far apart as all. An outline ends where it starts, which counts once.
    entries = entries[:: max(1, len(entries) // MANY)]
    ra = np.concatenate([entries["ra"], *(outline[0][:-1] for outline in outlines)])
    dec = np.concatenate([entries["dec"], *(outline[1][:-1] for outline in outlines)])
    if not len(ra):
        return Projection(ra=0.0, dec=0.0, is_field=False)
    x, y, z = (float(values.mean()) for values in _vectors(ra, dec))
    centre = np.degrees(np.arctan2(y, x)) % 360, np.degrees(np.arctan2(z, np.hypot(x, y)))
    is_field = float(angles.separation(ra, dec, *centre).max()) <= FIELD_RADIUS
    ra_0, dec_0 = map(float, centre if is_field else (0, 0))
    return Projection(ra=ra_0, dec=dec_0, is_field=is_field)


def _vectors(ra: Array, dec: Array) -> tuple[Array, Array, Array]:
    ra, dec = np.radians(ra), np.radians(dec)
    return np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)


def _figure(projection: Projection) -> figure:
    """Make the figure; right ascension rises to the left on both maps."""
    if projection.is_field:
        return new_figure(
            "offset to the east (°)", "offset to the north (°)", height=420, match_aspect=True,
            max_width=800, x_range=DataRange1d(flipped=True), y_range=DataRange1d(),
        )  # fmt: skip
    plot = new_figure(
        "", "", height=420, match_aspect=True, max_width=800, x_range=DataRange1d(), y_range=DataRange1d()
    )
    plot.axis.visible = False
    plot.grid.grid_line_color = None
    return plot


def _draw_grid(plot: figure, projection: Projection) -> None:
    """Draw right ascensions and declinations at every 30 degrees."""
    line = np.linspace(-90, 90, 61)
    # The last right ascension on either side is just inside the edge, where the map wraps around.
    meridians = [projection(np.full(61, ra), line) for ra in [*range(-150, 180, STEP), -179.999, 179.999]]
    parallels = [projection(np.linspace(-179.999, 179.999, 121), np.full(121, dec)) for dec in range(-60, 90, STEP)]
    lines = [*meridians, *parallels]
    plot.multi_line([x for x, _ in lines], [y for _, y in lines], color=GRID, level="underlay")


def _draw_labels(plot: figure, projection: Projection) -> None:
    """Write right ascensions along the equator, and declinations at the left edge, on top of everything else."""
    hours = np.arange(0, 24, 4)
    x, y = projection(15.0 * hours.astype(float), np.zeros(len(hours)))
    style = {"text_color": INK, "text_font_size": "12px"}
    plot.text(x, y, text=[f"{hour}h" for hour in hours], text_align="center", **style)
    decs = np.array([-60, -30, 30, 60])
    x, y = projection(np.full(len(decs), 179.999), decs)
    plot.text(x, y, text=[f"{dec:+d}°" for dec in decs], text_align="right", x_offset=-4, **style)


def _broken(x: Array, y: Array) -> tuple[Array, Array]:
    """Return a line that is broken where it leaves the map on one side and comes back on the other."""
    jumps: Any = (
        np.flatnonzero(np.abs(np.diff(x)) > 2) + 1 if len(x) and np.abs(x).max() <= 2 * np.sqrt(2) + 1e-6 else []
    )
    return np.insert(x, jumps, np.nan), np.insert(y, jumps, np.nan)


def _rows(records: NDArray[Any], projection: Projection) -> dict[str, Any]:
    x, y = projection(records["ra"], records["dec"])
    return {"x": x, "y": y, "ra": records["ra"], "dec": records["dec"], "runcat": records["runcat"].astype(np.int32)}


def _projected(entries: NDArray[Any], projection: Projection) -> tuple[Array, Array]:
    """Return the places of many positions, which are computed in parts: the steps need ten times their memory."""
    x, y = np.empty((2, len(entries)))
    for start in range(0, len(entries), PART):
        part = slice(start, start + PART)
        x[part], y[part] = projection(entries["ra"][part], entries["dec"][part])
    return x, y


def _draw_density(plot: figure, x: Array, y: Array) -> None:
    """Draw the cells with sources; their opacity is the logarithm of the number."""
    counts, x_edges, y_edges = np.histogram2d(x, y, bins=CELLS)
    i, j = np.nonzero(counts)
    opacity = 0.12 + 0.8 * np.log1p(counts[i, j]) / np.log1p(counts.max())
    source = ColumnDataSource(
        {
            "left": x_edges[i], "right": x_edges[i + 1], "bottom": y_edges[j], "top": y_edges[j + 1],
            "opacity": opacity, "sources": counts[i, j].astype(np.int32),
        }
    )  # fmt: skip
    mark = plot.quad(
        "left", "right", "top", "bottom", source=source, color=COLOURS[4], fill_alpha="opacity", line_alpha=0
    )
    add_hover(plot, [mark], [("sources", "@sources")])
