"""The pixels around given positions, each of them once, read as small cut-outs of the image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.catalogues import Flag
from trap.extraction.field import is_outside

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.config import SourceExtractionConfig
    from trap.extraction.mesh import Background
    from trap.images.image import Image
    from trap.typing import Array


__all__ = ["PixelBoxes", "read_boxes"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PixelBoxes:
    """Square boxes around positions, as a list of pixels and, for each box, its places in that list.

    Only pixels that count are in the list: those in the searched area that have a value.

    Parameters
    ----------
    nx
        Columns of the image.
    flat
        (n_pixels,) — index y·nx + x of each pixel, increasing.
    x, y
        (n_pixels,) — columns and rows.
    value
        (n_pixels,) Jy/beam — background-subtracted brightness.
    offsets, members
        Places in the list of the pixels of box i: ``members[offsets[i]:offsets[i + 1]]``.
    has_centre
        (n,) — whether the pixel at the middle of the box counts.
    flags
        (n,) — ``Flag.EDGE`` and ``Flag.MASKED_PIXELS``.
    """

    nx: int
    flat: NDArray[np.intp]
    x: NDArray[np.intp]
    y: NDArray[np.intp]
    value: Array
    offsets: NDArray[np.intp]
    members: NDArray[np.intp]
    has_centre: NDArray[np.bool_]
    flags: NDArray[np.int32]

    @property
    def box(self) -> NDArray[np.intp]:
        """(n_members,) — index of the box that each member belongs to."""
        return np.repeat(np.arange(len(self.has_centre)), np.diff(self.offsets))


def read_boxes(
    image: Image, x: Array, y: Array, *, half: int, background: Background, config: SourceExtractionConfig
) -> PixelBoxes:
    """Read the pixels around positions.

    Parameters
    ----------
    x, y
        (n,) pix — positions; one that is NaN or off the image has an empty box.
    half
        pix — the boxes have 2 · half + 1 pixels along each side, less at the edges.
    background
        Subtracted from the pixels.
    """
    # Off the image is as far off as can be: a position far behind the sky need not fit an integer.
    ny, nx = background.shape
    is_on = (x > -0.5) & (x < nx - 0.5) & (y > -0.5) & (y < ny - 0.5)
    columns, rows = (np.round(np.where(is_on, p, 0)).astype(np.intp) for p in (x, y))
    flats, values = [np.empty(0, np.intp)], [np.empty(0, np.float32)]
    sizes, has_centre, flags = (np.zeros(x.size, dtype) for dtype in (np.intp, bool, np.int32))
    for i in np.flatnonzero(is_on):  # Each is a read of its own.
        flat, value, has_centre[i], flags[i] = _read_box(image, columns[i], rows[i], half, (ny, nx), config)
        flats.append(flat)
        values.append(value)
        sizes[i] = flat.size
    flat, first, members = np.unique(np.concatenate(flats), return_index=True, return_inverse=True)
    y_pixel, x_pixel = np.divmod(flat, nx)
    return PixelBoxes(
        nx=nx,
        flat=flat,
        x=x_pixel,
        y=y_pixel,
        value=np.concatenate(values)[first] - background.mean_at(x_pixel, y_pixel),
        offsets=np.concatenate([[0], np.cumsum(sizes)]),
        members=members,
        has_centre=has_centre,
        flags=flags,
    )


def _read_box(
    image: Image, column: int, row: int, half: int, shape: tuple[int, int], config: SourceExtractionConfig
) -> tuple[NDArray[np.intp], NDArray[Any], bool, int]:
    """Indices and values of the pixels that count, whether the middle one does, and flags."""
    ny, nx = shape
    rows = np.arange(max(0, row - half), min(ny, row + half + 1))
    columns = np.arange(max(0, column - half), min(nx, column + half + 1))
    pixels = image.cutout(slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    outside = is_outside(columns, rows[:, np.newaxis], shape, config)
    has_value = np.isfinite(pixels)
    counts = has_value & ~outside
    is_cut = counts.size < (2 * half + 1) ** 2 or bool(outside.any())
    flags = is_cut * int(Flag.EDGE) | bool((~has_value & ~outside).any()) * int(Flag.MASKED_PIXELS)
    flat = rows[:, np.newaxis] * nx + columns
    return flat[counts], pixels[counts], bool(counts[row - rows[0], column - columns[0]]), flags
