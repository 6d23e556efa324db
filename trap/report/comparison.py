"""Comparisons as text: of injected with recovered sources, and of two datasets."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.escapes import plain_text
from trap.report.text import MISSING, constancy_text, count, number, sky_position, text_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from trap.simulation.comparison import Comparison, RecoveredTransient, RecoveredVariable
    from trap.typing import Array

__all__ = ["comparison_text", "contents_text"]

MAX_CANDIDATES = 5
"""Largest number of added, or removed, candidates that are listed."""
COUNTS = {
    "timesteps": "n_timesteps",
    "images": "n_images",
    "images rejected": "n_rejected",
    "images unreadable": "n_unreadable",
    "measurements": "n_blind",
    "forced fits": "n_forced",
    "sources": "n_entries",
    "transient candidates": "n_newsources",
}
"""Rows of the table of two datasets, with the columns of their summaries."""


def comparison_text(comparison: Comparison) -> str:
    """Write tables of the injected transients and variables, each with its recovered values."""
    parts = [
        "transients, injected and recovered (timesteps count from 0)",
        text_table(
            map(_transient_row, comparison.transients),
            right=("on from", "peak S/N", "found at", "significance"),
        ),
        count(len(comparison.false_candidates), "false transient"),
        "",
        f"variables, injected and recovered (rank in η among {count(comparison.n_entries, 'source')})",
        text_table(
            map(_variable_row, comparison.variables),
            right=("modulation", "mean S/N", "V", "η", "rank"),
        ),
        f"highest η of a steady source: {number(comparison.highest_steady_eta, 3)}",
        *([f"steady sources: {constancy_text(comparison.steady)}"] if comparison.steady else []),
    ]
    return "\n".join(parts)


def contents_text(
    summaries: tuple[Mapping[str, Any], Mapping[str, Any]],
    *,
    n_common_images: int,
    radius_arcsec: float,
    n_matched: int,
    flux_ratio: Array,
    removed: Sequence[tuple[int, float, float]],
    added: Sequence[tuple[int, float, float]],
    settings: Sequence[str],
) -> str:
    """Write the contents of two datasets side by side, then the changes of candidates and settings.

    Parameters
    ----------
    summaries, n_common_images, radius_arcsec, n_matched, flux_ratio, removed, added, settings
        Fields of :class:`trap.db.comparison.Contents`.
    """
    first, second = summaries
    names = [f"{summary['id']} ({summary['description']})" for summary in summaries]
    if names[0] == names[1]:  # in two databases
        names = [f"{name}, {place}" for name, place in zip(names, ("first", "second"), strict=True)]
    notes = {
        "images": f"{n_common_images} in both",
        "sources": f"{n_matched} of {max(first['n_entries'], second['n_entries'])} matched, within {radius_arcsec:g}″",
        "transient candidates": f"{first['n_newsources']} → {second['n_newsources']}",
    }
    rows = (
        {
            "dataset": label,
            **{name: str(summary[column]) for name, summary in zip(names, summaries, strict=True)},
            "": notes.get(label, ""),
        }
        for label, column in COUNTS.items()
        if first[column] or second[column] or label in notes
    )
    lines = [text_table(rows, right=names), _ratio_text(flux_ratio)]
    for heading, candidates in (("in the second only", added), ("in the first only", removed)):
        if candidates:
            lines.append(f"{count(len(candidates), 'candidate')} {heading}:")
            lines += [f"  entry {entry} at {sky_position(ra, dec)}" for entry, ra, dec in candidates[:MAX_CANDIDATES]]
        if len(candidates) > MAX_CANDIDATES:
            lines.append(f"  … and {len(candidates) - MAX_CANDIDATES} more")
    if settings:
        lines += [
            "settings of the first that differ from the second:",
            *(plain_text(f"  {setting}") for setting in settings),
        ]
    return "\n".join(lines)


def _ratio_text(flux_ratio: Array) -> str:
    """Write the median of the ratios of flux densities, and their median absolute deviation from it."""
    if not len(flux_ratio):
        return "flux densities: no matched sources"
    median = float(np.median(flux_ratio))
    deviation = float(np.median(np.abs(flux_ratio - median)))
    return (
        f"flux densities, second over first: median {median:.4f} ± {number(deviation, 2)} "
        f"(median absolute deviation, {count(len(flux_ratio), 'source')})"
    )


def _transient_row(transient: RecoveredTransient) -> dict[str, str]:
    """Return the row of a transient, by heading."""
    timestep = transient.found_timestep
    missed = "missed" if transient.must_be_found else "too faint"
    return {
        "name": transient.name,
        "light curve": transient.shape,
        "ra, dec (deg)": sky_position(transient.ra, transient.dec),
        "on from": str(transient.first_timestep),
        "peak S/N": f"{transient.peak_snr:.1f}",
        "found at": missed if timestep is None else str(timestep),
        "significance": MISSING if transient.significance is None else f"{transient.significance:.1f}",
    }


def _variable_row(variable: RecoveredVariable) -> dict[str, str]:
    """Return the row of a variable, by heading."""
    return {
        "name": variable.name,
        "light curve": variable.shape,
        "ra, dec (deg)": sky_position(variable.ra, variable.dec),
        "modulation": f"{variable.modulation:.0%}",
        "mean S/N": f"{variable.mean_snr:.1f}",
        "V": number(variable.v_int, 3),
        "η": MISSING if math.isnan(variable.eta_int) else f"{variable.eta_int:.1f}",
        "rank": MISSING if variable.rank is None else str(variable.rank),
    }
