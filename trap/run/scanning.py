"""The headers of many images, read in parallel. No pixels are read, and no header is kept.

Up to two hundred files are read in this process. More are read in batches by worker processes, with only as many
batches under way as keep the workers busy, so that memory holds one short row for each image.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

from trap import retry
from trap.dataset.records import UnreadableImage
from trap.errors import ImageError, TransientError, WorkerLostError
from trap.images.image import read_image
from trap.steps.misc import ImageMetadataForSort
from trap.workers.executors import ProcessExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from trap.config import PipelineConfig, ReadingConfig
    from trap.typing import Progress
    from trap.workers.executors import Result


__all__ = ["ScannedImage", "scan_images"]

MAX_WITHOUT_WORKERS = 200
"""Maximum number of files that are read in this process: they take less time than the start of worker processes."""
BATCH = 50
"""Number of files of a batch."""
BATCHES_PER_WORKER = 2
"""Number of batches under way for each worker."""


ScannedImage = ImageMetadataForSort | UnreadableImage
"""Place of an image in the plan, or the reason why it has none."""


def scan_images(
    urls: Sequence[str], config: PipelineConfig, *, with_hash: bool, progress: Progress | None = None
) -> Iterator[ScannedImage]:
    """Describe images by their headers, in the given order.

    Parameters
    ----------
    urls
        Paths of images.
    config
        All settings: how images are read, the number of workers, and their time limit.
    with_hash
        Whether to hash the content too, for which each file is read as a whole.
    progress
        Called after every batch with the number of headers read, the number of all, and ``"headers"``; not called if
        the images are few.

    Yields
    ------
    The description of each image.
    """
    if len(urls) <= MAX_WITHOUT_WORKERS:
        yield from describe_images(urls, config.reading, with_hash=with_hash)
        return
    done = 0
    for descriptions in _scan_in_parallel(urls, config, with_hash=with_hash):
        done += len(descriptions)
        if progress is not None:
            progress(done, len(urls), "headers")
        yield from descriptions


def describe_images(urls: Sequence[str], settings: ReadingConfig, *, with_hash: bool) -> list[ScannedImage]:
    """Describe images one after the other; a step for worker processes.

    Parameters
    ----------
    urls
        Paths of images.
    settings
        How images are read.
    with_hash
        Whether to hash the content too.
    """
    return [_describe(url, settings, with_hash=with_hash) for url in urls]


def _scan_in_parallel(urls: Sequence[str], config: PipelineConfig, *, with_hash: bool) -> Iterator[list[ScannedImage]]:
    """Yield the descriptions of batches in order, while workers read the next ones."""
    settings = config.execution
    with ProcessExecutor(settings.n_workers, timeout_seconds=settings.image_timeout_seconds) as workers:

        def submit(batch: list[str]) -> Result[list[ScannedImage]]:
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
    batch: list[str], result: Result[list[ScannedImage]], submit: Callable[[list[str]], Result[list[ScannedImage]]]
) -> list[ScannedImage]:
    """Wait for a batch. If its worker hung or died, read the images one by one, so that only one image is lost."""
    try:
        return result.result()
    except WorkerLostError:
        single = [(url, submit([url])) for url in batch]
    descriptions: list[ScannedImage] = []
    for url, description in single:
        try:
            descriptions += description.result()
        except WorkerLostError as error:
            descriptions.append(UnreadableImage(url=url, reason=str(error)))
    return descriptions


def _describe(url: str, settings: ReadingConfig, *, with_hash: bool) -> ScannedImage:
    """Describe an image by its header, with retries; a failure becomes the reason why it has none."""
    try:
        return retry.call_with_retries(partial(_read_header, url, settings, with_hash=with_hash), retry.HEADER_DELAYS)
    except ImageError as error:
        return UnreadableImage(url=url, reason=error.message)
    except TransientError as error:
        return UnreadableImage(url=url, reason=str(error))


def _read_header(url: str, settings: ReadingConfig, *, with_hash: bool) -> ImageMetadataForSort:
    """Read the header of an image, and its content too if a hash is needed."""
    image = read_image(url, settings)
    metadata = image.metadata
    return ImageMetadataForSort(
        url,
        timestamp=metadata.taustart_ts,
        frequency=metadata.freq_eff,
        stokes=metadata.stokes,
        content_hash=image.content_hash if with_hash else "",
    )
