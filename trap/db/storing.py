"""Storage of a timestep: all its rows in all tables, in one transaction of the caller."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from trap.catalogues import Associations, AssociationType, ExtractType, FitRequests, Measurements, NewSources
from trap.dataset.dropped import sum_dropped
from trap.dataset.records import StoredIds
from trap.db import catalogue
from trap.db.datasets import processed_hashes, store_unreadable
from trap.db.images import insert_images
from trap.db.kept_pixels import insert_kept_pixels
from trap.db.measurements import insert_measurements
from trap.db.metrics import save_metrics
from trap.db.monitors import add_monitors, missing_monitors
from trap.db.timesteps import add_counts, add_late_timestep, claim_timestep, insert_timestep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from trap.dataset.records import TimestepRecord
    from trap.dataset.state import DatasetState
    from trap.typing import Ids

__all__ = ["store_late_images", "store_monitors", "store_timestep"]

MAKES_ENTRY = (
    *(AssociationType.NEW_SOURCE, AssociationType.REVEALED, AssociationType.MONITOR_FIRST),
    *(AssociationType.PART, AssociationType.BLEND),
)
"""Types of the first point of an entry that is not a fork."""

_Rows = TypeVar("_Rows", Associations, NewSources)


def store_timestep(
    connection: Connection, dataset_id: int, record: TimestepRecord, state: DatasetState
) -> StoredIds | None:
    """Store a timestep. Nothing in memory is changed, so that a failed attempt can be repeated.

    The number of statements depends neither on the number of images nor on the number of sources.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    record, state
        Measurements of the timestep and the changes that they caused, and the state of the dataset after it.

    Returns
    -------
    Row numbers of the new rows. None if an earlier attempt stored the timestep but lost its connection before the
    confirmation arrived: the state must then be loaded again.

    Raises
    ------
    DatabaseError
        If the timestep, or an image of the same content, is stored already.
    DatasetLockedError
        If another run has stored something since the state was loaded.
    """
    hashes = [image.result.content_hash for image in record.images]
    if not claim_timestep(connection, dataset_id, record.taustart_ts, hashes=hashes, latest=state.latest):
        return None
    timestep = insert_timestep(connection, dataset_id, record.taustart_ts, _counts(record), _seconds(record))
    store_unreadable(connection, dataset_id, record.unreadable)
    images = insert_images(connection, dataset_id, timestep, record.images, state)
    insert_kept_pixels(connection, images.images, record.pixels)
    measurement_ids = _insert_measurements(connection, record, state, images.images)
    # From here on, measurements are numbered over the whole timestep.
    starts = np.cumsum([0, *(len(image.measurements) for image in record.images)])

    references = _references(record, starts, len(state.catalogue) - record.changes.n_before)
    ids = catalogue.insert_entries(connection, dataset_id, state, record.changes, measurement_ids[references])
    catalogue.update_entries(connection, state, record.changes, ids)
    catalogue.save_fluxes(connection, state, record, ids, images.bands)
    points = _joined([image.associations for image in record.images], starts, Associations)
    catalogue.insert_associations(connection, points, ids, measurement_ids)
    _insert_backward_fits(connection, record, ids)
    candidates = _joined([image.new_sources for image in record.images], starts, NewSources)
    catalogue.insert_new_sources(connection, candidates, ids, measurement_ids)
    catalogue.fork_entries(connection, record.changes.forks, ids)
    catalogue.insert_lineage(connection, timestep, record.changes, ids)
    catalogue.link_regions(connection, record.links, ids, images.regions)
    catalogue.link_monitors(connection, state, record.changes, ids)
    save_metrics(connection, record.metrics, record.changes, ids, images.bands)
    return StoredIds(
        images=images.images, entries=ids[record.changes.n_before :], bands=images.bands, regions=images.regions
    )


def store_late_images(
    connection: Connection, dataset_id: int, record: TimestepRecord, state: DatasetState
) -> StoredIds | None:
    """Store images that are older than the newest timestep: measurements and sky regions, but no light curves.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    record
        Measurements of the late images.
    state
        State of the dataset with their bands and regions.

    Returns
    -------
    As for :func:`store_timestep`, or None if all images are stored already.
    """
    hashes = [image.result.content_hash for image in record.images]
    if hashes and processed_hashes(connection, dataset_id) >= set(hashes):
        return None
    timestep = add_late_timestep(connection, dataset_id, record.taustart_ts, _counts(record), _seconds(record))
    store_unreadable(connection, dataset_id, record.unreadable)
    images = insert_images(connection, dataset_id, timestep, record.images, state, late=True)
    _insert_measurements(connection, record, state, images.images)
    entries: Ids = state.catalogue.entries["id"].copy()
    catalogue.link_regions(connection, record.links, entries, images.regions)
    return StoredIds(images=images.images, entries=entries[:0], bands=images.bands, regions=images.regions)


def store_monitors(connection: Connection, dataset_id: int, record: TimestepRecord, state: DatasetState) -> None:
    """Store monitored positions that are added to a dataset, with their measurements in its earlier images.

    Nothing is stored if an earlier attempt stored the positions but lost its connection before the confirmation
    arrived.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    record
        The measurements as fits in earlier images, whose targets are rows of the positions, and the new entries.
    state
        State of the dataset, with the added positions alone.
    """
    if len(missing_monitors(connection, dataset_id, state.monitors)) < len(state.monitors):
        return
    state.monitors = state.monitors.with_columns(id=add_monitors(connection, dataset_id, state.monitors))
    fits = record.backward
    if not fits:
        return
    targets = np.concatenate([one.targets for one in fits])
    starts, measurement_ids = _insert_fits(connection, record, monitors=state.monitors.id[targets])
    references = _references(record, starts, len(state.catalogue) - record.changes.n_before)
    ids = catalogue.insert_entries(connection, dataset_id, state, record.changes, measurement_ids[references])
    catalogue.save_fluxes(connection, state, record, ids, state.band_ids)
    points = _joined([one.associations for one in fits], starts, Associations)
    catalogue.insert_associations(connection, points, ids, measurement_ids)
    catalogue.link_monitors(connection, state, record.changes, ids)
    save_metrics(connection, record.metrics, record.changes, ids, state.band_ids)
    counts = {
        "n_new_entries": [int(np.isin(one.associations.type, MAKES_ENTRY).sum()) for one in fits],
        "n_forced_requested": [len(one.targets) for one in fits],
        "n_forced_measured": [len(one.associations) for one in fits],
    }
    add_counts(
        connection, np.array([one.image for one in fits]), {name: np.array(added) for name, added in counts.items()}
    )


def _insert_measurements(
    connection: Connection, record: TimestepRecord, state: DatasetState, image_ids: Sequence[int]
) -> Ids:
    """Insert the measurements of all images and return their row numbers, image by image."""
    measurements = Measurements.concatenate([image.measurements for image in record.images])
    lengths = [len(image.measurements) for image in record.images]
    requests = FitRequests.concatenate([image.forced for image in record.images])
    # The forced measurements of an image are its last ones, in the order of their requests. Request i, counted over all
    # images, has row i after the number of blind measurements of its image and of all images before.
    ends = np.cumsum(np.array(lengths, np.int64))
    n_forced = np.array([len(image.forced) for image in record.images], np.int64)
    n_blind = ends - np.cumsum(n_forced)
    rows = np.repeat(n_blind, n_forced) + np.arange(len(requests))
    is_watched = requests.kind == ExtractType.MONITORED
    entries, monitors = np.zeros((2, len(measurements)), np.int64)
    # Entries that are older than the timestep have row numbers; the others have 0, and get NULL.
    entries[rows[~is_watched]] = state.catalogue.entries["id"][requests.target[~is_watched]]
    monitors[rows[is_watched]] = state.monitors.id[requests.target[is_watched]]
    return insert_measurements(
        connection,
        measurements,
        np.repeat(np.array(image_ids, np.int64), lengths),
        entries=entries,
        monitors=monitors,
    )


def _insert_backward_fits(connection: Connection, record: TimestepRecord, ids: Ids) -> None:
    """Insert the measurements of new sources in earlier images, and add them to their light curves."""
    targets = np.concatenate([np.empty(0, np.int64), *(one.targets for one in record.backward)])
    starts, measurement_ids = _insert_fits(connection, record, entries=ids[targets])
    points = _joined([one.associations for one in record.backward], starts, Associations)
    catalogue.insert_associations(connection, points, ids, measurement_ids)


def _insert_fits(
    connection: Connection, record: TimestepRecord, *, entries: Ids | None = None, monitors: Ids | None = None
) -> tuple[NDArray[np.int64], Ids]:
    """Insert measurements in earlier images; return the number before each image, and the row numbers of all."""
    fits = record.backward
    starts = np.cumsum([0, *(len(one.measurements) for one in fits)])
    ids = insert_measurements(
        connection,
        Measurements.concatenate([one.measurements for one in fits]),
        np.repeat(np.array([one.image for one in fits], np.int64), np.diff(starts)),
        entries=entries,
        monitors=monitors,
    )
    return starts, ids


def _references(record: TimestepRecord, starts: NDArray[np.int64], n_created: int) -> NDArray[np.int64]:
    """Return the number of the measurement that created each new entry, in order of catalogue rows."""
    references = np.zeros(n_created, np.int64)
    for rows, image, measurements in record.changes.created:
        references[rows - record.changes.n_before] = starts[image] + measurements
    return references


def _joined(tables: Sequence[_Rows], starts: NDArray[np.int64], kind: type[_Rows]) -> _Rows:
    """Stack the tables of all images, with measurements numbered over the whole timestep."""
    shifted = [
        replace(table, measurement=table.measurement + start) for table, start in zip(tables, starts, strict=False)
    ]
    return kind.concatenate(shifted)


def _counts(record: TimestepRecord) -> dict[str, int]:
    """Count the images, sources and fits of a timestep by column of table ``timestep``."""
    types = np.concatenate([np.empty(0, np.int16), *(image.associations.type for image in record.images)])
    return {
        "n_images": len(record.images),
        "n_accepted": record.n_accepted,
        "n_rejected": len(record.images) - record.n_accepted,
        "n_measured": sum(len(image.measurements) - len(image.forced) for image in record.images),
        **sum_dropped(image.dropped for image in record.images),
        "n_new_entries": int(np.isin(types, MAKES_ENTRY).sum()),
        "n_newsources": sum(len(image.new_sources) for image in record.images),
        "n_forced_requested": sum(image.n_requested for image in record.images)
        + sum(len(one.targets) for one in record.backward),
        "n_forced_measured": sum(image.n_fitted for image in record.images) + record.n_backward,
    }


def _seconds(record: TimestepRecord) -> dict[str, float]:
    """Sum the seconds of each stage over all images."""
    total: Counter[str] = Counter()
    for image in record.images:
        total.update(image.result.seconds)
    return {stage: round(seconds, 4) for stage, seconds in total.items()}
