"""Persistence: datasets, images and timesteps on their way into the database."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from trap import quality
from trap.db import dataset_state, datasets, runs, timesteps
from trap.db.engine import make_engine, reading, transaction
from trap.db.images import insert_images
from trap.db.locks import confirm_writer, writing
from trap.db.resume import find_resumable
from trap.db.schema import upgrade
from trap.errors import ConfigError, TransientError
from trap.images.image import Image
from trap.retry import STORE_DELAYS, call_patiently

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from sqlalchemy import Connection, Engine

    from trap.catalogues import MonitorPositions
    from trap.config import PipelineConfig
    from trap.dataset.records import ImageRecord, StoredIds, TimestepRecord, UnreadableImage
    from trap.dataset.state import DatasetState
    from trap.db.images import ImageIds
    from trap.images.image import ImageMetadata

__all__ = [
    "create_dataset",
    "extract_metadatas",
    "get_accessors",
    "known_contents",
    "latest_timestep",
    "load_state",
    "open_dataset",
    "paths_to_fits",
    "record_failure",
    "store_images_in_db",
    "store_timestep",
    "store_unreadable",
]

MAKE_ANOTHER = "make a new dataset with: --new-dataset"


def create_dataset(
    engine: Engine, config: PipelineConfig, monitors: MonitorPositions | None = None, urls: Sequence[str] = ()
) -> int:
    """Make a dataset, or open the one that ``config.persistence.dataset_id`` names or the images belong to.

    TraP took the number and the description alone, and went on with the settings of an old
    dataset whatever the new ones said.

    Parameters
    ----------
    engine
        An upgraded database.
    config
        All settings; those that shape results are frozen with a new dataset.
    monitors
        Positions to measure in every image of a new dataset; of an old one they must be the same.
    urls
        Paths of the images, by which a dataset is found where no number is given.

    Returns
    -------
    The number of the dataset.

    Raises
    ------
    DatasetNotFoundError
        If the dataset does not exist.
    ConfigError
        If the settings or positions differ from those of an old dataset.
    """
    with transaction(engine) as connection:
        dataset_id, is_new = _find_or_make(connection, config, monitors, urls)
        if not is_new:
            _open_again(connection, dataset_id, config, monitors)
        return dataset_id


def _find_or_make(
    connection: Connection, config: PipelineConfig, monitors: MonitorPositions | None, urls: Sequence[str]
) -> tuple[int, bool]:
    """Return the number of the dataset that the settings ask for, and whether it was made just now."""
    wanted, key = config.persistence.dataset_id, config.persistence.dataset_key
    if wanted > 0:
        return wanted, False
    if key:
        found = datasets.number_of_key(connection, key)
    else:
        found = find_resumable(connection, config, urls) if wanted == 0 and urls else None
    if found is not None:
        return found, False
    made = datasets.create_dataset(connection, config)
    if monitors is not None:
        datasets.add_monitors(connection, made, monitors)
    return made, True


def _open_again(
    connection: Connection, dataset_id: int, config: PipelineConfig, monitors: MonitorPositions | None
) -> None:
    """Open an old dataset, if it was made with the same settings and monitored positions."""
    differences = config.differences(datasets.stored_config(connection, dataset_id))
    if differences:
        msg = f"dataset {dataset_id} was made with other settings: {'; '.join(differences)}; {MAKE_ANOTHER}"
        raise ConfigError(msg)
    if monitors is not None and len(monitors) and not datasets.has_monitors(connection, dataset_id, monitors):
        msg = f"dataset {dataset_id} has its monitored positions; {MAKE_ANOTHER}"
        raise ConfigError(msg)
    datasets.open_dataset(connection, dataset_id)


@contextmanager
def open_dataset(
    config: PipelineConfig, monitors: MonitorPositions | None = None, urls: Sequence[str] = ()
) -> Iterator[tuple[Engine, int]]:
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
        with transaction(engine) as connection:
            dataset_id, is_new = _find_or_make(connection, config, monitors, urls)
            # A new dataset has its run before anybody else can see it: the same command finds it by the run's images.
            run_id = runs.start_run(connection, dataset_id, config) if is_new else 0
        with writing(engine, dataset_id, wait=config.execution.wait_for_dataset):
            if not is_new:
                with transaction(engine) as connection:
                    _open_again(connection, dataset_id, config, monitors)
                    run_id = runs.start_run(connection, dataset_id, config)
            with _ending(engine, dataset_id, run_id):
                yield engine, dataset_id
    finally:
        engine.dispose()


@contextmanager
def _ending(engine: Engine, dataset_id: int, run_id: int) -> Iterator[None]:
    """Record how a run ends, however it does."""

    def record(state: str) -> None:
        with transaction(engine) as connection:
            runs.end_run(connection, run_id, datasets.finish_dataset(connection, dataset_id, state))

    try:
        yield
    except BaseException:
        # What went wrong is told, not that the database it went wrong with cannot take this either.
        with suppress(TransientError):
            record("failed")
        raise
    call_patiently(lambda: record("done"), STORE_DELAYS)


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
    state: DatasetState,
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
    return insert_images(connection, dataset_id, timestep_id, images, state)


def store_timestep(engine: Engine, dataset_id: int, record: TimestepRecord, state: DatasetState) -> StoredIds | None:
    """Store a timestep in one transaction: all of it or nothing; changes nothing in memory.

    The transaction is tried again after an error that may pass, such as a lost connection.

    Returns
    -------
    The row numbers given out; None if an attempt that was cut off had stored the timestep after all:
    the state is then to be loaded anew.

    Raises
    ------
    TransientError, DatabaseError
        If it cannot be stored; then nothing of it is.
    DatasetLockedError
        If another run writes the dataset.
    """
    store = timesteps.store_late_images if record.is_late else timesteps.store_timestep

    def attempt() -> StoredIds | None:
        confirm_writer(engine, dataset_id)
        with transaction(engine) as connection:
            return store(connection, dataset_id, record, state)

    return call_patiently(attempt, STORE_DELAYS)


def load_state(engine: Engine, dataset_id: int, config: PipelineConfig) -> DatasetState:
    """Load the state of a dataset."""
    with reading(engine) as connection:
        return dataset_state.load_state(connection, dataset_id, config)


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
