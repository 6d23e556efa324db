"""The settings of source lists, which other source finders made: their format, columns and missing errors."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from trap.config.sections import Settings

__all__ = ["DEFAULT_SOURCE_LISTS", "QUANTITIES", "SourceListConfig"]

QUANTITIES = {
    "id": "",
    "ra": "deg",
    "dec": "deg",
    "ew_fit_err": "deg",
    "ns_fit_err": "deg",
    "ra_err": "deg",
    "f_peak": "Jy/beam",
    "f_peak_err": "Jy/beam",
    "f_int": "Jy",
    "f_int_err": "Jy",
    "rms": "Jy/beam",
    "significance": "",
    "semimajor": "arcsec",
    "semiminor": "arcsec",
    "major": "arcsec",
    "minor": "arcsec",
    "pa": "deg",
    "x": "pix",
    "y": "pix",
    "island": "",
}
"""Quantities of the sources in a list, with the units that they are converted to.

Names are columns of :class:`trap.catalogues.Measurements`, and four more: ``id`` names a source within its list,
``ra_err`` is the error of the right ascension as a difference of coordinates (``ew_fit_err`` is this error times the
cosine of the declination), and ``major`` and ``minor`` are full widths at half maximum.
"""
WITHOUT_UNIT = ("id", "significance", "island")


def _checked_columns(columns: dict[str, str]) -> dict[str, str]:
    """Return the names of columns; refuse quantities that no list has."""
    for quantity, name in columns.items():
        if quantity not in QUANTITIES:
            msg = f"{quantity!r} is no quantity of a source list; choose from {', '.join(QUANTITIES)}"
            raise ValueError(msg)
        if not name.strip():
            msg = f"the column of {quantity} needs a name"
            raise ValueError(msg)
    return columns


def _checked_units(units: dict[str, str]) -> dict[str, str]:
    """Return the units; refuse quantities that have none."""
    for quantity in units:
        if quantity not in QUANTITIES or quantity in WITHOUT_UNIT:
            msg = f"{quantity!r} is no quantity with a unit; choose from "
            raise ValueError(msg + ", ".join(name for name in QUANTITIES if name not in WITHOUT_UNIT))
    return units


class SourceListConfig(Settings):
    """How source lists of other finders are read."""

    format: Literal["auto", "selavy", "pybdsf", "aegean", "pyse", "transients", "table"] = "auto"
    """Format of the lists. `"auto"` recognises it by the columns; a list of no known finder is a `"table"`."""
    columns: Annotated[dict[str, str], AfterValidator(_checked_columns)] = Field(default_factory=dict)
    """Columns of the lists by quantity, such as `{ ra = "RAJ2000", dec = "DEJ2000", f_int = "Si" }`. They replace
    columns of a known format; a table needs `ra`, `dec`, and `f_int` or `f_peak`."""
    units: Annotated[dict[str, str], AfterValidator(_checked_units)] = Field(default_factory=dict)
    """Units of columns that have none in the file, such as `{ f_int = "mJy" }`. A unit here overrides the unit of the
    file."""
    errors: Literal["refuse", "condon"] = "refuse"
    """Errors that are missing, negative, zero or not finite: `"refuse"` leaves the image out with the column and the
    row, `"condon"` computes these errors from the noise and the beam by the formulas of Condon (1997)."""

    def __hash__(self) -> int:
        # A dict has no hash; settings of reading are keys of a cache.
        return hash((self.format, tuple(self.columns.items()), tuple(self.units.items()), self.errors))


DEFAULT_SOURCE_LISTS = SourceListConfig()
"""Default settings: the format is recognised, and impossible errors are refused."""
