"""Maps of the noise and the background that other software made, on our mesh."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from trap.errors import ImageError
from trap.extraction.mesh import Background
from trap.images.formats import format_of
from trap.images.headers.brightness import parse_brightness
from trap.images.patterns import path_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.config import SourceExtractionConfig
    from trap.images.image import Image
    from trap.typing import Map

__all__ = ["GivenMaps", "read_maps"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GivenMaps:
    """Noise and level of the empty sky on the pixels of an image.

    Parameters
    ----------
    noise
        (ny, nx) Jy/beam — noise.
    level
        (ny, nx) Jy/beam — level; None if it is zero.
    path
        Path of the map of the noise, for messages.
    """

    noise: Map
    level: Map | None
    path: str

    def mesh(self, mask: NDArray[np.bool_], config: SourceExtractionConfig) -> Background:
        """Take the medians of the maps in the cells of our mesh.

        Parameters
        ----------
        mask
            (ny, nx) — True for pixels that are left out.
        config
            Settings of the size of the cells.

        Raises
        ------
        ImageError
            If the map of the noise has no positive value where the image is searched.
        """
        rows, columns = (np.flatnonzero(~mask.all(axis=axis)) for axis in (1, 0))
        y, x = (
            (int(used[0]), int(used[-1]) + 1) if used.size else (0, size)
            for used, size in zip((rows, columns), mask.shape, strict=True)
        )
        is_good = ~mask & np.isfinite(self.noise) & (self.noise > 0)
        if self.level is not None:
            is_good &= np.isfinite(self.level)
        if not is_good.any():
            msg = "the map of the noise has no positive value where the image is searched"
            raise ImageError(msg, self.path)
        cell = min(config.back_size_x, x[1] - x[0]), min(config.back_size_y, y[1] - y[0])
        starts = np.arange(y[0], y[1], cell[1]), np.arange(x[0], x[1], cell[0])
        rms = _medians(self.noise, is_good, starts, cell)
        level = np.zeros_like(rms) if self.level is None else _medians(self.level, is_good, starts, cell)
        return Background(
            mesh_mean=level,
            mesh_rms=rms,
            shape=(mask.shape[0], mask.shape[1]),
            origin=(x[0], y[0]),
            extent=(x[1], y[1]),
            cell=cell,
        )


def read_maps(image: Image, noise: str, level: str = "") -> GivenMaps:
    """Read the maps of an image.

    Parameters
    ----------
    image
        The image, whose grid the maps have; its unit counts for a map without one.
    noise, level
        Paths of the maps; an empty path of the level is a level of zero.

    Raises
    ------
    ImageError
        If a map cannot be read, has another grid, or a unit that cannot be converted; the message names the map.
    """
    return GivenMaps(noise=_read(image, noise), level=_read(image, level) if level else None, path=noise)


def _read(image: Image, path: str) -> Map:
    """Read a map, and convert it to Jy/beam."""
    file = path_of(path)
    form = format_of(file)
    pixels = np.array(form.read_plane(file, image.settings), np.float32)
    if pixels.shape != image.data.shape:
        (ny, nx), (height, width) = pixels.shape, image.data.shape
        msg = f"a map of {nx} × {ny} pixels, but its image {image.url} has {width} × {height}"
        raise ImageError(msg, path)
    metadata = image.metadata
    unit = str(form.read_header(file, image.settings).get("BUNIT", "")).strip()
    factor = metadata.jansky_per_unit
    if unit and unit != metadata.unit:
        area = abs(metadata.deltax * metadata.deltay)
        try:
            factor = parse_brightness(unit).jansky_per_unit(metadata.beam, metadata.freq_eff, area)
        except ValueError as error:
            msg = f"unit {unit!r} of the map: {error}"
            raise ImageError(msg, path) from error
    return pixels * np.float32(factor)


def _medians(
    pixels: Map, is_good: NDArray[np.bool_], starts: tuple[NDArray[np.intp], NDArray[np.intp]], cell: tuple[int, int]
) -> Map:
    """Return the median of the good pixels of each cell; a cell without any has the value of the nearest other."""
    mesh = np.full((starts[0].size, starts[1].size), np.nan, np.float32)
    for row, y in enumerate(starts[0].tolist()):
        for column, x in enumerate(starts[1].tolist()):
            part = slice(y, y + cell[1]), slice(x, x + cell[0])
            values = pixels[part][is_good[part]]
            if values.size:
                mesh[row, column] = np.median(values)
    is_empty = np.isnan(mesh)
    if is_empty.any():
        nearest = ndimage.distance_transform_edt(is_empty, return_distances=False, return_indices=True)
        mesh = mesh[tuple(nearest)]
    return mesh
