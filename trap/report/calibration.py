"""Calibrations of images as text: a table in order of time, a summary of each band, and lines for the end of a run.

Gains and displacements are relative: the first image of a band sets the scale, and the first image of a dataset the
positions. Tables and figures therefore have gains whose mean in a band is 1, and shifts whose mean in a band is 0.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from trap.calibration.records import CATALOGUE
from trap.config import STOKES, stokes_letter
from trap.report.text import count, megahertz, moment, number, text_table, with_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from trap.dataset.records import ImageRecord
    from trap.typing import Array, Columns, Indices

__all__ = ["calibration_columns", "calibration_lines", "calibration_text", "find_bands", "relative_calibrations"]

N_REASONS = 3
"""Largest number of reasons that the summary of a run lists; further images are counted."""
INTERNAL = {"", CATALOGUE}
"""Names of references without a scale of their own."""
_FIELDS = {
    "n_calibrators": "n_calibrators",
    "n_position_matches": "astrometry.n_matches",
    "position_model": "astrometry.model",
    "position_applied": "astrometry.is_applied",
    "position_scatter_before": "astrometry.scatter_before",
    "position_scatter": "astrometry.scatter",
    "position_note": "astrometry.note",
    **{
        name: f"astrometry.{name}"
        for name in ("shift_ew", "shift_ns", "shift_ew_err", "shift_ns_err", "ew_sys_err", "ns_sys_err")
    },
    "position_reference": "astrometry.reference",
    "flux_reference": "flux_scale.reference",
    "n_flux_matches": "flux_scale.n_matches",
    "flux_applied": "flux_scale.is_applied",
    "gain": "flux_scale.gain",
    "gain_err": "flux_scale.gain_err",
    "flux_note": "flux_scale.note",
}
"""Attributes of a calibration, by the columns of the database."""
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[+-]?\d+)?")


class Band(NamedTuple):
    """The images of a band that share a scale.

    Parameters
    ----------
    label
        Frequency, and the correlation if it is no Stokes parameter.
    rows
        (n,) — images of all Stokes parameters.
    own
        (n_own,) — the images among them with a calibration of their own; Q, U and V have that of Stokes I.
    """

    label: str
    rows: Indices
    own: Indices


def calibration_columns(images: Iterable[ImageRecord]) -> Columns:
    """Collect the calibrations of accepted images in the columns of :func:`trap.db.calibrations.calibrations`.

    Parameters
    ----------
    images
        Images in order of time. Rejected images are left out.
    """
    accepted = [image for image in images if image.result.rejection is None]
    metadata = [image.result.metadata for image in accepted]
    columns: dict[str, NDArray[Any]] = {
        "url": np.array([one.url for one in metadata], object),
        "taustart_ts": np.array([one.taustart_ts.replace(tzinfo=None) for one in metadata], "M8[us]"),
        "freq_central": np.array([one.freq_eff for one in metadata], float),
        "band": np.array([image.key.band for image in accepted], int),
        "stokes": np.array([image.key.stokes for image in accepted], int),
    }
    for name, attribute in _FIELDS.items():
        columns[name] = np.array([attrgetter(attribute)(image.result.calibration) for image in accepted])
    return columns


def find_bands(columns: Columns) -> list[Band]:
    """Group images by the scale that they share: by band, and by correlation.

    Parameters
    ----------
    columns
        (n,) calibrations of images.

    Returns
    -------
    Bands by frequency.
    """
    stokes, frequency = np.asarray(columns["stokes"], int), np.asarray(columns["freq_central"], float)
    groups = defaultdict(list)
    for row, (band, code) in enumerate(zip(columns["band"].tolist(), stokes.tolist(), strict=True)):
        groups[band, min(code, STOKES["I"])].append(row)
    found = []
    for (_, code), rows in groups.items():
        rows_of_band = np.array(rows, int)
        label = f"{megahertz(float(np.median(frequency[rows_of_band])))} MHz" + (
            f" {stokes_letter(code)}" if code < 0 else ""
        )
        found.append(Band(label, rows_of_band, rows_of_band[stokes[rows_of_band] == code]))
    return sorted(found, key=lambda band: (float(np.median(frequency[band.rows])), band.label))


def relative_calibrations(columns: Columns) -> dict[str, NDArray[Any]]:
    """Refer gains and shifts to the means of their bands.

    Parameters
    ----------
    columns
        (n,) calibrations of images, as :func:`trap.db.calibrations.calibrations` returns them.

    Returns
    -------
    The same columns with gains whose mean in a band is 1, and shifts whose mean is 0. Additional columns
    ``…_applied`` have the stored values by which measurements were corrected; NaN where nothing was corrected.
    """
    relative = dict(columns)
    names = {"gain": "flux_applied", "shift_ew": "position_applied", "shift_ns": "position_applied"}
    stored = {name: np.array(columns[name], float) for name in (*names, "gain_err")}
    means = {name: np.full(len(stored[name]), np.nan) for name in names}
    for band in find_bands(columns):
        for name in names:
            means[name][band.rows] = _mean(stored[name][band.own])
    relative["gain"], relative["gain_err"] = (stored[name] / means["gain"] for name in ("gain", "gain_err"))
    for name in ("shift_ew", "shift_ns"):
        relative[name] = stored[name] - means[name]
    for name, applied in names.items():
        relative[f"{name}_applied"] = np.where(np.asarray(columns[applied], bool), stored[name], np.nan)
    return relative


def calibration_text(columns: Columns) -> str:
    """Write the calibrations of a dataset: a table with a line for each image, and a summary of each band.

    Parameters
    ----------
    columns
        (n,) calibrations of images, as :func:`trap.db.calibrations.calibrations` returns them.
    """
    if not len(columns["stokes"]):
        return "no image was calibrated"
    table = _table(relative_calibrations(columns))
    lines = [line for band in find_bands(columns) for line in _band_lines(columns, band)]
    legend = "* applied; gains are relative to their mean in the band, shifts (to the east and to the north) too"
    return "\n".join([table, legend, *lines])


def calibration_lines(columns: Columns) -> Iterator[str]:
    """Yield one or two lines about the calibrations of a run; none if nothing was to be measured.

    Parameters
    ----------
    columns
        (n,) calibrations of images, as :func:`calibration_columns` returns them.
    """
    is_corrected = {name: np.asarray(columns[f"{name}_applied"], bool) for name in ("flux", "position")}
    corrected = is_corrected["flux"] | is_corrected["position"]
    if not any(columns["flux_note"]) and not any(columns["position_note"]) and not corrected.any():
        return
    n_flux, n_position = (int(is_corrected[name].sum()) for name in ("flux", "position"))
    parts = "" if n_flux == n_position else f" (flux densities of {n_flux}, positions of {n_position})"
    relative, bands = relative_calibrations(columns), find_bands(columns)
    gains, east, north = (_scatter(relative[name], bands) for name in ("gain", "shift_ew", "shift_ns"))
    figures = [f"gains scatter by {number(100 * gains, 2)} %"] if math.isfinite(gains) else []
    figures += [f"shifts by {number(_rms(east, north), 2)}″"] if math.isfinite(east) else []
    head = f"calibration: {corrected.sum()} of {count(len(corrected), 'image')} corrected{parts}"
    yield "; ".join([head, ", ".join(figures)] if figures else [head])
    if not corrected.all():
        reasons = _count_reasons(_notes(columns, int(row)) for row in np.flatnonzero(~corrected))
        shown = [f"{n} ({reason})" for reason, n in reasons[:N_REASONS]]
        n_more = sum(n for _, n in reasons[N_REASONS:])
        shown += [f"{n_more} for other reasons"] if n_more else []
        yield f"not corrected: {', '.join(shown)}"


def _table(relative: Columns) -> str:
    """Write the table of the images."""
    is_only_i = (np.asarray(relative["stokes"], int) == STOKES["I"]).all()
    rows = []
    for i in range(len(relative["stokes"])):
        gain = with_error(relative["gain"][i], relative["gain_err"][i])
        east = with_error(relative["shift_ew"][i], relative["shift_ew_err"][i])
        north = with_error(relative["shift_ns"][i], relative["shift_ns_err"][i])
        flux_mark, position_mark = ("*" if relative[f"{name}_applied"][i] else " " for name in ("flux", "position"))
        n_positions, n_fluxes = int(relative["n_position_matches"][i]), int(relative["n_flux_matches"][i])
        rows.append(
            {
                "image": str(relative["image"][i]),
                "time (UTC)": moment(relative["taustart_ts"][i]),
                "MHz": megahertz(relative["freq_central"][i]),
                **({} if is_only_i else {"Stokes": stokes_letter(int(relative["stokes"][i]))}),
                "matches": str(n_positions) if n_positions == n_fluxes else f"{n_positions}, {n_fluxes}",
                "gain": f"{gain[0]}{flux_mark}",
                "±": gain[1],
                "east ″": f"{east[0]}{position_mark}",
                "± east": east[1],
                "north ″": f"{north[0]}{position_mark}",
                "± north": north[1],
                "model": str(relative["position_model"][i]),
                "scatter ″": number(relative["position_scatter_before"][i], 2),
                "after ″": number(relative["position_scatter"][i], 2),
                "systematic ″": _pair(relative["ew_sys_err"][i], relative["ns_sys_err"][i]),
                "not corrected": _notes(relative, i),
            }
        )
    right = ("image", "MHz", "matches", "gain", "±", "east ″", "± east", "north ″", "± north", "scatter ″", "after ″")
    return text_table(rows, right=right)


def _pair(east: float, north: float) -> str:
    """Write the errors along both axes, or one of two that look alike."""
    texts = number(east, 2), number(north, 2)
    return texts[0] if texts[0] == texts[1] else ", ".join(texts)


def _notes(columns: Columns, row: int) -> str:
    """Return the reasons for which an image was not corrected; empty if it was corrected in both ways."""
    notes = [
        str(columns[f"{name}_note"][row]) or "not measured"
        for name in ("flux", "position")
        if not columns[f"{name}_applied"][row]
    ]
    return "; ".join(dict.fromkeys(notes))


def _band_lines(columns: Columns, band: Band) -> Iterator[str]:
    """Yield the summary of a band."""
    others = len(band.rows) - len(band.own)
    borrowed = f"; {count(others, 'image')} of Stokes Q, U and V with their corrections" if others else ""
    yield f"{band.label}: {count(len(band.own), 'image')}{borrowed}"
    gain, error = (np.asarray(columns[name], float)[band.own] for name in ("gain", "gain_err"))
    east, north = (np.asarray(columns[name], float)[band.own] for name in ("shift_ew", "shift_ns"))
    has_gain, has_shift = np.isfinite(gain), np.isfinite(east) & np.isfinite(north)
    yield from _counted("gains", columns, "flux", band, has_gain)
    yield from _counted("positions", columns, "position", band, has_shift)
    mean = _mean(gain)
    if has_gain.sum() > 1:
        percent = 100 * float(np.std(gain[has_gain], ddof=1)) / mean, 100 * float(np.median(error[has_gain])) / mean
        yield f"  gains scatter by {number(percent[0], 2)} %, their errors are {number(percent[1], 2)} %"
    if has_shift.sum() > 1:
        spread = (number(float(np.std(one[has_shift], ddof=1)), 2) for one in (east, north))
        yield f"  shifts scatter by {next(spread)}″ east-west and {next(spread)}″ north-south"
    systematic = [np.asarray(columns[name], float)[band.own] for name in ("ew_sys_err", "ns_sys_err")]
    if np.isfinite(systematic[0]).any():
        medians = [number(float(np.nanmedian(one)), 2) for one in systematic]
        yield f"  median systematic position error {medians[0]}″ east-west and {medians[1]}″ north-south"
    if has_gain.any():
        yield f"  {_scale_text(columns, band, mean, float(np.sqrt((error[has_gain] ** 2).sum()) / has_gain.sum()))}"


def _scale_text(columns: Columns, band: Band, mean: float, error: float) -> str:
    """Write the scale of corrected flux densities, and the factor to the mean scale of the images."""
    references = {str(columns["flux_reference"][row]) for row in band.own} - INTERNAL
    scale = " and ".join(sorted(references)) or "the first image"
    value, uncertainty = with_error(mean, error)
    return (
        f"corrected flux densities have the scale of {scale}; "
        f"times {value} ± {uncertainty} they have the mean scale of the images"
    )


def _counted(noun: str, columns: Columns, kind: str, band: Band, is_measured: NDArray[np.bool_]) -> Iterator[str]:
    """Yield the numbers of corrected, measured and other images of a band, with the reasons."""
    applied = np.asarray(columns[f"{kind}_applied"], bool)[band.own]
    only, not_measured = int((is_measured & ~applied).sum()), int((~is_measured).sum())
    yield f"  {noun}: {applied.sum()} corrected, {only} measured but not corrected, {not_measured} not measured"
    notes = [str(columns[f"{kind}_note"][row]) or "not measured" for row in band.own[~applied]]
    yield from (f"    {n}: {reason}" for reason, n in _count_reasons(notes))


def _count_reasons(notes: Iterable[str]) -> list[tuple[str, int]]:
    """Count notes that differ only in their numbers together, with the ranges of these numbers; most frequent first."""
    groups: defaultdict[str, list[str]] = defaultdict(list)
    for note in notes:
        groups[_NUMBER.sub("0", note)].append(note)
    ranked = sorted(groups.values(), key=lambda group: -len(group))
    return [(_with_ranges(group), len(group)) for group in ranked]


def _with_ranges(notes: list[str]) -> str:
    """Return one note in place of several, with a range for each number that differs."""
    numbers = iter(zip(*(_NUMBER.findall(note) for note in notes), strict=True))

    def replaced(_match: re.Match[str]) -> str:
        values = sorted(set(next(numbers)), key=float)
        return values[0] if len(values) == 1 else f"{values[0]} to {values[-1]}"

    return _NUMBER.sub(replaced, notes[0])


def _mean(values: Array) -> float:
    """Return the mean of the finite values; NaN without any."""
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else math.nan


def _scatter(values: Array, bands: Iterable[Band]) -> float:
    """Return the standard deviation about the means of the bands; NaN if no band has two values."""
    squares, freedom = 0.0, 0
    for band in bands:
        finite = values[band.own][np.isfinite(values[band.own])]
        squares += float(((finite - finite.mean()) ** 2).sum()) if finite.size else 0.0
        freedom += max(finite.size - 1, 0)
    return math.sqrt(squares / freedom) if freedom else math.nan


def _rms(east: float, north: float) -> float:
    """Return the scatter along one axis from those along both."""
    return math.sqrt((east**2 + north**2) / 2)
