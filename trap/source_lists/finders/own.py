"""Our own lists: ``transients extract`` as CSV, JSON, VOTable or FITS, and exported measurements of one image.

Both have our columns and units. Exported measurements have the names of the database instead (``decl``, ``det_sigma``,
``x_pix``), and position errors that include the systematic error. A list of measurements may have forced fits, which
are left out: the run makes its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.catalogues import Measurements
from trap.source_lists.formats import ListColumn, ListFormat

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from trap.typing import Array

__all__ = ["TRANSIENTS"]

IN_DATABASE = {
    "dec": "decl",
    "ew_fit_err": "uncertainty_ew",
    "ns_fit_err": "uncertainty_ns",
    "significance": "det_sigma",
    "x": "x_pix",
    "y": "y_pix",
}
"""Names of columns in exported measurements, if they differ."""
QUANTITIES = (
    *("x", "y", "ra", "dec", "ew_fit_err", "ns_fit_err", "f_peak", "f_peak_err", "f_int", "f_int_err", "rms"),
    *("significance", "semimajor", "semiminor", "pa", "island"),
)


def _flags(columns: Mapping[str, Array]) -> NDArray[np.int_]:
    """Return the flags of the list."""
    return np.nan_to_num(columns["flags"]).astype(np.int64)


def _columns() -> dict[str, ListColumn]:
    """Return our columns, with our units."""
    units = {name: column.unit for name, column in Measurements.columns().items()}
    return {name: ListColumn(name, units[name], IN_DATABASE.get(name, "")) for name in QUANTITIES}


TRANSIENTS = ListFormat(
    name="transients",
    description="sources of `transients extract`, or exported measurements of one image",
    columns=_columns(),
    marks=(
        ("ra", "dec", "ew_fit_err", "ns_fit_err", "f_peak", "f_int", "significance", "extract_type"),
        ("ra", "decl", "uncertainty_ew", "uncertainty_ns", "f_peak", "f_int", "det_sigma", "extract_type"),
    ),
    identities=(("xtrsrc",),),
    extra=("flags", "extract_type", "image"),
    flags=_flags,
    carried=(
        *("ew_sys_err", "ns_sys_err", "chisq", "reduced_chisq", "fit_type"),
        *("ra_raw", "dec_raw", "f_peak_raw", "f_int_raw", "gain_err"),
    ),
    is_own=True,
)
