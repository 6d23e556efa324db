"""Which images a run processes, in which order, and which it leaves out and why."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from trap.errors import ImageError, TransientError
from trap.patience import call_patiently
from trap.records import UnreadableImage
from trap.steps.misc import ImageMetadataForSort, group_per_timestep
from trap.steps.persistence import get_accessors

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from trap.images.image import Image, ImageMetadata

__all__ = ["Plan", "Timestep", "TimestepGroup", "make_plan"]

RETRY_DELAYS = (0.5, 2.0, 8.0)
"""Waiting times [s] before a header is read again from a file system that failed in a way that may pass."""
MIN_GROUP = 10
MAX_GROUPS = 200
"""A Prefect subflow costs about 0.1 s, and a run's page with a thousand of them shows nothing."""


@dataclass(frozen=True, slots=True)
class Timestep:
    """Images of the same time, lowest frequency first."""

    taustart_ts: datetime
    urls: tuple[str, ...]
    is_late: bool = False


@dataclass(frozen=True, slots=True)
class TimestepGroup:
    """Consecutive timesteps: the unit of look-ahead, and of a Prefect subflow."""

    number: int
    timesteps: tuple[Timestep, ...]

    @property
    def urls(self) -> tuple[str, ...]:
        """All images of the group, in order."""
        return tuple(url for timestep in self.timesteps for url in timestep.urls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run will do, and what it will not.

    Parameters
    ----------
    groups
        The work, in order of time.
    unreadable
        Files that cannot be described.
    known
        Images that the dataset already holds.
    late
        Images no later than the newest timestep of the dataset, where these are refused: the
        association of what came after them has been made.
    """

    groups: tuple[TimestepGroup, ...]
    unreadable: tuple[UnreadableImage, ...] = ()
    known: tuple[str, ...] = ()
    late: tuple[str, ...] = field(default=())

    @property
    def timesteps(self) -> tuple[Timestep, ...]:
        """All timesteps, in order."""
        return tuple(timestep for group in self.groups for timestep in group.timesteps)


def make_plan(
    urls: Iterable[str],
    *,
    known_hashes: Collection[str],
    latest: datetime | None,
    group_size: int = 0,
    refuse_late: bool = True,
) -> Plan:
    """Read the headers of all images and put the new ones in order; no pixels are read.

    Parameters
    ----------
    urls
        Paths of images.
    known_hashes
        Contents of the images that the dataset holds; where there are any, the files are read
        once to compare.
    latest
        Newest timestep of the dataset, or None.
    group_size
        Timesteps in a group; 0 chooses: ten, or more where that would make over 200 groups.
    refuse_late
        Whether images no later than ``latest`` are left out; otherwise their timesteps say that they are late.
    """
    described: list[ImageMetadataForSort] = []
    unreadable: list[UnreadableImage] = []
    known: list[str] = []
    late: list[str] = []
    for image in get_accessors(list(urls)):
        try:
            metadata, is_known = call_patiently(partial(_look_at, image, known_hashes), RETRY_DELAYS)
        except ImageError as error:
            unreadable.append(UnreadableImage(url=image.url, reason=error.message))
        except TransientError as error:
            unreadable.append(UnreadableImage(url=image.url, reason=str(error)))
        else:
            if is_known:
                known.append(image.url)
            elif refuse_late and latest is not None and metadata.taustart_ts <= latest:
                late.append(image.url)
            else:
                described.append(
                    ImageMetadataForSort(image.url, metadata.taustart_ts, metadata.freq_eff, metadata.stokes)
                )
    timesteps = [
        Timestep(taustart, tuple(group), is_late=latest is not None and taustart <= latest)
        for taustart, group in group_per_timestep(described)
    ]
    return Plan(
        groups=_grouped(timesteps, group_size),
        unreadable=tuple(unreadable),
        known=tuple(known),
        late=tuple(late),
    )


def _grouped(timesteps: Sequence[Timestep], size: int) -> tuple[TimestepGroup, ...]:
    step = size or max(MIN_GROUP, math.ceil(len(timesteps) / MAX_GROUPS))
    chunks = [tuple(timesteps[start : start + step]) for start in range(0, len(timesteps), step)]
    return tuple(TimestepGroup(number, chunk) for number, chunk in enumerate(chunks, start=1))


def _look_at(image: Image, known_hashes: Collection[str]) -> tuple[ImageMetadata, bool]:
    """Read the header of an image, and whether the dataset holds its content."""
    return image.metadata, bool(known_hashes) and image.content_hash in known_hashes
