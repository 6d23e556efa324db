"""Limits of the values of a source list: wide ones, which only impossible numbers and sentinels exceed.

An error of 1e200 or 1e-320 is a finite number, but its inverse square is not: the weight of the source would be zero or
infinite.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.catalogues import ExtractType, FitType, Flag
from trap.errors import SourceListError
from trap.source_lists.checks import refuse_rows
from trap.source_lists.tables import shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.source_lists.columns import ListedSources
    from trap.source_lists.profiles import Profiles
    from trap.typing import Array

__all__ = ["ERROR_LIMITS", "check_codes", "check_values"]

MIN_FLUX, MAX_FLUX = 1e-30, 1e30
"""Jy — limits of flux densities other than zero, and of their errors."""
MAX_ANGLE = 180.0
FLUX_LIMITS = (MIN_FLUX, MAX_FLUX, "Jy")
POSITION_LIMITS = (1e-12, MAX_ANGLE, "deg")
ERROR_LIMITS = {
    "ew_fit_err": POSITION_LIMITS,
    "ns_fit_err": POSITION_LIMITS,
    "f_peak_err": FLUX_LIMITS,
    "f_int_err": FLUX_LIMITS,
}
"""Least and largest value of each error, and its unit."""
MAX_AXIS = MAX_ANGLE * 3600
MAX_PA = 720.0
MAX_SIGNIFICANCE = 1e12
MAX_RATIO = 1.01
"""Largest ratio of the minor to the major axis, since both are rounded."""
CARRIED_LIMITS = {
    "ew_sys_err": (0.0, MAX_AXIS, "arcsec"),
    "ns_sys_err": (0.0, MAX_AXIS, "arcsec"),
    "chisq": (0.0, MAX_FLUX, ""),
    "reduced_chisq": (0.0, MAX_FLUX, ""),
    "gain_err": (0.0, 10.0, ""),
    "ra_raw": (-360.0, 360.0, "deg"),
    "dec_raw": (-90.0, 90.0, "deg"),
    "f_peak_raw": (-MAX_FLUX, MAX_FLUX, "Jy"),
    "f_int_raw": (-MAX_FLUX, MAX_FLUX, "Jy"),
}
"""Least and largest value of the further columns of our own lists, and their unit."""


def check_codes(listed: ListedSources) -> None:
    """Refuse unknown codes in our own lists: flags, kinds of extraction and kinds of fit.

    Parameters
    ----------
    listed
        The sources of the list; other finders have codes of their own, which are not checked.

    Raises
    ------
    SourceListError
        If a code is unknown.
    """
    if not listed.form.is_own:
        return
    known_flags = sum(int(flag) for flag in Flag)
    flags = listed.extra.get("flags", np.zeros(0))
    is_whole = (flags >= 0) & (flags <= known_flags) & (flags == np.floor(flags))
    unknown = np.where(is_whole, flags, 0).astype(np.int64) & ~known_flags
    _refuse(listed, "flags", flags, ~np.isnan(flags) & ~(is_whole & (unknown == 0)), "is no sum of known flags")
    for name, codes, columns in (
        ("extract_type", ExtractType, listed.extra),
        ("fit_type", FitType, listed.carried),
    ):
        values = columns.get(name, np.zeros(0))
        allowed = [int(code) for code in codes]
        is_unknown = ~np.isnan(values) & ~np.isin(values, allowed)
        _refuse(listed, name, values, is_unknown, f"is no known code; known are {', '.join(map(str, allowed))}")


def check_values(listed: ListedSources, profiles: Profiles) -> None:
    """Refuse impossible brightness, shapes, noise and further values of fitted sources.

    Parameters
    ----------
    listed, profiles
        The sources of the list, with their brightness and shape.

    Raises
    ------
    SourceListError
        If a value is beyond its limit, or the minor axis is longer than the major axis.
    """
    is_fitted = ~profiles.is_failed
    flux = f"is outside the limits of {MIN_FLUX:g} to {MAX_FLUX:g} Jy"
    for name in ("f_peak", "f_int", "rms"):
        size = np.abs(listed.values.get(name, np.zeros(len(listed))))
        is_bad = is_fitted & np.isfinite(size) & (size > 0) & ~((size >= MIN_FLUX) & (size <= MAX_FLUX))
        if is_bad.any():
            refuse_rows(listed, name, is_bad, flux)
    for names, limit, unit in (
        (("semimajor", "semiminor", "major", "minor"), MAX_AXIS, "arcsec"),
        (("pa",), MAX_PA, "deg"),
        (("significance",), MAX_SIGNIFICANCE, ""),
    ):
        for name in names:
            values = listed.values.get(name, np.zeros(len(listed)))
            is_bad = is_fitted & np.isfinite(values) & (np.abs(values) > limit)
            if is_bad.any():
                refuse_rows(listed, name, is_bad, f"{unit} is beyond the limit of {limit:g} {unit}".strip())
    if "significance" in listed.values:
        is_bad = is_fitted & (listed.values["significance"] < 0) & (profiles.f_peak > 0)
        refuse_rows(listed, "significance", is_bad, "is negative, and the source is positive")
    minor = next((name for name in ("semiminor", "minor") if name in listed.values), "")
    if minor:
        is_bad = is_fitted & (profiles.semiminor > MAX_RATIO * profiles.semimajor)
        refuse_rows(listed, minor, is_bad, "arcsec is the minor axis, and longer than the major axis of the row")
    for name, (least, largest, unit) in CARRIED_LIMITS.items():
        values = listed.carried.get(name, np.zeros(len(listed)))
        is_bad = is_fitted & ~np.isnan(values) & ~((values >= least) & (values <= largest))
        _refuse(listed, name, values, is_bad, f"is outside the limits of {least:g} to {largest:g} {unit}".strip())


def _refuse(listed: ListedSources, name: str, values: Array, is_bad: NDArray[np.bool_], problem: str) -> None:
    """Refuse a list with the first impossible value of a column that has no quantity."""
    rows = np.flatnonzero(is_bad)
    if rows.size:
        more = f" ({rows.size} such rows)" if rows.size > 1 else ""
        place = f"column {shown(name)}, {listed.place(int(rows[0]))}"
        raise SourceListError(f"{place}: {values[rows[0]]:g} {problem}{more}")
