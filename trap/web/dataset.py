"""The page of a dataset: candidates, variables, charts of its quality, left-out images, runs and settings."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from fastapi import APIRouter, Request
from starlette.responses import Response

from trap.catalogues import VARIABLE_P
from trap.codes import STOKES
from trap.dataset.dropped import dropped_text
from trap.db import overview
from trap.db.datasets import stored_config
from trap.db.result_tables import read_rows
from trap.db.runs import run_table
from trap.db.shared_errors import effective_epochs
from trap.db.variable_sources import MetricCuts, most_variable
from trap.report.dataset_facts import changed_settings, found_text, largest_unsearched, left_out_reasons
from trap.report.noise import grade_text
from trap.report.text import MISSING, megahertz, moment, shared_errors_lines
from trap.web.rendering import render
from trap.web.site import CurrentDataset, CurrentSite
from trap.web.tables import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trap.db.engine import Connection
    from trap.typing import Columns
    from trap.web.site import Site

__all__ = ["router"]

router = APIRouter(include_in_schema=False)
N_LISTED = 10
"""Number of candidates, of variables and of left-out images on the page."""
CHARTS = (
    ("sky", "Sources, candidates and searched area on the sky"),
    ("noise", "Noise of the images against time"),
    ("gain", "Gains of the images against time"),
    ("shift", "Position shifts of the images against time"),
    ("counts", "Sources and candidates of the images against time"),
)
"""Names and labels of the charts."""
OF_CANDIDATES = (
    "newsource", "runcat", "wm_ra", "wm_decl", "taustart_ts", "freq_eff", "stokes", "det_sigma", "score", "grade",
    "newness", "f_int", "f_int_err", "signs",
)  # fmt: skip


@router.get("/datasets/{number}", response_model=None)
def _show_dataset(request: Request, site: CurrentSite, dataset: CurrentDataset) -> Response:
    """Show a dataset."""
    number = dataset.number
    with site.reader.read() as connection:
        values = _values(site, connection, number)
    return render(
        request,
        "dataset.html",
        number=number,
        home=f"/datasets/{number}",
        charts=CHARTS,
        max_p=VARIABLE_P,
        tables=list(TABLES),
        **values,
    )


def _values(site: Site, connection: Connection, number: int) -> dict[str, Any]:
    """Read everything that the page shows."""
    summary = overview.dataset_summary(connection, number)
    images, timesteps = overview.image_table(connection, number), overview.timestep_table(connection, number)
    unreadable, runs = overview.unreadable_table(connection, number), run_table(connection, number)
    bands, config = overview.frequency_bands(connection, number), stored_config(connection, number)
    candidates = read_rows(connection, "transients", [number], columns=OF_CANDIDATES, limit=N_LISTED)
    variables, n_variables = most_variable(connection, number, MetricCuts(max_p=VARIABLE_P), limit=N_LISTED)
    unsearched = largest_unsearched(images, config)
    settings = config.science_items()
    return {
        "summary": summary,
        "facts_of_dataset": list(_facts(summary, bands, timesteps, images)),
        "notes": [
            *([dropped_text(summary)] if dropped_text(summary) else []),
            *([] if unsearched is None else [unsearched.text()]),
            *shared_errors_lines(effective_epochs(connection, number)),
        ],
        "candidates": _rows(candidates),
        "variables": _rows(variables),
        "n_variables": n_variables,
        "reasons": left_out_reasons(images, unreadable),
        "left_out": list(_left_out(images, unreadable))[:N_LISTED],
        "failed": [
            (moment(timesteps["taustart_ts"][i]), timesteps["message"][i])
            for i in np.flatnonzero(timesteps["state"] == "failed")
        ],
        "runs": list(_runs(site, runs)),
        "changed": changed_settings(settings),
        "settings": settings,
    }


def _facts(
    summary: Mapping[str, Any], bands: Columns, timesteps: Columns, images: Columns
) -> Iterator[tuple[str, str]]:
    """Yield names and values of facts, as ``transients dataset show`` states them."""
    times = timesteps["taustart_ts"][timesteps["state"] == "done"]
    yield "State", str(summary["state"])
    yield "Timesteps", f"{summary['n_timesteps']}, {summary['n_failed']} failed"
    yield "Observed (UTC)", f"{moment(times[0])} to {moment(times[-1])}" if len(times) else MISSING
    yield "Bands (MHz)", ", ".join(megahertz(one) for one in bands["freq_central"]) or MISSING
    yield "Stokes", ", ".join(letter for letter, code in STOKES.items() if code in images["stokes"]) or MISSING
    accepted = summary["n_images"] - summary["n_rejected"]
    yield "Images", f"{summary['n_images']}, {accepted} accepted"
    yield "Measurements", found_text(summary)
    yield "Sources", str(summary["n_entries"])
    yield "Candidates", f"{summary['n_newsources']}, {summary['n_likely']} likely"
    yield "Created (UTC)", moment(summary["process_start_ts"])
    yield "Latest run ended (UTC)", moment(summary["process_end_ts"])
    yield "Software", f"trap {summary['software_version']}, settings {summary['config_hash']}"


def _rows(columns: Columns) -> list[dict[str, Any]]:
    """Return the rows of a short table, with the grades in words."""
    listed = {name: values if values.dtype.kind == "M" else values.tolist() for name, values in columns.items()}
    if "grade" in listed:
        listed["grade"] = [grade_text(grade) for grade in listed["grade"]]
    n = len(next(iter(listed.values())))
    return [{name: values[i] for name, values in listed.items()} for i in range(n)]


def _left_out(images: Columns, unreadable: Columns) -> Iterator[tuple[str, int | None, str]]:
    """Yield the path, the number and the reason of each image that was left out."""
    for i in np.flatnonzero([reason is not None for reason in images["reason"]]):
        yield images["url"][i], int(images["id"][i]), f"{images['reason'][i]}: {images['comment'][i]}"
    for url, reason in zip(unreadable["url"], unreadable["reason"], strict=True):
        yield url, None, f"unreadable: {reason}"


def _runs(site: Site, runs: Columns) -> Iterator[dict[str, Any]]:
    """Yield the runs, the latest first. Only addresses of the web become links."""
    for i in reversed(range(len(runs["id"]))):
        yield {
            "number": runs["id"][i],
            "start": moment(runs["start_ts"][i]),
            "end": moment(runs["end_ts"][i]),
            "state": runs["state"][i],
            "host": runs["host"][i],
            "software": json.loads(runs["software"][i]),
            "page": site.run_page(runs["page"][i]),
        }
