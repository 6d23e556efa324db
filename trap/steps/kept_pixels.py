"""Kept pixels: files with all pixels of an image, or with cut-outs around its candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.catalogues import ExtractType
from trap.dataset.records import KeptPixels
from trap.db.kept_pixels import pixel_directory
from trap.images.image import Image
from trap.images.kept_pixels import keep_cutouts, keep_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trap.config import PipelineConfig
    from trap.dataset.records import ImageRecord

__all__ = ["keep_pixels"]


def keep_pixels(images: Sequence[ImageRecord], config: PipelineConfig) -> tuple[KeptPixels, ...]:
    """Write the pixels of images to files, as the settings require.

    Parameters
    ----------
    images
        Images of a timestep.
    config
        Settings of reading, and of execution: ``keep_pixels`` is 'no', 'images' or 'cutouts'; ``pixel_directory`` is
        the folder.

    Returns
    -------
    The written files. Rejected images and source lists without an image have none; with 'cutouts', neither have images
    without a position of interest.

    Raises
    ------
    ImageError
        If the file of an image was replaced after it was measured.
    TransientError
        If a file cannot be written.
    """
    settings = config.execution
    directory = pixel_directory(settings)
    if directory is None:
        return ()
    kept = []
    for number, image in enumerate(images):
        ra, dec = _positions_of_interest(image)
        has_pixels = image.result.rejection is None and image.result.metadata.has_pixels
        if not has_pixels or (settings.keep_pixels == "cutouts" and not len(ra)):
            continue
        content = image.result.content_hash
        path = directory / content[:2] / f"{content}.{settings.keep_pixels}.fits"
        source = Image(image.result.metadata.url, config.reading)
        source.require_start(image.result.metadata.taustart_ts)
        if settings.keep_pixels == "images":
            keep_image(source, path)
        else:
            keep_cutouts(source, path, ra, dec)
        header = source.header.tostring(sep="\n")
        kept.append(KeptPixels(image=number, header=header, path=str(path), kind=settings.keep_pixels))
    return tuple(kept)


def _positions_of_interest(image: ImageRecord) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the positions of an image's transient candidates and monitored sources."""
    monitored = np.flatnonzero(image.measurements.extract_type == ExtractType.MONITORED)
    rows = np.unique(np.concatenate([image.new_sources.measurement, monitored]))
    return image.measurements.ra[rows], image.measurements.dec[rows]
