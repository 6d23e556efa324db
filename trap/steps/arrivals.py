"""Arrived images on their way to a run, each of them once."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trap.db import arrivals
from trap.db.engine import make_engine, reading, transaction
from trap.db.schema import upgrade

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import Engine

    from trap.arrivals import Arrival

__all__ = ["Batch", "latest_batch", "open_ledger", "take", "untaken"]


@dataclass(frozen=True, slots=True)
class Batch:
    """Images that are handed to one run.

    Parameters
    ----------
    name
        The same for the same images and dataset; the run's idempotency key.
    images
        Their paths.
    """

    name: str
    images: tuple[Path, ...]


@contextmanager
def open_ledger(database: str) -> Iterator[Engine]:
    """Open the database in which taken images are written down; its tables are made if needed.

    Raises
    ------
    DatabaseError
        If the database cannot be used.
    """
    engine = make_engine(database)
    try:
        upgrade(engine)
        yield engine
    finally:
        engine.dispose()


def untaken(engine: Engine, dataset_key: str, images: Sequence[Arrival]) -> list[Arrival]:
    """Leave out the images that have been taken for a dataset."""
    with reading(engine) as connection:
        taken = arrivals.taken_arrivals(connection, dataset_key)
    return [image for image in images if (str(image.path), image.version) not in taken]


def take(engine: Engine, dataset_key: str, images: Sequence[Arrival]) -> Batch:
    """Take images for a dataset; of two programs that take the same image, the second one fails.

    Raises
    ------
    DatabaseError
        If one of them has been taken meanwhile.
    """
    with transaction(engine) as connection:
        name = arrivals.take_arrivals(connection, dataset_key, images)
    return Batch(name, tuple(image.path for image in images))


def latest_batch(engine: Engine, dataset_key: str) -> Batch | None:
    """Return what was taken last for a dataset; None before the first."""
    with reading(engine) as connection:
        name = arrivals.latest_batch(connection, dataset_key)
        return None if name is None else Batch(name, tuple(arrivals.batch_images(connection, dataset_key, name)))
