"""Where the image rises above its noise: islands of connected pixels.

From here on nothing looks at the image any more. The pixels of all islands lie in flat lists, those
of island i from ``offsets[i]`` to ``offsets[i + 1]``, ready for code that takes all islands at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from photutils.segmentation import detect_sources

from trap.catalogues import Flag
from trap.kernels.islands import AT_EDGE, AT_GAP, fit_footprints, touching
from trap.kernels.maps import significance_map

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.config import SourceExtractionConfig

__all__ = ["Islands", "SkyMaps", "find_islands", "fitted_pixels", "flag_islands", "list_islands"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SkyMaps:
    """An image without its background, and its noise.

    Parameters
    ----------
    value
        (ny, nx) Jy/beam — background-subtracted; anything where masked.
    rms
        (ny, nx) Jy/beam — noise, positive.
    mask
        (ny, nx) — True where the image is not searched.
    significance
        (ny, nx) — value over noise; minus infinity where masked, or without noise.
    """

    value: NDArray[np.float32]
    rms: NDArray[np.float32]
    mask: NDArray[np.bool_]
    significance: NDArray[np.float32]

    @classmethod
    def of(cls, value: NDArray[np.float32], rms: NDArray[np.float32], mask: NDArray[np.bool_]) -> Self:
        """Compare the values with the noise."""
        return cls(value=value, rms=rms, mask=mask, significance=significance_map(value, rms, mask))

    def negative(self) -> Self:
        """Turn the image upside down: its islands are the holes, which tell of sidelobes, or of Stokes V."""
        return self.of(-self.value, self.rms, self.mask)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Islands:
    """The pixels of all islands, island by island.

    Parameters
    ----------
    offsets
        (n + 1,) — where each island starts in the lists, and where the last one ends.
    x, y
        (n_pixels,) — columns and rows; within an island in the order of the image.
    value, rms
        (n_pixels,) Jy/beam — background-subtracted brightness, and noise.
    """

    offsets: NDArray[np.intp]
    x: NDArray[np.intp]
    y: NDArray[np.intp]
    value: NDArray[np.float64]
    rms: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def sizes(self) -> NDArray[np.intp]:
        """(n,) — number of pixels of each island."""
        return np.diff(self.offsets)

    @property
    def island(self) -> NDArray[np.intp]:
        """(n_pixels,) — index of the island that each pixel belongs to."""
        return np.repeat(np.arange(len(self)), self.sizes)

    def pixels(self, island: int | np.intp) -> slice:
        """Where one island lies in the lists."""
        return slice(int(self.offsets[island]), int(self.offsets[island + 1]))


def find_islands(maps: SkyMaps, config: SourceExtractionConfig) -> Islands:
    """Find the connected pixels above the analysis threshold that reach the detection threshold.

    Pixels that touch at a corner are connected.

    Returns
    -------
    Islands
        In the order of their first pixels, row by row.
    """
    return _listed(maps, *list_islands(maps.significance, config.analysis_threshold, config.detection_threshold))


def list_islands(
    significance: NDArray[np.float32], analysis: float, detection: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """List the pixels of connected regions at or above one threshold that somewhere reach another.

    The regions are photutils' segments; pixels that touch at a corner are connected.

    Parameters
    ----------
    significance
        (ny, nx) — NaN nowhere.

    Returns
    -------
    offsets, flat
        (n + 1,) and (n_pixels,) — where each island starts, and the indices y·nx + x; islands in the order of
        their first pixels, pixels in that of the image.
    """
    detected = np.flatnonzero(significance >= np.float32(detection))
    if not detected.size:
        # photutils warns when it finds nothing.
        return np.zeros(1, np.intp), np.empty(0, np.intp)
    # Its limit is exclusive: a pixel exactly at the threshold is lowered into reach.
    limit = np.nextafter(np.float32(analysis), np.float32(-np.inf))
    labels = detect_sources(significance, limit, n_pixels=1, connectivity=8).data.ravel()
    is_kept = np.zeros(labels.max() + 1, bool)
    is_kept[labels[detected]] = True
    flat = np.flatnonzero(is_kept[labels])
    _, first, island = np.unique(labels[flat], return_index=True, return_inverse=True)
    number = np.argsort(np.argsort(first))[island]
    offsets = np.concatenate([[0], np.cumsum(np.bincount(number))]).astype(np.intp)
    return offsets, flat[np.argsort(number, kind="stable")]


def _listed(maps: SkyMaps, offsets: NDArray[np.intp], flat: NDArray[np.intp]) -> Islands:
    y, x = np.divmod(flat, maps.value.shape[1])
    return Islands(
        offsets=offsets,
        x=x,
        y=y,
        value=maps.value.ravel()[flat].astype(float),
        rms=maps.rms.ravel()[flat].astype(float),
    )


def flag_islands(islands: Islands, maps: SkyMaps, data: NDArray[np.float32]) -> NDArray[np.int32]:
    """Flag islands that touch the edge of the searched area, or a pixel without a value.

    Parameters
    ----------
    data
        (ny, nx) — the image; what is not finite has no value, searched or not.

    Returns
    -------
    flags
        (n,) — ``Flag.EDGE`` and ``Flag.MASKED_PIXELS``.
    """
    bits = touching(islands.offsets, islands.x, islands.y, maps.mask, data)
    flags = (bits & AT_EDGE > 0) * int(Flag.EDGE) | (bits & AT_GAP > 0) * int(Flag.MASKED_PIXELS)
    return np.asarray(flags, np.int32)


def fitted_pixels(
    islands: Islands,
    maps: SkyMaps,
    *,
    first: NDArray[np.intp],
    centres: NDArray[np.float64],
    form: NDArray[np.float64],
    keep: bool,
) -> Islands:
    """Choose the pixels that the components of each island are fitted to.

    What is above a threshold is so in part because the noise there is high; a fit to such pixels alone reads too
    much. So the pixels around each component are taken whatever their value, if they are not masked and do not
    belong to another island.

    Parameters
    ----------
    first
        (n + 1,) — where the components of each island start.
    centres
        (n_components, 2) pix — x and y.
    form
        (3,) pix⁻² — (a, b, c): around is where a u² + 2 b u v + c v² ≤ 1.
    keep
        Whether the pixels of the island itself are taken as well.
    """
    pixels = (islands.offsets, islands.x, islands.y)
    return _listed(maps, *fit_footprints(pixels, maps.mask, first, centres, form, np.full(len(islands), keep)))
