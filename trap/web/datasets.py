"""The page of all datasets: progress, quality and calibration at a glance, and what is new since the last visit."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import Response

from trap.db.glances import dataset_glances
from trap.db.overview import list_datasets
from trap.web.rendering import render
from trap.web.site import CurrentSite
from trap.web.visits import Seen, read_visit, remember

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from trap.db.glances import Glance

__all__ = ["router"]

router = APIRouter(include_in_schema=False)


@router.get("/", response_model=None)
def _show_datasets(request: Request, site: CurrentSite) -> Response:
    """Show all datasets, the latest first."""
    with site.reader.read() as connection:
        summaries = list_datasets(connection)
        glances = dataset_glances(connection)
    now = datetime.now(UTC)
    visit = read_visit(request, site.url, now)
    states = {one["id"]: _state(one, glances) for one in summaries}
    response = render(
        request,
        "datasets.html",
        summaries=summaries[::-1],
        glances=glances,
        visit=visit,
        news={number: visit.new(number, state) for number, state in states.items()},
    )
    remember(response, site.url, visit, states, now)
    return response


def _state(summary: Mapping[str, Any], glances: Mapping[int, Glance]) -> Seen:
    glance = glances.get(summary["id"])
    return Seen(summary["n_images"], summary["n_newsources"], 0 if glance is None else glance.last_candidate)
