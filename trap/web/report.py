"""The report of a dataset: one file with everything to show, which a browser opens from disk without a network.

Scripts, styles, charts and pictures are parts of the file. Its own policy lets a browser run no other script, and
request nothing. The same templates, charts and pictures make the pages of ``transients serve``.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bokeh
import numpy as np
from markupsafe import Markup

from trap.catalogues import VARIABLE_P
from trap.db import lightcurves, overview
from trap.db.datasets import stored_config
from trap.db.runs import run_table
from trap.db.shared_errors import effective_epochs
from trap.db.variable_sources import MetricCuts, most_variable
from trap.report.noise import grade_text
from trap.report.text import shared_errors_lines
from trap.results import Dataset
from trap.web.rendering import templates
from trap.web.report_charts import dataset_charts
from trap.web.report_sources import candidate_sections, load_candidates
from trap.web.source import external_links

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trap.config import PipelineConfig
    from trap.db.engine import Connection
    from trap.db.reader import Reader
    from trap.typing import Columns
    from trap.web.charts.style import Chart
    from trap.web.report_sources import CandidateData

__all__ = ["report_page"]

N_LISTED, N_VARIABLES, N_LEFT_OUT = 200, 50, 200
"""Numbers of rows in the tables of candidates, variables, and images that were left out."""
STATIC = Path(__file__).with_name("static")
SCRIPTS = Path(bokeh.__file__).parent / "server" / "static" / "js"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Contents:
    """The values of a dataset that a report shows, read in one transaction."""

    summary: Mapping[str, Any]
    config: PipelineConfig
    images: Columns
    timesteps: Columns
    unreadable: Columns
    runs: Columns
    transients: Columns
    candidates: Sequence[CandidateData]
    variables: Columns
    n_variables: int
    charts: Sequence[tuple[str, str, Chart]]
    shared_errors: Sequence[str]


def report_page(reader: Reader, number: int, *, n_candidates: int) -> str:
    """Make the report of a dataset.

    Parameters
    ----------
    reader
        Reader of the database.
    number
        Number of the dataset.
    n_candidates
        Maximum number of candidates with a light curve and cut-outs.

    Returns
    -------
    The whole file, as HTML.

    Raises
    ------
    DatasetNotFoundError
        If there is no such dataset.
    DatabaseError, TransientError
        If the database cannot be read.
    """
    facts = Dataset(reader, number).summary()
    with reader.read() as connection:
        contents = _read(connection, number, n_candidates)
    candidates = list(candidate_sections(contents.candidates, contents.config.reading))
    charts = {name: chart for name, _, chart in contents.charts}
    charts |= {f"candidate-{one.facts['newsource']}": one.chart for one in candidates}
    items = {name: _data(chart.as_json()) for name, chart in charts.items()}
    scripts = _scripts(needs_webgl=any("webgl" in item for item in items.values()))
    values = {
        "contents": contents,
        "facts": {name: value for name, value in facts.items() if name != "name"},
        "database": str(reader),
        "now": datetime.now(UTC),
        "candidates": candidates,
        "candidate_rows": _rows(contents.transients, N_LISTED),
        "n_candidates": len(contents.transients["runcat"]),
        "variables": _rows(contents.variables, N_VARIABLES),
        "left_out": _left_out(contents.images, contents.unreadable),
        "max_left_out": N_LEFT_OUT,
        "failures": [row for row in _rows(contents.timesteps) if row["state"] == "failed"],
        "runs": [dict(row) | {"software": json.loads(row["software"])} for row in _rows(contents.runs)],
        "grade_text": grade_text,
        "external_links": external_links,
        "variable_p": VARIABLE_P,
        "items": items,
        "scripts": [Markup(script) for script in scripts],  # noqa: S704 (files of this package and of Bokeh)
        "hashes": [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts],
        "styles": [Markup((STATIC / name).read_text("utf-8")) for name in ("style.css", "report.css")],  # noqa: S704
    }
    return templates.get_template("report.html").render(values)


def _read(connection: Connection, number: int, n_candidates: int) -> _Contents:
    """Read all values of a report. The images are read later, when the database is left alone."""
    images = overview.image_table(connection, number)
    timesteps = overview.timestep_table(connection, number)
    transients = lightcurves.transients(connection, number)
    variables, n_variables = most_variable(connection, number, MetricCuts(max_p=VARIABLE_P), limit=N_VARIABLES)
    return _Contents(
        summary=overview.dataset_summary(connection, number),
        config=stored_config(connection, number),
        images=images,
        timesteps=timesteps,
        unreadable=overview.unreadable_table(connection, number),
        runs=run_table(connection, number),
        transients=transients,
        candidates=load_candidates(connection, transients, images, n_candidates),
        variables=variables,
        n_variables=n_variables,
        charts=list(dataset_charts(connection, number, images=images, timesteps=timesteps)),
        shared_errors=list(shared_errors_lines(effective_epochs(connection, number))),
    )


def _rows(columns: Columns, limit: int | None = None) -> list[dict[str, Any]]:
    """Return the first rows of columns."""
    values = ((column if limit is None else column[:limit]) for column in columns.values())
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]


def _left_out(images: Columns, unreadable: Columns) -> dict[str, Any]:
    """Return the images that were left out: number by reason, and a row for each of them."""
    rejected = np.flatnonzero([reason is not None for reason in images["reason"]])
    rows = [(images["url"][i], f"{images['reason'][i]}: {images['comment'][i] or ''}".rstrip(": ")) for i in rejected]
    rows += [(url, f"unreadable: {reason}") for url, reason in zip(*unreadable.values(), strict=True)]
    counts = Counter(reason.partition(":")[0] for _, reason in rows)
    return {"counts": counts.most_common(), "rows": rows}


def _scripts(*, needs_webgl: bool) -> list[str]:
    """Return the scripts of a report: Bokeh's, and the one that draws the charts."""
    names = ["bokeh.min.js", *(["bokeh-gl.min.js"] if needs_webgl else [])]
    return [*((SCRIPTS / name).read_text("utf-8") for name in names), (STATIC / "report.js").read_text("utf-8")]


def _data(value: object) -> Markup:
    """Write a value as JSON that ends no element: within a script, a browser searches for ``</script`` alone."""
    text = json.dumps(value, separators=(",", ":"))
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704 (the sign of a tag has gone)
