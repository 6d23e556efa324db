"""Deletion of a dataset of any size, in pieces that bound both memory and transactions."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select, update

from trap.db.bulk import is_among
from trap.db.datasets import find_dataset
from trap.db.engine import reading, transaction
from trap.db.kept_pixels import find_unshared_pixels
from trap.db.locks import writing
from trap.db.models import AssocXtrSource, Dataset, ExtractedSource, Image, RunningCatalog

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

    from trap.typing import Progress


__all__ = ["delete_dataset"]

PIECE = 10_000
"""Approximate number of measurements deleted in one transaction."""


def delete_dataset(engine: Engine, dataset_id: int, *, progress: Progress | None = None) -> None:
    """Delete a dataset and everything that refers to it, newest images first.

    Files with kept pixels are deleted too, unless another dataset holds the same image. Nothing can be added to the
    dataset once the deletion has begun. An interrupted deletion continues when the function is called again.

    Parameters
    ----------
    engine, dataset_id
        Engine of the database, and number of the dataset.
    progress
        Called after every piece with the number of measurements deleted and the number in all; None for no reports.

    Raises
    ------
    DatasetNotFoundError
        If the dataset does not exist.
    DatasetLockedError
        If a run is writing the dataset.
    """
    with reading(engine) as connection:
        find_dataset(connection, dataset_id)
    with writing(engine, dataset_id):
        with transaction(engine) as connection:
            connection.execute(update(Dataset).where(Dataset.id == dataset_id).values(state="deleting"))
        _delete_measurements(engine, dataset_id, progress)
        with transaction(engine) as connection:
            connection.execute(delete(Dataset).where(Dataset.id == dataset_id))


def _delete_measurements(engine: Engine, dataset_id: int, progress: Progress | None) -> None:
    """Delete the images of a dataset with their measurements, entries and files, piece by piece."""
    counts = (
        select(Image.id, func.count(ExtractedSource.id))
        .outerjoin(ExtractedSource, ExtractedSource.image == Image.id)
        .where(Image.dataset == dataset_id)
        .group_by(Image.id)
        .order_by(Image.id.desc())
    )
    with reading(engine) as connection:
        images = [(int(image), int(n)) for image, n in connection.execute(counts)]
    done, total = 0, sum(n for _, n in images)
    for piece, n in _pieces(images):
        with transaction(engine) as connection:
            # Newest first: when the first measurement of an entry is deleted, with the entry, all others are gone.
            measurements = select(ExtractedSource.id).where(is_among(connection, ExtractedSource.image, piece))
            connection.execute(delete(AssocXtrSource).where(AssocXtrSource.xtrsrc.in_(measurements)))
            connection.execute(delete(RunningCatalog).where(RunningCatalog.xtrsrc.in_(measurements)))
            files = find_unshared_pixels(connection, piece)
            connection.execute(delete(Image).where(is_among(connection, Image.id, piece)))
        for file in files:
            with suppress(OSError):  # a file that cannot be removed is no reason to keep the dataset
                file.unlink(missing_ok=True)
        done += n
        if progress is not None:
            progress(done, total)


def _pieces(images: list[tuple[int, int]]) -> Iterator[tuple[list[int], int]]:
    """Group images, each with its number of measurements, into pieces of at least one image."""
    piece: list[int] = []
    n_measurements = 0
    for image, n in images:
        piece.append(image)
        n_measurements += n
        if n_measurements >= PIECE:
            yield piece, n_measurements
            piece, n_measurements = [], 0
    if piece:
        yield piece, n_measurements
