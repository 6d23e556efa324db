"""A handle of one dataset: each method is one transaction, retried if the database may recover."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from trap.db import dataset_state, datasets, metrics, monitors, overview, runs, storing, timesteps
from trap.db.engine import reading, transaction
from trap.db.locks import confirm_writer
from trap.retry import STORE_DELAYS, call_with_retries

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Engine, Row

    from trap.catalogues import MonitorPositions
    from trap.config import PipelineConfig
    from trap.dataset.records import StoredIds, TimestepRecord, UnreadableImage
    from trap.dataset.state import DatasetState, EarlierImage
    from trap.typing import Ids
    from trap.variability.shared_errors import SharedErrors

__all__ = ["Store", "retried"]

T = TypeVar("T")


class Store:
    """One dataset of a database.

    Parameters
    ----------
    engine
        An upgraded database.
    dataset_id
        Number of the dataset. A caller that writes holds its writer lock, see :func:`trap.db.locks.writing`.
    is_new
        Whether this run has created the dataset.

    Attributes
    ----------
    engine, dataset_id, is_new
        As given.
    """

    def __init__(self, engine: Engine, dataset_id: int, *, is_new: bool = False) -> None:
        self.engine = engine
        self.dataset_id = dataset_id
        self.is_new = is_new
        self._refreshed: Mapping[tuple[int, int], SharedErrors] | None = None

    def settings(self, config: PipelineConfig) -> PipelineConfig:
        """Return the settings with which a run continues the dataset.

        Parameters
        ----------
        config
            All settings of the run; :func:`~trap.db.datasets.continued_config` describes the ones that change.
        """
        with reading(self.engine) as connection:
            return datasets.continued_config(connection, self.dataset_id, config)

    def load_state(self, config: PipelineConfig) -> DatasetState:
        """Load the state that the latest stored timestep left behind.

        Parameters
        ----------
        config
            All settings.

        Returns
        -------
        A new object; later changes of it are not written back.
        """

        def attempt() -> DatasetState:
            with reading(self.engine) as connection:
                return dataset_state.load_state(connection, self.dataset_id, config)

        return retried(attempt)

    def known_contents(self) -> set[str]:
        """Return the content hashes of all images in the dataset, including rejected ones."""
        with reading(self.engine) as connection:
            return datasets.processed_hashes(connection, self.dataset_id)

    def latest_timestep(self) -> datetime | None:
        """Return the start of the newest stored timestep; None if no timestep is stored."""
        with reading(self.engine) as connection:
            return timesteps.latest_timestep(connection, self.dataset_id)

    def same_field(self) -> list[tuple[int, str]]:
        """Return the other datasets that hold the same field, bands and settings, with their descriptions."""
        with reading(self.engine) as connection:
            return overview.same_field(connection, self.dataset_id)

    def store_timestep(self, record: TimestepRecord, state: DatasetState) -> StoredIds | None:
        """Store a timestep: all of it or nothing. Nothing in memory is changed.

        Parameters
        ----------
        record
            Measurements of the timestep, and the changes that they caused.
        state
            State of the dataset after the timestep.

        Returns
        -------
        Row numbers of the new rows. None if an earlier attempt stored the timestep but lost its connection before
        the confirmation arrived: the state must then be loaded again.

        Raises
        ------
        TransientError, DatabaseError
            If the timestep cannot be stored; nothing of it is in the database then.
        DatasetLockedError
            If another run writes the dataset.
        """
        store = storing.store_late_images if record.is_late else storing.store_timestep
        self._refreshed = None

        def attempt() -> StoredIds | None:
            confirm_writer(self.engine, self.dataset_id)
            with transaction(self.engine) as connection:
                return store(connection, self.dataset_id, record, state)

        return retried(attempt)

    def missing_monitors(self, positions: MonitorPositions) -> MonitorPositions:
        """Return the positions that the dataset does not monitor yet."""
        with reading(self.engine) as connection:
            return monitors.missing_monitors(connection, self.dataset_id, positions)

    def seen_monitors(self, ids: Ids) -> set[int]:
        """Return the monitored positions among these rows that lie on an image."""
        with reading(self.engine) as connection:
            return monitors.seen_monitors(connection, ids)

    def accepted_images(self) -> Sequence[Row[Any]]:
        """List the images in light curves, in order of their addition."""
        with reading(self.engine) as connection:
            return dataset_state.accepted_images(connection, self.dataset_id)

    def earlier_image(self, row: Row[Any], state: DatasetState) -> EarlierImage:
        """Load the mesh and the blind measurements of an image that :meth:`accepted_images` lists.

        Parameters
        ----------
        row, state
            Row of the image, and state of the dataset with its bands and regions.
        """
        with reading(self.engine) as connection:
            return dataset_state.load_earlier_image(connection, row, state)

    def store_monitors(self, record: TimestepRecord, state: DatasetState) -> None:
        """Store added monitored positions and their measurements in earlier images: all of it or nothing.

        Parameters
        ----------
        record
            The measurements and the new entries.
        state
            State of the dataset, with the added positions alone.
        """
        self._refreshed = None

        def attempt() -> None:
            confirm_writer(self.engine, self.dataset_id)
            with transaction(self.engine) as connection:
                storing.store_monitors(connection, self.dataset_id, record, state)

        retried(attempt)

    def refresh_metrics(self) -> Mapping[tuple[int, int], SharedErrors]:
        """Recompute the variability metrics of all light curves, unless nothing was stored since the last time.

        Returns
        -------
        Errors that neighbouring epochs share, by row number of the band and Stokes parameter.
        """

        def attempt() -> Mapping[tuple[int, int], SharedErrors]:
            with transaction(self.engine) as connection:
                return metrics.refresh_metrics(connection, self.dataset_id)

        if self._refreshed is None:
            self._refreshed = retried(attempt)
        return self._refreshed

    def record_failure(self, taustart_ts: datetime, reason: str) -> None:
        """Record a failed timestep. Not retried: the caller decides what a failing record means.

        Parameters
        ----------
        taustart_ts
            Start of the timestep.
        reason
            Message of the error.
        """
        with transaction(self.engine) as connection:
            timesteps.record_failure(connection, self.dataset_id, taustart_ts, reason)

    def record_page(self, page: str) -> None:
        """Record the address of the run's page in Prefect.

        Parameters
        ----------
        page
            The address.
        """

        def attempt() -> None:
            with transaction(self.engine) as connection:
                runs.record_page(connection, self.dataset_id, page)

        retried(attempt)

    def store_unreadable(self, files: Sequence[UnreadableImage]) -> None:
        """Record files whose headers or pixels could not be read.

        Parameters
        ----------
        files
            Paths and reasons.
        """
        with transaction(self.engine) as connection:
            datasets.store_unreadable(connection, self.dataset_id, files)


def retried(attempt: Callable[[], T]) -> T:
    """Call a function that makes one transaction; retry it after a transient error.

    All transactions that are retried are retried here.
    """
    return call_with_retries(attempt, STORE_DELAYS)
