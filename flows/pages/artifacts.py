"""Artifacts on the pages of a run: a table of the images of each group, and a summary of the dataset."""

from __future__ import annotations

import base64
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.coordinates import SkyCoord
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from flows.service.outage import publish
from flows.tasks.policies import time_label
from trap.association.noise_peaks import rank_candidates
from trap.catalogues import Grade, NewSources
from trap.config import stokes_letter
from trap.errors import ConfigError
from trap.escapes import markdown_text, plain_text
from trap.report.calibration import calibration_columns, calibration_lines
from trap.report.calibration_plots import plot_calibrations
from trap.report.figures import as_png
from trap.report.noise import areas_of_images, chance_text, grade_text, noise_lines
from trap.variability.metrics import modulation_v, weighted_eta

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from trap.association.running_catalogue import RunningCatalogue
    from trap.dataset.outcomes import RunSummary, TimestepOutcome
    from trap.dataset.records import ImageRecord

__all__ = ["group_table", "markdown_table", "picture", "store_group_table", "store_summary", "summary_text"]

MAX_ROWS = 50
"""Maximum number of rows of a table in a summary, which is stored in Prefect's database."""
MIN_TIMES = 3
"""Least number of times with a gain or a shift that are drawn against time."""
N_VARIABLES = 10
"""Number of light curves in the table of the most variable sources."""


class Markdown(str):
    """Text in Markdown, such as a link to a page; any other text is escaped."""

    __slots__ = ()


Cell = str | int | float
NO_LINKS: Mapping[int, str] = {}
POSITION = ("RA [°]", "Dec [°]", "RA, Dec (J2000)")
"""Titles of the columns of a position."""
ROUNDING = 1e-6
"""Largest error of a position in the units of its name, which must not change a digit that is truncated."""


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
        publish(create_table_artifact, rows, key=f"dataset-{label}-images", description="Images of this group")


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
            blind=image.n_blind,
            forced=image.n_fitted,
            new=len(image.new_sources),
            rms=_rounded(1e3 * result.rms_qc),
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
        "image": plain_text(Path(url).name),
        "status": status,
        "Stokes": stokes,
        "noise [mJy/beam]": rms,
        **{name: numbers.get(name, "") for name in columns},
        "reason": plain_text(reason),
    }


def _rounded(value: float) -> Cell:
    """Round to four significant digits. NaN and infinity become empty cells, since JSON cannot represent them."""
    return float(f"{value:.4g}") if math.isfinite(value) else ""


def store_summary(
    label: str,
    summary: RunSummary,
    catalogue: RunningCatalogue | None,
    pages: str = "",
    links: Mapping[int, str] = NO_LINKS,
) -> None:
    """Store the summary of a run as an artifact of the current flow run.

    Parameters
    ----------
    label
        Label of the dataset, from :func:`flows.service.identity.dataset_label`.
    summary, catalogue, pages, links
        As for :func:`summary_text`.
    """
    text = summary_text(summary, catalogue, pages, links)
    publish(create_markdown_artifact, text, key=f"dataset-{label}", description="Summary of this run")


def summary_text(
    summary: RunSummary,
    catalogue: RunningCatalogue | None,
    pages: str = "",
    links: Mapping[int, str] = NO_LINKS,
) -> str:
    """Describe a run in Markdown: counts, failures, images that were left out, new and variable sources.

    Parameters
    ----------
    summary
        Summary of the run.
    catalogue
        Running catalogue of the dataset; None if no timestep was processed.
    pages
        Sentences about the pages of sources, in Markdown; empty if there are none.
    links
        Address of the page of each source that has one, by row number of the running catalogue.
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
        "likely candidates": sum(int(np.sum(image.new_sources.grade == Grade.LIKELY)) for image in summary.images),
    }
    parts = [f"# Dataset {summary.dataset_id}", markdown_table(("quantity", "number"), counts.items())]
    failed = [(time_label(outcome.taustart_ts), str(outcome.failure)) for outcome in summary.failures]
    if failed:
        parts += ["## Failed timesteps", markdown_table(("time [UTC]", "reason"), failed)]
    parts += _calibration(summary.images)
    if summary.left_out:
        kinds = Counter(reason.split(":")[0] for _, reason in summary.left_out)
        parts += ["## Images left out", markdown_table(("reason", "images"), kinds.most_common())]
        parts += [markdown_table(("image", "reason"), summary.left_out)]
    candidates = [] if catalogue is None else list(_candidates(summary.images, catalogue, links))
    if candidates:
        header = ["source", "grade", "noise peaks", "newness [σ]", "time [UTC]", *POSITION, "MHz", "Stokes"]
        header += ["flux density [mJy]"]
        parts += ["## New-source candidates", markdown_table(header, candidates)]
        parts += map(markdown_text, noise_lines(areas_of_images(summary.images)))
        parts += [pages] if pages else []
    if catalogue is not None and (variables := top_variables(catalogue)):
        header = ["source", *POSITION, "MHz", "Stokes", "points", "mean [mJy]", "η", "V"]
        mhz = {image.key.band: f"{image.result.metadata.freq_eff / 1e6:.6g}" for image in summary.images}
        rows = [_variable_row(variable, mhz, links) for variable in variables]
        parts += ["## Most variable sources", markdown_table(header, rows)]
    return "\n\n".join(parts)


def _calibration(images: Sequence[ImageRecord]) -> list[str]:
    """Describe the calibration of the images, with a figure if there are several; empty if none was measured."""
    columns = calibration_columns(images)
    lines = list(calibration_lines(columns))
    if not lines:
        return []
    parts = ["## Calibration of the images", *map(markdown_text, lines)]
    is_measured = np.isfinite(columns["gain"]) | np.isfinite(columns["shift_ew"])
    if np.unique(columns["taustart_ts"][is_measured]).size < MIN_TIMES:
        return parts
    try:
        return [*parts, picture("gains and shifts of the images", as_png(plot_calibrations(columns)))]
    except ConfigError as error:
        return [*parts, f"*Not shown: {markdown_text(error)}*"]


def picture(name: str, png: bytes) -> str:
    """Format a figure in Markdown, embedded in the page.

    Parameters
    ----------
    name
        Text in place of the figure.
    png
        The file.
    """
    return f"![{name}](data:image/png;base64,{base64.b64encode(png).decode()})"


def _candidates(
    images: Iterable[ImageRecord], catalogue: RunningCatalogue, links: Mapping[int, str]
) -> Iterator[tuple[Cell, ...]]:
    """Yield the new sources of images by rank, as cells of a table: source, grade, noise peaks, newness, time, ….

    The other cells are position, frequency, Stokes parameter and flux density.
    """
    images = list(images)
    image_of = [image for image in images for _ in range(len(image.new_sources))]
    all_new = NewSources.concatenate([image.new_sources for image in images])
    for place in rank_candidates(all_new.score, all_new.grade, all_new.noise_peaks, all_new.newness).tolist():
        image = image_of[place]
        row, measurements, metadata = all_new.measurement[place], image.measurements, image.result.metadata
        yield (
            _source_cell(int(catalogue.entries["id"][all_new.entry[place]]), links),
            grade_text(all_new.grade[place]),
            chance_text(all_new.noise_peaks[place]),
            f"{all_new.newness[place]:.1f}",
            time_label(metadata.taustart_ts),
            *position_cells(measurements.ra[row], measurements.dec[row]),
            f"{metadata.freq_eff / 1e6:.6g}",
            stokes_letter(image.key.stokes),
            f"{1e3 * measurements.f_int[row]:.4g}",
        )


def _source_cell(entry: int, links: Mapping[int, str]) -> str:
    """Return the number of a source, with a link to its page if it has one."""
    return Markdown(f"[{entry}]({links[entry]})" if entry in links else str(entry))


def position_cells(ra: float, dec: float) -> tuple[str, str, str]:
    """Write a position in degrees, and sexagesimally.

    Parameters
    ----------
    ra, dec
        deg — position.

    Returns
    -------
    Right ascension [deg], declination [deg], and both in hours and degrees.
    """
    return f"{ra:.5f}", f"{dec:+.5f}", SkyCoord(ra, dec, unit="deg").to_string("hmsdms", sep=":", precision=1)


def source_name(ra: float, dec: float) -> str:
    """Compose the name of a source from its position, truncated as by convention: ``J000000.5+445103``.

    Parameters
    ----------
    ra, dec
        deg — position.
    """
    tenths = int(ra % 360 / 15 * 36_000 + ROUNDING) % 864_000
    seconds = int(abs(dec) * 3_600 + ROUNDING)
    hours = f"{tenths // 36_000:02}{tenths // 600 % 60:02}{tenths % 600 // 10:02}.{tenths % 10}"
    return f"J{hours}{'-' if dec < 0 else '+'}{seconds // 3_600:02}{seconds // 60 % 60:02}{seconds % 60:02}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A light curve among the most variable ones of a dataset.

    Parameters
    ----------
    entry
        Row number of the running catalogue.
    ra, dec
        deg — mean position.
    band, stokes
        Number of the band, from 0, and Stokes parameter as FITS numbers it.
    n
        Number of points.
    mean
        Jy — weighted mean of the flux density.
    eta, v
        Variability metrics.
    """

    entry: int
    ra: float
    dec: float
    band: int
    stokes: int
    n: int
    mean: float
    eta: float
    v: float


def top_variables(catalogue: RunningCatalogue) -> list[Variable]:
    """List the light curves with the highest η, highest first."""
    ranked: list[Variable] = []
    entries = catalogue.entries
    for key in catalogue.light_curves:
        curves = catalogue.fluxes(key)
        rows = np.flatnonzero(entries["active"] & (curves["n"] > 1))
        eta, v = weighted_eta(curves[rows]), modulation_v(curves[rows])
        for best in np.argsort(-eta)[:N_VARIABLES]:
            entry, curve = entries[rows[best]], curves[rows[best]]
            ranked.append(
                Variable(
                    entry=int(entry["id"]),
                    ra=float(entry["wm_ra"]),
                    dec=float(entry["wm_dec"]),
                    band=key.band,
                    stokes=key.stokes,
                    n=int(curve["n"]),
                    mean=float(curve["wmean_f_int"]),
                    eta=float(eta[best]),
                    v=float(v[best]),
                )
            )
    return sorted(ranked, key=lambda variable: -variable.eta)[:N_VARIABLES]


def _variable_row(variable: Variable, mhz: Mapping[int, str], links: Mapping[int, str]) -> tuple[Cell, ...]:
    """Return the row of a variable; its band has no frequency if none of its images is in this run."""
    band = mhz.get(variable.band, f"band {variable.band + 1}")
    position = position_cells(variable.ra, variable.dec)
    numbers = f"{1e3 * variable.mean:.4g}", f"{variable.eta:.4g}", f"{variable.v:.3f}"
    return _source_cell(variable.entry, links), *position, band, stokes_letter(variable.stokes), variable.n, *numbers


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Format a table in Markdown, with all values as text but links. Rows beyond the maximum number are counted below.

    Parameters
    ----------
    header
        Titles of the columns.
    rows
        Values of each row.
    """
    body = [tuple(row) for row in rows]
    lines = [header, ["---"] * len(header), *([_cell(value) for value in row] for row in body[:MAX_ROWS])]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return text if len(body) <= MAX_ROWS else f"{text}\n\n… and {len(body) - MAX_ROWS} more"


def _cell(value: object) -> str:
    """Return the text of a cell; links of ours are Markdown already."""
    return value if isinstance(value, Markdown) else markdown_text(value)
