"""The pixels around given positions, read as small cut-outs of the image.

If the boxes have more pixels than the image, the image is read instead: however many positions there are, no more
memory is needed than for the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.catalogues import Flag
from trap.extraction.field import is_outside
from trap.kernels.boxes import pixels_of_boxes, sums_of_boxes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.config import SourceExtractionConfig
    from trap.extraction.mesh import Background
    from trap.images.image import Image
    from trap.typing import Array, Indices


__all__ = ["PixelBoxes", "read_boxes"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PixelBoxes:
    """Square boxes around positions, and a list of their pixels, each once.

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
    half
        pix — the boxes have 2 · half + 1 pixels along each side, fewer at the edges of the image.
    columns, rows
        (n,) — columns and rows of the central pixels; -1 for an empty box.
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
    half: int
    columns: NDArray[np.intp]
    rows: NDArray[np.intp]
    has_centre: NDArray[np.bool_]
    flags: NDArray[np.int32]

    def sums(self, value: Array) -> tuple[Array, Indices]:
        """Sum values of the pixels in each box.

        Parameters
        ----------
        value
            (n_pixels,) — value of each pixel of the list.

        Returns
        -------
        sums, n_pixels
            (n,) each — sum of the values, and number of the pixels with a value, of each box.
        """
        return sums_of_boxes(self.flat, self.nx, (self.columns, self.rows), self.half, value)


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
    columns, rows = (np.where(is_on_image, p, -1) for p in (columns, rows))
    if np.count_nonzero(is_on_image) * (2 * half + 1) ** 2 > nx * ny:
        flat, value, has_centre, flags = _read_image(image, columns, rows, half, config)
    else:
        flat, value, has_centre, flags = _read_each(image, columns, rows, half, (ny, nx), config)
    y_pixel, x_pixel = np.divmod(flat, nx)
    return PixelBoxes(
        nx=nx,
        flat=flat,
        x=x_pixel,
        y=y_pixel,
        value=value - background.mean_at(x_pixel, y_pixel),
        half=half,
        columns=columns,
        rows=rows,
        has_centre=has_centre,
        flags=flags,
    )


def _read_image(
    image: Image, columns: Indices, rows: Indices, half: int, config: SourceExtractionConfig
) -> tuple[Indices, NDArray[Any], NDArray[np.bool_], NDArray[np.int32]]:
    """Read the whole image: indices and values of the pixels in boxes, and for each box its centre and its flags."""
    data = image.data
    has_value = np.isfinite(data)
    ny, nx = data.shape
    outside = np.broadcast_to(is_outside(np.arange(nx), np.arange(ny)[:, np.newaxis], (ny, nx), config), (ny, nx))
    is_in_box, n_pixels, n_outside, n_gaps = pixels_of_boxes(has_value, outside, (columns, rows), half)
    is_valid = has_value & ~outside
    flat = np.flatnonzero(is_in_box & is_valid)
    is_cut = (n_pixels < (2 * half + 1) ** 2) | (n_outside > 0)
    flags = np.where(columns < 0, 0, is_cut * int(Flag.EDGE) | (n_gaps > 0) * int(Flag.MASKED_PIXELS))
    has_centre = (columns >= 0) & is_valid[rows, columns]
    return flat, data.ravel()[flat], has_centre, flags.astype(np.int32)


def _read_each(
    image: Image, columns: Indices, rows: Indices, half: int, shape: tuple[int, int], config: SourceExtractionConfig
) -> tuple[Indices, NDArray[Any], NDArray[np.bool_], NDArray[np.int32]]:
    """Do the same with a cut-out for each box."""
    flats, values = [np.empty(0, np.intp)], [np.empty(0, np.float32)]
    has_centre, flags = np.zeros(columns.size, bool), np.zeros(columns.size, np.int32)
    # A loop, as each box is a read of its own.
    for i in np.flatnonzero(columns >= 0):
        flat, value, has_centre[i], flags[i] = _read_box(image, columns[i], rows[i], half, shape, config)
        flats.append(flat)
        values.append(value)
    # Boxes overlap: the list holds each pixel once.
    flat, first = np.unique(np.concatenate(flats), return_index=True)
    return flat, np.concatenate(values)[first], has_centre, flags


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
