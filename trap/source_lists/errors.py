"""The errors of listed sources: checked row by row, and computed where they are missing and the settings allow it.

A list of text prints a fixed number of decimals, and a bright source may have a smaller error than half a unit of the
last one: Selavy prints 0.00 arcsec. Such a zero is no impossible error but an upper limit, half a unit of the last
digit, which is used as the error. It is a missing error if the noise forbids so small an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.errors import SourceListError
from trap.extraction.uncertainties import gaussian_fit_errors
from trap.source_lists.checks import refuse_rows
from trap.source_lists.limits import ERROR_LIMITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.config import SourceListConfig
    from trap.images.beam import Beam
    from trap.source_lists.columns import ListedSources
    from trap.source_lists.profiles import Profiles
    from trap.typing import Array

__all__ = ["ERRORS", "complete_errors"]

ERRORS = ("ew_fit_err", "ns_fit_err", "f_peak_err", "f_int_err")
"""Errors that each source needs."""
LEAST_SHARE = 0.02
"""Least share of the error that the noise gives, which an error printed as zero may have; less is no rounded error.

Finders that take the noise of neighbouring pixels as independent print errors that are several times too small.
"""
ARCSEC = 1 / 3600
TURN = 360.0
REMEDY = 'correct the list, or let [source_lists] errors = "condon" compute these errors'


def complete_errors(
    listed: ListedSources, profiles: Profiles, settings: SourceListConfig, beam: Beam | None
) -> tuple[dict[str, Array], list[str]]:
    """Check the errors of the sources, and compute missing ones if the settings allow it.

    Parameters
    ----------
    listed, profiles
        The sources of the list, with their brightness, shape and noise.
    settings
        Settings of source lists.
    beam
        Restoring beam of the image; None if it is unknown.

    Returns
    -------
    errors
        (n,) each, by name, in deg, Jy/beam and Jy; NaN for a source whose fit failed, if the list has no error of it.
    notices
        A sentence about each kind of error that is not as listed.

    Raises
    ------
    SourceListError
        If an error of a fitted source is missing, and the settings refuse it, or the noise or the beam is unknown.
    """
    errors: dict[str, Array] = {}
    missing: dict[str, NDArray[np.bool_]] = {}
    notices = []
    for name in ERRORS:
        source, given = _given(listed, profiles, name)
        given, n_rounded = _fill_rounded(listed, profiles, name, source, given)
        if n_rounded:
            msg = f"{n_rounded} errors of column {listed.names[source]} are printed as zero: half a unit of the last"
            notices.append(f"{msg} digit is used")
        is_error = np.isfinite(given) & (given > 0)
        least, largest, unit = ERROR_LIMITS[name]
        is_valid = is_error & (given >= least) & (given <= largest)
        missing[name] = ~is_valid & ~profiles.is_failed
        errors[name] = np.where(is_valid, given, np.nan)
        if settings.errors == "refuse" and missing[name].any():
            if (missing[name] & ~is_error).any():
                _refuse(listed, name, source, missing[name] & ~is_error)
            limits = f"{unit} is an error outside the limits of {least:g} to {largest:g} {unit}"
            refuse_rows(listed, source, missing[name], limits, REMEDY)
    n_missing = int(np.any(list(missing.values()), axis=0).sum())
    if n_missing:
        # The error of the peak is close to the noise, which the list may lack.
        rms = np.where(np.isfinite(profiles.rms), profiles.rms, errors["f_peak_err"])
        computed = _condon_errors(listed, profiles, rms, np.any(list(missing.values()), axis=0), beam)
        errors = {name: np.where(missing[name], computed[name], errors[name]) for name in ERRORS}
        for name in ERRORS:
            is_bad = missing[name] & ~(np.isfinite(errors[name]) & (errors[name] > 0))
            refuse_rows(listed, "f_int" if "f_int" in listed.values else "f_peak", is_bad, f"gives no {name}")
        notices.append(f"errors of {n_missing} sources are computed by Condon's formulas")
    return errors, notices


def _given(listed: ListedSources, profiles: Profiles, name: str) -> tuple[str, Array]:
    """Return the quantity of the column of an error, which may be empty, and the error, NaN if the list has none."""
    values = listed.values
    if name in values:
        return name, values[name]
    if name == "ew_fit_err" and "ra_err" in values:
        # An error of a source at RA 0 may go around the circle.
        error = np.minimum(np.abs(values["ra_err"]), np.abs(TURN - np.abs(values["ra_err"])))
        return "ra_err", np.where(values["ra_err"] < 0, np.nan, error * np.cos(np.radians(values["dec"])))
    flux, other = ("f_peak", "f_int") if name == "f_peak_err" else ("f_int", "f_peak")
    if name.startswith(flux) and profiles.derived == flux and f"{other}_err" in values:
        ratio = getattr(profiles, flux) / getattr(profiles, other)
        return f"{other}_err", values[f"{other}_err"] * ratio
    return "", np.full(len(listed), np.nan)


def _fill_rounded(listed: ListedSources, profiles: Profiles, name: str, source: str, given: Array) -> tuple[Array, int]:
    """Replace errors that are printed as zero by half a unit of the last digit, and count them."""
    step = listed.steps.get(source)
    if step is None:
        return given, 0
    signal = np.abs(profiles.f_peak) / profiles.rms
    expected = {
        "f_peak_err": profiles.rms,
        "f_int_err": profiles.rms * np.abs(profiles.f_int / profiles.f_peak),
    }.get(name, profiles.semiminor * ARCSEC / signal)
    # Without noise or shape nothing is known against the rounding.
    is_rounded = (given == 0) & ~(step < LEAST_SHARE * expected)
    return np.where(is_rounded, step, given), int(is_rounded.sum())


def _refuse(listed: ListedSources, name: str, source: str, is_missing: NDArray[np.bool_]) -> None:
    """Refuse a list with missing errors, with the first row of them."""
    if source:
        refuse_rows(listed, source, is_missing, "is no error", REMEDY)
    column = listed.form.columns.get(name)
    named = f"'{column.name}' for {name}" if column is not None and column.name != name else f"for {name}"
    setting = f'name it by [source_lists] columns = {{ {name} = "…" }}'
    raise SourceListError(f'there is no column {named}; {setting}, or let errors = "condon" compute it')


def _condon_errors(
    listed: ListedSources, profiles: Profiles, rms: Array, is_needed: NDArray[np.bool_], beam: Beam | None
) -> dict[str, Array]:
    """Compute errors by Condon (1997), as for our own fits."""
    if beam is None:
        raise SourceListError("Condon's formulas need the restoring beam, and the image has none; give bmaj and bmin")
    rows = np.flatnonzero(is_needed & ~np.isfinite(rms))
    if rows.size:
        msg = f"Condon's formulas need the local noise, and {listed.place(int(rows[0]))} has none"
        msg += f" ({rows.size} such rows)"
        raise SourceListError(f"{msg}; name its column by [source_lists] columns = {{ rms = …  }}, or give a noise map")
    beam_axes = (beam.bmaj / 2 / ARCSEC, beam.bmin / 2 / ARCSEC)
    axes = (
        np.where(profiles.semimajor > 0, profiles.semimajor, beam_axes[0]),
        np.where(profiles.semiminor > 0, profiles.semiminor, beam_axes[1]),
    )
    found = gaussian_fit_errors(profiles.f_peak, profiles.f_int, rms=rms, axes=axes, beam_axes=beam_axes)
    angle = np.radians(np.where(np.isfinite(profiles.pa), profiles.pa, beam.bpa))
    major, minor = found.major * ARCSEC, found.minor * ARCSEC
    return {
        "ew_fit_err": np.hypot(major * np.sin(angle), minor * np.cos(angle)),
        "ns_fit_err": np.hypot(major * np.cos(angle), minor * np.sin(angle)),
        "f_peak_err": found.peak,
        "f_int_err": found.integrated,
    }
