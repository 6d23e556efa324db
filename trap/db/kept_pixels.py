"""Where the pixels are that were kept of images: in files, beside the database."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.engine import make_url

from trap.db.bulk import insert_columns, is_among
from trap.db.models import ImageData
from trap.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from trap.config import ExecutionConfig
    from trap.dataset.records import KeptPixels

__all__ = ["find_pixels", "find_unshared_pixels", "insert_kept_pixels", "pixel_directory"]


def pixel_directory(settings: ExecutionConfig) -> Path | None:
    """Return the folder for kept pixels, or None if no pixels are kept.

    Raises
    ------
    ConfigError
        If pixels are to be kept in a folder that is neither set nor follows from the database.
    """
    if settings.keep_pixels == "no":
        return None
    if settings.pixel_directory:
        return Path(settings.pixel_directory).absolute()
    url = make_url(settings.database)
    if url.get_backend_name() != "sqlite":
        msg = "execution.pixel_directory must name a folder for the pixels of a PostgreSQL database"
        raise ConfigError(msg)
    return Path(f"{url.database}.pixels").absolute()


def insert_kept_pixels(connection: Connection, ids: Sequence[int], kept: Sequence[KeptPixels]) -> None:
    """Record which files hold the pixels of the images with these row numbers.

    A path is relative to the SQLite file that it lies beside, so that both may be moved together.
    """
    folder = _folder(connection)
    columns = {
        "image": [ids[pixels.image] for pixels in kept],
        "fits_header": [pixels.header for pixels in kept],
        "path": [_beside(pixels.path, folder) for pixels in kept],
        "kind": [pixels.kind for pixels in kept],
    }
    insert_columns(connection, ImageData, columns)


def find_pixels(connection: Connection, images: Sequence[int]) -> dict[int, Path]:
    """Find the files that hold pixels of images, by row number; those of which nothing is kept are left out."""
    rows = select(ImageData.image, ImageData.path).where(
        is_among(connection, ImageData.image, list(images)), ImageData.path.is_not(None)
    )
    folder = _folder(connection)
    return {image: (folder or Path()) / path for image, path in connection.execute(rows)}


def find_unshared_pixels(connection: Connection, images: Sequence[int]) -> set[Path]:
    """Find the files that hold pixels of these images, and not those of the same image in another dataset."""
    mine = is_among(connection, ImageData.image, list(images))
    paths = connection.execute(select(ImageData.path).where(mine, ImageData.path.is_not(None))).scalars().all()
    if not paths:
        return set()
    shared = select(ImageData.path).where(is_among(connection, ImageData.path, [str(path) for path in paths]), ~mine)
    folder = _folder(connection) or Path()
    return {folder / str(path) for path in set(paths) - set(connection.execute(shared).scalars())}


def _folder(connection: Connection) -> Path | None:
    url = connection.engine.url
    return Path(str(url.database)).absolute().parent if url.get_backend_name() == "sqlite" else None


def _beside(path: str, folder: Path | None) -> str:
    if folder is not None and Path(path).is_relative_to(folder):
        return os.path.relpath(path, folder)
    return path
