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
    from trap.typing import Array, Indices

__all__ = ["Islands", "find_islands", "fitted_pixels", "flag_islands", "list_places", "segment_image"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Islands:
    """Lists of the pixels of all islands, island by island.

    Parameters
    ----------
    offsets
        (n + 1,) — first place of each island in the lists, and the length of the lists.
    x, y
        (n_pixels,) — columns and rows. The pixels of an island are in the order of the image.
    value, rms
        (n_pixels,) Jy/beam — background-subtracted brightness, and noise.
    """

    offsets: Indices
    x: Indices
    y: Indices
    value: Array
    rms: Array

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def sizes(self) -> Indices:
        """(n,) — number of pixels of each island."""
        return np.diff(self.offsets)

    @property
    def island(self) -> Indices:
        """(n_pixels,) — index of the island that each pixel belongs to."""
        return np.repeat(np.arange(len(self)), self.sizes)

    def take(self, which: Indices) -> Self:
        """Take some of the islands, in the order of their indices in ``which``."""
        offsets = np.concatenate([[0], np.cumsum(self.sizes[which])]).astype(np.intp)
        places = list_places(self.offsets, which)
        lists = {name: getattr(self, name)[places] for name in ("x", "y", "value", "rms")}
        return type(self)(offsets=offsets, **lists)

    def pixels(self, island: int | np.intp) -> slice:
        """Return the places of one island in the lists."""
        return slice(int(self.offsets[island]), int(self.offsets[island + 1]))


def list_places(offsets: Indices, which: Indices) -> Indices:
    """List the places of some parts of a list, part by part.

    Parameters
    ----------
    offsets
        (n + 1,) — part i of the list has the places ``offsets[i]`` to ``offsets[i + 1]``.
    which
        (m,) — indices of parts.

    Returns
    -------
    (n_places,)
        Indices into the list.
    """
    sizes = np.diff(offsets)[which]
    new_starts = np.cumsum(sizes) - sizes
    # Counting through the new list, each part is moved by the difference of its old and its new start.
    places: Indices = np.arange(sizes.sum()) + np.repeat(offsets[which] - new_starts, sizes)
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
    # Pixels of fainter segments are left out first, which is faster than the removal of their labels.
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
        Segmentation of this field, with labels from 1 without gaps.

    Returns
    -------
    Islands
        In the order of the labels.
    """
    return _islands_at(field, *segment_pixels(segments.data, segments.n_labels))


def _islands_at(field: Field, offsets: Indices, flat: Indices) -> Islands:
    """Read values and noise at indices y·nx + x."""
    y, x = np.divmod(flat, field.data.shape[1])
    value, rms = field.pixels(flat)
    return Islands(offsets=offsets, x=x, y=y, value=value, rms=rms)


def flag_islands(islands: Islands, field: Field) -> NDArray[np.int32]:
    """Flag islands that touch the edge of the searched area, or a pixel without a value, searched or not.

    Parameters
    ----------
    islands
        Islands of the field.
    field
        The searched field.

    Returns
    -------
    flags
        (n,) — ``Flag.EDGE`` and ``Flag.MASKED_PIXELS``.
    """
    bits = touching(islands.offsets, islands.x, islands.y, field.mask, field.data)
    flags = (bits & AT_EDGE > 0) * int(Flag.EDGE) | (bits & AT_GAP > 0) * int(Flag.MASKED_PIXELS)
    return np.asarray(flags, np.int32)


def fitted_pixels(
    islands: Islands, field: Field, *, which: Indices, first: Indices, centres: Array, form: Array, keep: bool
) -> Islands:
    """Choose the pixels that the components of some islands are fitted to.

    Pixels above a threshold are there in part because their noise is high, and a fit to them alone gives too large a
    peak. Therefore all pixels around each component are fitted, regardless of their values, except masked pixels of no
    island and pixels of other islands.

    Parameters
    ----------
    islands
        Islands of the field.
    field
        The field with the pixels of all islands masked, see :meth:`Field.without`.
    which
        (n,) — indices of the islands that are fitted.
    first
        (n + 1,) — index of the first component of each of these islands, and the number of all components.
    centres
        (n_components, 2) pix — x and y.
    form
        (3,) pix⁻² — (a, b, c) of the ellipse a u² + 2 b u v + c v² ≤ 1 around each component.
    keep
        Whether all pixels of the island itself are fitted too.
    """
    pixels = (islands.offsets, islands.x, islands.y)
    return _islands_at(field, *fit_footprints(pixels, field.mask, which, first, centres, form, keep))
