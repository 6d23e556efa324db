"""Summaries of datasets: bands, images, timesteps and counts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import func, select

from trap import angles
from trap.catalogues import Grade
from trap.dataset.dropped import DROP_REASONS
from trap.db.bulk import read_columns
from trap.db.datasets import find_dataset
from trap.db.models import (
    Dataset,
    FrequencyBand,
    Image,
    NewSource,
    Rejection,
    RejectReason,
    RmsMap,
    RunningCatalog,
    SkyRegion,
    Timestep,
    UnreadableImage,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from numpy.typing import NDArray
    from sqlalchemy import Connection, Select

    Columns = dict[str, NDArray[Any]]

__all__ = [
    "dataset_summary",
    "frequency_bands",
    "image_table",
    "images_near",
    "list_datasets",
    "same_field",
    "time_range",
    "timestep_table",
    "unreadable_table",
]

REGION_REACH = 3.0
"""Distance from the centre of a sky region, in its radii, within which its images are searched: centres and radii of
pointings that share a region differ by less than its radius."""
IMAGE_REACH = math.pi / 2
"""Largest distance of a corner from the middle of an image, in half diagonals: that of half the sky, seen from afar."""


def list_datasets(connection: Connection) -> list[dict[str, Any]]:
    """Return the summaries of all datasets, oldest first, as :func:`dataset_summary` returns them."""
    return [dict(row) for row in connection.execute(_summaries().order_by(Dataset.id)).mappings()]


def dataset_summary(connection: Connection, dataset_id: int) -> dict[str, Any]:
    """Return the description, state and counts of a dataset.

    Parameters
    ----------
    connection, dataset_id
        Open connection, and number of the dataset to summarise.

    Returns
    -------
    ``id``, ``description``, ``state``, ``process_start_ts``, ``process_end_ts``, ``config_hash``,
    ``software_version``, and the numbers ``n_timesteps`` (stored), ``n_failed`` (timesteps), ``n_images``,
    ``n_rejected``, ``n_unreadable``, ``n_blind`` and ``n_forced`` (measurements), ``n_entries``, ``n_newsources``,
    ``n_likely`` (of them), and ``n_dropped_…`` (measurements left out, by reason).

    Raises
    ------
    DatasetNotFoundError
        If the dataset does not exist.
    """
    find_dataset(connection, dataset_id)
    return dict(connection.execute(_summaries().where(Dataset.id == dataset_id)).mappings().one())


def frequency_bands(connection: Connection, dataset_id: int) -> Columns:
    """Return the bands of a dataset, lowest first: ``id``, ``freq_central``, ``freq_low``, ``freq_high`` [Hz].

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    """
    band = FrequencyBand
    rows = select(band.id, band.freq_central, band.freq_low, band.freq_high).where(band.dataset == dataset_id)
    return read_columns(connection, rows.order_by(band.freq_central, band.id))


def image_table(connection: Connection, dataset_id: int) -> Columns:
    """Return the images of a dataset in order of time, with the reasons of rejections.

    Parameters
    ----------
    connection, dataset_id
        Open connection, and number of the dataset with these images.

    Returns
    -------
    ``id``, ``url``, ``taustart_ts``, ``tau_time`` [s], ``band``, ``freq_eff`` [Hz], ``stokes``, ``rms_qc``,
    ``rms_min`` and ``rms_max`` [Jy/beam], ``telescope``, ``nx`` and ``ny`` (None for an image that was not searched),
    ``reason`` and ``comment`` (None for an accepted image).
    """
    rows = (
        select(
            *(Image.id, Image.url, Image.taustart_ts, Image.tau_time, Image.band, Image.freq_eff, Image.stokes),
            *(Image.rms_qc, Image.rms_min, Image.rms_max, Image.telescope, RmsMap.nx, RmsMap.ny),
            *(RejectReason.description.label("reason"), Rejection.comment),
        )
        .outerjoin(RmsMap, RmsMap.image == Image.id)
        .outerjoin(Rejection, Rejection.image == Image.id)
        .outerjoin(RejectReason, RejectReason.id == Rejection.rejectreason)
        .where(Image.dataset == dataset_id)
        .order_by(Image.taustart_ts, Image.freq_eff, Image.id)
    )
    return read_columns(connection, rows)


def images_near(
    connection: Connection, datasets: Sequence[int], ra: float, dec: float, *, radius: float = 0.0
) -> NDArray[np.int64]:
    """Find the images that may have measurements around a position, for queries of their rows.

    Parameters
    ----------
    connection, datasets
        Connection in a transaction of the caller, and numbers of the datasets.
    ra, dec
        deg, ICRS — the position.
    radius
        deg — radius around it.

    Returns
    -------
    (n,) — row numbers of these images, and of some others next to them.
    """
    region = SkyRegion
    rows = (
        select(Image.id, Image.deltax, Image.deltay, RmsMap.nx, RmsMap.ny)
        .add_columns(region.centre_ra, region.centre_decl, region.xtr_radius)
        .join(region, region.id == Image.skyrgn)
        .outerjoin(RmsMap, RmsMap.image == Image.id)
        .where(Image.dataset.in_([int(number) for number in datasets]))
        .order_by(Image.id)
    )
    found = read_columns(connection, rows)
    # Monitored positions are measured beyond the searched region too.
    width, height = (np.nan_to_num(found[n].astype(float) * found[d]) for n, d in (("nx", "deltax"), ("ny", "deltay")))
    reach = np.maximum(REGION_REACH * found["xtr_radius"], IMAGE_REACH * np.hypot(width, height) / 2)
    apart = angles.separation(found["centre_ra"], found["centre_decl"], ra, dec)
    near: NDArray[np.int64] = found["id"][apart <= reach + radius]
    return near


def same_field(connection: Connection, dataset_id: int) -> list[tuple[int, str]]:
    """Return the other datasets that hold the same field, bands and settings, oldest first, with their descriptions.

    A dataset holds the same field if the centre of one of its sky regions lies in a region of this dataset, or the
    reverse; it holds the same bands if the intervals of two bands overlap.

    Parameters
    ----------
    connection, dataset_id
        Open connection, and number of the dataset that is compared with all others.
    """
    region, band = SkyRegion, FrequencyBand
    regions = read_columns(connection, select(region.dataset, region.centre_ra, region.centre_decl, region.xtr_radius))
    bands = read_columns(connection, select(band.dataset, band.freq_low, band.freq_high))
    own, mine = regions["dataset"] == dataset_id, bands["dataset"] == dataset_id
    apart = angles.separation(
        *(regions[name][:, np.newaxis] for name in ("centre_ra", "centre_decl")),
        *(regions[name][own] for name in ("centre_ra", "centre_decl")),
    )
    reach = np.maximum(regions["xtr_radius"][:, np.newaxis], regions["xtr_radius"][own])
    near = set(regions["dataset"][(apart < reach).any(axis=1)].tolist())
    overlaps = (bands["freq_low"][:, np.newaxis] <= bands["freq_high"][mine]) & (
        bands["freq_high"][:, np.newaxis] >= bands["freq_low"][mine]
    )
    near &= set(bands["dataset"][overlaps.any(axis=1)].tolist()) - {dataset_id}
    rows = select(Dataset.id, Dataset.description, Dataset.config_hash).where(Dataset.state != "deleting")
    known = {number: (description, settings) for number, description, settings in connection.execute(rows)}
    settings = known[dataset_id][1]
    return [(number, known[number][0]) for number in sorted(near & known.keys()) if known[number][1] == settings]


def unreadable_table(connection: Connection, dataset_id: int) -> Columns:
    """Return the files that could not be read: ``url`` and ``reason``.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    """
    rows = select(UnreadableImage.url, UnreadableImage.reason).where(UnreadableImage.dataset == dataset_id)
    return read_columns(connection, rows.order_by(UnreadableImage.url))


def timestep_table(connection: Connection, dataset_id: int) -> Columns:
    """Return the timesteps of a dataset in order of time.

    Parameters
    ----------
    connection, dataset_id
        Open connection, and number of the dataset with these timesteps.

    Returns
    -------
    ``taustart_ts``, ``state`` ('done', 'late' or 'failed'), ``message`` (of a failure), ``stored_ts``, the counts
    ``n_…`` of table ``timestep``, and ``seconds`` (of each stage, as JSON).
    """
    step = Timestep
    rows = select(
        *(step.taustart_ts, step.state, step.message, step.stored_ts, step.n_images, step.n_accepted, step.n_rejected),
        *(step.n_measured, step.n_new_entries, step.n_newsources, step.n_forced_requested, step.n_forced_measured),
        *(getattr(step, name) for name in DROP_REASONS),
        step.seconds,
    )
    return read_columns(connection, rows.where(step.dataset == dataset_id).order_by(step.taustart_ts))


def time_range(connection: Connection, dataset_id: int) -> tuple[datetime | None, datetime | None]:
    """Return the start times of the first and the last image of a dataset, in UTC; None without images.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    """
    rows = select(func.min(Image.taustart_ts), func.max(Image.taustart_ts)).where(Image.dataset == dataset_id)
    first, last = connection.execute(rows).one()
    return first, last


def _summaries() -> Select[Any]:
    """Select the summaries of all datasets. Measurements are counted by timestep, not one by one."""
    steps = {
        "n_timesteps": select(func.count()).where(Timestep.state != "failed"),
        "n_failed": select(func.count()).where(Timestep.state == "failed"),
        "n_images": select(func.coalesce(func.sum(Timestep.n_images), 0)),
        "n_rejected": select(func.coalesce(func.sum(Timestep.n_rejected), 0)),
        "n_blind": select(func.coalesce(func.sum(Timestep.n_measured), 0)),
        "n_forced": select(func.coalesce(func.sum(Timestep.n_forced_measured), 0)),
        **{name: select(func.coalesce(func.sum(getattr(Timestep, name)), 0)) for name in DROP_REASONS},
    }
    counts: dict[str, Select[Any]] = {name: rows.where(Timestep.dataset == Dataset.id) for name, rows in steps.items()}
    counts["n_unreadable"] = select(func.count()).where(UnreadableImage.dataset == Dataset.id)
    counts["n_entries"] = select(func.count()).where(RunningCatalog.dataset == Dataset.id)
    counts["n_newsources"] = (
        select(func.count(NewSource.id))
        .join(RunningCatalog, RunningCatalog.id == NewSource.runcat)
        # The candidates are the way in: they are few, while an index of the dataset would read all its entries.
        .where(RunningCatalog.dataset + 0 == Dataset.id)
    )
    counts["n_likely"] = counts["n_newsources"].where(NewSource.grade == int(Grade.LIKELY))
    return select(
        *(Dataset.id, Dataset.description, Dataset.state, Dataset.process_start_ts, Dataset.process_end_ts),
        *(Dataset.config_hash, Dataset.software_version),
        *(rows.correlate(Dataset).scalar_subquery().label(name) for name, rows in counts.items()),
    )
