"""The dataset of a run: found or created, opened by one writer, and closed with the outcome of the run."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from trap.calibration.reference import load_references
from trap.db import datasets, monitors, runs
from trap.db.engine import make_engine, transaction
from trap.db.kept_pixels import pixel_directory
from trap.db.locks import writing
from trap.db.resume import find_resumable
from trap.db.schema import upgrade
from trap.db.store import Store, retried
from trap.errors import ConfigError, TransientError
from trap.retry import interrupt_behind

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Connection, Engine

    from trap.catalogues import MonitorPositions
    from trap.config import PipelineConfig

__all__ = ["check_and_reopen", "find_or_insert", "open_dataset"]

USE_NEW_DATASET = "start a new dataset with --new-dataset"


@contextmanager
def open_dataset(
    config: PipelineConfig,
    positions: MonitorPositions | None = None,
    urls: Sequence[str] = (),
    origin: Sequence[str] = (),
) -> Iterator[Store]:
    """Open the database and the dataset for writing. No other run can write the dataset until the block ends.

    Parameters
    ----------
    config
        All settings.
    positions
        Positions to measure in every image of a new dataset. An existing dataset keeps its own; see
        :mod:`trap.steps.monitor_filling` for additional positions.
    urls
        Paths of the images; without a dataset number they identify an existing dataset.
    origin
        Patterns of the paths of images that arrive later, as for :func:`~trap.db.resume.find_resumable`.

    Yields
    ------
    The dataset.

    Raises
    ------
    ConfigError
        If an existing dataset has other settings, or a reference catalogue cannot be read.
    DatabaseError
        If the database cannot be used, or another run is writing the dataset.
    """
    # A missing setting or file is reported before anything is created.
    pixel_directory(config.execution)
    load_references(config.calibration)
    engine = make_engine(config.execution.database)
    try:
        upgrade(engine)
        with transaction(engine) as connection:
            dataset_id, is_new = find_or_insert(connection, config, positions, urls, origin)
            # A new dataset and its run become visible together, since the same command finds it by the run's images.
            run_id = runs.start_run(connection, dataset_id, config) if is_new else 0
        with writing(engine, dataset_id, wait=config.execution.wait_for_dataset):
            if not is_new:
                with transaction(engine) as connection:
                    check_and_reopen(connection, dataset_id, config)
                    continued = datasets.continued_config(connection, dataset_id, config)
                    run_id = runs.start_run(connection, dataset_id, continued)
            with _recorded_end(engine, dataset_id, run_id):
                yield Store(engine, dataset_id, is_new=is_new)
    finally:
        engine.dispose()


def find_or_insert(
    connection: Connection,
    config: PipelineConfig,
    positions: MonitorPositions | None,
    urls: Sequence[str],
    origin: Sequence[str] = (),
) -> tuple[int, bool]:
    """Find the dataset that the settings and images identify, or insert a new one.

    Parameters
    ----------
    connection
        Connection in a transaction of the caller.
    config
        All settings; ``persistence.dataset_id`` or ``dataset_key`` may name the dataset.
    positions
        Monitored positions of a new dataset; None for no positions.
    urls, origin
        Paths of the images and patterns of such paths, for a dataset that is named by neither.

    Returns
    -------
    Number of the dataset, and whether it is new.

    Raises
    ------
    ConfigError
        If several datasets have the name that the run gives (``dataset_key`` and ``description`` are equal then).
    """
    number, key = config.persistence.dataset_id, config.persistence.dataset_key
    if number > 0:
        return number, False
    existing: int | None = None
    if key:
        existing = datasets.number_of_key(connection, key)
        if existing is None and key == config.persistence.description:  # as option --name sets them
            existing = datasets.number_of_description(connection, key)
    elif number == 0 and (urls or origin):
        existing = find_resumable(connection, config, urls, origin)
    if existing is not None:
        return existing, False
    dataset_id = datasets.insert_dataset(connection, config)
    if positions is not None:
        monitors.add_monitors(connection, dataset_id, positions)
    return dataset_id, True


def check_and_reopen(connection: Connection, dataset_id: int, config: PipelineConfig) -> None:
    """Reopen an existing dataset after checking that its settings are the same.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    config
        All settings; each setting that affects results must equal the value stored with the dataset, after
        :func:`~trap.db.datasets.continued_config`.

    Raises
    ------
    ConfigError
        If they differ.
    DatasetNotFoundError
        If the dataset does not exist.
    """
    config = datasets.continued_config(connection, dataset_id, config)
    differences = config.differences(datasets.stored_config(connection, dataset_id))
    if differences:
        msg = f"dataset {dataset_id} was made with other settings: {'; '.join(differences)}; {USE_NEW_DATASET}"
        raise ConfigError(msg)
    datasets.reopen_dataset(connection, dataset_id)


@contextmanager
def _recorded_end(engine: Engine, dataset_id: int, run_id: int) -> Iterator[None]:
    """Record at the end of the block how the run ended."""

    def record(state: str) -> None:
        with transaction(engine) as connection:
            runs.end_run(connection, run_id, datasets.finish_dataset(connection, dataset_id, state))

    try:
        yield
    except BaseException as error:
        # The error of the block is reported; a database that is away would only hide it.
        with suppress(TransientError):
            record("stopped" if interrupt_behind(error) else "failed")
        raise
    retried(lambda: record("done"))
