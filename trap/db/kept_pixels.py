"""Files with kept pixels of images, and their records in the database."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from trap.db.bulk import insert_columns, is_among
from trap.db.models import ImageData
from trap.db.urls import parse_url
from trap.errors import ConfigError
from trap.images.patterns import path_of, path_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from trap.config import ExecutionConfig
    from trap.dataset.records import KeptPixels

__all__ = ["find_images", "find_pixels", "find_unshared_pixels", "insert_kept_pixels", "pixel_directory"]


def pixel_directory(settings: ExecutionConfig) -> Path | None:
    """Return the folder for kept pixels, or None if no pixels are kept.

    Raises
    ------
    ConfigError
        If pixels are kept but no folder is set, and the database is not a file that could have a folder next to it.
    """
    if settings.keep_pixels == "no":
        return None
    if settings.pixel_directory:
        return path_of(settings.pixel_directory).absolute()
    url = parse_url(settings.database)
    if url.get_backend_name() != "sqlite":
        msg = "execution.pixel_directory must name a folder for the pixels of a PostgreSQL database"
        raise ConfigError(msg)
    return path_of(f"{url.database}.pixels").absolute()


def insert_kept_pixels(connection: Connection, ids: Sequence[int], kept: Sequence[KeptPixels]) -> None:
    """Record the files with kept pixels of images.

    A path is relative to the folder of an SQLite file, so that the database and its pixels can be moved together.

    Parameters
    ----------
    connection, ids
        Connection in a transaction of the caller, and row numbers of the images of the timestep.
    kept
        Files, with the number of their image in the timestep.
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
    """Find the files with kept pixels of images.

    Parameters
    ----------
    connection, images
        Connection in a transaction of the caller, and row numbers of the images.

    Returns
    -------
    Paths by row number; images without kept pixels are not included.
    """
    rows = select(ImageData.image, ImageData.path).where(
        is_among(connection, ImageData.image, list(images)), ImageData.path.is_not(None)
    )
    folder = _folder(connection)
    return {image: path_of((folder or Path()) / path) for image, path in connection.execute(rows)}


def find_images(connection: Connection, images: Sequence[int]) -> dict[int, Path]:
    """Find the files with all pixels of images, as :func:`find_pixels` finds files with any of them.

    Parameters
    ----------
    connection, images
        Connection in a transaction of the caller, and row numbers of the images.
    """
    whole = select(ImageData.image).where(
        is_among(connection, ImageData.image, list(images)), ImageData.kind == "images"
    )
    return find_pixels(connection, list(connection.execute(whole).scalars()))


def find_unshared_pixels(connection: Connection, images: Sequence[int]) -> set[Path]:
    """Find the files with kept pixels of images that no other dataset shares.

    Parameters
    ----------
    connection, images
        Connection in a transaction of the caller, and row numbers of the images.
    """
    mine = is_among(connection, ImageData.image, list(images))
    paths = connection.execute(select(ImageData.path).where(mine, ImageData.path.is_not(None))).scalars().all()
    if not paths:
        return set()
    # The file of an image is named after its content, so that datasets with the same image share it.
    shared = select(ImageData.path).where(is_among(connection, ImageData.path, [str(path) for path in paths]), ~mine)
    folder = _folder(connection) or Path()
    return {path_of(folder / str(path)) for path in set(paths) - set(connection.execute(shared).scalars())}


def _folder(connection: Connection) -> Path | None:
    """Return the folder of an SQLite database; None for PostgreSQL."""
    url = connection.engine.url
    return Path(str(url.database)).absolute().parent if url.get_backend_name() == "sqlite" else None


def _beside(path: str, folder: Path | None) -> str:
    if folder is not None and Path(path).is_relative_to(folder):
        return path_text(os.path.relpath(path, folder))
    return path_text(path)
