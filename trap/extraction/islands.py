"""Islands of connected pixels above the noise: photutils' segments, and lists of their pixels.

Deblending and fitting work on the lists alone. The pixels of all islands stand in flat arrays, island by island, so
that one call of a kernel processes all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from photutils.segmentation import SegmentationImage, detect_sources

from trap.catalogues import Flag
from trap.kernels.islands import AT_EDGE, AT_GAP, fit_footprints, peak_regions, segment_pixels, touching

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.extraction.field import Field, ThresholdMap

__all__ = ["Islands", "find_islands", "fitted_pixels", "flag_islands", "list_places", "segment_image"]


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

    def take(self, which: NDArray[np.intp]) -> Self:
        """Take some of the islands, in the given order."""
        offsets = np.concatenate([[0], np.cumsum(self.sizes[which])]).astype(np.intp)
        places = list_places(self.offsets, which)
        lists = {name: getattr(self, name)[places] for name in ("x", "y", "value", "rms")}
        return type(self)(offsets=offsets, **lists)

    def pixels(self, island: int | np.intp) -> slice:
        """Where one island lies in the lists."""
        return slice(int(self.offsets[island]), int(self.offsets[island + 1]))


def list_places(offsets: NDArray[np.intp], which: NDArray[np.intp]) -> NDArray[np.intp]:
    """Places in a list of some of its parts, part by part; part i lies from ``offsets[i]`` to ``offsets[i + 1]``."""
    sizes = np.diff(offsets)[which]
    ends = np.cumsum(sizes)
    places: NDArray[np.intp] = np.arange(sizes.sum()) + np.repeat(offsets[which] - ends + sizes, sizes)
    return places


def segment_image(thresholds: ThresholdMap) -> SegmentationImage:
    """Segment an image: label its islands by photutils.

    An island is a segment of pixels above the analysis threshold that reaches the detection threshold. Pixels that
    touch at a corner are connected.

    Parameters
    ----------
    thresholds
        Pixels of the image that reach the two thresholds.

    Returns
    -------
    SegmentationImage
        Labels are 1, 2, … in the order of the islands' first pixels, row by row.
    """
    # Pixels of lesser segments are left out first: dropping their labels afterwards takes longer than finding these.
    is_in_island = peak_regions(thresholds.reached)
    if not is_in_island.any():
        # photutils returns None, with a warning.
        return SegmentationImage(np.zeros(is_in_island.shape, np.int32))
    return detect_sources(is_in_island.view(np.uint8), 0, n_pixels=1, connectivity=8)


def find_islands(field: Field, segments: SegmentationImage) -> Islands:
    """List the pixels of segments, with their values and noise.

    Parameters
    ----------
    field
        The searched field.
    segments
        Of this field, with labels from 1 without a gap.

    Returns
    -------
    Islands
        In the order of the labels.
    """
    return _islands_at(field, *segment_pixels(segments.data, segments.n_labels))


def _islands_at(field: Field, offsets: NDArray[np.intp], flat: NDArray[np.intp]) -> Islands:
    y, x = np.divmod(flat, field.data.shape[1])
    value, rms = field.pixels(flat)
    return Islands(offsets=offsets, x=x, y=y, value=value, rms=rms)


def flag_islands(islands: Islands, field: Field) -> NDArray[np.int32]:
    """Flag islands that touch the edge of the searched area, or a pixel without a value, searched or not.

    Returns
    -------
    flags
        (n,) — ``Flag.EDGE`` and ``Flag.MASKED_PIXELS``.
    """
    bits = touching(islands.offsets, islands.x, islands.y, field.mask, field.data)
    flags = (bits & AT_EDGE > 0) * int(Flag.EDGE) | (bits & AT_GAP > 0) * int(Flag.MASKED_PIXELS)
    return np.asarray(flags, np.int32)


def fitted_pixels(
    islands: Islands,
    field: Field,
    *,
    which: NDArray[np.intp],
    first: NDArray[np.intp],
    centres: NDArray[np.float64],
    form: NDArray[np.float64],
    keep: bool,
) -> Islands:
    """Choose the pixels that the components of some islands are fitted to.

    What is above a threshold is so in part because the noise there is high; a fit to such pixels alone reads too
    much. So the pixels around each component are taken whatever their value, unless they are masked and not the
    island's own.

    Parameters
    ----------
    field
        With all islands of the image masked, see :meth:`Field.without`: no pixel of one belongs to another's fit.
    which
        (n,) — numbers of these islands.
    first
        (n + 1,) — where the components of each start.
    centres
        (n_components, 2) pix — x and y.
    form
        (3,) pix⁻² — (a, b, c): around is where a u² + 2 b u v + c v² ≤ 1.
    keep
        Whether the pixels of the island itself are taken as well.
    """
    pixels = (islands.offsets, islands.x, islands.y)
    return _islands_at(field, *fit_footprints(pixels, field.mask, which, first, centres, form, keep))
