"""Regions of sources, measurements and images for DS9 and CASA, written chunk by chunk.

The library ``regions`` takes a millisecond to make and write a region, and a quarter of an hour for a million of them:
the lines are written here, and read back by the library in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.angles import wrap_ra
from trap.errors import ConfigError
from trap.escapes import plain_text
from trap.report.table_stream import parts

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import BinaryIO

    from trap.report.table_stream import TableStream
    from trap.typing import Array, Columns

__all__ = ["has_regions", "region_label", "write_crtf", "write_ds9"]

_LABEL = str.maketrans(
    {"{": "(", "}": ")", "[": "(", "]": ")", "'": "`", '"': "`", ";": " ", ",": " ", "#": "_", "=": "_"}
)
"""Characters that would end a label, or begin a comment, a further region or another property."""
N_SIGMA = 3.0
"""Radius of the circle around a mean position, in its errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """Columns that make the region of a row.

    Parameters
    ----------
    ra, dec
        Names of the columns of the position [deg].
    axes
        Names of the columns of the semi-axes, or of one radius.
    arcsec
        Unit of these columns, in arcsec.
    labels
        Columns that may label the region; the first one that is not empty does.
    pa
        Name of the column of the position angle [deg]; empty for a circle.
    """

    ra: str
    dec: str
    axes: tuple[str, ...]
    arcsec: float
    labels: tuple[str, ...]
    pa: str = ""


_SHAPES = (
    _Shape(ra="ra", dec="decl", axes=("semimajor", "semiminor"), arcsec=1.0, labels=("name", "xtrsrc"), pa="pa"),
    _Shape(ra="ra", dec="dec", axes=("semimajor", "semiminor"), arcsec=1.0, labels=("name",), pa="pa"),
    _Shape(ra="ra", dec="decl", axes=("uncertainty_ew", "uncertainty_ns"), arcsec=3600 * N_SIGMA,
           labels=("runcat", "xtrsrc")),
    _Shape(ra="ra", dec="decl", axes=(), arcsec=1.0, labels=("runcat", "xtrsrc")),
    _Shape(ra="wm_ra", dec="wm_decl", axes=("wm_uncertainty_ew", "wm_uncertainty_ns"), arcsec=3600 * N_SIGMA,
           labels=("name", "runcat")),
    _Shape(ra="wm_ra", dec="wm_decl", axes=(), arcsec=1.0, labels=("runcat",)),
    _Shape(ra="centre_ra", dec="centre_decl", axes=("xtr_radius",), arcsec=3600.0, labels=("image",)),
)  # fmt: skip
"""Shapes in the order in which they are tried: a table has the first one whose columns it has."""
POINT_ARCSEC = 15.0
"""Radius of the circle around a position whose row has neither a shape nor an error."""


def has_regions(columns: Collection[str]) -> bool:
    """Return whether a table with these columns can be written as regions."""
    return any(_fits(shape, columns) for shape in _SHAPES)


def region_label(text: object) -> str:
    """Write a text as the label of a region: on one line, without the marks that end a label or a region.

    Parameters
    ----------
    text
        Any text or number.
    """
    return plain_text(text).translate(_LABEL)


def write_ds9(table: TableStream, file: BinaryIO) -> None:
    """Write the regions of a table for DS9, CARTA and others, in ICRS.

    Measurements are ellipses at half maximum; DS9 measures the angle of an ellipse from west, which is 90° more than
    the position angle. Sources are circles of three times the error of their mean position, and images are the circles
    that are searched.

    Parameters
    ----------
    table, file
        Table, and file that is written.

    Raises
    ------
    ConfigError
        If the rows of the table have no positions.
    """
    file.write(b"# Region file format: DS9 version 4.1\nglobal color=green width=1\nicrs\n")
    for label, ra, dec, axes, pa in _regions(table):
        sizes = ",".join(f'{axis:.4f}"' for axis in axes)
        form = f"circle({ra:.7f},{dec:+.7f},{sizes})"
        if len(axes) == 2:
            form = f"ellipse({ra:.7f},{dec:+.7f},{sizes},{(pa + 90) % 360:.3f})"
        file.write(f"{form} # text={{{label}}}\n".encode())


def write_crtf(table: TableStream, file: BinaryIO) -> None:
    """Write the regions of a table for CASA and CARTA (CRTF), in ICRS, as :func:`write_ds9` does.

    Parameters
    ----------
    table, file
        Table, and file that is written.

    Raises
    ------
    ConfigError
        If the rows of the table have no positions.
    """
    file.write(b"#CRTFv0 CASA Region Text Format version 0\nglobal coord=ICRS\n")
    for label, ra, dec, axes, pa in _regions(table):
        place = f"[{ra:.7f}deg, {dec:+.7f}deg]"
        form = f"circle[{place}, {axes[0]:.4f}arcsec]"
        if len(axes) == 2:
            # CASA's first axis points north at an angle of 0.
            form = f"ellipse[{place}, [{axes[0]:.4f}arcsec, {axes[1]:.4f}arcsec], {pa % 360:.3f}deg]"
        file.write(f"{form}, label='{label}'\n".encode())


def _fits(shape: _Shape, columns: Collection[str]) -> bool:
    return {shape.ra, shape.dec, *shape.axes, *([shape.pa] if shape.pa else [])} <= set(columns)


def _regions(table: TableStream) -> Iterator[tuple[str, float, float, tuple[float, ...], float]]:
    """Yield the label, position [deg], axes [arcsec] and position angle [deg] of each row that has them."""
    shape = next((one for one in _SHAPES if _fits(one, table.columns)), None)
    if shape is None:
        msg = f"table of {table.name}: its rows have no positions to draw regions at"
        raise ConfigError(msg)
    n_before = 0
    for part in parts(table.chunks):
        ra, dec, axes, pa = _forms(part, shape)
        labels = _labels(part, shape, n_before)
        n_before += len(ra)
        for i in np.flatnonzero(np.isfinite(ra) & np.isfinite(dec) & np.isfinite(axes).all(axis=0)).tolist():
            yield region_label(labels[i]), float(ra[i]), float(dec[i]), tuple(axes[:, i].tolist()), float(pa[i])


def _forms(part: Columns, shape: _Shape) -> tuple[Array, Array, Array, Array]:
    """Return right ascension, declination, axes of shape (1 or 2, n) and position angle."""
    ra, dec = wrap_ra(part[shape.ra]), np.asarray(part[shape.dec], float)
    axes = np.array(
        [np.asarray(part[name], float) * shape.arcsec for name in shape.axes] or [np.full(len(ra), POINT_ARCSEC)]
    )
    if not shape.pa:
        return ra, dec, axes.max(axis=0, keepdims=True), np.zeros(len(ra))
    pa = np.asarray(part[shape.pa], float)
    if "f_int" in part:
        axes[:, ~np.isfinite(np.asarray(part["f_int"], float))] = np.nan  # not measured: nothing to draw
    return ra, dec, axes, np.nan_to_num(pa)


def _labels(part: Columns, shape: _Shape, n_before: int) -> list[Any]:
    """Return the label of each row: its name or its number, or else its place in the table."""
    found = [part[name].tolist() for name in shape.labels if name in part]
    found.append([n_before + i + 1 for i in range(len(part[shape.ra]))])
    return [next(label for label in row if label not in ("", None)) for row in zip(*found, strict=True)]
