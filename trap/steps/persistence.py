"""TraP's ``persistence`` step: datasets and images on their way into the database.

All of it is TraP's interface, kept for scripts written for TraP. The pipeline itself does not call it: it opens a
dataset with :func:`trap.db.opening.open_dataset` and writes through :class:`trap.db.store.Store`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trap import quality
from trap.db.engine import transaction
from trap.db.images import insert_images
from trap.db.opening import check_and_reopen, find_or_insert
from trap.images.image import Image

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from trap.catalogues import MonitorPositions
    from trap.config import PipelineConfig
    from trap.dataset.records import ImageRecord
    from trap.dataset.state import DatasetState
    from trap.db.engine import Connection, Engine
    from trap.db.images import ImageIds
    from trap.images.image import ImageMetadata

__all__ = ["create_dataset", "extract_metadatas", "get_accessors", "paths_to_fits", "store_images_in_db"]


def create_dataset(
    engine: Engine, config: PipelineConfig, monitors: MonitorPositions | None = None, urls: Sequence[str] = ()
) -> int:
    """Create a dataset, or open the dataset that ``config.persistence`` or the images identify.

    TraP took the number and the description alone, and continued an old dataset with its old settings without
    comparing them to the new ones.

    Parameters
    ----------
    engine
        An upgraded database.
    config
        All settings; each setting that affects results is stored with a new dataset and never changes.
    monitors
        Positions to measure in every image of a new dataset. An existing dataset keeps its own.
    urls
        Paths of the images; without a dataset number they identify an existing dataset.

    Returns
    -------
    The number of the new or existing dataset.

    Raises
    ------
    DatasetNotFoundError
        If the settings name a dataset that does not exist.
    ConfigError
        If an existing dataset has other settings.
    """
    with transaction(engine) as connection:
        dataset_id, is_new = find_or_insert(connection, config, monitors, urls)
        if not is_new:
            check_and_reopen(connection, dataset_id, config)
        return dataset_id


def get_accessors(images: Iterable[str | Path]) -> list[Image]:
    """Open images. Files are read lazily; TraP read all pixels here."""
    return [Image(path) for path in images]


def extract_metadatas(
    accessors: Sequence[Image], rms_est_sigma: float, rms_est_fraction: int
) -> list[tuple[ImageMetadata, float]]:
    """Read the metadata of images, and measure the noise of their central regions.

    Parameters
    ----------
    accessors
        Images; their pixels are read.
    rms_est_sigma
        Clip level, in σ.
    rms_est_fraction
        Divisor of the image size: the region has 2⌊n/f⌋ pixels along an axis of n.

    Returns
    -------
    For each image its metadata and its noise in Jy/beam. TraP returned one dict each.
    """
    return [
        (image.metadata, quality.rms_qc(image.data, sigma=rms_est_sigma, fraction=rms_est_fraction))
        for image in accessors
    ]


def paths_to_fits(paths: Iterable[str | Path]) -> Iterator[tuple[NDArray[np.float32], str]]:
    """Read the pixels and the header text of images, one by one.

    TraP pickled the pixels, and yielded None for an unreadable file; here an unreadable file raises an error.
    """
    for image in get_accessors(paths):
        yield image.data, image.header.tostring(sep="\n")


def store_images_in_db(
    connection: Connection,
    dataset_id: int,
    images: Sequence[ImageRecord],
    state: DatasetState,
    timestep_id: int | None = None,
) -> ImageIds:
    """Insert images with their bands, sky regions, noise meshes and rejections.

    TraP took dicts, sorted them in place and committed; here the records are in order of time and the caller
    commits. The extraction radius and the largest bandwidth are settings of the dataset.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    images
        Associated images, in order of time.
    state
        State of the dataset; bands and regions without a row number are inserted.
    timestep_id
        Row number of the timestep; None for images that belong to no stored timestep.

    Returns
    -------
    Row numbers of the images, and of all bands and regions of the dataset.
    """
    return insert_images(connection, dataset_id, timestep_id, images, state)
