"""The contents of a database as text: datasets, candidates, light curves and upper limits."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.catalogues import VARIABLE_P, ExtractType, with_stokes_letters
from trap.config import STOKES, stokes_letter
from trap.dataset.dropped import dropped_text
from trap.escapes import plain_lines
from trap.report.dataset_facts import changed_settings, found_text, left_out_reasons
from trap.report.noise import chance_text, grade_text
from trap.report.text import (
    MISSING,
    count,
    flag_names,
    flux_text,
    megahertz,
    moment,
    number,
    sky_position,
    text_table,
)
from trap.vetting.score import named_signs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from trap.extraction.unsearched import Unsearched
    from trap.typing import Columns


__all__ = [
    "dataset_page",
    "dataset_text",
    "datasets_table",
    "gains_lines",
    "light_curve_text",
    "limits_table",
    "transients_table",
    "variables_table",
]

N_LISTED = 3
"""Number of variable sources on the page of a dataset."""
_EXTRACTED = {
    ExtractType.BLIND: "blind",
    ExtractType.NULL_DETECTION: "forced",
    ExtractType.MONITORED: "monitored",
    ExtractType.JOINT: "joint",
}


def datasets_table(datasets: Sequence[Mapping[str, Any]]) -> str:
    """Write a table of datasets, one per line.

    Parameters
    ----------
    datasets
        Rows of :func:`trap.db.overview.list_datasets`.
    """
    rows = (
        {
            "id": str(dataset["id"]),
            "description": dataset["description"],
            "state": dataset["state"],
            "created (UTC)": moment(dataset["process_start_ts"]),
            "timesteps": str(dataset["n_timesteps"]),
            "images": str(dataset["n_images"]),
            "rejected": str(dataset["n_rejected"]),
            "sources": str(dataset["n_entries"]),
            "candidates": str(dataset["n_newsources"]),
        }
        for dataset in datasets
    )
    return text_table(rows, right=("id", "timesteps", "images", "rejected", "sources", "candidates")) or "no datasets"


def dataset_text(
    summary: Mapping[str, Any],
    settings: Sequence[tuple[str, str, Any]],
    *,
    bands: Columns,
    timesteps: Columns,
    images: Columns,
    unreadable: Columns,
    runs: Columns,
    unsearched: Unsearched | None = None,
) -> str:
    """Write the contents of a dataset, the images that were left out with their reasons, its runs and its settings.

    Parameters
    ----------
    summary
        Row of :func:`trap.db.overview.dataset_summary`.
    settings
        (section, key, value) of every setting that affects the results.
    bands, timesteps, images, unreadable
        Columns of the functions of :mod:`trap.db.overview`.
    runs
        Columns of :func:`trap.db.runs.run_table`.
    unsearched
        Largest part of an image that was not searched; None for a small part.
    """
    return plain_lines(
        [
            *_dataset_lines(summary, bands, timesteps, images),
            *([] if unsearched is None else [f"{unsearched.text()} (pixels without a value count too)"]),
            *_left_out_lines(timesteps, images, unreadable),
            *_run_lines(runs),
            f"settings ({summary['config_hash']}), trap {summary['software_version']}:",
            *(f"  {section}.{key} = {value}" for section, key, value in settings),
        ]
    )


def dataset_page(
    summary: Mapping[str, Any],
    settings: Sequence[tuple[str, str, Any]],
    *,
    bands: Columns,
    timesteps: Columns,
    images: Columns,
    unreadable: Columns,
    runs: Columns,
    variables: Columns,
) -> str:
    """Write the contents of a dataset on one screen: images left out by reason, and settings that are no defaults.

    Parameters
    ----------
    summary, settings, bands, timesteps, images, unreadable, runs
        As for :func:`dataset_text`.
    variables
        Columns of :func:`trap.db.lightcurves.variables`, with the default cut of the probability.
    """
    changed, reasons = changed_settings(settings), left_out_reasons(images, unreadable)
    lines = [*_dataset_lines(summary, bands, timesteps, images), *_variable_lines(variables)]
    if reasons:
        lines.append(f"{count(sum(reasons.values()), 'image')} left out:")
        lines += [f"  {n} {reason}" for reason, n in reasons.items()]
    if summary["n_failed"]:
        lines.append(f"{count(summary['n_failed'], 'timestep')} failed")
    lines.append(f"{count(len(runs['id']), 'run')}, the latest {runs['state'][-1]}" if len(runs["id"]) else "no runs")
    lines.append("settings that are not defaults:" if changed else "all settings are defaults")
    return plain_lines([*lines, *(f"  {section}.{key} = {value}" for section, key, value in changed)])


def _variable_lines(variables: Columns) -> Iterator[str]:
    """Yield the number of variable sources, and the most variable ones."""
    if not len(variables["runcat"]):
        yield "no variable source"
        return
    number_of = count(len(variables["runcat"]), "variable source")
    yield f"{number_of} (probability of η below {VARIABLE_P:g}); the most variable:"
    for i, entry in enumerate(variables["runcat"][:N_LISTED]):
        position = sky_position(variables["wm_ra"][i], variables["wm_decl"][i])
        v, eta = (number(variables[name][i], 3) for name in ("v_int", "eta_int"))
        yield f"  entry {entry} at {position}: V {v}, η {eta}"


def _dataset_lines(summary: Mapping[str, Any], bands: Columns, timesteps: Columns, images: Columns) -> Iterator[str]:
    """Yield the lines about a dataset: times, bands, images, sources and candidates."""
    yield f"dataset {summary['id']}: {summary['description']} ({summary['state']})"
    yield f"created {moment(summary['process_start_ts'])}, latest run ended {moment(summary['process_end_ts'])} UTC"
    times = timesteps["taustart_ts"][timesteps["state"] == "done"]
    when = f", {moment(times[0])} to {moment(times[-1])} UTC" if len(times) else ""
    yield f"{count(summary['n_timesteps'], 'timestep')}{when}"
    central = ", ".join(f"{number(freq / 1e6)} MHz" for freq in bands["freq_central"])
    letters = ", ".join(letter for letter, code in STOKES.items() if code in images["stokes"])
    yield f"{count(len(bands['id']), 'band')}: {central or MISSING}; Stokes {letters or MISSING}"
    accepted = summary["n_images"] - summary["n_rejected"]
    yield f"{count(summary['n_images'], 'image')}, {accepted} accepted"
    yield found_text(summary)
    dropped = dropped_text(summary)
    if dropped:
        yield dropped
    likely = f" ({summary['n_likely']} likely)" if summary["n_likely"] else ""
    yield (
        f"{count(summary['n_entries'], 'entry', 'entries')} in the running catalogue, "
        f"{count(summary['n_newsources'], 'transient candidate')}{likely}"
    )


def _left_out_lines(timesteps: Columns, images: Columns, unreadable: Columns) -> Iterator[str]:
    """Yield the lines about rejected and unreadable images, and failed timesteps."""
    rejected = [i for i, reason in enumerate(images["reason"]) if reason is not None]
    if rejected:
        yield f"{count(len(rejected), 'image')} rejected:"
        yield from (f"  {images['url'][i]}: {images['reason'][i]}: {images['comment'][i]}" for i in rejected)
    if len(unreadable["url"]):
        yield f"{count(len(unreadable['url']), 'image')} unreadable:"
        yield from (f"  {url}: {reason}" for url, reason in zip(*unreadable.values(), strict=True))
    failed = [i for i, state in enumerate(timesteps["state"]) if state == "failed"]
    if failed:
        yield f"{count(len(failed), 'timestep')} failed:"
        yield from (f"  {moment(timesteps['taustart_ts'][i])}: {timesteps['message'][i]}" for i in failed)


def _run_lines(runs: Columns) -> Iterator[str]:
    for i, run in enumerate(runs["id"]):
        software = json.loads(runs["software"][i])
        yield (
            f"run {run}: {moment(runs['start_ts'][i])} to {moment(runs['end_ts'][i])} UTC, {runs['state'][i]}; "
            f"trap {software['trap']} on {runs['host'][i]}"
        )


def transients_table(transients: Columns) -> str:
    """Write a table of transient candidates, in the given order.

    Parameters
    ----------
    transients
        Columns of :func:`trap.db.lightcurves.transients`.
    """
    # The brightest band and Stokes parameter of an entry has its V and η.
    is_only_i = all(code == STOKES["I"] for code in (*transients["stokes"], *transients["metric_stokes"]))
    transients = with_stokes_letters(transients)
    words = named_signs(transients)
    scores = transients.get("score", np.full(len(words), np.nan))
    rows = (
        {
            "candidate": str(transients["newsource"][i]),
            "ra, dec (deg)": sky_position(transients["wm_ra"][i], transients["wm_decl"][i]),
            "score": number(scores[i], 3),
            "grade": grade_text(transients["grade"][i]),
            "noise peaks": chance_text(transients["noise_peaks"][i]),
            "newness σ": number(transients["newness"][i], 3),
            "S/N": number(transients["det_sigma"][i], 3),
            "first seen (UTC)": moment(transients["taustart_ts"][i]),
            "MHz": megahertz(transients["freq_eff"][i]),
            "Stokes": transients["stokes"][i],
            **dict(zip(("mJy", "±"), flux_text(transients["f_int"][i], transients["f_int_err"][i]), strict=True)),
            "looks": str(transients["n_looks"][i]),
            "V": number(transients["v_int"][i], 3),
            "η": number(transients["eta_int"][i], 3),
            **({} if is_only_i else {"V, η of Stokes": transients["metric_stokes"][i]}),
            "entry": str(transients["runcat"][i]),
            "signs": words[i],
            "flags": flag_names(transients["flags"][i]),
        }
        for i in range(len(transients["runcat"]))
    )
    numbers = ("candidate", "score", "noise peaks", "newness σ", "S/N", "MHz", "mJy", "±", "looks", "V", "η", "entry")
    return text_table(rows, right=numbers) or "no transient candidates"


def variables_table(variables: Columns) -> str:
    """Write a table of variable sources, in the given order.

    Parameters
    ----------
    variables
        Columns of :func:`trap.db.lightcurves.variables`, or of the table ``sources`` of several datasets.
    """
    is_merged = "source" in variables
    rows = (
        {
            **({"source": str(variables["source"][i])} if is_merged else {"entry": str(variables["runcat"][i])}),
            "ra, dec (deg)": sky_position(variables["wm_ra"][i], variables["wm_decl"][i]),
            "η": number(variables["eta_int"][i], 3),
            "p of η": number(variables["eta_p_value"][i], 2),
            "V": number(variables["v_int"][i], 3),
            "modulation": number(variables["modulation"][i], 3),
            "largest step σ": number(variables["vs_max"][i], 3),
            "mean mJy": number(1e3 * variables["lightcurve_avg"][i]),
            "points": str(variables["f_datapoints"][i]),
            "MHz": megahertz(variables["freq_central"][i]),
            **(_of_merged(variables, i) if is_merged else _of_entry(variables, i)),
        }
        for i in range(len(variables["eta_int"]))
    )
    numbers = (
        "entry",
        "source",
        "η",
        "p of η",
        "V",
        "modulation",
        "largest step σ",
        "mean mJy",
        "points",
        "MHz",
        "candidate",
        "datasets",
    )
    return text_table(rows, right=numbers)


def _of_entry(variables: Columns, i: int) -> dict[str, str]:
    """Return the last cells of the row of an entry of one dataset."""
    candidate = variables["newsource"][i]
    stokes = stokes_letter(variables["stokes"][i])
    return {"Stokes": stokes, "candidate": MISSING if candidate is None else str(candidate)}


def _of_merged(variables: Columns, i: int) -> dict[str, str]:
    """Return the last cells of the row of a source of several datasets."""
    return {"Stokes": str(variables["stokes"][i]), "datasets": str(variables["n_datasets"][i])}


def limits_table(limits: Columns) -> str:
    """Write a table of upper limits at a position, from the columns of :func:`trap.db.limits.upper_limits`."""
    rows = (
        {
            "time (UTC)": moment(limits["taustart_ts"][i]),
            "MHz": megahertz(limits["freq_eff"][i]),
            "Stokes": stokes_letter(limits["stokes"][i]),
            "noise mJy/beam": number(1e3 * limits["rms"][i], 3),
            "upper limit mJy/beam": number(1e3 * limits["upper_limit"][i], 3),
        }
        for i in range(len(limits["image"]))
    )
    return (
        text_table(rows, right=("MHz", "noise mJy/beam", "upper limit mJy/beam"))
        or "no image was searched at this position"
    )


def light_curve_text(entry: Mapping[str, Any], points: Columns, *, n_near: int = 1, kind: str = "entry") -> str:
    """Write the light curve of a source, with its position as heading.

    Parameters
    ----------
    entry
        Row of :func:`trap.db.lightcurves.entries_near`.
    points
        Columns of :func:`trap.db.lightcurves.light_curve`.
    n_near
        Number of entries within the search radius. This entry is the nearest.
    kind
        Name of the source: an entry of one dataset, or a source of several, whose points have the column ``dataset``.
    """
    others = "" if n_near == 1 else f"; the nearest of {n_near}"
    rows = (
        {
            "time (UTC)": moment(points["taustart_ts"][i]),
            **({"dataset": str(points["dataset"][i])} if kind == "source" else {}),
            "MHz": megahertz(points["freq_eff"][i]),
            "Stokes": stokes_letter(points["stokes"][i]),
            **dict(zip(("mJy", "±"), flux_text(points["f_int"][i], points["f_int_err"][i]), strict=True)),
            "S/N": number(points["det_sigma"][i], 3),
            "how": _EXTRACTED[ExtractType(points["extract_type"][i])],
            "V": number(points["v_int"][i], 3),
            "η": number(points["eta_int"][i], 3),
            "flags": flag_names(points["flags"][i]),
        }
        for i in range(len(points["taustart_ts"]))
    )
    position = sky_position(entry["wm_ra"], entry["wm_decl"])
    is_near = np.isfinite(entry["distance_deg"])
    distance = f", {number(3600 * entry['distance_deg'], 2)} arcsec away" if is_near else ""
    heading = f"{kind} {entry['id']} at {position}{distance}{others}"
    return f"{heading}\n{text_table(rows, right=('dataset', 'MHz', 'mJy', '±', 'S/N', 'V', 'η'))}"


def gains_lines(gains: Columns) -> list[str]:
    """Write the flux scales of merged datasets, one line each.

    Parameters
    ----------
    gains
        Columns of :meth:`trap.db.merged.MergedDatasets.gain_table`.
    """
    lines = []
    for i in range(len(gains["dataset"])):
        measured = (
            "not measured"
            if not np.isfinite(gains["gain"][i])
            else " ± ".join((number(gains["gain"][i]), number(gains["gain_err"][i], 2)))
        )
        what = f"flux densities of dataset {gains['dataset'][i]} at {megahertz(gains['freq_central'][i])} MHz"
        if gains["applied"][i]:
            sources = count(int(gains["n_matches"][i]), "source")
            lines.append(f"{what} are divided by {measured}, by {sources} of the datasets before it")
        else:
            lines.append(f"{what} are as stored: gain {measured}; {gains['note'][i]}")
    return lines
