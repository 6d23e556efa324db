"""Bright sources of an image whose sidelobes may be the candidate.

The response to a source spreads over the image. After deconvolution, errors of calibration and changes of the source
within an observation leave sidelobes: a few per cent of it next to it, and less with the distance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trap import angles
from trap.tables import ColumnTable, column

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.catalogues import Measurements
    from trap.config import SourceExtractionConfig
    from trap.images.beam import Beam
    from trap.images.metadata import ImageMetadata
    from trap.typing import Array, Indices

__all__ = ["SIDELOBE_LEVEL", "BrightNeighbours", "edge_distance", "find_bright", "sidelobe_danger"]

SIDELOBE_LEVEL = 0.03
"""Sidelobe of a deconvolved source one beam away, as a share of its peak; it falls with the inverse of the distance.

A uniform aperture has sidelobes of 13 %, and phase errors of 10 to 15 degrees leave a fifth of them."""
SAME_PLACE = 1e-3
"""Distance in beams up to which a source is the candidate itself."""
_EIGHT_LN2 = 8 * math.log(2)
_PAIRS = 2**21
"""Number of pairs of candidates and sources that are compared at once."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BrightNeighbours(ColumnTable):
    """The source that endangers each candidate most, and the brightest one; NaN and -1 if there is no other source."""

    row: NDArray[np.int64] = column("i8", "", "Row of the source that endangers the candidate most.")
    ratio: NDArray[np.float64] = column("f8", "", "Its peak over that of the candidate.")
    distance: NDArray[np.float64] = column("f8", "", "Its distance in beams.")
    brightest_ratio: NDArray[np.float64] = column("f8", "", "Peak of the brightest source over that of the candidate.")
    brightest_distance: NDArray[np.float64] = column("f8", "", "Distance of the brightest source in beams.")


def sidelobe_danger(ratio: Array, distance: Array) -> Array:
    """Compute the expected sidelobe of a source at a candidate, over the peak of the candidate.

    Parameters
    ----------
    ratio
        (n,) — peak of the source over that of the candidate.
    distance
        (n,) — distance in beams; within one beam the level stays.

    Returns
    -------
    (n,) — 1 if a sidelobe of the usual level is as high as the candidate.
    """
    danger: Array = SIDELOBE_LEVEL * ratio / np.maximum(distance, 1.0)
    return danger


def find_bright(
    candidates: tuple[Array, Array, Array], sources: tuple[Array, Array, Array], beam: Beam
) -> BrightNeighbours:
    """Find the source of an image that endangers each candidate most, and the brightest source.

    Parameters
    ----------
    candidates, sources
        (n,) each, or (m,) each — right ascensions and declinations in deg, and peak flux densities. A source at the
        very position of a candidate is the candidate itself. Signs of flux densities do not matter.
    beam
        Restoring beam. The distance to a source is in units of the width of the beam along its direction.

    Returns
    -------
    (n,)
    """
    ra, dec, peak = candidates
    if not len(ra):
        return BrightNeighbours.empty()
    step = max(1, _PAIRS // max(1, len(sources[0])))
    parts = [slice(start, start + step) for start in range(0, len(ra), step)]
    return BrightNeighbours.concatenate(
        [_find_some((ra[part], dec[part], np.abs(peak[part])), sources, beam) for part in parts]
    )


def _find_some(
    candidates: tuple[Array, Array, Array], sources: tuple[Array, Array, Array], beam: Beam
) -> BrightNeighbours:
    """Do the same for a few candidates, by all pairs."""
    (ra, dec, peak), (source_ra, source_dec, source_peak) = candidates, sources
    usable = np.flatnonzero(np.isfinite(source_ra) & np.isfinite(source_dec) & np.isfinite(source_peak))
    if not len(usable):
        return BrightNeighbours.of(
            row=np.full(len(ra), -1), ratio=np.nan, distance=np.nan, brightest_ratio=np.nan, brightest_distance=np.nan
        )
    distance = _distances(ra, dec, angles.unit_vectors(source_ra[usable], source_dec[usable]), beam)
    ratio = np.abs(source_peak[usable]) / peak[:, np.newaxis]
    ratio = np.where(distance > SAME_PLACE, ratio, -1.0)
    worst = np.argmax(np.where(ratio < 0, -1.0, sidelobe_danger(ratio, distance)), axis=1)
    brightest = np.argmax(ratio, axis=1)
    (of_worst, to_worst), (of_brightest, to_brightest) = (
        _taken(ratio, distance, columns) for columns in (worst, brightest)
    )
    return BrightNeighbours(
        row=np.where(np.isfinite(of_worst), usable[worst], -1),
        ratio=of_worst,
        distance=to_worst,
        brightest_ratio=of_brightest,
        brightest_distance=to_brightest,
    )


def _distances(ra: Array, dec: Array, sources: Array, beam: Beam) -> Array:
    """Return the distances of sources, (m, 3) unit vectors, from (n,) positions, projected on the sky: (n, m) beams."""
    sin_ra, cos_ra, sin_dec, cos_dec = (f(np.radians(angle)) for angle in (ra, dec) for f in (np.sin, np.cos))
    east = np.column_stack([-sin_ra, cos_ra, np.zeros(len(ra))])
    north = np.column_stack([-sin_dec * cos_ra, -sin_dec * sin_ra, cos_dec])
    u, v = (np.degrees(axis @ sources.T) for axis in (east, north))
    a, b, c = beam.quadratic_form(1.0, 1.0)
    distance: Array = np.sqrt((a * u**2 + 2 * b * u * v + c * v**2) / _EIGHT_LN2)
    return distance


def _taken(ratio: Array, distance: Array, columns: Indices) -> tuple[Array, Array]:
    """Return the ratio and the distance of one source for each candidate; NaN for the candidate itself."""
    rows = np.arange(len(columns))
    exists = ratio[rows, columns] >= 0
    return tuple(np.where(exists, values[rows, columns], np.nan) for values in (ratio, distance))  # type: ignore[return-value]


def edge_distance(new: Measurements, metadata: ImageMetadata, config: SourceExtractionConfig) -> Array:
    """Return the distances of candidates from the edge of the searched area.

    Parameters
    ----------
    new
        (n,) — candidates.
    metadata
        Metadata of their image. The area of a source list without an image is its circle.
    config
        Margin and radius of the searched area.

    Returns
    -------
    (n,) beams
        0 beyond the edge; NaN without a beam.
    """
    beam = metadata.beam
    if beam is None:
        return np.full(len(new), np.nan)
    if not metadata.has_pixels:
        region = metadata.sky_region(0)
        inside = region.xtr_radius - angles.separation(region.centre_ra, region.centre_dec, new.ra, new.dec)
        return np.maximum(inside / beam.bmaj, 0.0)
    # The narrowest way to a side in beams is the one along the width of the beam's shadow on it.
    widths = [
        width / abs(delta)
        for width, delta in zip(beam.projected_widths(), (metadata.deltax, metadata.deltay), strict=True)
    ]
    sides = [
        (np.minimum(place + 0.5, n - 0.5 - place) - config.margin) / width
        for place, n, width in zip((new.x, new.y), (metadata.nx, metadata.ny), widths, strict=True)
    ]
    edge = np.minimum(*sides)
    if config.extraction_radius_pix > 0:
        radius = np.hypot(new.x - (metadata.nx - 1) / 2, new.y - (metadata.ny - 1) / 2)
        edge = np.minimum(edge, (config.extraction_radius_pix - radius) / max(widths))
    distance: Array = np.maximum(edge, 0.0)
    return distance
