"""Deleting a dataset, however large: piece by piece, so that neither memory nor a transaction grows with it."""

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
"""About so many measurements go in one transaction."""


def delete_dataset(engine: Engine, dataset_id: int, *, progress: Progress | None = None) -> None:
    """Delete a dataset and all that hangs on it, the newest images first.

    Files with pixels that were kept of its images go too, unless another dataset holds the same image. From its
    first moment on nothing can be added to the dataset. One that is interrupted goes on when it is
    called again.

    Parameters
    ----------
    progress
        Called after every piece with the number of measurements deleted and that of all.

    Raises
    ------
    DatasetNotFoundError
        If there is no such dataset.
    DatasetLockedError
        If a run is writing it.
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
    counted = (
        select(Image.id, func.count(ExtractedSource.id))
        .outerjoin(ExtractedSource, ExtractedSource.image == Image.id)
        .where(Image.dataset == dataset_id)
        .group_by(Image.id)
        .order_by(Image.id.desc())
    )
    with reading(engine) as connection:
        images = [(int(image), int(n)) for image, n in connection.execute(counted)]
    done, total = 0, sum(n for _, n in images)
    for piece, n in _pieces(images):
        with transaction(engine) as connection:
            # Newest first: when the first measurement of an entry goes, and the entry with it, no other is left of it.
            mine = select(ExtractedSource.id).where(is_among(connection, ExtractedSource.image, piece))
            connection.execute(delete(AssocXtrSource).where(AssocXtrSource.xtrsrc.in_(mine)))
            connection.execute(delete(RunningCatalog).where(RunningCatalog.xtrsrc.in_(mine)))
            files = find_unshared_pixels(connection, piece)
            connection.execute(delete(Image).where(is_among(connection, Image.id, piece)))
        for file in files:
            with suppress(OSError):  # what cannot be removed is no part of the database
                file.unlink(missing_ok=True)
        done += n
        if progress is not None:
            progress(done, total)


def _pieces(images: list[tuple[int, int]]) -> Iterator[tuple[list[int], int]]:
    """Part images, each with its number of measurements, into pieces with theirs; one image at least."""
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
