"""Which arrived images have been handed to a run: the ledger by which each of them is taken once.

Images are written down before their run is asked for, under a name that makes asking twice the same as
asking once. Whatever ends the program in between, the next one asks for the latest batch again.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import or_, select

from trap.db.bulk import insert_columns
from trap.db.models import Arrival
from trap.images import incoming as arrivals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

__all__ = ["batch_images", "batch_name", "latest_batch", "take_arrivals", "taken_arrivals"]


def taken_arrivals(connection: Connection, dataset_key: str) -> dict[str, set[arrivals.Arrival]]:
    """Return the images that have been taken, for a dataset and for those whose keys continue its key after a slash.

    Returns
    -------
    By the key of their dataset; of each image every writing of it.
    """
    is_wanted = or_(
        Arrival.dataset_key == dataset_key, Arrival.dataset_key.startswith(f"{dataset_key}/", autoescape=True)
    )
    taken: dict[str, set[arrivals.Arrival]] = {}
    for row in connection.execute(select(Arrival.dataset_key, Arrival.url, Arrival.version).where(is_wanted)):
        taken.setdefault(row.dataset_key, set()).add(arrivals.Arrival.of_version(Path(row.url), row.version))
    return taken


def take_arrivals(connection: Connection, dataset_key: str, images: Sequence[arrivals.Arrival]) -> str:
    """Write down that images are handed to one run.

    Parameters
    ----------
    dataset_key
        The dataset that they go into.
    images
        At least one, none of them taken.

    Returns
    -------
    The name of the batch.
    """
    batch = batch_name(dataset_key, images)
    columns = {
        "dataset_key": dataset_key,
        "url": [str(image.path) for image in images],
        "version": [image.version for image in images],
        "batch": batch,
        "taken_ts": datetime.now(UTC),
    }
    insert_columns(connection, Arrival, columns)
    return batch


def batch_name(dataset_key: str, images: Sequence[arrivals.Arrival]) -> str:
    """Name a batch after its dataset and its images, whatever their order."""
    told = [dataset_key, *(f"{image.path}:{image.version}" for image in sorted(images))]
    return hashlib.sha256("\0".join(told).encode()).hexdigest()[:32]


def latest_batch(connection: Connection, dataset_key: str) -> str | None:
    """Return the name of the batch of a dataset that was taken last; None before the first."""
    latest = select(Arrival.batch).where(Arrival.dataset_key == dataset_key).order_by(Arrival.id.desc()).limit(1)
    return connection.execute(latest).scalar_one_or_none()


def batch_images(connection: Connection, batch: str) -> list[Path]:
    """Return the images of a batch, in the order in which they were taken."""
    images = select(Arrival.url).where(Arrival.batch == batch).order_by(Arrival.id)
    return [Path(url) for url in connection.execute(images).scalars()]
