"""Tables as plain text: columns under headings, numbers flush right, fit for a terminal and a mail."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from trap.variability.constancy import Constancy

__all__ = ["MISSING", "constancy_text", "count", "moment", "number", "sky_position", "text_table"]

MISSING = "–"
"""Stands where there is no value."""


def text_table(rows: Iterable[Mapping[str, str]], *, right: Sequence[str] = ()) -> str:
    """Lay out rows under their headings.

    Parameters
    ----------
    rows
        Each with the same headings, in the same order.
    right
        Headings of the columns that are set flush right.

    Returns
    -------
    Lines without trailing blanks; empty where there are no rows.
    """
    cells = [dict(row) for row in rows]
    if not cells:
        return ""
    headings = list(cells[0])
    lines = [dict(zip(headings, headings, strict=True)), *cells]
    widths = {heading: max(len(line[heading]) for line in lines) for heading in headings}
    set_cell = {heading: str.rjust if heading in right else str.ljust for heading in headings}
    return "\n".join(
        "  ".join(set_cell[heading](line[heading], widths[heading]) for heading in headings).rstrip() for line in lines
    )


def number(value: Any, digits: int = 4) -> str:  # noqa: ANN401 (numpy and Python numbers, None)
    """Write a number with so many significant digits; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{value:.{digits}g}"


def count(n: int, noun: str, plural: str = "") -> str:
    """Write a number of things: "1 image", "2 images", "3 entries"."""
    return f"{n} {noun}" if n == 1 else f"{n} {plural or noun + 's'}"


def sky_position(ra: float, dec: float) -> str:
    """Write a position in degrees, to a third of an arcsecond."""
    return f"{ra:.4f} {dec:+.4f}"


def moment(time: Any) -> str:  # noqa: ANN401 (datetime or numpy.datetime64)
    """Write a time in UTC to the second; a dash where there is none."""
    if time is None or np.isnat(np.datetime64(_naive(time))):
        return MISSING
    return str(np.datetime64(_naive(time), "s"))


def _naive(time: Any) -> Any:  # noqa: ANN401
    # numpy takes no time zones; everything in the pipeline is UTC.
    return time.replace(tzinfo=None) if hasattr(time, "tzinfo") else time


def constancy_text(constancy: Constancy) -> str:
    """Say how light curves compare with those of constant sources."""
    return (
        f"η of {count(constancy.n, 'light curve')} against constant sources: "
        f"Kolmogorov-Smirnov distance {constancy.distance:.3f}, probability {number(constancy.p_value, 2)}"
    )
