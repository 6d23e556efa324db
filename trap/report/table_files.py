"""Tables as VOTable and FITS, with units, descriptions and UCDs."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.io import fits
from astropy.table import Column as TableColumn
from astropy.table import Table

from trap import __version__
from trap.escapes import plain_text
from trap.report.columns import plain_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.report.columns import ExportTable
    from trap.tables import Column

__all__ = ["as_fits", "as_votable"]

UCDS = {
    "name": "meta.id",
    "x": "pos.cartesian.x;instr.pixel",
    "y": "pos.cartesian.y;instr.pixel",
    "ra": "pos.eq.ra;meta.main",
    "dec": "pos.eq.dec;meta.main",
    "wm_ra": "pos.eq.ra;meta.main",
    "wm_decl": "pos.eq.dec;meta.main",
    "taustart_ts": "time.start;obs.exposure",
    "freq_central": "em.freq",
    "stokes": "phys.polarization.stokes",
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
    "ra_raw": "pos.eq.ra",
    "dec_raw": "pos.eq.dec",
    "decl_raw": "pos.eq.dec",
    "f_peak_raw": "phot.flux.density;stat.max;em.radio",
    "f_int_raw": "phot.flux.density;em.radio",
    "gain_err": "stat.error;arith.ratio",
}
"""Names of quantities in the Virtual Observatory (UCD1+), by column; the other quantities have none."""


def as_votable(table: ExportTable) -> bytes:
    """Encode a table as VOTable with units, descriptions and UCDs."""
    votable = Table([_table_column(name, *column) for name, column in table.columns.items()])
    about = "".join(f", {key} {plain_text(value)}" for key, value in table.about.items())
    votable.meta["description"] = f"Table of {table.name} by trap {__version__}{about}"
    file = io.BytesIO()
    votable.write(file, format="votable")
    return file.getvalue()


def as_fits(table: ExportTable) -> bytes:
    """Encode a table as a FITS binary table.

    The keywords TCOMMn hold the descriptions of the columns, and TUCDn their UCDs. Properties of the whole table become
    keywords of at most eight letters.
    """
    hdu = fits.BinTableHDU.from_columns(
        [_fits_column(name, column, plain_array(values)) for name, (column, values) in table.columns.items()],
        name=table.name.upper().replace(" ", "_"),
    )
    for i, (name, (column, _)) in enumerate(table.columns.items(), start=1):
        # Text that is too long for a card is continued in the next card.
        hdu.header[f"TCOMM{i}"] = _ascii(column.doc.replace("σ", "sigma"))
        if name in UCDS:
            hdu.header[f"TUCD{i}"] = UCDS[name]
    for key, value in table.about.items():
        keyword = key.upper().replace(" ", "")[:8]
        hdu.header[keyword] = _ascii(value) if isinstance(value, str) else value
    hdu.header["CREATOR"] = f"trap {__version__}"
    file = io.BytesIO()
    hdu.writeto(file)
    return file.getvalue()


def _table_column(name: str, column: Column, values: NDArray[Any]) -> TableColumn:
    """Make a column of an astropy table with unit, description and UCD."""
    values = plain_array(values)
    if values.dtype.kind == "U":
        values = np.array([plain_text(text) for text in values], str)  # XML has no control characters
    return TableColumn(
        values,
        name=name,
        unit=column.unit or None,
        description=column.doc or None,
        meta={"ucd": UCDS[name]} if name in UCDS else {},
    )


def _fits_column(name: str, column: Column, values: NDArray[Any]) -> fits.Column:
    """Make a column of a FITS table; text outside ASCII is replaced, since FITS tables cannot hold it."""
    if values.dtype.kind == "U":
        values = np.array([_ascii(text) for text in values], str)
    return fits.Column(name=name, format=_fits_format(values.dtype), unit=column.unit or None, array=values)


def _fits_format(dtype: np.dtype[Any]) -> str:
    if dtype.kind == "U":
        return f"{max(dtype.itemsize // 4, 1)}A"
    return {"b1": "L", "f4": "E", "f8": "D", "i2": "I", "i4": "J", "i8": "K"}[dtype.str[1:]]


def _ascii(text: str) -> str:
    """Replace characters that are not printable ASCII, which FITS cannot hold in headers and tables."""
    return plain_text(text).encode("ascii", "replace").decode()
