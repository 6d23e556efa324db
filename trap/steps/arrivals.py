"""Arrived images on their way to a run, each of them once."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from trap.db import arrivals
from trap.db.engine import make_engine, reading, transaction
from trap.db.schema import upgrade

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from trap.db.engine import Engine
    from trap.images.incoming import Arrival

__all__ = ["Ledger", "open_ledger"]


class Ledger:
    """Which images have been handed to which run.

    Parameters
    ----------
    engine
        An upgraded database.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def taken(self, dataset_key: str) -> dict[str, set[Arrival]]:
        """List what has been taken for a dataset, and for those whose keys continue its key after a slash."""
        with reading(self._engine) as connection:
            return arrivals.taken_arrivals(connection, dataset_key)

    def take(self, dataset_key: str, images: Sequence[Arrival]) -> str:
        """Take images for a dataset; of two programs that take the same image, the second one fails.

        Returns
        -------
        The name of the batch.

        Raises
        ------
        DatabaseError
            If one of them has been taken already.
        """
        with transaction(self._engine) as connection:
            return arrivals.take_arrivals(connection, dataset_key, images)

    def latest_batch(self, dataset_key: str) -> str | None:
        """Name what was taken last for a dataset; None before the first."""
        with reading(self._engine) as connection:
            return arrivals.latest_batch(connection, dataset_key)

    def images(self, batch: str) -> list[Path]:
        """List the images of a batch, in the order in which they were taken; empty if there is no such batch."""
        with reading(self._engine) as connection:
            return arrivals.batch_images(connection, batch)


@contextmanager
def open_ledger(database: str) -> Iterator[Ledger]:
    """Open the ledger of a database, whose tables are made if needed.

    Parameters
    ----------
    database
        URL.

    Raises
    ------
    DatabaseError
        If the database cannot be used.
    """
    engine = make_engine(database)
    try:
        upgrade(engine)
        yield Ledger(engine)
    finally:
        engine.dispose()
