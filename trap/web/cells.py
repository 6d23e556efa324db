"""Cells of the tables on the pages: numbers with the digits of their errors, words for codes, and links.

Names and units are as in Python and in exports, so that the number on a page is the number of a filter; frequencies
alone are in MHz, as the filter of bands has them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.codes import AssociationType, ExtractType, FitType
from trap.report.noise import grade_text
from trap.report.text import MISSING, flag_names, megahertz, moment, number, with_error

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from trap.tables import Column
    from trap.typing import Columns

__all__ = ["SHOWN_UNITS", "USUAL", "Cell", "needed_columns", "plain_values", "table_cells"]

USUAL = {
    "sources": (
        "runcat", "name", "wm_ra", "wm_decl", "datapoints", "freq_central", "stokes", "lightcurve_avg",
        "lightcurve_max", "v_int", "eta_int", "eta_p_value", "modulation", "score", "grade", "first_seen",
    ),
    "transients": (
        "newsource", "runcat", "wm_ra", "wm_decl", "taustart_ts", "freq_eff", "stokes", "f_int", "f_int_err",
        "det_sigma", "score", "grade", "newness", "noise_peaks", "n_looks", "signs", "flags", "image",
    ),
    "images": (
        "image", "url", "taustart_ts", "tau_time", "freq_eff", "stokes", "rms_qc", "n_sources", "gain", "gain_err",
        "shift_ew", "shift_ns", "telescope", "reason", "comment",
    ),
    "measurements": (
        "xtrsrc", "image", "taustart_ts", "freq_eff", "stokes", "ra", "decl", "f_int", "f_int_err", "f_peak",
        "f_peak_err", "rms", "det_sigma", "extract_type", "flags",
    ),
    "lightcurves": (
        "runcat", "image", "taustart_ts", "freq_eff", "stokes", "f_int", "f_int_err", "f_peak", "f_peak_err", "rms",
        "det_sigma", "extract_type", "flags",
    ),
}  # fmt: skip
"""Columns that a page shows unless others are chosen; of other tables, all."""
SHOWN_UNITS = {"Hz": "MHz"}
"""Units of cells that differ from those of their columns: bands have names in MHz everywhere."""
ERRORS = {"modulation": "modulation_err", "spectral_index": "spectral_index_err", "f_int": "f_int_err",
          "f_peak": "f_peak_err", "gain": "gain_err"}  # fmt: skip
"""Columns of the errors of columns."""
DECIMALS_OF_DEGREES = 5
"""Decimals of positions: 0.04 arcsec."""
MAX_PATH = 36
"""Largest number of characters of a path."""
POSITIONS = ("ra", "decl", "wm_ra", "wm_decl", "centre_ra", "centre_decl", "ra_raw", "decl_raw")
CODES: dict[str, Callable[[int], str]] = {
    "flags": flag_names,
    "grade": grade_text,
    "extract_type": lambda code: _word(ExtractType, code),
    "fit_type": lambda code: _word(FitType, code),
    "type": lambda code: _word(AssociationType, code),
}
"""Functions that write codes in words."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table.

    Parameters
    ----------
    text
        Text to show.
    address
        Address that the cell links to; empty for none.
    title
        Whole text, if the cell shows a part of it.
    """

    text: str
    address: str = ""
    title: str = ""


def needed_columns(shown: Sequence[str], known: Mapping[str, Column]) -> list[str]:
    """Return the columns that are read for a page: those on show, their errors, and the numbers of links.

    Parameters
    ----------
    shown, known
        Names of the columns on show, and all columns of the table.
    """
    wanted = {*shown, *(ERRORS[name] for name in shown if name in ERRORS)}
    return [name for name in known if name in wanted]


def table_cells(rows: Columns, shown: Sequence[str], *, home: str, listed: str = "") -> Iterator[list[Cell]]:
    """Yield the cells of each row.

    Parameters
    ----------
    rows
        (n,) values of the columns by name.
    shown
        Names of the columns on show.
    home
        Address of the dataset, without a slash at its end.
    listed
        Query of the links to sources, by which their pages know the list; empty for none.
    """
    columns = [_cells(name, rows, home, listed) for name in shown]
    return map(list, zip(*columns, strict=True))


def plain_values(values: Any) -> list[Any]:  # noqa: ANN401 (a column of any type)
    """Return a column as values of JSON: null for NaN, infinity, NaT and masked numbers, and times in ISO 8601.

    Parameters
    ----------
    values
        (n,) — numbers, booleans, ``datetime64`` or text.
    """
    kind = values.dtype.kind
    if kind == "f":
        return [value if math.isfinite(value) else None for value in values.tolist()]
    if kind == "M":
        return [None if one is None else f"{one.isoformat()}Z" for one in values.astype("M8[us]").tolist()]
    listed: list[Any] = values.tolist()  # None where masked
    return listed


def _cells(name: str, rows: Columns, home: str, listed: str) -> list[Cell]:
    """Return the cells of a column."""
    values = rows[name]
    if name in ("runcat", "image", "blend", "ff_runcat", "previous_limits_image"):
        place, query = ("images", "") if "image" in name else ("sources", listed)
        return [
            Cell(MISSING) if value is None else Cell(str(value), f"{home}/{place}/{value}{query}")
            for value in values.tolist()
        ]
    if name in ERRORS and ERRORS[name] in rows:
        errors = rows[ERRORS[name]]
        return [Cell(with_error(value, error)[0]) for value, error in zip(values, errors, strict=True)]
    of_error = {error: value for value, error in ERRORS.items()}
    if name in of_error and of_error[name] in rows:
        pairs = zip(rows[of_error[name]], values, strict=True)
        return [Cell(with_error(value, error)[1]) for value, error in pairs]
    if name == "url":  # the end of a path has the name of the file
        return [Cell(f"…{text[-MAX_PATH:]}" if len(text) > MAX_PATH else text, title=text) for text in values.tolist()]
    return [Cell(_text(name, value)) for value in (values if values.dtype.kind == "M" else values.tolist())]


def _text(name: str, value: Any) -> str:  # noqa: ANN401 (a value of any type)
    """Write a value; a dash for a missing one."""
    if value is None or value == "":
        return MISSING
    if isinstance(value, bool):
        text = "yes" if value else "no"
    elif isinstance(value, np.datetime64):
        text = moment(value)
    elif name.startswith("freq_"):
        text = megahertz(value) if math.isfinite(value) else MISSING
    elif isinstance(value, float):
        is_position = name in POSITIONS and math.isfinite(value)
        text = f"{value:.{DECIMALS_OF_DEGREES}f}" if is_position else number(value)
    elif name in CODES:
        text = CODES[name](value)
    else:
        text = str(value)
    return text or MISSING


def _word(codes: type[IntEnum], code: int) -> str:
    """Write a code of another version as its number."""
    return codes(code).name.lower().replace("_", " ") if code in set(codes) else str(code)
