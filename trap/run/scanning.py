"""What the headers of many images say, read side by side; no pixel is read, and no header is kept.

A few hundred files are read here and now. More go to worker processes by the batch, no more of them at a time
than keep the workers busy: what is held in memory is one short row an image.
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

SCANNED_ALONE = 200
"""So many files are read before worker processes would have started."""
BATCH = 50
BATCHES_PER_WORKER = 2


ScannedImage = ImageMetadataForSort | UnreadableImage
"""Place of an image in the plan, or the reason why it has none."""


def scan_images(
    urls: Sequence[str], config: PipelineConfig, *, with_hash: bool, progress: Progress | None = None
) -> Iterator[ScannedImage]:
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


def describe_images(urls: Sequence[str], settings: ReadingConfig, *, with_hash: bool) -> list[ScannedImage]:
    """Describe some images, one after the other; a step for worker processes."""
    return [_describe(url, settings, with_hash=with_hash) for url in urls]


def _scan_side_by_side(urls: Sequence[str], config: PipelineConfig, *, with_hash: bool) -> Iterator[list[ScannedImage]]:
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
    """Wait for a batch; if its worker hung or died, try the images one by one, so that only the culprit is lost."""
    try:
        return result.result()
    except WorkerLostError:
        single = [(url, submit([url])) for url in batch]
    descriptions: list[ScannedImage] = []
    for url, promise in single:
        try:
            descriptions += promise.result()
        except WorkerLostError as error:
            descriptions.append(UnreadableImage(url=url, reason=str(error)))
    return descriptions


def _describe(url: str, settings: ReadingConfig, *, with_hash: bool) -> ScannedImage:
    try:
        return retry.call_with_retries(partial(_read_header, url, settings, with_hash=with_hash), retry.HEADER_DELAYS)
    except ImageError as error:
        return UnreadableImage(url=url, reason=error.message)
    except TransientError as error:
        return UnreadableImage(url=url, reason=str(error))


def _read_header(url: str, settings: ReadingConfig, *, with_hash: bool) -> ImageMetadataForSort:
    image = read_image(url, settings)
    metadata = image.metadata
    return ImageMetadataForSort(
        url,
        timestamp=metadata.taustart_ts,
        frequency=metadata.freq_eff,
        stokes=metadata.stokes,
        content_hash=image.content_hash if with_hash else "",
    )
