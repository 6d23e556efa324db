"""Datasets: the settings they were made with, the images they hold, and their state."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import exists, insert, select, update

import trap
from trap.config import PipelineConfig
from trap.db.bulk import insert_columns, upsert_columns
from trap.db.models import Config, Dataset, Image, Timestep, UnreadableImage
from trap.db.ratings import carry_ratings
from trap.errors import ConfigError, DatabaseError, DatasetNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Connection

    from trap.dataset import records

__all__ = [
    "continued_config",
    "dataset_names",
    "find_dataset",
    "finish_dataset",
    "insert_dataset",
    "number_of_description",
    "number_of_key",
    "processed_hashes",
    "rename_dataset",
    "reopen_dataset",
    "replace_dataset",
    "store_unreadable",
    "stored_config",
]

CALIBRATION_MODES = ("positions", "flux_scale")
"""Settings that switch the calibration off."""
FORMER_VALUES = {("association", "method"): "trap"}
"""Values of settings for datasets of versions without them, if the default is another one."""
_WRITERS: dict[type, Callable[[Any], str]] = {
    bool: str,
    int: str,
    float: repr,
    str: str,
    list: json.dumps,
    dict: json.dumps,
}
_READERS: dict[str, Callable[[str], Any]] = {
    "bool": "True".__eq__,
    "int": int,
    "float": float,
    "str": str,
    "list": json.loads,
    "dict": json.loads,
}


def insert_dataset(connection: Connection, config: PipelineConfig) -> int:
    """Insert a dataset with the settings that affect its results, which never change afterwards.

    Parameters
    ----------
    connection, config
        Connection in a transaction of the caller, and all settings.

    Returns
    -------
    Number of the dataset.

    Raises
    ------
    TypeError
        If a setting is not text, a number, a truth value, a list or a dict.
    """
    extraction = config.source_extraction
    row = insert(Dataset).values(
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
    dataset_id: int = connection.execute(row.returning(Dataset.id)).scalar_one()
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

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.

    Raises
    ------
    DatasetNotFoundError
        If the dataset does not exist; the message lists the existing ones.
    """
    row = connection.execute(select(Dataset.__table__).where(Dataset.id == dataset_id)).mappings().first()
    if row is None:
        numbers = connection.execute(select(Dataset.id).order_by(Dataset.id)).scalars().all()
        contents = "it holds " + ", ".join(map(str, numbers)) if numbers else "it is empty"
        msg = f"no dataset {dataset_id} in the database; {contents}"
        raise DatasetNotFoundError(msg)
    return dict(row)


def dataset_names(connection: Connection) -> dict[int, str]:
    """Return the descriptions of all datasets by their numbers, oldest first, without those that are being deleted."""
    rows = select(Dataset.id, Dataset.description).where(Dataset.state != "deleting").order_by(Dataset.id)
    return {row.id: row.description for row in connection.execute(rows)}


def number_of_key(connection: Connection, key: str) -> int | None:
    """Return the number of the dataset with a key; None if no dataset has it.

    Parameters
    ----------
    connection, key
        Connection in a transaction of the caller, and value of ``persistence.dataset_key``.
    """
    return connection.execute(select(Dataset.id).where(Dataset.key == key)).scalar_one_or_none()


def number_of_description(connection: Connection, description: str) -> int | None:
    """Return the number of the dataset with a description; None if no dataset has it.

    Parameters
    ----------
    connection, description
        Connection in a transaction of the caller, and name of the dataset.

    Raises
    ------
    ConfigError
        If several datasets have it.
    """
    named = select(Dataset.id).where(Dataset.description == description, Dataset.state != "deleting")
    numbers = connection.execute(named.order_by(Dataset.id)).scalars().all()
    if len(numbers) > 1:
        listed = ", ".join(map(str, numbers))
        msg = f"several datasets are named {description!r}: {listed}; select one by its number, with --dataset"
        raise ConfigError(msg)
    return numbers[0] if numbers else None


def rename_dataset(connection: Connection, dataset_id: int, description: str) -> None:
    """Change the description of a dataset.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset to rename.
    description
        New description.

    Raises
    ------
    DatasetNotFoundError
        If the dataset does not exist.
    """
    find_dataset(connection, dataset_id)
    connection.execute(update(Dataset).where(Dataset.id == dataset_id).values(description=description))


def replace_dataset(connection: Connection, old: int, new: int) -> None:
    """Give the key and the ratings of a dataset to another one, so that later images are added to the latter.

    The old dataset is about to be deleted: nothing can be added to it any more.

    Parameters
    ----------
    connection, old, new
        Connection in a transaction of the caller, and numbers of the two datasets.

    Raises
    ------
    DatasetNotFoundError
        If the old dataset does not exist.
    """
    find_dataset(connection, old)
    key = connection.execute(select(Dataset.key).where(Dataset.id == old)).scalar_one()
    connection.execute(update(Dataset).where(Dataset.id == old).values(key=None, state="deleting"))
    connection.execute(update(Dataset).where(Dataset.id == new).values(key=key))
    carry_ratings(connection, old, new)


def reopen_dataset(connection: Connection, dataset_id: int) -> int:
    """Mark an existing dataset as running again, for more images.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset to reopen.

    Returns
    -------
    The number of the dataset.

    Raises
    ------
    DatasetNotFoundError
        If the dataset does not exist.
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
    """Return the settings that a dataset was made with; settings that affect no result have their defaults.

    Parameters
    ----------
    connection, dataset_id
        Open connection, and number of the dataset that has the settings.

    Raises
    ------
    DatasetNotFoundError
        If the dataset does not exist.
    ConfigError
        If this version of the software has no such setting any more.
    """
    find_dataset(connection, dataset_id)
    rows = select(Config.section, Config.key, Config.value, Config.type).where(Config.dataset == dataset_id)
    stored = {(section, key): _READERS[kind](value) for section, key, value, kind in connection.execute(rows)}
    sections: dict[str, dict[str, Any]] = {}
    for (section, key), value in {**FORMER_VALUES, **stored}.items():
        sections.setdefault(section, {})[key] = value
    return PipelineConfig().with_options(**sections)


def continued_config(connection: Connection, dataset_id: int, config: PipelineConfig) -> PipelineConfig:
    """Return the settings of a run that continues a dataset, before they are compared with those of the dataset.

    The light curves of a dataset stay of one kind. A dataset of a version without one-to-one association is continued
    with TraP's association. A dataset of a version without calibration is continued without it: the modes of the
    calibration, and systematic position errors that are ``"auto"``, have the stored values.

    Parameters
    ----------
    connection, dataset_id
        Open connection, and number of the dataset that is continued.
    config
        All settings of the run.

    Raises
    ------
    DatasetNotFoundError, ConfigError
        As for :func:`stored_config`.
    """
    for (section, key), value in FORMER_VALUES.items():
        has_key = exists().where(Config.dataset == dataset_id, Config.section == section, Config.key == key)
        if not connection.execute(select(has_key)).scalar_one():
            config = config.with_options(**{section: {key: value}})
    # The upgrade of the tables has added two settings to a dataset without calibration; newer ones have the section.
    known = exists().where(
        Config.dataset == dataset_id, Config.section == "calibration", Config.key.not_in(CALIBRATION_MODES)
    )
    if connection.execute(select(known)).scalar_one():
        return config
    stored = stored_config(connection, dataset_id)
    errors = {
        name: getattr(stored.source_extraction, name)
        for name in ("ew_sys_err", "ns_sys_err")
        if getattr(config.source_extraction, name) == "auto"
    }
    modes = {name: getattr(stored.calibration, name) for name in CALIBRATION_MODES}
    return config.with_options(calibration=modes, source_extraction=errors)


def finish_dataset(connection: Connection, dataset_id: int, state: str) -> str:
    """Record how a run ended.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    state
        'done', 'stopped' (from the keyboard) or 'failed'.

    Returns
    -------
    The recorded state: 'partial' in place of 'done' if some timesteps failed.
    """
    missing = exists().where(Timestep.dataset == dataset_id, Timestep.state == "failed")
    if state == "done" and connection.execute(select(missing)).scalar_one():
        state = "partial"
    changed = {"state": state, "process_end_ts": datetime.now(UTC)}
    connection.execute(update(Dataset).where(Dataset.id == dataset_id).values(changed))
    return state


def processed_hashes(connection: Connection, dataset_id: int) -> set[str]:
    """Return the content hashes of all images in a dataset, including rejected ones.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    """
    return set(connection.execute(select(Image.content_hash).where(Image.dataset == dataset_id)).scalars())


def store_unreadable(connection: Connection, dataset_id: int, files: Sequence[records.UnreadableImage]) -> None:
    """Record files whose headers or pixels could not be read. A file that fails again keeps its newest reason.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    files
        Paths and reasons.
    """
    reasons = {file.url: file.reason for file in files}
    columns = {"dataset": dataset_id, "url": list(reasons), "reason": list(reasons.values())}
    upsert_columns(connection, UnreadableImage, columns, key=("dataset", "url"))


def _typed_text(value: Any) -> tuple[str, str]:  # noqa: ANN401 (other types are refused)
    """Write a setting as text, with the name of its type."""
    write = _WRITERS.get(type(value))
    if write is None:
        msg = f"a stored setting must be text, a number, a truth value, a list or a dict, not {value!r}"
        raise TypeError(msg)
    return type(value).__name__, write(value)
