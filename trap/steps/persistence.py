"""Persistence: datasets, images and timesteps on their way into the database."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from trap import quality
from trap.db import datasets, surveys, timesteps
from trap.db.engine import make_engine, reading, transaction
from trap.db.images import insert_images
from trap.db.locks import writing
from trap.db.schema import upgrade
from trap.errors import ConfigError
from trap.images.image import Image

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy import Connection, Engine

    from trap.catalogues import MonitorPositions
    from trap.config import PipelineConfig
    from trap.db.images import ImageIds
    from trap.images.image import ImageMetadata
    from trap.records import ImageRecord, StoredIds, TimestepRecord, UnreadableImage
    from trap.survey import Survey

__all__ = [
    "create_dataset",
    "extract_metadatas",
    "get_accessors",
    "known_contents",
    "latest_timestep",
    "load_survey",
    "open_dataset",
    "paths_to_fits",
    "record_failure",
    "store_images_in_db",
    "store_timestep",
    "store_unreadable",
]


def create_dataset(engine: Engine, config: PipelineConfig, monitors: MonitorPositions | None = None) -> int:
    """Make a dataset, or open the one that ``config.persistence.dataset_id`` names.

    TraP took the number and the description alone, and went on with the settings of an old
    dataset whatever the new ones said.

    Parameters
    ----------
    engine
        An upgraded database.
    config
        All settings; those that shape results are frozen with a new dataset.
    monitors
        Positions to measure in every image of a new dataset.

    Returns
    -------
    The number of the dataset.

    Raises
    ------
    DatasetNotFoundError
        If the dataset does not exist.
    ConfigError
        If the settings differ from those of an old dataset, or positions are given for one.
    """
    dataset_id = config.persistence.dataset_id
    with transaction(engine) as connection:
        if dataset_id == -1:
            dataset_id = datasets.create_dataset(connection, config)
            if monitors is not None:
                datasets.add_monitors(connection, dataset_id, monitors)
            return dataset_id
        differences = config.differences(datasets.stored_config(connection, dataset_id))
        if differences:
            msg = f"dataset {dataset_id} was made with other settings: " + "; ".join(differences)
            raise ConfigError(msg)
        if monitors is not None and len(monitors):
            msg = f"dataset {dataset_id} has its monitored positions; make a new dataset for others"
            raise ConfigError(msg)
        return datasets.open_dataset(connection, dataset_id)


@contextmanager
def open_dataset(config: PipelineConfig, monitors: MonitorPositions | None = None) -> Iterator[tuple[Engine, int]]:
    """Open the database and the dataset for writing; nobody else writes the dataset meanwhile.

    Yields
    ------
    The database and the number of the dataset.

    Raises
    ------
    DatabaseError
        If the database cannot be used, or another run is writing the dataset.
    """
    engine = make_engine(config.execution.database)
    try:
        upgrade(engine)
        config, monitors = _of_key(engine, config, monitors)
        is_new = config.persistence.dataset_id == -1
        dataset_id = create_dataset(engine, config, monitors) if is_new else config.persistence.dataset_id
        with writing(engine, dataset_id):
            if not is_new:
                create_dataset(engine, config, monitors)
            state = "failed"
            try:
                yield engine, dataset_id
                state = "done"
            finally:
                with transaction(engine) as connection:
                    datasets.finish_dataset(connection, dataset_id, state)
    finally:
        engine.dispose()


def _of_key(
    engine: Engine, config: PipelineConfig, monitors: MonitorPositions | None
) -> tuple[PipelineConfig, MonitorPositions | None]:
    """Look up the dataset that a key names; positions that it has already are not given to it again."""
    settings = config.persistence
    if settings.dataset_id != -1 or not settings.dataset_key:
        return config, monitors
    with reading(engine) as connection:
        number = datasets.number_of_key(connection, settings.dataset_key)
        if number is None:
            return config, monitors
        known = datasets.monitored_positions(connection, number)
    given = [] if monitors is None else list(zip(monitors.ra, monitors.dec, monitors.name, strict=True))
    return config.with_options(persistence={"dataset_id": number}), None if given == known else monitors


def get_accessors(images: Iterable[str | Path]) -> list[Image]:
    """Make images of paths; nothing is read before it is asked for (TraP read all pixels here)."""
    return [Image(path) for path in images]


def extract_metadatas(
    accessors: Sequence[Image], rms_est_sigma: float, rms_est_fraction: int
) -> list[tuple[ImageMetadata, float]]:
    """Describe images: what their headers say, and the noise of their central region.

    Parameters
    ----------
    accessors
        Images; their pixels are read.
    rms_est_sigma
        Clip level, in σ.
    rms_est_fraction
        Divisor of the region.

    Returns
    -------
    In the order given: metadata, and noise in Jy/beam. (TraP returned one dict each.)
    """
    return [
        (image.metadata, quality.rms_qc(image.data, sigma=rms_est_sigma, fraction=rms_est_fraction))
        for image in accessors
    ]


def paths_to_fits(paths: Iterable[str | Path]) -> Iterator[tuple[NDArray[np.float32], str]]:
    """Read pixels and header text of images, one by one.

    TraP pickled the pixels, and yielded None for what it could not read; here that raises.
    """
    for image in get_accessors(paths):
        yield image.data, image.header.tostring(sep="\n")


def store_images_in_db(
    connection: Connection,
    dataset_id: int,
    images: Sequence[ImageRecord],
    survey: Survey,
    timestep_id: int | None = None,
) -> ImageIds:
    """Insert images, with their bands, sky regions, noise meshes and rejections.

    TraP took dicts, sorted them in place and committed; here the records come in order of time
    and the transaction is the caller's. The radius of extraction and the largest bandwidth are
    among the survey's settings.

    Returns
    -------
    Row numbers of the images, and of all bands and regions of the survey.
    """
    return insert_images(connection, dataset_id, timestep_id, images, survey)


def store_timestep(engine: Engine, dataset_id: int, record: TimestepRecord, survey: Survey) -> StoredIds:
    """Store a timestep in one transaction: all of it or nothing; changes nothing in memory."""
    with transaction(engine) as connection:
        return timesteps.store_timestep(connection, dataset_id, record, survey)


def load_survey(engine: Engine, dataset_id: int, config: PipelineConfig) -> Survey:
    """Load the state of a dataset."""
    with reading(engine) as connection:
        return surveys.load_survey(connection, dataset_id, config)


def known_contents(engine: Engine, dataset_id: int) -> set[str]:
    """Content hashes of the images that a dataset holds."""
    with reading(engine) as connection:
        return datasets.processed_hashes(connection, dataset_id)


def latest_timestep(engine: Engine, dataset_id: int) -> datetime | None:
    """Newest stored timestep of a dataset."""
    with reading(engine) as connection:
        return datasets.latest_timestep(connection, dataset_id)


def record_failure(engine: Engine, dataset_id: int, taustart_ts: datetime, reason: str) -> None:
    """Record that a timestep failed, and why."""
    with transaction(engine) as connection:
        datasets.record_failure(connection, dataset_id, taustart_ts, reason)


def store_unreadable(engine: Engine, dataset_id: int, files: Sequence[UnreadableImage]) -> None:
    """Record files that could not be described."""
    with transaction(engine) as connection:
        datasets.store_unreadable(connection, dataset_id, files)
