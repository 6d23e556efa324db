"""TraP's ``misc`` step: order of images in time, configurations, logs and backups."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import structlog

from trap.config import PipelineConfig, load_config, write_config
from trap.config.toml import write_private
from trap.db.backup import backup_database
from trap.db.urls import split_password
from trap.log import configure_logging

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "ImageMetadataForSort",
    "check_job_configs_match",
    "dump_configs_to_logdir",
    "dump_database_backup",
    "group_per_timestep",
    "load_job_config",
    "setup_logging",
    "split_into_timesteps",
]

log = structlog.get_logger(__name__)


class ImageMetadataForSort(NamedTuple):
    """Place of an image in the order of a dataset.

    Parameters
    ----------
    url
        Path of the image.
    timestamp
        Start of the observation.
    frequency
        Hz
    stokes
        Stokes parameter, as FITS numbers it.
    content_hash
        Hash of the content; empty if the content was not read.
    """

    url: str
    timestamp: datetime
    frequency: float
    stokes: int = 1
    content_hash: str = ""


def dump_configs_to_logdir(log_dir: str | Path, job_config: PipelineConfig) -> Path:
    """Write the settings of a run to ``trap.toml`` in a folder, without the password of the database.

    TraP wrote the two files that it had read, even if the database overruled them.

    Parameters
    ----------
    log_dir
        The folder; created if it does not exist.
    job_config
        All settings.

    Returns
    -------
    The written file.
    """
    path = Path(log_dir) / "trap.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    database, _ = split_password(job_config.execution.database)
    write_private(path, write_config(job_config.with_options(execution={"database": database})))
    return path


def setup_logging(
    log_dir: str | Path | None, *, debug: bool = False, json_lines: bool = False, quiet: bool = False
) -> None:
    """Send log events to standard error, and optionally as JSON lines to a file.

    TraP's choice of colours does not exist: events are coloured on a terminal only.

    Parameters
    ----------
    log_dir
        Folder of ``trap.log``, created if it does not exist; None for no file.
    debug
        Whether debug events are included.
    json_lines
        Whether events on standard error are JSON lines, too.
    quiet
        Whether standard error has warnings and errors only.
    """
    log_file = None if log_dir is None else Path(log_dir) / "trap.log"
    if log_file is not None:
        with suppress(OSError):  # the first event reports it
            log_file.parent.mkdir(parents=True, exist_ok=True)
    configure_logging(verbose=debug, json_lines=json_lines, quiet=quiet, log_file=log_file)


def group_per_timestep(
    metadatas: Iterable[ImageMetadataForSort], tolerance: float = 0.0
) -> list[tuple[datetime, list[str]]]:
    """Group images by time.

    Parameters
    ----------
    metadatas
        Places of the images, in any order.
    tolerance
        s — an image belongs to a group if it starts within this time of the group's first image. TraP grouped equal
        times only.

    Returns
    -------
    Groups in order of time: the time of the first image, and the images in order of frequency, Stokes parameter and
    time.
    """
    return [(start, [image.url for image in images]) for start, images in split_into_timesteps(metadatas, tolerance)]


def split_into_timesteps(
    images: Iterable[ImageMetadataForSort], tolerance: float
) -> list[tuple[datetime, list[ImageMetadataForSort]]]:
    """Split images into timesteps, by the rule of batch and live mode.

    Parameters
    ----------
    images
        Places of the images, in any order.
    tolerance
        s — an image belongs to a timestep if it starts within this time of the first image.

    Returns
    -------
    Timesteps in order of time: the start of the first image, and the images in order of frequency, Stokes parameter and
    start.
    """
    groups: list[list[ImageMetadataForSort]] = []
    for image in sorted(images, key=lambda item: item.timestamp):
        if not groups or image.timestamp - groups[-1][0].timestamp > timedelta(seconds=tolerance):
            groups.append([])
        groups[-1].append(image)
    return [(group[0].timestamp, sorted(group, key=_order_in_timestep)) for group in groups]


def _order_in_timestep(image: ImageMetadataForSort) -> tuple[float, int, datetime]:
    return image.frequency, image.stokes, image.timestamp


# TraP's interface, kept for scripts written for TraP. The pipeline does not call these functions.


def load_job_config(pipe_config: str | Path) -> PipelineConfig:
    """Read the settings of a job from a TOML file.

    TraP found ``job_params.cfg`` through a parsed ``pipeline.cfg``; here one file holds both.

    Raises
    ------
    ConfigError
        If a setting is unknown or invalid.
    """
    return load_config(pipe_config)


def check_job_configs_match(job_config_1: PipelineConfig, job_config_2: PipelineConfig) -> bool:
    """Return whether two configurations give the same results, and log their differences.

    The dataset and the machine may differ. Neither argument is changed; TraP removed the number of the dataset from
    both.

    Parameters
    ----------
    job_config_1, job_config_2
        All settings of two runs.
    """
    differences = job_config_1.differences(job_config_2)
    for difference in differences:
        log.warning("setting_differs", setting=difference)
    return not differences


def dump_database_backup(database_url: str, job_dir: str | Path) -> Path:
    """Copy the whole database into a file, with the database's own tools.

    Parameters
    ----------
    database_url
        SQLite (copied through its backup interface) or PostgreSQL (``pg_dump``).
    job_dir
        Folder of the file, which has TraP's name ``<host>_<database>_<time>.dump``.

    Returns
    -------
    The written file.
    """
    return backup_database(database_url, Path(job_dir))
