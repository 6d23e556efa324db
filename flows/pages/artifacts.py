"""Artifacts on the pages of a run: a table of the images of each group, and a summary of the dataset."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.tasks.policies import time_label
from trap.config import stokes_letter
from trap.variability.metrics import modulation_v, weighted_eta

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from trap.association.running_catalogue import RunningCatalogue
    from trap.dataset.outcomes import RunSummary, TimestepOutcome
    from trap.dataset.records import ImageRecord

__all__ = ["group_table", "markdown_table", "store_group_table", "store_summary", "summary_text"]

MAX_ROWS = 50
"""Maximum number of rows of a table in a summary, which is stored in Prefect's database."""
N_VARIABLES = 10
"""Number of light curves in the table of the most variable sources."""

Cell = str | int | float


def store_group_table(label: str, outcomes: Sequence[TimestepOutcome]) -> None:
    """Store the table of a group's images as an artifact of the current flow run.

    Parameters
    ----------
    label
        Label of the dataset, from :func:`flows.service.identity.dataset_label`.
    outcomes
        Outcomes of the timesteps of the group.
    """
    rows = group_table(outcomes)
    # Prefect rejects a table without rows.
    if rows:
        create_table_artifact(rows, key=f"dataset-{label}-images", description="Images of this group")


def group_table(outcomes: Iterable[TimestepOutcome]) -> list[dict[str, Cell]]:
    """List the images of some timesteps: status, noise, numbers of sources, and duration of each stage.

    Returns
    -------
    One row per image, and one per failed timestep; all rows have the same keys.
    """
    return [row for outcome in outcomes for row in _rows(outcome)]


def _rows(outcome: TimestepOutcome) -> Iterator[dict[str, Cell]]:
    """Yield the rows of a timestep: its failure, and its stored, unreadable and duplicate images."""
    time = time_label(outcome.taustart_ts)
    if outcome.failure is not None:
        yield _row(time, "", "timestep failed", reason=outcome.failure)
    for image in outcome.images:
        result = image.result
        yield _row(
            time,
            result.metadata.url,
            "rejected" if result.rejection else "accepted",
            reason=result.rejection.text if result.rejection else "",
            stokes=stokes_letter(result.metadata.stokes),
            blind=len(result.measurements),
            forced=image.n_fitted,
            new=len(image.new_sources),
            rms=_rounded(result.rms_qc),
            **{f"{stage} [s]": seconds for stage, seconds in result.seconds.items()},
        )
    for file in outcome.unreadable:
        yield _row(time, file.url, "unreadable", reason=file.reason)
    for url in outcome.duplicates:
        yield _row(time, url, "duplicate")


def _row(
    time: str, url: str, status: str, *, reason: str = "", rms: Cell = "", stokes: str = "", **numbers: Cell
) -> dict[str, Cell]:
    """Return a row with all columns; a number that is missing becomes an empty cell."""
    columns = ("blind", "forced", "new", "read [s]", "quality [s]", "extraction [s]")
    return {
        "time": time,
        "image": Path(url).name,
        "status": status,
        "Stokes": stokes,
        "rms [Jy/beam]": rms,
        **{name: numbers.get(name, "") for name in columns},
        "reason": reason,
    }


def _rounded(value: float) -> Cell:
    """Round to four significant digits. NaN and infinity become empty cells, since JSON cannot represent them."""
    return float(f"{value:.4g}") if math.isfinite(value) else ""


def store_summary(label: str, summary: RunSummary, catalogue: RunningCatalogue | None, pages: str = "") -> None:
    """Store the summary of a run as an artifact of the current flow run.

    Parameters
    ----------
    label
        Label of the dataset, from :func:`flows.service.identity.dataset_label`.
    summary, catalogue, pages
        As for :func:`summary_text`.
    """
    text = summary_text(summary, catalogue, pages)
    create_markdown_artifact(text, key=f"dataset-{label}", description="Summary of this run")


def summary_text(summary: RunSummary, catalogue: RunningCatalogue | None, pages: str = "") -> str:
    """Describe a run in Markdown: counts, failures, images that were left out, new and variable sources.

    Parameters
    ----------
    summary
        Summary of the run.
    catalogue
        Running catalogue of the dataset; None if no timestep was processed.
    pages
        Links to the pages of the new sources, in Markdown; empty if there are none.
    """
    accepted = sum(image.result.rejection is None for image in summary.images)
    counts: dict[str, Cell] = {
        "timesteps": len(summary.outcomes),
        "timesteps failed": len(summary.failures),
        "images accepted": accepted,
        "images left out": len(summary.left_out),
        "images already in the dataset": len(summary.already_known),
        "sources": 0 if catalogue is None else int(np.count_nonzero(catalogue.entries["active"])),
        "new-source candidates": sum(len(image.new_sources) for image in summary.images),
    }
    parts = [f"# Dataset {summary.dataset_id}", markdown_table(("quantity", "number"), counts.items())]
    failed = [(time_label(outcome.taustart_ts), str(outcome.failure)) for outcome in summary.failures]
    if failed:
        parts += ["## Failed timesteps", markdown_table(("time [UTC]", "reason"), failed)]
    if summary.left_out:
        kinds = Counter(reason.split(":")[0] for _, reason in summary.left_out)
        parts += ["## Images left out", markdown_table(("reason", "images"), kinds.most_common())]
        parts += [markdown_table(("image", "reason"), summary.left_out)]
    candidates = list(_candidates(summary.images))
    if candidates:
        header = ["time [UTC]", "RA [°]", "Dec [°]", "Stokes", "flux density [Jy]", "S/N at the lowest earlier noise"]
        parts += ["## New-source candidates", markdown_table(header, candidates)]
        parts += [pages] if pages else []
    variables = [] if catalogue is None else top_variables(catalogue)
    if variables:
        header = ["RA [°]", "Dec [°]", "band", "Stokes", "points", "η", "V"]
        parts += ["## Most variable sources", markdown_table(header, variables)]
    return "\n\n".join(parts)


def _candidates(images: Iterable[ImageRecord]) -> Iterator[tuple[Cell, ...]]:
    """Yield the new sources of images: time, RA, Dec, Stokes, flux density, S/N at the lowest earlier noise."""
    for image in images:
        new, measurements = image.new_sources, image.measurements
        time, letter = time_label(image.result.metadata.taustart_ts), stokes_letter(image.key.stokes)
        for row, sigma_rms_min in zip(new.measurement, new.sigma_rms_min, strict=True):
            ra, dec = f"{measurements.ra[row]:.5f}", f"{measurements.dec[row]:+.5f}"
            yield time, ra, dec, letter, f"{measurements.f_int[row]:.4g}", f"{sigma_rms_min:.1f}"


def top_variables(catalogue: RunningCatalogue) -> list[tuple[Cell, ...]]:
    """List the light curves with the highest η: RA, Dec, band, Stokes parameter, number of points, η, V."""
    ranked: list[tuple[float, tuple[Cell, ...]]] = []
    entries = catalogue.entries
    for key in catalogue.light_curves:
        curves, letter = catalogue.fluxes(key), stokes_letter(key.stokes)
        rows = np.flatnonzero(entries["active"] & (curves["n"] > 1))
        eta, v = weighted_eta(curves[rows]), modulation_v(curves[rows])
        for best in np.argsort(-eta)[:N_VARIABLES]:
            entry, n = entries[rows[best]], int(curves["n"][rows[best]])
            position = f"{entry['wm_ra']:.5f}", f"{entry['wm_dec']:+.5f}"
            ranked.append((eta[best], (*position, key.band + 1, letter, n, f"{eta[best]:.4g}", f"{v[best]:.3f}")))
    return [line for _, line in sorted(ranked, key=lambda item: -item[0])[:N_VARIABLES]]


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Format a table in Markdown. Rows beyond the maximum number are counted below it.

    Parameters
    ----------
    header
        Titles of the columns.
    rows
        Values of each row.
    """
    body = [tuple(row) for row in rows]
    lines = [header, ["---"] * len(header), *body[:MAX_ROWS]]
    text = "\n".join("| " + " | ".join(_cell(value) for value in line) + " |" for line in lines)
    return text if len(body) <= MAX_ROWS else f"{text}\n\n… and {len(body) - MAX_ROWS} more"


def _cell(value: object) -> str:
    """Escape the text of a cell: a bar or a line break in a message would break the table."""
    return " ".join(str(value).split()).replace("|", "\\|")
