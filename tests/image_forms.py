"""One simulated image, written in every form that can be read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from astropy.io import fits

from trap.config import ReadingConfig
from trap.images.beam import Beam
from trap.simulation.pixels import noise_transfer, render_noise, render_sources

if TYPE_CHECKING:
    from collections.abc import Callable

BEAM = Beam(bmaj=30 / 3600, bmin=22 / 3600, bpa=40.0)
PIXEL = 5 / 3600
SHAPE = (120, 140)
SOURCES = ((40.3, 33.8, 0.05), (95.1, 80.6, 0.03), (30.0, 90.2, 0.02))
"""Sources: x and y in pixels, and flux density in Jy."""
RMS = 2e-4


def pixels() -> np.ndarray:
    """Return pixels, (ny, nx) Jy/beam: three sources in noise that is correlated like the beam."""
    form = BEAM.quadratic_form(-PIXEL, PIXEL)
    x, y, flux = (np.array(column) for column in zip(*SOURCES, strict=True))
    noise = render_noise(np.random.default_rng(5), noise_transfer(form, SHAPE), SHAPE)
    return (render_sources(x, y, flux, beam_form=form, shape=SHAPE) + RMS * noise).astype(np.float32)


AXES = {
    "ra": ("RA---SIN", 150.0, (SHAPE[1] + 1) / 2, -PIXEL, "deg"),
    "dec": ("DEC--SIN", -30.0, (SHAPE[0] + 1) / 2, PIXEL, "deg"),
    "freq": ("FREQ", 1.4e9, 1.0, 1e7, "Hz"),
    "stokes": ("STOKES", 1.0, 1.0, 1.0, ""),
}


def header(*axes: str, **changes: Any) -> fits.Header:
    """Return the header of the image with its axes in a given order; None removes a keyword."""
    made = fits.Header()
    for number, name in enumerate(axes, 1):
        for keyword, value in zip(("CTYPE", "CRVAL", "CRPIX", "CDELT", "CUNIT"), AXES[name], strict=True):
            made[f"{keyword}{number}"] = value
    made["RADESYS"], made["BUNIT"] = "ICRS", "Jy/beam"
    made["BMAJ"], made["BMIN"], made["BPA"] = BEAM.bmaj, BEAM.bmin, BEAM.bpa
    made["DATE-OBS"], made["TIMESYS"], made["TELESCOP"] = "2020-08-03T04:33:55.500000", "UTC", "ASKAP"
    for keyword, value in changes.items():
        name = keyword.replace("_", "-")
        made.remove(name, ignore_missing=True)
        if value is not None:
            made[name] = value
    return made


def as_cube(order: tuple[str, ...], planes: dict[str, int] | None = None) -> np.ndarray:
    """Return the pixels with axes in an order (of FITS); ``planes`` makes them one plane of a cube of noise."""
    planes = planes or {}
    lengths = {"freq": planes.get("freq", 0) + 1, "stokes": planes.get("stokes", 0) + 1}
    cube = np.random.default_rng(8).normal(0, 1, (lengths["stokes"], lengths["freq"], *SHAPE)).astype(np.float32)
    cube[-1, -1] = pixels()
    names = ["stokes", "freq", "dec", "ra"]
    for name in ("stokes", "freq"):
        if name not in order:
            cube, names = cube[(slice(None),) * names.index(name) + (0,)], [n for n in names if n != name]
    return np.transpose(cube, [names.index(name) for name in reversed(order)])


def write_fits(path: Path, order: tuple[str, ...] = ("ra", "dec"), **changes: Any) -> Path:
    """Write the image with its axes in an order; without a frequency axis, a keyword gives the frequency."""
    changes = ({} if "freq" in order else {"RESTFRQ": 1.4e9, "RESTBW": 1e7}) | changes
    fits.PrimaryHDU(as_cube(order), header(*order, **changes)).writeto(path)
    return path


def write_cube(path: Path, order: tuple[str, ...]) -> Path:
    """Write a cube with the image as the last channel of the second Stokes parameter (named I)."""
    changes = {f"CRVAL{order.index('freq') + 1}": 1.4e9 - 2e7}
    if "stokes" in order:
        # The Stokes axis runs from Q downwards, so I is second.
        number = order.index("stokes") + 1
        changes |= {f"CRVAL{number}": 2.0, f"CDELT{number}": -1.0}
    data = as_cube(order, {"freq": 2, "stokes": int("stokes" in order)})
    fits.PrimaryHDU(data, header(*order, **changes)).writeto(path)
    return path


def write_rotated(path: Path, form: str) -> Path:
    """Write the image with an identity matrix in one of the three conventions of FITS."""
    made = header("ra", "dec", RESTFRQ=1.4e9, RESTBW=1e7)
    if form == "CD":
        del made["CDELT*"]
        made["CD1_1"], made["CD1_2"], made["CD2_1"], made["CD2_2"] = -PIXEL, 0.0, 0.0, PIXEL
    elif form == "PC":
        made["PC1_1"], made["PC1_2"], made["PC2_1"], made["PC2_2"] = 1.0, 0.0, 0.0, 1.0
    else:
        made["CROTA1"], made["CROTA2"] = 0.0, 0.0
    fits.PrimaryHDU(pixels(), made).writeto(path)
    return path


def write_compressed(path: Path) -> Path:
    """Write the image compressed within FITS, without loss."""
    hdu = fits.CompImageHDU(
        as_cube(("ra", "dec", "freq")),
        header("ra", "dec", "freq"),
        compression_type="GZIP_2",
        quantize_level=0,
        tile_shape=(1, *SHAPE),
    )
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    return path


def write_named_unit(path: Path) -> Path:
    """Write the image as the second of two HDUs with images."""
    other = fits.ImageHDU(np.zeros(SHAPE, np.float32), header("ra", "dec"), name="MASK")
    image = fits.ImageHDU(as_cube(("ra", "dec", "freq")), header("ra", "dec", "freq"), name="IMAGE")
    fits.HDUList([fits.PrimaryHDU(), other, image]).writeto(path)
    return path


def write_with_beam_table(path: Path) -> Path:
    """Write the image with its beam in CASA's table of beams, in arcsec."""
    made = header("ra", "dec", "freq", BMAJ=None, BMIN=None, BPA=None, CASAMBM=True)
    columns = [
        fits.Column("BMAJ", "E", "arcsec", array=[BEAM.bmaj * 3600]),
        fits.Column("BMIN", "E", "arcsec", array=[BEAM.bmin * 3600]),
        fits.Column("BPA", "E", "deg", array=[BEAM.bpa]),
        fits.Column("CHAN", "J", array=[0]),
        fits.Column("POL", "J", array=[0]),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="BEAMS")
    fits.HDUList([fits.PrimaryHDU(as_cube(("ra", "dec", "freq")), made), table]).writeto(path)
    return path


def write_casa(path: Path, order: tuple[str, ...] = ("ra", "dec", "stokes", "freq")) -> Path:
    """Write the image as a CASA image table."""
    from casacore.images import image  # noqa: PLC0415 (slow to import)

    source = write_fits(path.with_suffix(".for-casa.fits"), order)
    image(str(source)).saveas(str(path))
    source.unlink()
    return path


def write_hdf5(path: Path) -> Path:
    """Write the image as casacore writes HDF5, with the record that casacore makes for its own table."""
    from casacore.tables import table  # noqa: PLC0415

    casa = write_casa(path.with_suffix(".for-hdf5"))
    with table(str(casa), ack=False) as opened, h5py.File(path, "w") as file:
        record = opened.getkeywords()
        file["map"] = opened.getcell("map", 0)
        write_record(file.create_group("coordinfo").create_group("coords"), record["coords"])
        write_record(file.create_group("imageinfo"), record["imageinfo"])
        write_record(file.create_group("unitinfo"), {"units": record["units"]})
    return path


def write_record(group: h5py.Group, record: dict[str, Any]) -> None:
    """Write a record as casacore does: fields are attributes, records are groups, and no text is empty."""
    for name, value in record.items():
        if isinstance(value, dict):
            write_record(group.create_group(name), value)
        elif isinstance(value, str):
            group.attrs[name] = np.bytes_(value or "__empty__")
        elif isinstance(value, list):
            group.attrs.create(name, value, dtype=h5py.string_dtype())
        else:
            group.attrs[name] = value


FORMS: dict[str, tuple[Callable[[Path], Path], ReadingConfig]] = {
    "2-axes.fits": (write_fits, ReadingConfig()),
    "3-axes.fits": (lambda path: write_fits(path, ("ra", "dec", "freq")), ReadingConfig()),
    "4-axes.fits": (lambda path: write_fits(path, ("ra", "dec", "freq", "stokes")), ReadingConfig()),
    "stokes-first.fits": (lambda path: write_fits(path, ("stokes", "freq", "ra", "dec")), ReadingConfig()),
    "sky-apart.fits": (lambda path: write_fits(path, ("ra", "freq", "dec")), ReadingConfig()),
    "sky-swapped.fits": (lambda path: write_fits(path, ("dec", "ra", "freq")), ReadingConfig()),
    "cube.fits": (lambda path: write_cube(path, ("ra", "dec", "freq")), ReadingConfig(channel=2)),
    "stokes-cube.fits": (
        lambda path: write_cube(path, ("ra", "dec", "stokes", "freq")),
        ReadingConfig(channel=2, stokes="I"),
    ),
    "turned-cube.fits": (
        lambda path: write_cube(path, ("freq", "stokes", "dec", "ra")),
        ReadingConfig(channel=2, stokes="I"),
    ),
    "pc.fits": (lambda path: write_rotated(path, "PC"), ReadingConfig()),
    "cd.fits": (lambda path: write_rotated(path, "CD"), ReadingConfig()),
    "crota.fits": (lambda path: write_rotated(path, "CROTA"), ReadingConfig()),
    "squeezed.fits.gz": (lambda path: write_fits(path, ("ra", "dec", "freq")), ReadingConfig()),
    "squeezed.fits.fz": (write_compressed, ReadingConfig()),
    "named-unit.fits": (write_named_unit, ReadingConfig(hdu="image")),
    "numbered-unit.fits": (write_named_unit, ReadingConfig(hdu="2")),
    "beam-table.fits": (write_with_beam_table, ReadingConfig()),
    "table.image": (write_casa, ReadingConfig()),
    "lofar.h5": (write_hdf5, ReadingConfig()),
}
"""For each file name, the function that writes the file and the settings that read it."""
