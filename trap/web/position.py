"""The page of any position: its light curve by forced fits, which are made in the background when a visitor asks."""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from threading import Lock
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import urlencode

import numpy as np
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from trap.codes import stokes_letter
from trap.db.lightcurves import entries_near
from trap.db.meanings import describe_position_points
from trap.db.position_fits import count_fitted_images, images_at, join_points, kept_positions, missing_images
from trap.errors import BusyError, ConfigError
from trap.report.columns import ExportTable
from trap.report.formats import FORMATS
from trap.report.plots import LightCurve, is_limit, upper_limit
from trap.report.text import count, number
from trap.selection import POSITION_EXAMPLES, parse_position
from trap.web.chart_routes import JSON, CurveChoices
from trap.web.charts.light_curve import light_curve_chart
from trap.web.jobs import Job, JobState, Place, PositionJobs
from trap.web.pictures import colour_stops
from trap.web.position_cutouts import cutouts_of
from trap.web.rendering import render
from trap.web.site import CurrentDataset, CurrentSite, SameOrigin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from trap.typing import Columns
    from trap.web.site import Site

__all__ = ["position_link", "router"]

MAX_ROWS = 1000
"""Largest number of points in the table of the page; a download has all of them."""
MAX_KEPT = 200
MAX_REASONS = 8
NEARBY_ARCSEC = 120.0
"""Radius of the list of sources around a position."""
MEDIA_TYPES = {"csv": "text/csv", "json": "application/json", "votable": "application/x-votable+xml"}
_making = Lock()


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """End the jobs of a site with its server."""
    yield
    if hasattr(app.state, "position_jobs"):
        await run_in_threadpool(app.state.position_jobs.close)


router = APIRouter(prefix="/datasets/{number}/position", lifespan=_lifespan, include_in_schema=False)


def _jobs(request: Request) -> PositionJobs:
    """Return the jobs of the site, which are made when the first position is asked for."""
    state = request.app.state
    with _making:
        if not hasattr(state, "position_jobs"):
            state.position_jobs = PositionJobs(state.site.reader, keeps=state.site.edits)
        jobs: PositionJobs = state.position_jobs
        return jobs


def _place(dataset: CurrentDataset, at: Annotated[str, Query(max_length=200)]) -> Place:
    return Place.of(dataset.number, *parse_position(at))


Jobs = Annotated[PositionJobs, Depends(_jobs)]
"""The background jobs, as an argument of a page."""
CurrentPlace = Annotated[Place, Depends(_place)]
"""The position of the query ``at``, as an argument of a page."""


def position_link(place: Place, path: str = "", **query: str) -> str:
    """Return the address of a page about a position.

    Parameters
    ----------
    place
        The position.
    path
        Part of the address behind ``position``, such as ``/start``.
    **query
        Further keywords.
    """
    at = f"{place.ra:.7f} {place.dec:+.7f}"
    return f"/datasets/{place.dataset}/position{path}?{urlencode({'at': at, **query})}"


@router.get("")
def show_position(
    request: Request,
    site: CurrentSite,
    dataset: CurrentDataset,
    jobs: Jobs,
    at: Annotated[str, Query(max_length=200)] = "",
) -> Response:
    """Show the light curve of a position, or a form for one.

    Parameters
    ----------
    request, site, dataset, jobs
        The request, the site, the dataset, and the background jobs.
    at
        Position in any form; empty shows the form alone.
    """
    problem, place = "", None
    if at.strip():
        try:
            place = Place.of(dataset.number, *parse_position(at))
        except ConfigError as error:
            problem = str(error)
    values = _nothing() if place is None else _about(site, jobs, place)
    with site.reader.read() as connection:
        kept = kept_positions(connection, dataset.number)
    return render(
        request,
        "position.html",
        status_code=400 if problem else 200,
        number=dataset.number,
        at=at,
        place=place,
        problem=problem,
        examples=POSITION_EXAMPLES,
        kept=[_kept_row(dataset.number, kept, i) for i in range(min(len(kept["ra"]), MAX_KEPT))],
        formats=[name for name, one in FORMATS.items() if one.write is not None and not one.tables],
        link=position_link,
        stops=colour_stops("viridis"),
        nearby_arcsec=NEARBY_ARCSEC,
        max_rows=MAX_ROWS,
        **values,
    )


@router.post("/start", dependencies=[SameOrigin])
def start_position(jobs: Jobs, place: CurrentPlace) -> Response:
    """Start to measure a position. A read-only site allows it: nothing is written there.

    Parameters
    ----------
    jobs, place
        The background jobs, and the position.

    Raises
    ------
    HTTPException
        If too many positions wait.
    """
    try:
        jobs.start(place)
    except BusyError as error:
        raise HTTPException(429, str(error)) from error
    return RedirectResponse(position_link(place), 303)


@router.post("/cancel", dependencies=[SameOrigin])
def cancel_position(jobs: Jobs, place: CurrentPlace) -> Response:
    """End the job of a position.

    Parameters
    ----------
    jobs, place
        The background jobs, and the position.
    """
    jobs.cancel(place)
    return RedirectResponse(position_link(place), 303)


@router.get("/progress.json")
def show_progress(jobs: Jobs, place: CurrentPlace) -> dict[str, Any]:
    """Return the progress of the job of a position.

    Parameters
    ----------
    jobs, place
        The background jobs, and the position.

    Returns
    -------
    ``active``, ``state``, numbers of images ``done`` and of ``all``, and a ``text``; without a job all are empty.
    """
    job = jobs.find(place)
    if job is None:
        return {"active": False, "state": "", "done": 0, "all": 0, "text": ""}
    return {"active": job.is_active, "state": job.state, "done": job.n_done, "all": job.n_all, "text": _progress(job)}


@router.get(".json")
def draw_position(site: CurrentSite, jobs: Jobs, place: CurrentPlace, options: CurveChoices) -> Response:
    """Return the chart of the light curve of a position.

    Parameters
    ----------
    site, jobs, place, options
        The site, the background jobs, the position, and the choices of the chart.
    """
    curve = _measured(_curve(site, jobs, place)[0])
    return Response(light_curve_chart(curve, options).encoded(), media_type=JSON)


@router.get("/download")
def download_position(site: CurrentSite, jobs: Jobs, place: CurrentPlace, format: str = "csv") -> Response:  # noqa: A002
    """Return the light curve of a position in a format of exports.

    Parameters
    ----------
    site, jobs, place
        The site, the background jobs, and the position.
    format
        Name of the format.

    Raises
    ------
    ConfigError
        If there is no such format.
    """
    known = [name for name, one in FORMATS.items() if one.write is not None and not one.tables]
    if format not in known:
        msg = f"format must be one of {', '.join(known)}, got {format!r}"
        raise ConfigError(msg)
    curve, _ = _curve(site, jobs, place)
    about = {"dataset": place.dataset, "ra": place.ra, "dec": place.dec}
    table = ExportTable(name="light curve points", columns=describe_position_points(curve), about=about)
    name = f"dataset{place.dataset}_{place.ra:.5f}{place.dec:+.5f}{FORMATS[format].suffix}"
    return Response(
        FORMATS[format].encode(table),
        media_type=MEDIA_TYPES.get(format, "text/plain" if FORMATS[format].is_text else "application/octet-stream"),
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _curve(site: Site, jobs: PositionJobs, place: Place) -> tuple[Columns, int]:
    """Return the points of a position that are known, and the number of images that wait to be measured."""
    with site.reader.read() as connection:
        images = images_at(connection, *place)
    points = jobs.points(place)
    return join_points(images, points), len(missing_images(images, points))


def _measured(curve: Columns) -> Columns:
    """Return the points with a flux density."""
    rows = np.isfinite(curve["f_int"])
    return {name: values[rows] for name, values in curve.items()}


def _nothing() -> dict[str, Any]:
    """Return the values of a page without a position."""
    empty = dict.fromkeys(("rows", "sentences", "nearby", "bands", "cutouts"), ())
    return {**empty, "job": None, "progress": "", "n_measured": 0, "n_missing": 0, "scale": None}


def _about(site: Site, jobs: PositionJobs, place: Place) -> dict[str, Any]:
    """Return the values of the page of a position."""
    job = jobs.find(place)
    curve, n_missing = _curve(site, jobs, place)
    with site.reader.read() as connection:
        near = entries_near(connection, *place, radius=NEARBY_ARCSEC / 3600)
        n_all = count_fitted_images(connection, place.dataset)
    measured = _measured(curve)
    scale, cutouts = cutouts_of(measured)
    return {
        "job": job,
        "progress": "" if job is None else _progress(job),
        "rows": _rows(curve)[-MAX_ROWS:],
        "sentences": _sentences(curve, n_missing, n_all),
        "n_measured": len(measured["image"]),
        "scale": scale,
        "cutouts": cutouts,
        "bands": np.unique(measured["freq_central"]).tolist(),
        "n_missing": n_missing,
        "nearby": [
            {
                "runcat": int(near["id"][i]),
                "arcsec": number(3600 * near["distance_deg"][i], 3),
                "datapoints": int(near["datapoints"][i]),
                "is_monitored": bool(near["mon_src"][i]),
            }
            for i in range(min(len(near["id"]), 20))
        ],
    }


def _progress(job: Job) -> str:
    """Describe the progress of a job in words."""
    if job.state is JobState.WAITING:
        return "waiting for the positions before"
    images = f"{job.n_done} of {count(job.n_all, 'image')}"
    if job.state is not JobState.RUNNING:
        return f"{images} measured{'' if job.state is JobState.DONE else f'; {job.state}'}"
    left = job.seconds_left
    return f"{images}, {'starting' if left is None else f'{max(left, 1):.0f} s left'}"


def _sentences(curve: Columns, n_missing: int, n_all: int) -> list[str]:
    """Describe the images that have no flux density, with their numbers."""
    n_here = len(curve["image"])
    sentences = []
    if not n_here and not n_missing:
        sentences.append(f"None of the {count(n_all, 'image')} of this dataset covers the position.")
    elif n_all > n_here + n_missing:
        n_elsewhere = n_all - n_here - n_missing
        sentences.append(f"{count(n_elsewhere, 'other image')} of this dataset cannot show the position.")
    unread = Counter(curve["reason"][~curve["is_read"].astype(bool)].tolist())
    others = Counter(reason for reason in curve["reason"][curve["is_read"].astype(bool)].tolist() if reason)
    if unread:
        n_unread = count(sum(unread.values()), "image")
        sentences.append(f"{n_unread} could not be read: {_listed(unread)}. Measure again to try once more.")
    if others:
        sentences.append(f"{count(sum(others.values()), 'image')} without a flux density: {_listed(others)}.")
    n_late = int(np.count_nonzero(curve["late"]))
    if n_late:
        sentences.append(f"{count(n_late, 'image')} came late: the light curves of sources do not have them.")
    return sentences


def _listed(reasons: Counter[str]) -> str:
    """List reasons with their numbers, the most frequent ones first."""
    listed = [f"{reason} ({n})" for reason, n in reasons.most_common(MAX_REASONS)]
    more = [f"and {len(reasons) - MAX_REASONS} other reasons"] if len(reasons) > MAX_REASONS else []
    return "; ".join([*listed, *more])


def _rows(curve: Columns) -> list[dict[str, Any]]:
    """Return the rows of the table of points, in order of time."""
    drawn = LightCurve.of_points("", curve)
    limited, limits = is_limit(drawn), upper_limit(drawn)
    return [
        {
            **{name: curve[name][i] for name in ("taustart_ts", "freq_eff", "f_int", "f_int_err", "det_sigma", "rms")},
            "image": int(curve["image"][i]),
            "stokes": stokes_letter(curve["stokes"][i]),
            "limit": number(1e3 * limits[i], 3) if limited[i] else "",
            "gain": number(curve["gain"][i]),
            "flags": int(curve["flags"][i]),
            "reason": curve["reason"][i],
        }
        for i in range(len(curve["image"]))
    ]


def _kept_row(dataset: int, kept: Columns, row: int) -> dict[str, Any]:
    """Return a position whose points are kept, for the list of the page."""
    place = Place.of(dataset, float(kept["ra"][row]), float(kept["decl"][row]))
    numbers = {name: int(kept[name][row]) for name in ("n_points", "n_measured", "n_unread")}
    return {"place": place, "changed": kept["changed_ts"][row], "state": kept["state"][row], **numbers}
