"""What the headers of many images say, read side by side; no pixel is read, and no header is kept.

A few hundred files are read here and now. More go to worker processes by the batch, no more of them at a time
than keep the workers busy: what is held in memory is one short row an image.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from trap import retry
from trap.errors import ImageError, TransientError, WorkerLostError
from trap.images.image import read_image
from trap.workers.executors import ProcessExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from trap.config import PipelineConfig, ReadingConfig
    from trap.typing import Progress
    from trap.workers.executors import Result


__all__ = ["Description", "scan_images"]

SCANNED_ALONE = 200
"""So many files are read before worker processes would have started."""
BATCH = 50
BATCHES_PER_WORKER = 2


class Description(NamedTuple):
    """What a plan needs to know of an image; of one that cannot be described, why.

    Parameters
    ----------
    frequency
        Hz
    content_hash
        Empty where it was not asked for.
    """

    url: str
    problem: str = ""
    timestamp: datetime | None = None
    frequency: float = 0.0
    stokes: int = 1
    content_hash: str = ""


def scan_images(
    urls: Sequence[str], config: PipelineConfig, *, with_hash: bool, progress: Progress | None = None
) -> Iterator[Description]:
    """Describe images by their headers, in the order given.

    Parameters
    ----------
    urls
        Paths of images.
    config
        How they are read, by how many workers, and how long one may take.
    with_hash
        Whether the content is hashed too, for which a file is read as a whole.
    progress
        Called after every batch with the number done, the number in all, and what they are; only where there
        are many.
    """
    if len(urls) <= SCANNED_ALONE:
        yield from describe_images(urls, config.reading, with_hash=with_hash)
        return
    done = 0
    for descriptions in _scan_side_by_side(urls, config, with_hash=with_hash):
        done += len(descriptions)
        if progress is not None:
            progress(done, len(urls), "headers")
        yield from descriptions


def describe_images(urls: Sequence[str], settings: ReadingConfig, *, with_hash: bool) -> list[Description]:
    """Describe some images, one after the other; a step for worker processes."""
    return [_describe(url, settings, with_hash=with_hash) for url in urls]


def _scan_side_by_side(urls: Sequence[str], config: PipelineConfig, *, with_hash: bool) -> Iterator[list[Description]]:
    settings = config.execution
    with ProcessExecutor(settings.n_workers, timeout_seconds=settings.image_timeout_seconds) as workers:

        def submit(batch: list[str]) -> Result[list[Description]]:
            return workers.submit(describe_images, batch, config.reading, with_hash=with_hash)

        waiting = (list(batch) for batch in _batches(urls))
        pending = deque((batch, submit(batch)) for batch in islice(waiting, BATCHES_PER_WORKER * workers.n_workers))
        while pending:
            batch, result = pending.popleft()
            pending.extend((following, submit(following)) for following in islice(waiting, 1))
            yield _collected(batch, result, submit)


def _batches(urls: Sequence[str]) -> Iterator[Sequence[str]]:
    return (urls[start : start + BATCH] for start in range(0, len(urls), BATCH))


def _collected(
    batch: list[str], result: Result[list[Description]], submit: Callable[[list[str]], Result[list[Description]]]
) -> list[Description]:
    """Wait for a batch; if its worker hung or died, try the images one by one, so that only the culprit is lost."""
    try:
        return result.result()
    except WorkerLostError:
        single = [(url, submit([url])) for url in batch]
    descriptions = []
    for url, promise in single:
        try:
            descriptions += promise.result()
        except WorkerLostError as error:
            descriptions.append(Description(url, problem=str(error)))
    return descriptions


def _describe(url: str, settings: ReadingConfig, *, with_hash: bool) -> Description:
    try:
        return retry.call_with_retries(partial(_read_header, url, settings, with_hash=with_hash), retry.HEADER_DELAYS)
    except ImageError as error:
        return Description(url, problem=error.message)
    except TransientError as error:
        return Description(url, problem=str(error))


def _read_header(url: str, settings: ReadingConfig, *, with_hash: bool) -> Description:
    image = read_image(url, settings)
    metadata = image.metadata
    return Description(
        url,
        timestamp=metadata.taustart_ts,
        frequency=metadata.freq_eff,
        stokes=metadata.stokes,
        content_hash=image.content_hash if with_hash else "",
    )
