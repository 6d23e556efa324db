"""The page of η and V: the chart with its cuts, the sources that a visitor frames, and a panel for one of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse

from trap.db.result_tables import read_rows
from trap.errors import ConfigError, NotFoundError
from trap.selection import Selection
from trap.web.chart_routes import JSON
from trap.web.charts.eta_v import eta_v_chart
from trap.web.charts.plane import DEFAULT_SIGMA, Plane
from trap.web.kept import Kept
from trap.web.planes import CurrentPlane, band_choices
from trap.web.rendering import render
from trap.web.site import CurrentDataset, CurrentSite

if TYPE_CHECKING:
    from trap.typing import Indices
    from trap.web.site import Site

__all__ = ["router"]

MOST_ROWS = 100
"""Number of sources that the page lists; the table of sources has all."""
router = APIRouter(include_in_schema=False)
_kept: Kept[bytes] = Kept(20)
Sigma = Annotated[float, Query(ge=-10, le=50, allow_inf_nan=False)]
Runcat = Annotated[int, Query(ge=0, le=2**31 - 1)]
End = Annotated[str, Query(max_length=40)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The part of the plane whose sources are listed: ranges of η and V, or everything beyond both cuts.

    Parameters
    ----------
    ends
        Lowest and highest η and V as numbers, by the names in the address; without any, the cuts count.
    sigma_eta, sigma_v
        σ of the cuts.
    """

    ends: dict[str, float]
    sigma_eta: float
    sigma_v: float

    def rows(self, plane: Plane) -> Indices:
        """Return the rows of the sources in the frame, those with the highest η first."""
        if not self.ends:
            return plane.beyond(plane.cuts(self.sigma_eta, self.sigma_v))
        eta, v = (
            (self.ends.get(f"min_{name}", -math.inf), self.ends.get(f"max_{name}", math.inf)) for name in ("eta", "v")
        )
        return plane.inside(eta, v)


def _frame(
    *,
    min_eta: End = "",
    max_eta: End = "",
    min_v: End = "",
    max_v: End = "",
    sigma_eta: Sigma = DEFAULT_SIGMA,
    sigma_v: Sigma = DEFAULT_SIGMA,
) -> Frame:
    """Read the frame of an address.

    Raises
    ------
    ConfigError
        If an end is no number.
    """
    given = {"min_eta": min_eta, "max_eta": max_eta, "min_v": min_v, "max_v": max_v}
    ends = {name: _number(name, text) for name, text in given.items() if text.strip()}
    return Frame(ends=ends, sigma_eta=sigma_eta, sigma_v=sigma_v)


CurrentFrame = Annotated[Frame, Depends(_frame)]
"""The frame in an address, as an argument of a page."""


@router.get("/datasets/{number}/eta-v.json")
def _chart(plane: CurrentPlane, sigma_eta: Sigma = DEFAULT_SIGMA, sigma_v: Sigma = DEFAULT_SIGMA) -> Response:
    """Return the chart."""
    key = (plane.key, sigma_eta, sigma_v)
    chart = _kept.find(key, lambda: eta_v_chart(plane, sigma_eta=sigma_eta, sigma_v=sigma_v).encoded())
    return Response(chart, media_type=JSON)


@router.get("/datasets/{number}/eta-v", response_class=HTMLResponse)
def _page(
    request: Request,
    site: CurrentSite,
    dataset: CurrentDataset,
    plane: CurrentPlane,
    frame: CurrentFrame,
    runcat: Runcat | None = None,
) -> HTMLResponse:
    """Return the page."""
    with site.reader.read() as connection:
        bands = band_choices(connection, dataset.number)
        letters = read_rows(connection, "images", [dataset.number], columns=["stokes"])["stokes"]
    values: dict[str, Any] = {
        "bands": bands,
        "letters": sorted(set(letters.tolist())),
        "source": None if runcat is None else _source(site, dataset.number, runcat, plane),
    }
    return render(request, "eta_v.html", **values, **_values(request, site, dataset.number, plane, frame))


@router.get("/datasets/{number}/eta-v/rows", response_class=HTMLResponse)
def _table(
    request: Request, site: CurrentSite, dataset: CurrentDataset, plane: CurrentPlane, frame: CurrentFrame
) -> HTMLResponse:
    """Return the table of the page alone."""
    return render(request, "_eta_v_rows.html", **_values(request, site, dataset.number, plane, frame))


@router.get("/datasets/{number}/eta-v/source", response_class=HTMLResponse)
def _panel(
    request: Request, site: CurrentSite, dataset: CurrentDataset, plane: CurrentPlane, runcat: Runcat
) -> HTMLResponse:
    """Return the panel of a source alone."""
    source = _source(site, dataset.number, runcat, plane)
    return render(request, "_eta_v_source.html", number=dataset.number, source=source)


def _values(request: Request, site: Site, number: int, plane: Plane, frame: Frame) -> dict[str, Any]:
    """Return the values that the table of the page needs."""
    found = frame.rows(plane)
    points = {name: values[found[:MOST_ROWS]] for name, values in plane.points.items()}
    with site.reader.read() as connection:
        selection = Selection(entries=tuple(points["runcat"].tolist()))
        columns = ["runcat", "wm_ra", "wm_decl"]
        places = read_rows(connection, "sources", [number], selection, columns=columns)
    place = {row[0]: row[1:] for row in zip(*(places[name].tolist() for name in columns), strict=True)}
    listed = [
        {name: points[name][i].item() for name in ("runcat", "eta", "v", "n", "candidate")} | {"place": place[runcat]}
        for i, runcat in enumerate(points["runcat"].tolist())
        if runcat in place
    ]
    names = ("flux", "band", "stokes", "sigma_eta", "sigma_v", "min_eta", "max_eta", "min_v", "max_v")
    return {
        "number": number,
        "frame": frame,
        "cuts": plane.cuts(frame.sigma_eta, frame.sigma_v),
        "n_found": len(found),
        "listed": listed,
        "choice": {name: request.query_params.get(name, "") for name in names},
    }


def _source(site: Site, number: int, runcat: int, plane: Plane) -> dict[str, Any]:
    """Return the numbers of a source by the names of its columns, with η and V of the plane.

    Raises
    ------
    NotFoundError
        If the dataset has no such source.
    """
    with site.reader.read() as connection:
        found = read_rows(connection, "sources", [number], Selection(entries=(runcat,)))
    if not len(found["runcat"]):
        msg = f"dataset {number} has no source {runcat}"
        raise NotFoundError(msg)
    values = {name: None if np.ma.is_masked(column[0]) else column[0] for name, column in found.items()}
    row = np.flatnonzero(plane.points["runcat"] == runcat)
    return values | {name: float(plane.points[name][row[0]]) if row.size else None for name in ("eta", "v")}


def _number(name: str, text: str) -> float:
    """Read a number of an address; infinity is one, and leaves a range open."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        msg = f"{name} must be a number, got {text!r}"
        raise ConfigError(msg)
    return value
