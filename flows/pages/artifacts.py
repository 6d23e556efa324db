"""What a run leaves to be read in Prefect's pages: a table per group, a summary per dataset."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.tasks.policies import time_label
from trap.variability.metrics import modulation_v, weighted_eta

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from trap.association.running_catalogue import RunningCatalogue
    from trap.dataset.outcomes import RunSummary, TimestepOutcome
    from trap.dataset.records import ImageRecord

__all__ = ["group_table", "store_group_table", "store_summary", "summary_text"]

MAX_LINES = 50
"""Longer lists are cut: an artifact is read by people and kept in Prefect's database."""
N_VARIABLES = 10

Cell = str | int | float


def store_group_table(dataset_id: int, outcomes: Sequence[TimestepOutcome]) -> None:
    """Keep the table of a group's images with its flow run."""
    rows = group_table(outcomes)
    # A table without rows is refused.
    if rows:
        create_table_artifact(rows, key=f"dataset-{dataset_id}-images", description="The images of this group.")


def group_table(outcomes: Iterable[TimestepOutcome]) -> list[dict[str, Cell]]:
    """List the images of some timesteps: what became of each, its noise, its sources, its time.

    Returns
    -------
    One row per image, or per timestep that failed; all with the same keys.
    """
    return [row for outcome in outcomes for row in _rows(outcome)]


def _rows(outcome: TimestepOutcome) -> Iterator[dict[str, Cell]]:
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
            blind=len(result.measurements),
            forced=image.n_fitted,
            new=len(image.new_sources),
            rms=_rounded(result.rms_qc),
            **{f"{stage} [s]": seconds for stage, seconds in result.seconds.items()},
        )
    for file in outcome.unreadable:
        yield _row(time, file.url, "unreadable", reason=file.reason)
    for url in outcome.duplicates:
        yield _row(time, url, "already known")


def _row(time: str, url: str, status: str, *, reason: str = "", rms: Cell = "", **numbers: Cell) -> dict[str, Cell]:
    columns = ("blind", "forced", "new", "read [s]", "quality [s]", "extraction [s]")
    return {
        "time": time,
        "image": Path(url).name,
        "status": status,
        "rms [Jy/beam]": rms,
        **{name: numbers.get(name, "") for name in columns},
        "reason": reason,
    }


def _rounded(value: float) -> Cell:
    """Four significant digits; empty where there is no value, which JSON could not say."""
    return float(f"{value:.4g}") if math.isfinite(value) else ""


def store_summary(summary: RunSummary, catalogue: RunningCatalogue | None, pages: str = "") -> None:
    """Keep the summary of a run with its flow run."""
    create_markdown_artifact(
        summary_text(summary, catalogue, pages), key=f"dataset-{summary.dataset_id}", description="What this run did."
    )


def summary_text(summary: RunSummary, catalogue: RunningCatalogue | None, pages: str = "") -> str:
    """Describe a run in Markdown: counts, what was left out and why, the most variable sources.

    Parameters
    ----------
    catalogue
        The dataset's, for its sources; None if no timestep was processed.
    pages
        Where the pages of the new sources are, in Markdown.
    """
    accepted = sum(image.result.rejection is None for image in summary.images)
    counts: dict[str, Cell] = {
        "timesteps": len(summary.outcomes),
        "timesteps failed": len(summary.failures),
        "images accepted": accepted,
        "images left out": len(summary.left_out),
        "images known before": len(summary.already_known),
        "sources": 0 if catalogue is None else int(np.count_nonzero(catalogue.entries["active"])),
        "new-source candidates": sum(len(image.new_sources) for image in summary.images),
    }
    parts = [f"# Dataset {summary.dataset_id}", _table(("of", "number"), counts.items())]
    failed = [(time_label(outcome.taustart_ts), str(outcome.failure)) for outcome in summary.failures]
    if failed:
        parts += ["## Timesteps that failed", _table(("time", "reason"), failed)]
    if summary.left_out:
        kinds = Counter(reason.split(":")[0] for _, reason in summary.left_out)
        parts += ["## Images left out", _table(("why", "images"), kinds.most_common())]
        parts += [_table(("image", "reason"), summary.left_out)]
    candidates = list(_candidates(summary.images))
    if candidates:
        parts += ["## New-source candidates", _table(("time", "RA", "Dec", "flux density [Jy]", "σ"), candidates)]
        parts += [pages] if pages else []
    variables = [] if catalogue is None else top_variables(catalogue)
    if variables:
        parts += ["## Most variable sources", _table(("RA", "Dec", "band", "points", "η", "V"), variables)]
    return "\n\n".join(parts)


def _candidates(images: Iterable[ImageRecord]) -> Iterator[tuple[Cell, ...]]:
    for image in images:
        new, measured = image.new_sources, image.measurements
        for row, sigma in zip(new.measurement, new.sigma_rms_min, strict=True):
            time = time_label(image.result.metadata.taustart_ts)
            position = f"{measured.ra[row]:.5f}", f"{measured.dec[row]:+.5f}"
            yield time, *position, f"{measured.f_int[row]:.4g}", f"{sigma:.1f}"


def top_variables(catalogue: RunningCatalogue) -> list[tuple[Cell, ...]]:
    """List the light curves of highest η: RA, Dec, band, points, η, V."""
    ranked: list[tuple[float, tuple[Cell, ...]]] = []
    for key in catalogue.light_curves:
        curves, entries = catalogue.fluxes(key), catalogue.entries
        rows = np.flatnonzero(entries["active"] & (curves["n"] > 1))
        eta, v = weighted_eta(curves[rows]), modulation_v(curves[rows])
        for best in np.argsort(-eta)[:N_VARIABLES]:
            entry, n = entries[rows[best]], int(curves["n"][rows[best]])
            position = f"{entry['wm_ra']:.5f}", f"{entry['wm_dec']:+.5f}"
            ranked.append((eta[best], (*position, key.band + 1, n, f"{eta[best]:.4g}", f"{v[best]:.3f}")))
    return [line for _, line in sorted(ranked, key=lambda item: -item[0])[:N_VARIABLES]]


def _table(head: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    rows = [tuple(line) for line in lines]
    shown = [head, ["---"] * len(head), *rows[:MAX_LINES]]
    text = "\n".join("| " + " | ".join(_cell(value) for value in row) + " |" for row in shown)
    return text if len(rows) <= MAX_LINES else f"{text}\n\n… and {len(rows) - MAX_LINES} more"


def _cell(value: object) -> str:
    """A bar or a line break in a message would break the table."""
    return " ".join(str(value).split()).replace("|", "\\|")
