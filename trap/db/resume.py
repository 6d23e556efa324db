"""Going on where a run stopped: with which dataset, from which timestep, and never twice.

The database is asked, not the memory of a run: what was killed or cut off cannot tell how far it came.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

from sqlalchemy import func, select, union

from trap.db.bulk import is_among
from trap.db.models import Dataset, Image, UnreadableImage
from trap.db.runs import latest_config

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from trap.config import PipelineConfig

__all__ = ["find_resumable"]

FIND_OR_MAKE_LOCK = 0x74726171
"""Held by whoever looks for a dataset to go on with until it is made: two runs at once must not make two."""


def find_resumable(connection: Connection, config: PipelineConfig, urls: Sequence[str]) -> int | None:
    """Find the dataset that a run over these images goes on with.

    It is the newest of the same description that holds any of the images by name, or that was made for
    the same list or pattern of images. Until the end of the transaction nobody else looks for one.

    Parameters
    ----------
    config
        ``persistence.description`` and ``execution.images`` count.
    urls
        Paths of the images.

    Returns
    -------
    Number of the dataset; None if there is none.
    """
    if connection.dialect.name == "postgresql":  # a transaction on SQLite has the write lock anyhow
        connection.execute(select(func.pg_advisory_xact_lock(FIND_OR_MAKE_LOCK)))
    named = select(Dataset.id).where(Dataset.description == config.persistence.description, Dataset.state != "deleting")
    candidates = connection.execute(named.order_by(Dataset.id.desc())).scalars().all()
    holding = _holders(connection, candidates, urls) if candidates else set()
    for number in candidates:
        if number in holding or _images_of(latest_config(connection, number)) == config.execution.images:
            return number
    return None


def _holders(connection: Connection, candidates: Sequence[int], urls: Sequence[str]) -> set[int]:
    """Which of the candidates hold an image, or an unreadable file, of these paths."""
    rows = union(
        *(
            select(table.dataset).where(
                is_among(connection, table.dataset, candidates), is_among(connection, table.url, urls)
            )
            for table in (Image, UnreadableImage)
        )
    )
    return set(connection.execute(rows).scalars())


def _images_of(toml: str | None) -> tuple[str, ...] | None:
    if toml is None:
        return None
    return tuple(tomllib.loads(toml)["execution"]["images"])
