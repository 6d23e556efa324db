"""Sources of one image as text: a table, and a sky model for calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.coordinates import Angle

from trap.report.text import flag_names, flux_text, number, text_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from trap.catalogues import Measurements
    from trap.finder.shapes import SourceShapes

__all__ = ["skymodel_text", "sources_text"]

SKYMODEL_COLUMNS = (
    "Name, Type, Ra, Dec, I, Q, U, V, MajorAxis, MinorAxis, Orientation, ReferenceFrequency, SpectralIndex"
)
RA_STEPS_PER_DEG = 2_400_000
"""Right ascensions in a sky model are in 1/10,000 s of time."""


def sources_text(measurements: Measurements, shapes: SourceShapes, names: Sequence[str] = ()) -> str:
    """Write the sources as a table, one per line.

    Parameters
    ----------
    measurements
        (n,) — measurements of the sources.
    shapes
        (n,) — their deconvolved shapes.
    names
        Names of the sources; they are numbered if this is empty or all names are.
    """
    labels = [str(name) for name in names] if any(names) else [str(i) for i in range(1, len(measurements) + 1)]
    rows = [
        _row(label, source, shape)
        for label, source, shape in zip(labels, _rows(measurements), _rows(shapes), strict=True)
    ]
    return text_table(rows, right=list(rows[0])[1:-1] if rows else ())


def skymodel_text(measurements: Measurements, shapes: SourceShapes, *, frequency_hz: float, stokes: int = 1) -> str:
    """Write a sky model for BBS and its successors (``makesourcedb``).

    It describes the sky without the telescope: axes are full widths deconvolved from the beam, in arcsec, and sources
    that are not resolved are points. (PySE writes fitted semi-axes.)

    Parameters
    ----------
    measurements, shapes
        (n,) each — measurements of the sources, and their deconvolved shapes.
    frequency_hz
        Hz — frequency of the flux densities.
    stokes
        FITS code of their Stokes parameter, 1 to 4 for I, Q, U and V; any other code counts as I.
    """
    lines = [f"# ({SKYMODEL_COLUMNS}) = format", ""]
    rows = list(_rows(shapes))
    for i, source in _drawn(measurements):
        shape = rows[i]
        is_point = shape["n_unresolved"] == 2 or not np.isfinite(shape["semimajor_dc"])
        axes = (0.0, 0.0, 0.0) if is_point else (2 * shape["semimajor_dc"], 2 * shape["semiminor_dc"], shape["pa_dc"])
        # Round first, or 359.9999999° would become 24 h.
        ra = Angle(round(source["ra"] * RA_STEPS_PER_DEG) / RA_STEPS_PER_DEG % 360.0, "deg").to_string(
            "hour", sep=":", precision=4, pad=True
        )
        dec = Angle(source["dec"], "deg").to_string("deg", sep=".", precision=3, pad=True, alwayssign=True)
        major, minor, pa = axes
        fluxes = ["0"] * 4
        fluxes[stokes - 1 if stokes in range(1, 5) else 0] = f"{source['f_int']:.6g}"
        lines.append(
            f"source_{i + 1}, {'POINT' if is_point else 'GAUSSIAN'}, {ra}, {dec}, {', '.join(fluxes)}, "
            f"{major:.3f}, {minor:.3f}, {pa:.2f}, {frequency_hz:.6e}, [0]"
        )
    return "\n".join(lines)


def _row(label: str, source: dict[str, Any], shape: dict[str, Any]) -> dict[str, str]:
    """Return the row of a source, by heading."""
    (peak, peak_err), (total, total_err) = (
        flux_text(source[name], source[f"{name}_err"]) for name in ("f_peak", "f_int")
    )
    return {
        "source": label,
        "ra deg": f"{source['ra']:.5f}",
        "dec deg": f"{source['dec']:+.5f}",
        "± ″ e-w": number(source["ew_fit_err"] * 3600, 2),
        "± ″ n-s": number(source["ns_fit_err"] * 3600, 2),
        "peak mJy/beam": peak,
        "±": peak_err,
        "total mJy": total,
        "± ": total_err,
        "S/N": number(source["significance"], 3),
        "semi-axes ″": f"{number(source['semimajor'], 3)} × {number(source['semiminor'], 3)}",
        "pa °": number(source["pa"], 3),
        "deconvolved ″": _deconvolved(shape),
        "flags": flag_names(source["flags"]),
    }


def _deconvolved(shape: dict[str, Any]) -> str:
    if shape["n_unresolved"] == 2:
        return "point"
    return f"{number(shape['semimajor_dc'], 3)} × {number(shape['semiminor_dc'], 3)}"


def _rows(table: Measurements | SourceShapes) -> Iterator[dict[str, Any]]:
    columns: dict[str, NDArray[Any]] = dict(table.as_dict())
    for values in zip(*(column.tolist() for column in columns.values()), strict=True):
        yield dict(zip(columns, values, strict=True))


def _drawn(measurements: Measurements) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the number and the values of each source that has a flux density."""
    return ((i, row) for i, row in enumerate(_rows(measurements)) if np.isfinite(row["f_int"]))
