"""The pixels around a candidate: the ring of a bright source, its mirror image, negative neighbours and gaps.

All functions take pixels in units of the local noise, so that noise that changes over the image leaves no sign, and
their offsets from the candidate in beams: stretched so that the beam is circular and one unit wide.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.typing import Array

__all__ = [
    "GAP_BEAMS",
    "NEGATIVE_BEAMS",
    "deepest_negative",
    "is_on_ring",
    "mirror_excess",
    "nearest_gap",
    "reach_of_source",
    "ring_significance",
]

HALF_THICKNESS = 0.35
"""Half the thickness of a ring, in beams: sidelobes change over a beam."""
OWN_BEAMS = 1.5
"""Distance from the candidate, in beams, within which pixels are its own."""
MIN_RING_BEAMS = 10.0
"""Least length of the measured part of a ring, in beams; fewer independent values have no rms."""
MIRROR_BEAMS = 0.75
"""Distance from the mirrored place, in beams, within which the strongest pixel counts."""
NEGATIVE_BEAMS = 3.0
"""Distance from the candidate, in beams, within which a negative peak is a neighbour."""
GAP_BEAMS = 5.0
"""Distance from the candidate, in beams, within which pixels without a value are found."""


def reach_of_source(signal_to_noise: Array, size: Array) -> Array:
    """Compute the distance from a source at which it has fallen below the noise, with a margin of half a beam.

    Parameters
    ----------
    signal_to_noise
        (n,) — peaks in units of the local noise.
    size
        (n,) beams — fitted full widths; smaller ones than the beam, and NaN, count as the beam.

    Returns
    -------
    (n,) beams
    """
    falls = np.log(np.maximum(np.abs(signal_to_noise), 2.0)) / (4 * math.log(2))
    reach: Array = 0.5 + np.fmax(size, 1.0) * np.sqrt(falls)
    return reach


def is_on_ring(x: Array, y: Array, bright: tuple[float, float]) -> NDArray[np.bool_]:
    """Return whether pixels lie at the candidate's distance from a bright source, and not on the candidate.

    Parameters
    ----------
    x, y
        (n,) beams — offsets of the pixels from the candidate.
    bright
        beams — offset of the bright source from the candidate.
    """
    distance = math.hypot(*bright)
    along = np.abs(np.hypot(x - bright[0], y - bright[1]) - distance) <= HALF_THICKNESS
    on_ring: NDArray[np.bool_] = along & (np.hypot(x, y) > OWN_BEAMS)
    return on_ring


def ring_significance(ring: Array, peak: float, pixels_per_beam: float) -> float:
    """Compute the peak of a candidate in units of the rms of a ring.

    The rms is about zero: a ring that is positive all around has one as well as a ring of either sign. Pixels higher
    than the candidate count as high as it, so that one other source in the ring matters little.

    Parameters
    ----------
    ring
        (n,) σ — pixels of the ring that no known source covers; NaN for pixels without a value.
    peak
        σ — peak of the candidate.
    pixels_per_beam
        Number of pixels in a square of one beam.

    Returns
    -------
    NaN if less than :data:`MIN_RING_BEAMS` of the ring are left.
    """
    values = ring[np.isfinite(ring)]
    if len(values) < MIN_RING_BEAMS * 2 * HALF_THICKNESS * pixels_per_beam:
        return math.nan
    limited = np.clip(values, -abs(peak), abs(peak))
    rms = math.sqrt(float(np.mean(limited**2)))
    return abs(peak) / rms if rms > 0 else math.nan


def mirror_excess(x: Array, y: Array, values: Array) -> float:
    """Return the strongest pixel at a mirrored place, signed.

    The response to a source is symmetric, and stays so if amplitudes are wrong; wrong phases make it antisymmetric.

    Parameters
    ----------
    x, y
        (n,) beams — offsets of the pixels from the mirrored place.
    values
        (n,) σ — pixels; NaN for a pixel without a value.

    Returns
    -------
    σ — NaN if there is no pixel with a value.
    """
    near = values[(np.hypot(x, y) <= MIRROR_BEAMS) & np.isfinite(values)]
    return float(near[np.argmax(np.abs(near))]) if len(near) else math.nan


def deepest_negative(x: Array, y: Array, values: Array) -> tuple[float, float]:
    """Find the deepest pixel near a candidate.

    Parameters
    ----------
    x, y
        (n,) beams — offsets of the pixels from the candidate.
    values
        (n,) σ — pixels, with the sign reversed for a negative candidate; NaN for a pixel without a value.

    Returns
    -------
    depth
        σ — 0 if no pixel is negative, NaN if there is no pixel with a value.
    distance
        Distance in beams.
    """
    distance = np.hypot(x, y)
    rows = np.flatnonzero((distance <= NEGATIVE_BEAMS) & np.isfinite(values))
    if not len(rows):
        return math.nan, math.nan
    deepest = rows[np.argmin(values[rows])]
    return max(0.0, -float(values[deepest])), float(distance[deepest])


def nearest_gap(x: Array, y: Array, is_blank: NDArray[np.bool_]) -> float:
    """Return the distance to the nearest pixel without a value, in beams; infinity beyond :data:`GAP_BEAMS`.

    Parameters
    ----------
    x, y
        (n,) beams — offsets of the pixels from the candidate.
    is_blank
        (n,) — whether a pixel has no value.
    """
    distance = np.hypot(x[is_blank], y[is_blank])
    nearest = float(distance.min(initial=math.inf))
    return nearest if nearest <= GAP_BEAMS else math.inf
