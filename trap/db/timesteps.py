"""Rows of table ``timestep``: stored, failed and late timesteps, and the check before one is stored."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import delete, exists, func, insert, or_, select, update

from trap.codes import RejectReason
from trap.db.bulk import is_among, read_columns, update_columns, upsert_columns
from trap.db.models import Dataset, Image, Rejection, Run, Timestep
from trap.errors import DatasetLockedError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from numpy.typing import NDArray
    from sqlalchemy import Connection, ScalarSelect

    from trap.typing import Ids

__all__ = ["add_counts", "add_late_timestep", "claim_timestep", "insert_timestep", "latest_timestep", "record_failure"]


def claim_timestep(
    connection: Connection, dataset_id: int, taustart_ts: datetime, *, hashes: Collection[str], latest: datetime | None
) -> bool:
    """Check that no other run has written a dataset, and make other writers wait until the transaction ends.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset to be claimed.
    taustart_ts, hashes
        Start of the timestep, and content hashes of its images.
    latest
        Newest stored timestep known to this run; None for an empty dataset.

    Returns
    -------
    False if this timestep is stored: by an attempt that lost its connection before the confirmation arrived.

    Raises
    ------
    DatasetLockedError
        If another run has stored a timestep since.
    """
    connection.execute(select(Dataset.id).where(Dataset.id == dataset_id).with_for_update())
    newest = latest_timestep(connection, dataset_id)
    if taustart_ts > datetime.now(UTC) and hashes and _contents(connection, dataset_id, taustart_ts) == set(hashes):
        return False  # a stored timestep of the future may not count as the newest one
    if newest is None or (latest is not None and newest <= latest):
        return True
    if newest == taustart_ts and _contents(connection, dataset_id, taustart_ts) == set(hashes):
        return False
    msg = (
        f"another run has written dataset {dataset_id} up to {newest.isoformat()}; "
        f"nothing of {taustart_ts.isoformat()} is stored; wait until that run has ended, then start this one again"
    )
    raise DatasetLockedError(msg)


def _contents(connection: Connection, dataset_id: int, taustart_ts: datetime) -> set[str]:
    rows = (
        select(Image.content_hash)
        .join(Timestep, Timestep.id == Image.timestep)
        .where(Timestep.dataset == dataset_id, Timestep.taustart_ts == taustart_ts)
    )
    return set(connection.execute(rows).scalars())


def latest_timestep(connection: Connection, dataset_id: int) -> datetime | None:
    """Return the start of the newest stored timestep that contains an image; None if the dataset has no such timestep.

    A timestep whose images were all rejected for their dates does not count: its start means nothing.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    """
    is_misdated = exists().where(Rejection.image == Image.id, Rejection.rejectreason == int(RejectReason.DATE))
    images = exists().where(Image.timestep == Timestep.id)
    has_misdated = images.where(is_misdated.correlate(Image)).correlate(Timestep)
    has_others = images.where(~is_misdated.correlate(Image)).correlate(Timestep)
    newest = select(func.max(Timestep.taustart_ts)).where(
        Timestep.dataset == dataset_id,
        Timestep.state == "done",
        Timestep.n_images > 0,
        or_(~has_misdated, has_others),
    )
    return connection.execute(newest).scalar_one()


def insert_timestep(
    connection: Connection,
    dataset_id: int,
    taustart_ts: datetime,
    counts: Mapping[str, int],
    seconds: Mapping[str, float],
    *,
    state: str = "done",
) -> int:
    """Record a stored timestep.

    The row replaces an earlier failure of the timestep, and an earlier attempt without any readable image.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    taustart_ts
        Start of the timestep.
    counts
        Numbers of images and sources by column, ``n_…``.
    seconds
        s — time spent in each stage.
    state
        'done' or 'late'.

    Returns
    -------
    The row number.
    """
    same = (Timestep.dataset == dataset_id, Timestep.taustart_ts == taustart_ts)
    connection.execute(delete(Timestep).where(*same, or_(Timestep.state == "failed", Timestep.n_images == 0)))
    row = insert(Timestep).values(
        dataset=dataset_id,
        run=_current_run(dataset_id),
        taustart_ts=taustart_ts,
        state=state,
        stored_ts=datetime.now(UTC),
        seconds=json.dumps(seconds),
        **counts,
    )
    number: int = connection.execute(row.returning(Timestep.id)).scalar_one()
    return number


def add_late_timestep(
    connection: Connection,
    dataset_id: int,
    taustart_ts: datetime,
    counts: Mapping[str, int],
    seconds: Mapping[str, float],
) -> int:
    """Record late images: in the stored timestep of the same time, or as a timestep of their own.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset of the late images.
    taustart_ts
        Start of the images.
    counts
        Numbers of late images and their sources by column, ``n_…``; added to the numbers of a stored timestep.
    seconds
        s — time spent in each stage; ignored if the images join a stored timestep.

    Returns
    -------
    The row number of the timestep.
    """
    same = (Timestep.dataset == dataset_id, Timestep.taustart_ts == taustart_ts)
    stored = update(Timestep).where(*same, Timestep.state != "failed", Timestep.n_images > 0)
    sums = {name: Timestep.__table__.c[name] + n for name, n in counts.items()}
    number = connection.execute(stored.values(sums).returning(Timestep.id)).scalar_one_or_none()
    if number is None:
        return insert_timestep(connection, dataset_id, taustart_ts, counts, seconds, state="late")
    return int(number)


def add_counts(connection: Connection, images: Ids, counts: Mapping[str, NDArray[np.int64]]) -> None:
    """Add to the counts of timesteps that are stored already.

    Parameters
    ----------
    connection
        Open connection; the caller owns the transaction.
    images
        (n,) — row numbers of images.
    counts
        (n,) each — numbers to add to the timestep of each image, by column.
    """
    rows = select(Image.id.label("image"), Timestep.id, *(Timestep.__table__.c[name] for name in counts))
    stored = read_columns(
        connection, rows.join(Timestep, Timestep.id == Image.timestep).where(is_among(connection, Image.id, images))
    )
    order = np.argsort(stored["image"])
    place = order[np.searchsorted(stored["image"][order], images)]
    ids, first, number = np.unique(stored["id"], return_index=True, return_inverse=True)
    sums = {
        name: stored[name][first] + np.bincount(number[place], weights=added, minlength=len(ids)).astype(np.int64)
        for name, added in counts.items()
    }
    update_columns(connection, Timestep, {"id": ids, **sums})


def record_failure(connection: Connection, dataset_id: int, taustart_ts: datetime, message: str) -> None:
    """Record a failed timestep. A stored timestep is left unchanged.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    taustart_ts, message
        Start of the timestep, and message of the error.
    """
    stored = select(Timestep.id).where(
        Timestep.dataset == dataset_id, Timestep.taustart_ts == taustart_ts, Timestep.state != "failed"
    )
    if connection.execute(stored).first() is not None:
        return
    run = connection.execute(select(_current_run(dataset_id))).scalar_one()
    failure = {
        "dataset": [dataset_id],
        "run": run,
        "taustart_ts": [taustart_ts],
        "state": "failed",
        "message": message,
        "stored_ts": datetime.now(UTC),
    }
    upsert_columns(connection, Timestep, failure, key=("dataset", "taustart_ts"))


def _current_run(dataset_id: int) -> ScalarSelect[int | None]:
    """Select the run that is writing a dataset; there is at most one."""
    running = select(func.max(Run.id)).where(Run.dataset == dataset_id, Run.state == "running")
    return running.scalar_subquery()
