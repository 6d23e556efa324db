"""Tables, numbers, positions and times as plain text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from trap.variability.constancy import Constancy

__all__ = ["MISSING", "constancy_text", "count", "moment", "number", "sky_position", "text_table"]

MISSING = "–"
"""Text for a missing value."""


def text_table(rows: Iterable[Mapping[str, str]], *, right: Sequence[str] = ()) -> str:
    """Write rows as a table of text with headings.

    Parameters
    ----------
    rows
        Rows by heading. All have the same headings in the same order.
    right
        Headings of the columns that are aligned to the right.

    Returns
    -------
    str
        Lines without trailing blanks; empty without rows.
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
    """Write a number; a dash for None, NaN and infinity.

    Parameters
    ----------
    value
        Number, or None.
    digits
        Number of significant digits.
    """
    if value is None or not math.isfinite(value):
        return MISSING
    return f"{value:.{digits}g}"


def count(n: int, noun: str, plural: str = "") -> str:
    """Write a count with its noun: "1 image", "2 images", "3 entries".

    Parameters
    ----------
    n
        Number of items.
    noun
        Noun in the singular.
    plural
        Noun in the plural; empty adds an s.
    """
    return f"{n} {noun}" if n == 1 else f"{n} {plural or noun + 's'}"


def sky_position(ra: float, dec: float) -> str:
    """Write a position to a third of an arcsecond.

    Parameters
    ----------
    ra, dec
        deg — position.
    """
    return f"{ra:.4f} {dec:+.4f}"


def moment(time: Any) -> str:  # noqa: ANN401 (datetime or numpy.datetime64)
    """Write a time in UTC to the second; a dash for None and NaT."""
    if time is None or np.isnat(np.datetime64(_naive(time))):
        return MISSING
    return str(np.datetime64(_naive(time), "s"))


def _naive(time: Any) -> Any:  # noqa: ANN401
    # numpy has no time zones; all times in the pipeline are UTC.
    return time.replace(tzinfo=None) if hasattr(time, "tzinfo") else time


def constancy_text(constancy: Constancy) -> str:
    """Write the comparison of the light curves with constant sources."""
    return (
        f"η of {count(constancy.n, 'light curve')} against constant sources: "
        f"Kolmogorov-Smirnov distance {constancy.distance:.3f}, probability {number(constancy.p_value, 2)}"
    )
