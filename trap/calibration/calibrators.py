"""The calibrators of an image: bright, compact, isolated sources, matched one-to-one with a reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.spatial import cKDTree

from trap import angles
from trap.calibration.displacement import frame_coordinates, frame_turn
from trap.catalogues import ExtractType, Flag
from trap.tables import ColumnTable, column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.calibration.reference import Reference
    from trap.catalogues import Measurements
    from trap.config import CalibrationConfig
    from trap.images.beam import Beam
    from trap.typing import Array, Indices

__all__ = ["Matches", "compact_sources", "find_calibrators", "find_isolated", "match"]

MAX_CALIBRATORS = 400
"""Largest number of calibrators of an image, the brightest ones: the cost is bounded, and fainter ones add little."""
SPARE = 0.6
"""Calibrators are searched down to this part of the least S/N, and chosen by the mean of image and reference. A choice
by the flux density in the image alone would prefer sources that noise made brighter there."""
MAX_RATIO = 1.25
"""Largest ratio of integrated to peak flux density of a compact source, over the median of the image."""
RATIO_SIGMA = 2.0
"""Errors, in σ, by which noise may exceed that ratio."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Matches(ColumnTable):
    """Calibrators of an image with the sources of a reference, in coordinates of the field."""

    row: NDArray[np.int64] = column("i8", "", "Row of the image's measurements.")
    u: NDArray[np.float64] = column("f8", "deg", "Coordinate in the image, along east at the centre of the field.")
    v: NDArray[np.float64] = column("f8", "deg", "Coordinate in the image, along north at the centre of the field.")
    d_u: NDArray[np.float64] = column("f8", "deg", "Displacement of the image from the reference, along u.")
    d_v: NDArray[np.float64] = column("f8", "deg", "Displacement of the image from the reference, along v.")
    var_u: NDArray[np.float64] = column("f8", "deg2", "Variance of the fit along u.")
    var_v: NDArray[np.float64] = column("f8", "deg2", "Variance of the fit along v.")
    ref_var_u: NDArray[np.float64] = column("f8", "deg2", "Variance of the reference along u.")
    ref_var_v: NDArray[np.float64] = column("f8", "deg2", "Variance of the reference along v.")
    f_int: NDArray[np.float64] = column("f8", "Jy", "Integrated flux density in the image.")
    f_int_err: NDArray[np.float64] = column("f8", "Jy", "1σ error of the integrated flux density.")
    ref_f_int: NDArray[np.float64] = column("f8", "Jy", "Flux density of the reference; NaN if it has none.")
    ref_f_int_err: NDArray[np.float64] = column("f8", "Jy", "1σ error of the flux density of the reference.")


def find_calibrators(measured: Measurements, beam: Beam, settings: CalibrationConfig) -> Indices:
    """Choose the bright, compact and isolated sources of an image.

    Parameters
    ----------
    measured
        (n,) — blind measurements of the image.
    beam
        Restoring beam.
    settings
        S/N and isolation of calibrators. A little fainter sources are included.

    Returns
    -------
    (n_calibrators,) — rows of the measurements.
    """
    is_blind = measured.is_measured & (measured.extract_type == int(ExtractType.BLIND))
    alone = measured.is_sound & is_blind & (measured.flags & int(Flag.BLENDED) == 0) & (measured.f_int > 0)
    bright = alone & (measured.significance >= SPARE * settings.min_signal_to_noise)
    rows = np.flatnonzero(bright)
    rows = rows[compact_sources(measured.take(rows))]
    all_rows = np.flatnonzero(is_blind)
    isolated = find_isolated(measured.ra[all_rows], measured.dec[all_rows], settings.isolation_beams * beam.bmaj)
    is_isolated = np.zeros(len(measured), bool)
    is_isolated[all_rows] = isolated
    rows = rows[is_isolated[rows]]
    brightest = np.argsort(-measured.significance[rows], kind="stable")[:MAX_CALIBRATORS]
    return rows[np.sort(brightest)]


def compact_sources(measured: Measurements) -> NDArray[np.bool_]:
    """Select the sources that are no more extended than most sources of the image.

    Sources are compared with each other, not with the beam: an image that is smeared as a whole keeps its calibrators.

    Parameters
    ----------
    measured
        (n,) — bright, single sources.

    Returns
    -------
    (n,)
    """
    if not len(measured):
        return np.zeros(0, bool)
    ratio = measured.f_int / measured.f_peak
    error = np.hypot(measured.f_int_err / measured.f_int, measured.f_peak_err / measured.f_peak)
    relative = ratio / np.median(ratio)
    is_point = measured.flags & int(Flag.POINT_LIKE) != 0
    compact: NDArray[np.bool_] = is_point | (
        (relative < MAX_RATIO + RATIO_SIGMA * error) & (relative > 1 / MAX_RATIO - RATIO_SIGMA * error)
    )
    return compact


def find_isolated(ra: Array, dec: Array, radius: float) -> NDArray[np.bool_]:
    """Return which positions have no other position within a radius.

    Parameters
    ----------
    ra, dec
        (n,) deg
    radius
        deg

    Returns
    -------
    (n,)
    """
    vectors = angles.unit_vectors(ra, dec)
    if len(vectors) < 2:
        return np.ones(len(vectors), bool)
    nearest = cKDTree(vectors).query(vectors, k=2)[0][:, 1]
    isolated: NDArray[np.bool_] = nearest > 2 * np.sin(np.radians(min(radius, 180.0)) / 2)
    return isolated


def match(
    measured: Measurements,
    calibrators: Indices,
    reference: Reference,
    *,
    centre: tuple[float, float],
    radius: float,
    isolation: float,
) -> Matches:
    """Match calibrators one-to-one with the isolated sources of a reference.

    Parameters
    ----------
    measured
        Measurements of the image.
    calibrators
        (n_calibrators,) — rows of the calibrators.
    reference
        Sources of the reference in the field.
    centre
        deg — right ascension and declination of the centre of the image.
    radius
        deg — largest distance of a match.
    isolation
        deg — least distance of a source of the reference from all others.

    Returns
    -------
    Matches in the order of the calibrators.
    """
    if not len(reference) or not len(calibrators):
        return Matches.empty()
    sources = reference.take(find_isolated(reference.ra, reference.dec, isolation))
    if not len(sources):
        return Matches.empty()
    tree = cKDTree(angles.unit_vectors(sources.ra, sources.dec))
    vectors = angles.unit_vectors(measured.ra[calibrators], measured.dec[calibrators])
    distance, nearest = tree.query(vectors)
    is_near = distance < 2 * np.sin(np.radians(min(radius, 180.0)) / 2)
    n_partners = np.bincount(nearest[is_near], minlength=len(sources))
    paired = is_near & (n_partners[nearest] == 1)
    return _in_field(measured, calibrators[paired], sources.take(nearest[paired]), centre)


def _in_field(measured: Measurements, rows: Indices, sources: Reference, centre: tuple[float, float]) -> Matches:
    """Put matched sources into coordinates of the field."""
    ra, dec = measured.ra[rows], measured.dec[rows]
    u, v = frame_coordinates(ra, dec, *centre)
    east, north = angles.offsets(ra, dec, sources.ra, sources.dec)
    cosine, sine = frame_turn(ra, dec, *centre)
    fit_ew, fit_ns = measured.ew_fit_err[rows] ** 2, measured.ns_fit_err[rows] ** 2
    # The errors of a catalogue include the systematic errors of its images, known or assumed. A fit that is as good as
    # this one bounds the part that scatters from source to source.
    ref_ew, ref_ns = np.minimum(sources.ew_err**2, fit_ew), np.minimum(sources.ns_err**2, fit_ns)
    square = cosine**2
    return Matches(
        row=rows,
        u=u,
        v=v,
        d_u=cosine * east - sine * north,
        d_v=sine * east + cosine * north,
        var_u=square * fit_ew + (1 - square) * fit_ns,
        var_v=square * fit_ns + (1 - square) * fit_ew,
        ref_var_u=square * ref_ew + (1 - square) * ref_ns,
        ref_var_v=square * ref_ns + (1 - square) * ref_ew,
        f_int=measured.f_int[rows],
        f_int_err=measured.f_int_err[rows],
        ref_f_int=sources.f_int,
        ref_f_int_err=sources.f_int_err,
    )
