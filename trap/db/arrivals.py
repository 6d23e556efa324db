"""Ledger of arrived images: each image is handed to one run, once.

A batch of images is recorded before its run is requested, under a name that depends on the images alone, so that a
second request for the same batch starts no second run. If a program dies between the two, its successor requests the
latest batch again.
"""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sqlalchemy import or_, select

from trap.db.bulk import insert_columns
from trap.db.engine import make_engine, reading, transaction
from trap.db.models import Arrival
from trap.db.schema import upgrade
from trap.images import incoming
from trap.images.patterns import path_of, path_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from sqlalchemy import Engine

__all__ = ["Ledger", "batch_name", "open_ledger"]


class Ledger:
    """Record of the images that have been handed to runs. Each method is one transaction.

    Parameters
    ----------
    engine
        An upgraded database.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def claimed(self, dataset_key: str) -> dict[str, set[incoming.Arrival]]:
        """Return the images claimed for a dataset, and for the datasets whose keys continue its key after a slash.

        Parameters
        ----------
        dataset_key
            Key of the dataset.

        Returns
        -------
        By dataset key; an image that was written several times is in the set once for each version.
        """
        belongs = or_(
            Arrival.dataset_key == dataset_key, Arrival.dataset_key.startswith(f"{dataset_key}/", autoescape=True)
        )
        claimed: dict[str, set[incoming.Arrival]] = {}
        with reading(self._engine) as connection:
            for row in connection.execute(select(Arrival.dataset_key, Arrival.url, Arrival.version).where(belongs)):
                image = incoming.Arrival.of_version(path_of(row.url), row.version)
                claimed.setdefault(row.dataset_key, set()).add(image)
        return claimed

    def claim(self, dataset_key: str, images: Sequence[incoming.Arrival]) -> str:
        """Record that images are handed to one run. If two programs take the same image, the second one fails.

        Parameters
        ----------
        dataset_key
            Key of the dataset that the images go into.
        images
            At least one image; none of them claimed before.

        Returns
        -------
        The name of the batch.

        Raises
        ------
        DatabaseError
            If one of the images has been claimed already.
        """
        batch = batch_name(dataset_key, images)
        columns = {
            "dataset_key": dataset_key,
            "url": [path_text(image.path) for image in images],
            "version": [image.version for image in images],
            "batch": batch,
            "taken_ts": datetime.now(UTC),
        }
        with transaction(self._engine) as connection:
            insert_columns(connection, Arrival, columns)
        return batch

    def latest_batch(self, dataset_key: str) -> str | None:
        """Return the name of the latest batch of a dataset; None before the first.

        Parameters
        ----------
        dataset_key
            Key of the dataset.
        """
        latest = select(Arrival.batch).where(Arrival.dataset_key == dataset_key).order_by(Arrival.id.desc()).limit(1)
        with reading(self._engine) as connection:
            return connection.execute(latest).scalar_one_or_none()

    def images(self, batch: str) -> list[Path]:
        """Return the images of a batch, in order of taking; empty if the batch does not exist.

        Parameters
        ----------
        batch
            Name of the batch.
        """
        urls = select(Arrival.url).where(Arrival.batch == batch).order_by(Arrival.id)
        with reading(self._engine) as connection:
            return [path_of(url) for url in connection.execute(urls).scalars()]


@contextmanager
def open_ledger(database: str) -> Iterator[Ledger]:
    """Open the ledger of a database; missing tables are created.

    Parameters
    ----------
    database
        URL of the database.

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


def batch_name(dataset_key: str, images: Sequence[incoming.Arrival]) -> str:
    """Derive the name of a batch from its dataset and its images. The order of the images does not matter.

    Parameters
    ----------
    dataset_key
        Key of the dataset.
    images
        Images of the batch.

    Returns
    -------
    32 hexadecimal digits.
    """
    parts = [dataset_key, *(f"{path_text(image.path)}:{image.version}" for image in sorted(images))]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
