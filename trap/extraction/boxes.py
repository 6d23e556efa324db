"""The pixels around given positions, read as small cut-outs of the image."""

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
    """Square boxes around positions: a list of pixels, each once, and the places of each box in the list.

    The list holds the pixels of the searched area that have a value.

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
        (n + 1,) and (n_members,) — ``members[offsets[i]:offsets[i + 1]]`` are the places in the list of
        the pixels of box i.
    has_centre
        (n,) — whether the pixel at the centre of the box is in the list.
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
        """(n_members,) — index of the box of each member."""
        return np.repeat(np.arange(len(self.has_centre)), np.diff(self.offsets))


def read_boxes(
    image: Image, x: Array, y: Array, *, half: int, background: Background, config: SourceExtractionConfig
) -> PixelBoxes:
    """Read the pixels around positions.

    Parameters
    ----------
    image
        Image, which is read in cut-outs.
    x, y
        (n,) pix — positions. The box of a position that is NaN or off the image is empty.
    half
        pix — the boxes have 2 · half + 1 pixels along each side, fewer at the edges of the image.
    background
        Background, which is subtracted from the pixels.
    config
        Extraction settings, which define the searched area.
    """
    ny, nx = background.shape
    is_on_image = (x > -0.5) & (x < nx - 0.5) & (y > -0.5) & (y < ny - 0.5)
    # Other positions are replaced first: they may be too large for an integer.
    columns, rows = (np.round(np.where(is_on_image, p, 0)).astype(np.intp) for p in (x, y))
    flats, values = [np.empty(0, np.intp)], [np.empty(0, np.float32)]
    sizes, has_centre, flags = (np.zeros(x.size, dtype) for dtype in (np.intp, bool, np.int32))
    # A loop, as each box is a read of its own.
    for i in np.flatnonzero(is_on_image):
        flat, value, has_centre[i], flags[i] = _read_box(image, columns[i], rows[i], half, (ny, nx), config)
        flats.append(flat)
        values.append(value)
        sizes[i] = flat.size
    # Boxes overlap: the list holds each pixel once, and the boxes refer to it.
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
    """Read one box: indices and values of its pixels, whether its central pixel is among them, and its flags."""
    ny, nx = shape
    rows = np.arange(max(0, row - half), min(ny, row + half + 1))
    columns = np.arange(max(0, column - half), min(nx, column + half + 1))
    pixels = image.cutout(slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    outside = is_outside(columns, rows[:, np.newaxis], shape, config)
    has_value = np.isfinite(pixels)
    is_valid = has_value & ~outside
    is_cut = pixels.size < (2 * half + 1) ** 2 or bool(outside.any())
    has_gap = bool((~has_value & ~outside).any())
    flags = is_cut * int(Flag.EDGE) | has_gap * int(Flag.MASKED_PIXELS)
    flat = rows[:, np.newaxis] * nx + columns
    return flat[is_valid], pixels[is_valid], bool(is_valid[row - rows[0], column - columns[0]]), flags
