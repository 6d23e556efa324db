"""What TraP kept in ``misc``: configurations, logs, backups and the order of images in time."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import structlog

from trap.config import PipelineConfig, load_config, write_config
from trap.db.backup import backup_database
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


def load_job_config(pipe_config: str | Path) -> PipelineConfig:
    """Read the settings of a job from a TOML file.

    TraP found ``job_params.cfg`` through a parsed ``pipeline.cfg``; here one file holds both.

    Raises
    ------
    ConfigError
        If a setting is unknown or wrong.
    """
    return load_config(pipe_config)


def dump_configs_to_logdir(log_dir: str | Path, job_config: PipelineConfig) -> Path:
    """Write the settings that are in force into a directory, which is made if needed.

    TraP wrote the two files it had read, even where the database overruled them.

    Returns
    -------
    The file written.
    """
    path = Path(log_dir) / "trap.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(write_config(job_config), encoding="utf-8")
    return path


def check_job_configs_match(job_config_1: PipelineConfig, job_config_2: PipelineConfig) -> bool:
    """Tell whether two configurations give the same results, whatever dataset and machine they name.

    Neither is changed (TraP removed the dataset id from both).
    """
    differences = job_config_1.differences(job_config_2)
    for difference in differences:
        log.warning("setting_differs", setting=difference)
    return not differences


def setup_logging(log_dir: str | Path | None, *, debug: bool = False, json_lines: bool = False) -> None:
    """Send events to standard error and, given a directory, as JSON lines to ``trap.log`` in it.

    TraP's choice of colours is gone: they appear on a terminal and nowhere else.
    """
    log_file = None if log_dir is None else Path(log_dir) / "trap.log"
    if log_file is not None:
        log_file.parent.mkdir(parents=True, exist_ok=True)
    configure_logging(verbose=debug, json_lines=json_lines, log_file=log_file)


def dump_database_backup(database_url: str, job_dir: str | Path) -> Path:
    """Copy the whole database into a file in a directory, with the database's own tools.

    Parameters
    ----------
    database_url
        SQLite (copied through its backup interface) or PostgreSQL (``pg_dump``).
    job_dir
        Where the file goes; TraP's name, ``<host>_<database>_<time>.dump``.

    Returns
    -------
    The file written.
    """
    return backup_database(database_url, Path(job_dir))


def group_per_timestep(
    metadatas: Iterable[ImageMetadataForSort], tolerance: float = 0.0
) -> list[tuple[datetime, list[str]]]:
    """Group images by time; groups in order of time, within them by frequency, Stokes and time.

    Parameters
    ----------
    metadatas
        Of the images.
    tolerance
        s — images that start within this time of the first of a group belong to it. (TraP grouped equal times
        alone.)

    Returns
    -------
    The time of the first image of each group, and the images.
    """
    return [(start, [image.url for image in images]) for start, images in split_into_timesteps(metadatas, tolerance)]


def split_into_timesteps(
    images: Iterable[ImageMetadataForSort], tolerance: float
) -> list[tuple[datetime, list[ImageMetadataForSort]]]:
    """Split images into timesteps; the rule of batch mode and of live mode.

    Parameters
    ----------
    images
        Images in any order.
    tolerance
        s — images that start within this time of the first image of a timestep belong to it.

    Returns
    -------
    In order of time: the start of the first image of each timestep, and the images of the timestep, ordered by
    frequency, Stokes parameter and start.
    """
    groups: list[list[ImageMetadataForSort]] = []
    for image in sorted(images, key=lambda item: item.timestamp):
        if not groups or image.timestamp - groups[-1][0].timestamp > timedelta(seconds=tolerance):
            groups.append([])
        groups[-1].append(image)
    return [(group[0].timestamp, sorted(group, key=_order_in_timestep)) for group in groups]


def _order_in_timestep(image: ImageMetadataForSort) -> tuple[float, int, datetime]:
    return image.frequency, image.stokes, image.timestamp
