"""The plan of a run: the images to be processed, their order, and the images that are left out with the reasons."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from trap.config import PipelineConfig
from trap.dataset.records import ImageResult, UnreadableImage
from trap.run.scanning import scan_images
from trap.steps.misc import ImageMetadataForSort, split_into_timesteps

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from trap.run.pairing import Pairing
    from trap.run.pairing_table import ListedImage
    from trap.typing import Progress

__all__ = ["Plan", "Timestep", "TimestepGroup", "group_images", "in_plan", "is_late", "make_plan", "without_duplicates"]

MIN_GROUP = 10
"""Minimum number of timesteps of a group."""
MAX_GROUPS = 200
"""Maximum number of groups: each is a Prefect subflow, which costs 0.1 s and a line on the page of the run."""


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
        """Paths of all images of the group, in order."""
        return tuple(url for timestep in self.timesteps for url in timestep.urls)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The work of a run, and the images that it leaves out.

    Parameters
    ----------
    groups
        Timesteps to be processed, in order of time.
    unreadable
        Files whose headers cannot be read.
    known
        Images that the dataset already holds.
    late
        Images no later than the newest timestep of the dataset, if the settings refuse them: later timesteps have been
        associated already.
    lists
        Source lists of the images by path; empty if the pipeline searches the images.
    """

    groups: tuple[TimestepGroup, ...]
    unreadable: tuple[UnreadableImage, ...] = ()
    known: tuple[str, ...] = ()
    late: tuple[str, ...] = field(default=())
    lists: Mapping[str, ListedImage] = field(default_factory=dict)

    @property
    def timesteps(self) -> tuple[Timestep, ...]:
        """All timesteps, in order."""
        return tuple(timestep for group in self.groups for timestep in group.timesteps)


def make_plan(
    urls: Iterable[str],
    *,
    known_hashes: Collection[str],
    latest: datetime | None,
    config: PipelineConfig | None = None,
    isolated: bool = False,
    progress: Progress | None = None,
    lists: Pairing | None = None,
) -> Plan:
    """Read the headers of all images and put the new images in order. No pixels are read.

    Parameters
    ----------
    urls
        Paths of images.
    known_hashes
        Content hashes of the images that the dataset holds. If there are any, all files are read once to compare.
    latest
        Newest timestep of the dataset; None if it has none.
    config
        All settings; None means the defaults. They decide how images are read, how far apart the images of a timestep
        may start, how many timesteps are in a group (ten, or more if that made over 200 groups), and whether images no
        later than ``latest`` are left out or form late timesteps.
    isolated
        Whether worker processes read all headers, so that no file can harm this process.
    progress
        Called with the number of headers read, the number of all, and ``"headers"``, if there are many.
    lists
        Source lists of the images; None if there are none.

    Returns
    -------
    The plan.
    """
    config = PipelineConfig() if config is None else config
    tolerance = config.persistence.timestep_tolerance
    refuses_late = config.execution.late_images == "refuse"
    described: list[ImageMetadataForSort] = []
    unreadable: list[UnreadableImage] = []
    known: list[str] = []
    late: list[str] = []
    scan = scan_images(
        list(urls), config, with_hash=bool(known_hashes), isolated=isolated, progress=progress, lists=lists
    )
    for image in scan:
        if isinstance(image, UnreadableImage):
            unreadable.append(image)
        elif image.content_hash in known_hashes:
            known.append(image.url)
        elif refuses_late and is_late(image.timestamp, latest, tolerance):
            late.append(image.url)
        else:
            described.append(image)
    return Plan(
        groups=_grouped(group_images(described, tolerance=tolerance, latest=latest), config.execution.group_size),
        unreadable=tuple(unreadable),
        known=tuple(known),
        late=tuple(late),
        lists={} if lists is None else lists.lists,
    )


def is_late(start: datetime, latest: datetime | None, tolerance: float) -> bool:
    """Return whether an image is late: a timestep that would hold it, or a later one, is closed.

    Parameters
    ----------
    start
        Start of the image.
    latest
        Start of the newest closed timestep; None if there is none.
    tolerance
        s — images that start within this time of the first image of a timestep belong to it.
    """
    return latest is not None and start <= latest + timedelta(seconds=tolerance)


def group_images(
    images: Iterable[ImageMetadataForSort], *, tolerance: float, latest: datetime | None
) -> list[Timestep]:
    """Group images into timesteps. Late images form timesteps without the others, which do not wait for them.

    Parameters
    ----------
    images
        Places of the images, in any order.
    tolerance, latest
        As for :func:`is_late`.

    Returns
    -------
    Timesteps in order of time.
    """
    late: list[ImageMetadataForSort] = []
    others: list[ImageMetadataForSort] = []
    for image in images:
        (late if is_late(image.timestamp, latest, tolerance) else others).append(image)
    return [
        Timestep(start, tuple(image.url for image in group), is_late=group_is_late)
        for part, group_is_late in ((late, True), (others, False))
        for start, group in split_into_timesteps(part, tolerance)
    ]


def in_plan(
    timestep: Timestep, results: Iterable[ImageResult | UnreadableImage], config: PipelineConfig
) -> tuple[list[ImageResult], tuple[UnreadableImage, ...]]:
    """Separate the images that still belong to their timestep from the others.

    An image whose file was replaced after its header was read may start at another time. It is left out; the next run
    plans it by its new time.

    Parameters
    ----------
    timestep, results
        A timestep, and the results of its images.
    config
        All settings, among them how far apart the images of a timestep may start.

    Returns
    -------
    Measured images that belong to the timestep, and all others with the reasons.
    """
    tolerance = timedelta(seconds=config.persistence.timestep_tolerance)
    measured: list[ImageResult] = []
    unreadable: list[UnreadableImage] = []
    for result in results:
        if isinstance(result, UnreadableImage):
            unreadable.append(result)
            continue
        start = result.metadata.taustart_ts
        if timedelta(0) <= start - timestep.taustart_ts <= tolerance:
            measured.append(result)
            continue
        reason = (
            f"the file was replaced: planned for the timestep of {timestep.taustart_ts.isoformat()}, it now holds an "
            f"image of {start.isoformat()}; the next run plans it again"
        )
        unreadable.append(UnreadableImage(url=result.metadata.url, reason=reason))
    return measured, tuple(unreadable)


def without_duplicates(
    results: Iterable[ImageResult], contents: Collection[str]
) -> tuple[list[ImageResult], tuple[str, ...]]:
    """Separate images whose content is in the dataset already, or twice in their timestep.

    Parameters
    ----------
    results
        Measured images of a timestep.
    contents
        Content hashes of the images of the dataset.

    Returns
    -------
    The other images, and the paths of the duplicates.
    """
    new: dict[str, ImageResult] = {}
    duplicates: list[str] = []
    for result in results:
        if result.content_hash in contents or result.content_hash in new:
            duplicates.append(result.metadata.url)
        else:
            new[result.content_hash] = result
    return list(new.values()), tuple(duplicates)


def _grouped(timesteps: Sequence[Timestep], size: int) -> tuple[TimestepGroup, ...]:
    """Divide timesteps into groups of this size; 0 chooses the size."""
    step = size or max(MIN_GROUP, math.ceil(len(timesteps) / MAX_GROUPS))
    chunks = [tuple(timesteps[start : start + step]) for start in range(0, len(timesteps), step)]
    return tuple(TimestepGroup(number, chunk) for number, chunk in enumerate(chunks, start=1))
