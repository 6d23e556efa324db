"""Datasets: the settings they were made with, what they hold already, and who may write them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, insert, select, update

import trap
from trap.config import PipelineConfig
from trap.db.bulk import insert_columns, upsert_columns
from trap.db.models import Config, Dataset, Image, Timestep, UnreadableImage
from trap.errors import DatabaseError, DatasetNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from trap.dataset import records

__all__ = [
    "find_dataset",
    "finish_dataset",
    "insert_dataset",
    "number_of_key",
    "processed_hashes",
    "rename_dataset",
    "reopen_dataset",
    "store_unreadable",
    "stored_config",
]

_WRITERS: dict[type, Callable[[Any], str]] = {bool: str, int: str, float: repr, str: str, list: json.dumps}
_READERS: dict[str, Callable[[str], Any]] = {
    "bool": "True".__eq__,
    "int": int,
    "float": float,
    "str": str,
    "list": json.loads,
}


def insert_dataset(connection: Connection, config: PipelineConfig) -> int:
    """Make a dataset, with the settings that shape its results frozen into it; returns its number.

    Raises
    ------
    TypeError
        If a setting is neither text, a number, a truth value nor a list.
    """
    extraction = config.source_extraction
    made = insert(Dataset).values(
        process_start_ts=datetime.now(UTC),
        description=config.persistence.description,
        state="running",
        config_hash=config.science_hash,
        software_version=trap.__version__,
        key=config.persistence.dataset_key or None,
        detection_threshold=extraction.detection_threshold,
        analysis_threshold=extraction.analysis_threshold,
        assoc_radius=config.association.deruiter_radius,
        backsize_x=extraction.back_size_x,
        backsize_y=extraction.back_size_y,
        margin_width=extraction.margin,
    )
    dataset_id: int = connection.execute(made.returning(Dataset.id)).scalar_one()
    sections, keys, values = zip(*config.science_items(), strict=True)
    types, texts = zip(*map(_typed_text, values), strict=True)
    insert_columns(
        connection,
        Config,
        {"dataset": dataset_id, "section": sections, "key": keys, "value": texts, "type": types},
    )
    return dataset_id


def find_dataset(connection: Connection, dataset_id: int) -> dict[str, Any]:
    """Return the row of a dataset, by column.

    Raises
    ------
    DatasetNotFoundError
        If there is none; the message lists those that are.
    """
    found = connection.execute(select(Dataset.__table__).where(Dataset.id == dataset_id)).mappings().first()
    if found is None:
        known = connection.execute(select(Dataset.id).order_by(Dataset.id)).scalars().all()
        there = "it holds " + ", ".join(map(str, known)) if known else "it is empty"
        msg = f"no dataset {dataset_id} in the database; {there}"
        raise DatasetNotFoundError(msg)
    return dict(found)


def number_of_key(connection: Connection, key: str) -> int | None:
    """Return the number of the dataset with a key; None where there is none."""
    return connection.execute(select(Dataset.id).where(Dataset.key == key)).scalar_one_or_none()


def rename_dataset(connection: Connection, dataset_id: int, description: str) -> None:
    """Give a dataset another description.

    Raises
    ------
    DatasetNotFoundError
        If there is none of that number.
    """
    find_dataset(connection, dataset_id)
    connection.execute(update(Dataset).where(Dataset.id == dataset_id).values(description=description))


def reopen_dataset(connection: Connection, dataset_id: int) -> int:
    """Open a dataset for more images; returns its number.

    Raises
    ------
    DatasetNotFoundError
        If there is none.
    DatabaseError
        If its deletion has begun.
    """
    if find_dataset(connection, dataset_id)["state"] == "deleting":
        msg = f"dataset {dataset_id} is being deleted; nothing can be added to it"
        raise DatabaseError(msg)
    changed = {"rerun": Dataset.rerun + 1, "state": "running"}
    connection.execute(update(Dataset).where(Dataset.id == dataset_id).values(changed))
    return dataset_id


def stored_config(connection: Connection, dataset_id: int) -> PipelineConfig:
    """Return the settings a dataset was made with; those that shape no result have their defaults.

    Raises
    ------
    DatasetNotFoundError
        If there is no such dataset.
    ConfigError
        If this software does not know a setting any more.
    """
    find_dataset(connection, dataset_id)
    rows = select(Config.section, Config.key, Config.value, Config.type).where(Config.dataset == dataset_id)
    sections: dict[str, dict[str, Any]] = {}
    for section, key, value, kind in connection.execute(rows):
        sections.setdefault(section, {})[key] = _READERS[kind](value)
    return PipelineConfig().with_options(**sections)


def finish_dataset(connection: Connection, dataset_id: int, state: str) -> str:
    """Record how a run ended, and return that: 'failed' or 'done', which is 'partial' where timesteps are missing."""
    missing = exists().where(Timestep.dataset == dataset_id, Timestep.state == "failed")
    if state == "done" and connection.execute(select(missing)).scalar_one():
        state = "partial"
    changed = {"state": state, "process_end_ts": datetime.now(UTC)}
    connection.execute(update(Dataset).where(Dataset.id == dataset_id).values(changed))
    return state


def processed_hashes(connection: Connection, dataset_id: int) -> set[str]:
    """Content hashes of all images that the dataset holds, rejected ones included."""
    return set(connection.execute(select(Image.content_hash).where(Image.dataset == dataset_id)).scalars())


def store_unreadable(connection: Connection, dataset_id: int, files: Sequence[records.UnreadableImage]) -> None:
    """Record files that could not be described; of one that fails again the newest reason is kept."""
    reasons = {file.url: file.reason for file in files}
    columns = {"dataset": dataset_id, "url": list(reasons), "reason": list(reasons.values())}
    upsert_columns(connection, UnreadableImage, columns, key=("dataset", "url"))


def _typed_text(value: Any) -> tuple[str, str]:  # noqa: ANN401 (what is not allowed is refused)
    write = _WRITERS.get(type(value))
    if write is None:
        msg = f"a stored setting must be text, a number, a truth value or a list, not {value!r}"
        raise TypeError(msg)
    return type(value).__name__, write(value)
