"""Sources of one image as tables for other programs: VOTable and FITS, with units and meanings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits
from astropy.table import Column as TableColumn
from astropy.table import Table

from trap import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from trap.report.source_columns import SourceColumns

__all__ = ["write_fits_table", "write_votable"]

UCDS = {
    "name": "meta.id",
    "x": "pos.cartesian.x;instr.pixel",
    "y": "pos.cartesian.y;instr.pixel",
    "ra": "pos.eq.ra;meta.main",
    "dec": "pos.eq.dec;meta.main",
    "ew_fit_err": "stat.error;pos.eq.ra",
    "ns_fit_err": "stat.error;pos.eq.dec",
    "ew_sys_err": "stat.error.sys;pos.eq.ra",
    "ns_sys_err": "stat.error.sys;pos.eq.dec",
    "f_peak": "phot.flux.density;stat.max;em.radio",
    "f_peak_err": "stat.error;phot.flux.density;em.radio",
    "f_int": "phot.flux.density;em.radio",
    "f_int_err": "stat.error;phot.flux.density;em.radio",
    "rms": "instr.background;stat.stdev",
    "significance": "stat.snr",
    "semimajor": "phys.angSize.smajAxis",
    "semiminor": "phys.angSize.sminAxis",
    "pa": "pos.posAng",
    "chisq": "stat.fit.chi2",
    "reduced_chisq": "stat.fit.goodness",
    "flags": "meta.code.qual",
}
"""What the Virtual Observatory calls these quantities (UCD1+); the rest have no word of their own."""


def write_votable(path: Path, columns: SourceColumns, about: Mapping[str, str | float]) -> None:
    """Write a VOTable; an earlier one is replaced.

    Parameters
    ----------
    about
        What holds for all rows: the image, the thresholds.

    Raises
    ------
    OSError
        If the file cannot be written; so for all functions here.
    """
    table = Table(
        [
            TableColumn(
                values,
                name=name,
                unit=column.unit or None,
                description=column.doc,
                meta={"ucd": UCDS[name]} if name in UCDS else {},
            )
            for name, (column, values) in columns.items()
        ]
    )
    told = ", ".join(f"{key} {value}" for key, value in about.items())
    table.meta["description"] = f"Sources found by trap {__version__}: {told}"
    table.write(path, format="votable", overwrite=True)


def write_fits_table(path: Path, columns: SourceColumns, about: Mapping[str, str | float]) -> None:
    """Write a FITS binary table; an earlier one is replaced.

    The comments TCOMMn hold the meanings of the columns, TUCDn their UCDs.

    Parameters
    ----------
    about
        As for :func:`write_votable`; the keys become keywords of eight letters.
    """
    table = fits.BinTableHDU.from_columns(
        [
            fits.Column(
                name=name, format=_fits_format(values.dtype), unit=column.unit or None, array=_ascii_column(values)
            )
            for name, (column, values) in columns.items()
        ],
        name="SOURCES",
    )
    for i, (name, (column, _)) in enumerate(columns.items(), start=1):
        # What is too long for a card goes on in the next one.
        table.header[f"TCOMM{i}"] = _ascii(column.doc.replace("σ", "sigma"))
        if name in UCDS:
            table.header[f"TUCD{i}"] = UCDS[name]
    for key, value in about.items():
        keyword = key.upper().replace(" ", "")[:8]
        table.header[keyword] = _ascii(value) if isinstance(value, str) else value
    table.header["CREATOR"] = f"trap {__version__}"
    table.writeto(path, overwrite=True)


def _fits_format(dtype: np.dtype[Any]) -> str:
    if dtype.kind == "U":
        return f"{max(dtype.itemsize // 4, 1)}A"
    return {"f8": "D", "i2": "I", "i4": "J", "i8": "K"}[dtype.str[1:]]


def _ascii(text: str) -> str:
    """FITS knows nothing else, in headers and in tables."""
    return text.encode("ascii", "replace").decode()


def _ascii_column(values: NDArray[Any]) -> NDArray[Any]:
    return np.array([_ascii(text) for text in values]) if values.dtype.kind == "U" else values
