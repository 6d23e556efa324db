"""One simulated sky as the list of each finder, in its own units, conventions, headings and order of columns.

The conventions are those of the finders' own documentation and output, written here from scratch: nothing is imported
from the readers.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from astropy import units
from astropy.coordinates import Angle
from astropy.io import fits
from astropy.table import Table

from trap.images.beam import Beam
from trap.images.metadata import ImageMetadata

CENTRE = (0.05, 61.0)
"""deg — near RA 0, where right ascensions wrap, and at a declination that halves their differences."""
BEAM = Beam(bmaj=12 / 3600, bmin=8 / 3600, bpa=30.0)
PIXEL = 2 / 3600


@dataclass(frozen=True, kw_only=True)
class Sky:
    """Sources in degrees, Jy, and arcsec for semi-axes."""

    ra: np.ndarray
    dec: np.ndarray
    ew_err: np.ndarray
    ns_err: np.ndarray
    f_peak: np.ndarray
    f_peak_err: np.ndarray
    f_int: np.ndarray
    f_int_err: np.ndarray
    rms: np.ndarray
    semimajor: np.ndarray
    semiminor: np.ndarray
    pa: np.ndarray
    x: np.ndarray
    y: np.ndarray
    island: np.ndarray

    def __len__(self):
        return len(self.ra)


def make_sky(n: int = 12, seed: int = 1) -> Sky:
    """Make sources on both sides of RA 0, of which the first two share an island."""
    rng = np.random.default_rng(seed)
    east, north = rng.uniform(-0.12, 0.12, (2, n))
    dec = CENTRE[1] + north
    rms = rng.uniform(1e-4, 2e-4, n)
    signal = rng.uniform(8, 80, n)
    semimajor, semiminor = rng.uniform(6.0, 8.0, n), rng.uniform(4.0, 5.5, n)
    f_peak = rms * signal
    f_int = f_peak * semimajor * semiminor / (6 * 4)
    return Sky(
        ra=(CENTRE[0] + east / np.cos(np.radians(dec))) % 360,
        dec=dec,
        ew_err=semimajor / signal / 3600 * rng.uniform(0.5, 1, n),
        ns_err=semimajor / signal / 3600 * rng.uniform(0.5, 1, n),
        f_peak=f_peak,
        f_peak_err=rms * rng.uniform(0.7, 1.3, n),
        f_int=f_int,
        f_int_err=rms * rng.uniform(1.3, 2.0, n),
        rms=rms,
        semimajor=semimajor,
        semiminor=semiminor,
        pa=rng.uniform(1, 179, n),
        x=250 - east / PIXEL,
        y=250 + north / PIXEL,
        island=np.array([1, *range(1, n)]),
    )


def make_metadata(**changes: object) -> ImageMetadata:
    """Make the metadata of the image of the sky."""
    values = {
        "url": "image.fits",
        "taustart_ts": datetime(2026, 1, 1, tzinfo=UTC),
        "tau_time": 600.0,
        "freq_eff": 8.875e8,
        "freq_bw": 2.88e8,
        "stokes": 1,
        "telescope": "",
        "beam": BEAM,
        "centre_ra": CENTRE[0],
        "centre_dec": CENTRE[1],
        "deltax": -PIXEL,
        "deltay": PIXEL,
        "nx": 501,
        "ny": 501,
        "unit": "Jy/beam",
    }
    return ImageMetadata(**(values | changes))


# Selavy: names of the columns, widths, units and decimals.
SELAVY = (
    *(("island_id", 11, "--", None), ("component_id", 13, "--", None), ("component_name", 15, "", None)),
    *(("ra_hms_cont", 12, "", None), ("dec_dms_cont", 13, "", None)),
    *(("ra_deg_cont", 12, "[deg]", 6), ("dec_deg_cont", 13, "[deg]", 6)),
    *(("ra_err", 9, "[arcsec]", 2), ("dec_err", 9, "[arcsec]", 2), ("freq", 6, "[MHz]", 1)),
    *(("flux_peak", 12, "[mJy/beam]", 6), ("flux_peak_err", 14, "[mJy/beam]", 6)),
    *(("flux_int", 12, "[mJy]", 6), ("flux_int_err", 13, "[mJy]", 6)),
    *(("maj_axis", 9, "[arcsec]", 2), ("min_axis", 9, "[arcsec]", 2), ("pos_ang", 8, "[deg]", 2)),
    *(("maj_axis_err", 13, "[arcsec]", 2), ("min_axis_err", 13, "[arcsec]", 2), ("pos_ang_err", 12, "[deg]", 2)),
    *(("maj_axis_deconv", 16, "[arcsec]", 2), ("min_axis_deconv", 16, "[arcsec]", 2)),
    ("pos_ang_deconv", 15, "[deg]", 2),
    *(("maj_axis_deconv_err", 20, "[arcsec]", 2), ("min_axis_deconv_err", 20, "[arcsec]", 2)),
    *(("pos_ang_deconv_err", 19, "[deg]", 2), ("chi_squared_fit", 16, "--", 6), ("rms_fit_gauss", 14, "[mJy/beam]", 6)),
    *(("spectral_index", 15, "--", 2), ("spectral_curvature", 19, "--", 2)),
    *(("spectral_index_err", 19, "--", 2), ("spectral_curvature_err", 23, "--", 2), ("rms_image", 11, "[mJy/beam]", 6)),
    *(("has_siblings", 13, "", 0), ("fit_is_estimate", 16, "", 0), ("spectral_index_from_TT", 23, "", 0)),
    *(("flag_c4", 8, "", 0), ("comment", 100, "", None)),
)  # fmt: skip


def selavy_cells(sky: Sky) -> list[dict[str, str]]:
    """Print the rows of Selavy: full widths, mJy, and errors in arcsec on the sky."""
    letters = "abcdefgh"
    rows = []
    for i in range(len(sky)):
        member = int((sky.island[:i] == sky.island[i]).sum())
        values = {
            "island_id": f"SB1_island_{sky.island[i]}",
            "component_id": f"SB1_component_{sky.island[i]}{letters[member]}",
            "component_name": "J000012+610000",
            "ra_hms_cont": Angle(sky.ra[i], "deg").to_string("hour", sep=":", precision=1, pad=True),
            "dec_dms_cont": Angle(sky.dec[i], "deg").to_string("deg", sep=":", precision=0, pad=True, alwayssign=True),
            "ra_deg_cont": sky.ra[i],
            "dec_deg_cont": sky.dec[i],
            "ra_err": sky.ew_err[i] * 3600,
            "dec_err": sky.ns_err[i] * 3600,
            "freq": 887.5,
            "flux_peak": sky.f_peak[i] * 1e3,
            "flux_peak_err": sky.f_peak_err[i] * 1e3,
            "flux_int": sky.f_int[i] * 1e3,
            "flux_int_err": sky.f_int_err[i] * 1e3,
            "maj_axis": 2 * sky.semimajor[i],
            "min_axis": 2 * sky.semiminor[i],
            "pos_ang": sky.pa[i],
            "maj_axis_deconv": 3.21,
            "min_axis_deconv": 1.23,
            "rms_image": sky.rms[i] * 1e3,
            "has_siblings": int((sky.island == sky.island[i]).sum() > 1),
            "flag_c4": 1,
            "comment": "",
        }
        decimals = {name: number for name, _, _, number in SELAVY}
        rows.append(
            {
                name: values[name] if decimals[name] is None else f"{values.get(name, 0):.{decimals[name]}f}"
                for name in decimals
            }
        )
    return rows


def selavy_text(sky: Sky) -> bytes:
    """Print Selavy's text: columns of fixed width below two lines of comments."""
    rows = selavy_cells(sky)
    widths = {name: max(width, len(name), *(len(row[name]) for row in rows)) + 1 for name, width, _, _ in SELAVY}
    names = "".join(f"{name:>{widths[name]}}" for name in widths)
    units_line = "".join(f"{unit:>{widths[name]}}" for name, _, unit, _ in SELAVY)
    lines = [f"#{names[1:]}", f"#{units_line[1:]}"]
    lines += ["".join(f"{row[name]:>{widths[name]}}" for name in widths) for row in rows]
    return ("\n".join(lines) + "\n").encode()


def selavy_votable(sky: Sky) -> bytes:
    """Write Selavy's VOTable, whose fields have the width and the number of decimals of the printed text."""
    fields = []
    for name, width, unit, decimals in SELAVY:
        kind = 'datatype="char" arraysize="40"' if decimals is None else 'datatype="int"' if decimals == 0 else None
        kind = kind or f'datatype="{"double" if "deg_cont" in name else "float"}" precision="{decimals}"'
        fields.append(f'<FIELD name="{name}" ID="col_{name}" {kind} unit="{unit.strip("[]")}" width="{width}"/>')
    rows = ["<TR>" + "".join(f"<TD>  {cell}</TD>" for cell in row.values()) + "</TR>" for row in selavy_cells(sky)]
    return (
        '<?xml version="1.0"?>\n<VOTABLE version="1.3" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">\n'
        '<COOSYS ID="J2000" equinox="J2000" system="eq_FK5"/>\n<RESOURCE name="Component catalogue from Selavy">\n'
        '<TABLE name="Component catalogue">\n' + "\n".join(fields) + "\n<DATA><TABLEDATA>\n" + "\n".join(rows)
        + "\n</TABLEDATA></DATA></TABLE></RESOURCE></VOTABLE>\n"
    ).encode()  # fmt: skip


def casda_csv(sky: Sky) -> bytes:
    """Print CASDA's CSV: further columns, small letters, and no zeros at the end of numbers."""
    stream = io.StringIO()
    names = [name for name, _, _, _ in SELAVY]
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(["id", "catalogue_id", "project_id", *(name.lower() for name in names), "quality_level"])
    for i, row in enumerate(selavy_cells(sky)):
        cells = [str(float(cell)) if "." in cell and ":" not in cell else cell for cell in row.values()]
        writer.writerow([10596726 + i, 340, 18, *cells, "NOT_VALIDATED"])
    return stream.getvalue().encode()


def pybdsf_columns(sky: Sky, kind: str) -> dict[str, tuple[str, np.ndarray]]:
    """Return units and values of PyBDSF's columns: full widths in degrees, Jy, errors in degrees on the sky."""
    n = len(sky)
    small, ones = np.full(n, 1e-5), np.ones(n)
    names = {"gaul": {"Gaus_id": np.arange(n)}, "srl": {}}[kind]
    numbers = names | ({"Isl_id": sky.island - 1, "Source_id": np.arange(n)} if kind == "gaul" else {})
    numbers |= (
        {"Wave_id": np.zeros(n, int)} if kind == "gaul" else {"Source_id": np.arange(n), "Isl_id": sky.island - 1}
    )
    columns = {name: ("", values) for name, values in numbers.items()}
    columns |= {
        "RA": ("deg", sky.ra),
        "E_RA": ("deg", sky.ew_err),
        "DEC": ("deg", sky.dec),
        "E_DEC": ("deg", sky.ns_err),
    }
    columns |= {"Total_flux": ("Jy", sky.f_int), "E_Total_flux": ("Jy", sky.f_int_err)}
    columns |= {"Peak_flux": ("Jy/beam", sky.f_peak), "E_Peak_flux": ("Jy/beam", sky.f_peak_err)}
    if kind == "srl":
        columns |= {"RA_max": ("deg", sky.ra + 1e-4), "E_RA_max": ("deg", sky.ew_err)}
        columns |= {"DEC_max": ("deg", sky.dec + 1e-4), "E_DEC_max": ("deg", sky.ns_err)}
    if kind == "gaul":
        columns |= {"Xposn": ("pix", sky.x), "E_Xposn": ("pix", small), "Yposn": ("pix", sky.y)}
        columns |= {"E_Yposn": ("pix", small)}
    shape = (("Maj", sky.semimajor * 2 / 3600), ("Min", sky.semiminor * 2 / 3600), ("PA", sky.pa))
    for prefix, suffix, factor in (("", "", 1), ("", "_img_plane", 1.1), ("DC_", "", 0.2), ("DC_", "_img_plane", 0.3)):
        for name, values in shape:
            columns[f"{prefix}{name}{suffix}"] = ("deg", values * factor)
            columns[f"E_{prefix}{name}{suffix}"] = ("deg", small)
    columns |= {"Isl_Total_flux": ("Jy", sky.f_int * 1.2), "E_Isl_Total_flux": ("Jy", sky.f_int_err)}
    columns |= {"Isl_rms": ("Jy/beam", sky.rms), "Isl_mean": ("Jy/beam", small)}
    columns |= {"Resid_Isl_rms": ("Jy/beam", sky.rms * 0.9), "Resid_Isl_mean": ("Jy/beam", small * ones)}
    return columns | {"S_Code": ("", np.array(["M", "M", *"S" * (n - 2)]))}


def pybdsf_fits(sky: Sky, kind: str = "gaul") -> bytes:
    """Write PyBDSF's FITS table."""
    formats = {"i": "J", "f": "D", "U": "A"}
    columns = [
        fits.Column(name=name, format=formats[values.dtype.kind], unit=unit or " ", array=values)
        for name, (unit, values) in pybdsf_columns(sky, kind).items()
    ]
    table = fits.BinTableHDU.from_columns(columns)
    table.header.add_comment("Gaussian list for image.fits")
    table.header.add_comment("Generated by PyBDSM version 1.11.0")
    table.header["FREQ0"], table.header["EQUINOX"] = 1.44e8, 2000.0
    return _fits_bytes(table)


def pybdsf_text(sky: Sky, kind: str = "gaul", separator: str = ", ") -> bytes:
    """Print PyBDSF's CSV (or, between blanks, its ASCII list), with the heading in the last comment."""
    columns = pybdsf_columns(sky, kind)
    lines = ["# Gaussian list for image.fits", "# Generated by PyBDSM version 1.11.0"]
    lines += ['# Reference frequency of the detection ("ch0") image: 1.44000e+08 Hz', "# Equinox : 2000.0 ", ""]
    lines += [f"# {separator.join(columns)}"] if len(sky) else []
    forms = {"i": "{:4d}", "f": "{:.14f}", "U": "{:4s}"}
    for i in range(len(sky)):
        lines.append(separator.join(forms[values.dtype.kind].format(values[i]) for _, values in columns.values()))
    return ("\n".join(lines) + "\n").encode()


def aegean_table(sky: Sky) -> Table:
    """Return Aegean's columns: full widths in arcsec, errors in degrees on the sky, no units."""
    n, small = len(sky), np.full(len(sky), 1e-3)
    member = [int((sky.island[:i] == sky.island[i]).sum()) for i in range(n)]
    text = np.array(["00:00:12.00"] * n)
    columns = {"island": sky.island, "source": np.array(member), "background": small, "local_rms": sky.rms}
    columns |= {
        "ra_str": text,
        "dec_str": text,
        "ra": sky.ra,
        "err_ra": sky.ew_err,
        "dec": sky.dec,
        "err_dec": sky.ns_err,
    }
    columns |= {"peak_flux": sky.f_peak, "err_peak_flux": sky.f_peak_err, "int_flux": sky.f_int}
    columns |= {"err_int_flux": sky.f_int_err, "a": 2 * sky.semimajor, "err_a": small, "b": 2 * sky.semiminor}
    columns |= {"err_b": small, "pa": sky.pa, "err_pa": small, "flags": np.zeros(n, int), "residual_mean": small}
    columns |= {"residual_std": small, "uuid": np.array([f"c0ffee-{i}" for i in range(n)]), "psf_a": small}
    return Table(columns | {"psf_b": small, "psf_pa": small})


def aegean_csv(sky: Sky) -> bytes:
    """Print Aegean's CSV."""
    return _written(aegean_table(sky), "ascii.csv")


def aegean_fits(sky: Sky) -> bytes:
    """Write Aegean's FITS table, with all numbers in single precision as its earlier versions do."""
    table = aegean_table(sky)
    formats = {"i": "J", "f": "E", "U": "20A"}
    columns = [
        fits.Column(name=name, format=formats[table[name].dtype.kind], array=table[name]) for name in table.colnames
    ]
    return _fits_bytes(fits.BinTableHDU.from_columns(columns))


def aegean_votable(sky: Sky) -> bytes:
    """Write Aegean's VOTable."""
    return _written(aegean_table(sky), "votable")


def pyse_csv(sky: Sky, *, former: bool = False) -> bytes:
    """Print PySE's CSV: semi-axes in arcsec, and the error of the right ascension as a difference of coordinates."""
    names = {
        "ra": sky.ra,
        "ra_err": sky.ew_err / np.cos(np.radians(sky.dec)),
        "dec": sky.dec,
        "dec_err": sky.ns_err,
        "smaj_asec": sky.semimajor,
        "smaj_asec_err": sky.semimajor / 100,
        "smin_asec": sky.semiminor,
        "smin_asec_err": sky.semiminor / 100,
        "theta_celes": sky.pa,
        "theta_celes_err": sky.pa / 100,
        "flux": sky.f_int,
        "flux_err": sky.f_int_err,
        "peak": sky.f_peak,
        "peak_err": sky.f_peak_err,
        "x": sky.x,
        "y": sky.y,
        "sig": sky.f_peak / sky.rms,
        "reduced_chisq": np.full(len(sky), 0.9),
    }
    first = ("peak", "peak_err", "flux", "flux_err", "x", "y")
    heading = [*first, *(name for name in names if name not in first)]
    names = names if former else {name: names[name] for name in heading}
    if former:
        heading = ["ra", "ra_err", "dec", "dec_err", "smaj", "smaj_err", "smin", "smin_err", "pa", "pa_err"]
        heading += ["int_flux", "int_flux_err", "pk_flux", "pk_flux_err", "x", "y", "snr", "reduced_chisq"]
    rows = [", ".join(f"{values[i]:f}" for values in names.values()) for i in range(len(sky))]
    return ("\n".join([", ".join(heading), *rows]) + "\n").encode()


def plain_table(sky: Sky) -> Table:
    """Return a table of nobody's: names of Vizier, arcmin for full widths, mJy, and units."""
    return Table(
        {
            "Name": [f"J{i}" for i in range(len(sky))],
            "RAJ2000": sky.ra * units.deg,
            "DEJ2000": sky.dec * units.deg,
            "e_RAJ2000": sky.ew_err * 3600 * units.arcsec,
            "e_DEJ2000": sky.ns_err * 3600 * units.arcsec,
            "Sp": sky.f_peak * 1e3 * units.Unit("mJy/beam"),
            "e_Sp": sky.f_peak_err * 1e6 * units.Unit("uJy/beam"),
            "Si": sky.f_int * 1e3 * units.mJy,
            "e_Si": sky.f_int_err * 1e3 * units.mJy,
            "Maj": sky.semimajor / 30 * units.arcmin,
            "Min": sky.semiminor / 30 * units.arcmin,
            "PA": sky.pa * units.deg,
            "noise": sky.rms * 1e3 * units.Unit("mJy/beam"),
        }
    )


PLAIN_COLUMNS = {
    "id": "Name",
    "ra": "RAJ2000",
    "dec": "DEJ2000",
    "ew_fit_err": "e_RAJ2000",
    "ns_fit_err": "e_DEJ2000",
    "f_peak": "Sp",
    "f_peak_err": "e_Sp",
    "f_int": "Si",
    "f_int_err": "e_Si",
    "major": "Maj",
    "minor": "Min",
    "pa": "PA",
    "rms": "noise",
}
"""Columns of the table of nobody's, by quantity."""
PLAIN_UNITS = {
    "ra": "deg",
    "dec": "deg",
    "ew_fit_err": "arcsec",
    "ns_fit_err": "arcsec",
    "f_peak": "mJy/beam",
    "f_peak_err": "uJy/beam",
    "f_int": "mJy",
    "f_int_err": "mJy",
    "major": "arcmin",
    "minor": "arcmin",
    "pa": "deg",
    "rms": "mJy/beam",
}


def table_bytes(table: Table, form: str) -> bytes:
    """Write a table of astropy in one of its formats."""
    return _fits_bytes(fits.table_to_hdu(table)) if form == "fits" else _written(table, form)


def json_rows(rows: list[dict[str, object]]) -> bytes:
    """Print rows as JSON."""
    return json.dumps(rows).encode()


def _written(table: Table, form: str) -> bytes:
    stream = io.BytesIO() if form == "votable" else io.StringIO()
    table.write(stream, format=form)
    content = stream.getvalue()
    return content if isinstance(content, bytes) else content.encode()


def _fits_bytes(table: fits.BinTableHDU) -> bytes:
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(stream)
    return stream.getvalue()
