"""The dataset that a run resumes.

The database is queried, not the memory of an earlier run: a killed run leaves no other record of its progress.
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
"""Advisory lock, held while a run searches for its dataset and inserts it: two runs at once must not insert two."""


def find_resumable(connection: Connection, config: PipelineConfig, urls: Sequence[str]) -> int | None:
    """Find the dataset that a run over these images resumes.

    It is the newest dataset with the same description that contains any of the images by path, or whose latest run had
    the same list or pattern of images. No other run can search until the transaction ends.

    Parameters
    ----------
    connection
        Open connection; the caller owns the transaction.
    config
        All settings; ``persistence.description`` and ``execution.images`` are used.
    urls
        Paths of the images.

    Returns
    -------
    Number of the dataset; None if no dataset matches.
    """
    if connection.dialect.name == "postgresql":  # on SQLite a transaction has the write lock
        connection.execute(select(func.pg_advisory_xact_lock(FIND_OR_MAKE_LOCK)))
    named = select(Dataset.id).where(Dataset.description == config.persistence.description, Dataset.state != "deleting")
    candidates = connection.execute(named.order_by(Dataset.id.desc())).scalars().all()
    holding = _holders(connection, candidates, urls) if candidates else set()
    for number in candidates:
        if number in holding or _images_of(latest_config(connection, number)) == config.execution.images:
            return number
    return None


def _holders(connection: Connection, candidates: Sequence[int], urls: Sequence[str]) -> set[int]:
    """Return the datasets among the candidates that contain an image, or an unreadable file, of these paths."""
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
