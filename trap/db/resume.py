"""The dataset that a run resumes.

The database is queried, not the memory of an earlier run: a killed run leaves no other record of its progress.
"""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

from sqlalchemy import func, or_, select, union

from trap.config.toml import as_toml
from trap.db.bulk import is_among
from trap.db.datasets import continued_config, stored_config
from trap.db.models import Dataset, Image, UnreadableImage
from trap.db.runs import latest_configs
from trap.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from trap.config import PipelineConfig

__all__ = ["find_resumable"]

FIND_OR_MAKE_LOCK = 0x74726171
"""Advisory lock, held while a run searches for its dataset and inserts it: two runs at once must not insert two."""


def find_resumable(
    connection: Connection, config: PipelineConfig, urls: Sequence[str], origin: Sequence[str] = ()
) -> int | None:
    """Find the dataset that a run over these images resumes.

    A dataset is identified by its images: it contains any of them by path, or its latest run had the same list or
    pattern of images. Several such datasets may exist. The run resumes the newest one with the same settings, and
    prefers one of its own description. Without one of the same settings, it resumes the newest one of its own
    description; its settings differ, which the caller reports. A dataset keeps the description of its latest run when
    it is renamed. No other run can search until the transaction ends.

    Parameters
    ----------
    connection
        Open connection; the caller owns the transaction.
    config
        All settings.
    urls
        Paths of the images.
    origin
        Patterns of the paths of images that arrive later; ``*`` stands for any text.

    Returns
    -------
    Number of the dataset; None if no dataset matches.
    """
    if connection.dialect.name == "postgresql":  # on SQLite a transaction has the write lock
        connection.execute(select(func.pg_advisory_xact_lock(FIND_OR_MAKE_LOCK)))
    rows = select(Dataset.id, Dataset.description).where(Dataset.state != "deleting").order_by(Dataset.id.desc())
    descriptions = {number: {description} for number, description in connection.execute(rows)}
    holding = _holders(connection, urls, origin)
    images = config.execution.images
    for number, toml in latest_configs(connection).items():
        # Of many datasets only the few possible matches are parsed.
        if number in descriptions and (number in holding or (images and as_toml(images[0]) in toml)):
            run = tomllib.loads(toml)
            descriptions[number].add(run["persistence"]["description"])
            if images and tuple(run["execution"]["images"]) == images:
                holding.add(number)
    candidates = [number for number in descriptions if number in holding]
    named = [number for number in candidates if config.persistence.description in descriptions[number]]
    alike = (number for number in [*named, *candidates] if _has_settings(connection, number, config))
    return next(alike, named[0] if named else None)


def _has_settings(connection: Connection, number: int, config: PipelineConfig) -> bool:
    """Return whether a dataset was made with these settings; False if its own come from another version."""
    try:
        continued = continued_config(connection, number, config)
        return not continued.differences(stored_config(connection, number))
    except ConfigError:
        return False


def _holders(connection: Connection, urls: Sequence[str], origin: Sequence[str]) -> set[int]:
    """Return the datasets that contain an image, or an unreadable file, of these paths or of paths like these."""
    likes = ["%".join(_escaped(part) for part in pattern.split("*")) for pattern in origin]
    rows = union(
        *(
            select(table.dataset).where(
                or_(
                    is_among(connection, table.url, urls),
                    *(table.url.like(like, escape="\\") for like in likes),
                )
            )
            for table in (Image, UnreadableImage)
        )
    )
    return set(connection.execute(rows).scalars())


def _escaped(text: str) -> str:
    """Return a text that LIKE takes literally."""
    return re.sub(r"([\\%_])", r"\\\1", text)
