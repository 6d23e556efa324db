"""Tables, numbers, positions and times as plain text."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.catalogues import Flag
from trap.config import stokes_letter
from trap.escapes import plain_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from trap.typing import Columns
    from trap.variability.constancy import Constancy

__all__ = [
    "MISSING",
    "constancy_text",
    "count",
    "flag_names",
    "flux_text",
    "megahertz",
    "moment",
    "number",
    "shared_errors_lines",
    "sky_position",
    "text_table",
    "with_error",
]

MISSING = "–"
"""Text for a missing value."""
MIN_PROBABILITY = 1e-3
"""Smallest probability, by a Kolmogorov–Smirnov test, of light curves that count as constant."""
MIN_MEDIAN = 0.05
"""Median probability of η below which most sources scatter, not only a few variable ones."""


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
    cells = [{heading: plain_text(value) for heading, value in row.items()} for row in rows]
    if not cells:
        return ""
    headings = list(cells[0])
    lines = [{heading: plain_text(heading) for heading in headings}, *cells]
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


def megahertz(frequency: float) -> str:
    """Write a frequency in MHz, with the digits that distinguish bands and channels.

    Parameters
    ----------
    frequency
        Hz
    """
    return f"{frequency / 1e6:.7g}"


def flux_text(value: Any, error: Any) -> tuple[str, str]:  # noqa: ANN401 (numpy and Python numbers, None)
    """Write a flux density and its error in mJy, both to the second digit of the error.

    Parameters
    ----------
    value, error
        Jy — flux density and its 1σ error; a dash is written for None, NaN and infinity.
    """
    return with_error(*(None if quantity is None else 1e3 * quantity for quantity in (value, error)))


def with_error(value: float | None, error: float | None) -> tuple[str, str]:
    """Write a value and its error, both to the second digit of the error.

    Parameters
    ----------
    value, error
        Value and its 1σ error; a dash is written for None, NaN and infinity.
    """
    if value is None or not math.isfinite(value):
        return MISSING, MISSING
    if error is None or not math.isfinite(error) or error <= 0:
        return number(value), MISSING
    decimals = 1 - math.floor(math.log10(error))
    # Rounding before the decimal point too: 15834 ± 210 is 15830 ± 210.
    rounded = (round(quantity, decimals) for quantity in (value, error))
    shown, shown_error = (f"{quantity:.{max(decimals, 0)}f}" for quantity in rounded)
    return shown, shown_error


def flag_names(flags: int) -> str:
    """Return the names of the flags that are set: ``"edge, blended"``; empty without flags."""
    return ", ".join(flag.name.lower().replace("_", " ") for flag in Flag if flag & flags and flag.name)


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
    """Write the comparison of the light curves with constant sources as a sentence."""
    curves = count(constancy.n, "light curve")
    if constancy.p_value >= MIN_PROBABILITY:
        return f"{curves}: fluxes scatter as their errors explain"
    if constancy.median < MIN_MEDIAN:
        excess = f" by {100 * constancy.scatter:.2g} %" if math.isfinite(constancy.scatter) else ""
        return (
            f"{curves}: most fluxes scatter{excess} more than their errors explain: check the flux scale of the images"
        )
    if constancy.median > 0.5:
        return f"{curves}: fluxes scatter less than their errors explain: the errors are too large"
    return f"{curves}: some fluxes scatter more than their errors explain: variable sources, or bad images"


def shared_errors_lines(epochs: Columns) -> Iterator[str]:
    """Yield a line for each band and Stokes parameter whose neighbouring epochs share errors.

    Parameters
    ----------
    epochs
        Columns of :func:`trap.db.shared_errors.effective_epochs`.
    """
    for frequency, stokes, n, effective in zip(*epochs.values(), strict=True):
        where = f"at {megahertz(frequency)} MHz, Stokes {stokes_letter(stokes)}"
        yield f"neighbouring epochs {where}, share errors: {n} points count as {number(effective, 3)}"
