"""Blind measurements that are left out of a dataset, counted by reason.

A measurement that is no whole source, or lacks a number, neither founds an entry nor becomes a point of a light curve.
It is not stored, except for a component that a joint fit does not confirm; the reasons are, for each timestep.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from trap.catalogues import Flag

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from trap.catalogues import Measurements

__all__ = ["DROP_REASONS", "count_dropped", "dropped_text", "sum_dropped"]

DROP_REASONS: Mapping[str, str] = {
    "n_dropped_outside": "centred outside the searched area",
    "n_dropped_edge": "cut by the edge of the searched area",
    "n_dropped_masked": "next to pixels without a value",
    "n_dropped_unfitted": "without a fit",
    "n_dropped_unmeasured": "without a finite flux density or error",
    "n_dropped_unconfirmed": "components that a joint fit with their neighbours does not confirm",
}
"""Reasons for leaving a measurement out, by their columns in table ``timestep``. The first that holds is counted."""

_FLAGS = {
    "n_dropped_outside": Flag.OUTSIDE,
    "n_dropped_edge": Flag.EDGE,
    "n_dropped_masked": Flag.MASKED_PIXELS,
    "n_dropped_unfitted": Flag.FIT_FAILED,
}


def count_dropped(sources: Measurements) -> dict[str, int]:
    """Count the blind measurements of an image that are left out before association.

    Parameters
    ----------
    sources
        All blind measurements of the image.

    Returns
    -------
    Numbers by column of table ``timestep``, without zeros.
    """
    counts, is_left = {}, ~sources.is_sound
    for column, flag in _FLAGS.items():
        holds = is_left & (sources.flags & int(flag) != 0)
        counts[column] = int(holds.sum())
        is_left = is_left & ~holds
    counts["n_dropped_unmeasured"] = int(is_left.sum())
    return {column: n for column, n in counts.items() if n}


def sum_dropped(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Add up the counts of several images: numbers of all columns, with zeros."""
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return {column: total[column] for column in DROP_REASONS}


def dropped_text(counts: Mapping[str, int]) -> str:
    """Write the number of measurements left out, and the number for each reason; empty if there are none.

    Parameters
    ----------
    counts
        Numbers by column of table ``timestep``; other columns are ignored.
    """
    reasons = {reason: int(counts.get(column, 0)) for column, reason in DROP_REASONS.items()}
    n = sum(reasons.values())
    if not n:
        return ""
    noun = "source" if n == 1 else "sources"
    return f"{n} {noun} found but left out: " + ", ".join(f"{k} {reason}" for reason, k in reasons.items() if k)
