"""The headers of many images, read in parallel. No pixels are read, and no header is kept.

Worker processes read the headers in batches, with only as many batches under way as keep the workers busy, so that
memory holds one short row for each image. A header that hangs, or that takes too much memory, costs its image. Callers
that trust their files can read up to two hundred of them in this process instead.
"""

from __future__ import annotations

import math
import os
from collections import deque
from functools import partial
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from trap import retry
from trap.dataset.records import ImageResult, UnreadableImage
from trap.errors import ImageError, TransientError, WorkerLostError, out_of_memory
from trap.images.image import read_image
from trap.quality import SAMPLE, rms_qc
from trap.run.listed_images import content_hash_of, listed_metadata, measure_list, require_list
from trap.run.pairing import Pairing
from trap.steps.misc import ImageMetadataForSort
from trap.workers.executors import ProcessExecutor
from trap.workers.limits import HEADER_MEMORY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from trap.config import PipelineConfig
    from trap.dataset.state import DatasetState
    from trap.images.metadata import ImageMetadata
    from trap.run.pairing_table import ListedImage
    from trap.typing import Progress
    from trap.workers.executors import Executor, Result


__all__ = ["Preview", "ScannedImage", "describe_images", "scan_images"]

T = TypeVar("T")

MAX_WITHOUT_WORKERS = 200
"""Maximum number of files that are read in this process: they take less time than the start of worker processes."""
BATCH = 50
"""Number of files of a batch."""
BATCHES_PER_WORKER = 2
"""Number of batches under way for each worker."""


_NO_LISTS: Mapping[str, ListedImage] = MappingProxyType({})
MAX_TIMESTEPS_AHEAD = 10
"""Number of timesteps whose images are read ahead for comparison."""


ScannedImage = ImageMetadataForSort | UnreadableImage
"""Place of an image in the plan, or the reason why it has none."""


def scan_images(
    urls: Sequence[str],
    config: PipelineConfig,
    *,
    with_hash: bool,
    isolated: bool = False,
    progress: Progress | None = None,
    lists: Pairing | None = None,
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
    isolated
        Whether worker processes read few images too, so that no file can harm this process.
    progress
        Called after every batch with the number of headers read, the number of all, and ``"headers"``; not called if
        the images are few.
    lists
        Source lists of the images; None if there are none.

    Yields
    ------
    The description of each image.
    """
    lists = lists or Pairing()
    is_few = len(urls) <= MAX_WITHOUT_WORKERS
    if not urls or (is_few and not isolated):
        yield from describe_images(urls, config, with_hash=with_hash, lists=lists.of(urls))
        return
    done = 0
    for descriptions in _scan_in_parallel(urls, config, lists, with_hash=with_hash):
        done += len(descriptions)
        if progress is not None and not is_few:
            progress(done, len(urls), "headers")
        yield from descriptions


def describe_images(
    urls: Sequence[str], config: PipelineConfig, *, with_hash: bool, lists: Mapping[str, ListedImage] = _NO_LISTS
) -> list[ScannedImage]:
    """Describe images one after the other; a step for worker processes.

    Parameters
    ----------
    urls
        Paths of images.
    config
        All settings, among them how images are read.
    with_hash
        Whether to hash the content too.
    lists
        Source lists of these images by path.
    """
    return [_describe(url, config, lists.get(url), with_hash=with_hash) for url in urls]


def _scan_in_parallel(
    urls: Sequence[str], config: PipelineConfig, lists: Pairing, *, with_hash: bool
) -> Iterator[list[ScannedImage]]:
    """Yield the descriptions of batches in order, while workers read the next ones."""
    settings = config.execution
    n_workers = min(settings.n_workers or len(os.sched_getaffinity(0)), math.ceil(len(urls) / BATCH))
    timeout = settings.image_timeout_seconds
    with ProcessExecutor(n_workers, timeout_seconds=timeout, memory=HEADER_MEMORY) as workers:

        def submit(batch: list[str]) -> Result[list[ScannedImage]]:
            return workers.submit(describe_images, batch, config, with_hash=with_hash, lists=lists.of(batch))

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


def _describe(url: str, config: PipelineConfig, listed: ListedImage | None, *, with_hash: bool) -> ScannedImage:
    """Describe an image by its header, with retries; a failure becomes the reason why it has none."""
    try:
        return retry.call_with_retries(
            partial(_read_header, url, config, listed, with_hash=with_hash), retry.HEADER_DELAYS
        )
    except ImageError as error:
        return UnreadableImage(url=url, reason=error.message_for(url))
    except TransientError as error:
        return UnreadableImage(url=url, reason=str(error))
    except MemoryError as error:
        return UnreadableImage(url=url, reason=out_of_memory(error))


class Preview:
    """Noise and beams of the next images of a run, with which its first images are compared.

    The first images of a band have no accepted images before them. A few images are therefore read twice; later ones
    are not.

    Parameters
    ----------
    timesteps
        Images of each timestep of the run, in order.
    config
        All settings.
    lists
        Source lists of the images; None if there are none.
    """

    def __init__(
        self, timesteps: Sequence[Sequence[str]], config: PipelineConfig, lists: Mapping[str, ListedImage] = _NO_LISTS
    ) -> None:
        self._timesteps = timesteps
        self._config = config
        self._lists = lists
        self._headers: dict[str, ImageMetadata | None] = {}
        self._noise: dict[str, ImageResult | None] = {}

    def following(
        self, number: int, measured: Sequence[ImageResult], state: DatasetState, executor: Executor
    ) -> tuple[ImageResult, ...]:
        """Return images of later timesteps that images of a timestep are compared with.

        The result depends on the stored dataset and on the images that are not stored yet, so that an interrupted run
        repeats it.

        Parameters
        ----------
        number
            Number of the timestep in the run, from 0.
        measured
            Measured images of the timestep.
        state
            State of the dataset before the timestep.
        executor
            Runs the reading of images, which may be bad ones.

        Returns
        -------
        For each band with few accepted images, the next images without their sources, in order. Unreadable images are
        left out.
        """
        missing = {
            result.metadata: SAMPLE - state.accepted.rms(state.history_key(result.metadata)).size
            for result in measured
            if result.rejection is None
        }
        ahead = self._timesteps[number + 1 : number + 1 + MAX_TIMESTEPS_AHEAD]
        found: list[ImageResult] = []
        for url in (url for urls in ahead for url in urls) if _is_compared(self._config) else ():
            header = self._header(url, executor) if any(count > 0 for count in missing.values()) else None
            if header is None:
                continue
            wanted = [one for one, count in missing.items() if count > 0 and state.are_comparable(one, header)]
            image = self._measured(url, executor) if wanted else None
            if image is not None:
                found.append(image)
                missing |= {one: missing[one] - 1 for one in wanted}
        return tuple(found)

    def _header(self, url: str, executor: Executor) -> ImageMetadata | None:
        """Return the header of an image; None if it cannot be read."""
        if url not in self._headers:
            self._headers[url] = _awaited(executor.submit(preview_header, url, self._config, self._lists.get(url)))
        return self._headers[url]

    def _measured(self, url: str, executor: Executor) -> ImageResult | None:
        """Return an image with the noise of its central region; None if it cannot be read."""
        if url not in self._noise:
            self._noise[url] = _awaited(executor.submit(preview_noise, url, self._config, self._lists.get(url)))
        return self._noise[url]


def preview_header(url: str, config: PipelineConfig, listed: ListedImage | None = None) -> ImageMetadata | None:
    """Read the header of an image of a later timestep, with retries; a step for worker processes.

    Parameters
    ----------
    url
        Path of the image.
    config
        All settings.
    listed
        List of its sources; a list without an image has the metadata of its row.

    Returns
    -------
    None if the header cannot be read.
    """
    if listed is not None and not listed.has_image:
        return _tried(lambda: listed_metadata(url, listed, config))
    return _tried(lambda: read_image(url, config.reading).metadata)


def preview_noise(url: str, config: PipelineConfig, listed: ListedImage | None = None) -> ImageResult | None:
    """Measure the noise of the central region of an image of a later timestep; a step for worker processes.

    Parameters
    ----------
    url, config, listed
        As for :func:`preview_header`.

    Returns
    -------
    The image without its sources; None if it cannot be read.
    """
    if listed is not None and not listed.has_image:
        return _tried(lambda: measure_list(url, listed, config))

    def measure() -> ImageResult:
        image, settings = read_image(url, config.reading), config.persistence
        noise = rms_qc(image.data, sigma=settings.rms_est_sigma, fraction=settings.rms_est_fraction)
        return ImageResult.unmeasured(image.metadata, rms_qc=noise, pixel_hash="")

    return _tried(measure)


def _tried(read: Callable[[], T]) -> T | None:
    """Read something of an image, with retries; None if that fails."""
    try:
        return retry.call_with_retries(read, retry.HEADER_DELAYS)
    except (ImageError, TransientError, MemoryError):
        return None


def _awaited(result: Result[T | None]) -> T | None:
    """Wait for a step that reads an image; None if it ended its worker."""
    try:
        return result.result()
    except WorkerLostError:
        return None


def _is_compared(config: PipelineConfig) -> bool:
    """Return whether following images can be compared with, and a check compares them."""
    settings = config.quality
    has_checks = settings.check_rms_history != "off" or settings.check_beam_jump != "off"
    return has_checks and min(settings.min_history, settings.rms_est_history) <= SAMPLE


def _read_header(
    url: str, config: PipelineConfig, listed: ListedImage | None, *, with_hash: bool
) -> ImageMetadataForSort:
    """Read the header of an image, and its content too if a hash is needed."""
    if listed is not None and not listed.has_image:
        metadata = listed_metadata(url, listed, config)
        content_hash = content_hash_of(listed, "", config) if with_hash else ""
    else:
        image = read_image(url, config.reading)
        metadata = image.metadata
        content_hash = image.content_hash if with_hash else ""
        if listed is not None:
            require_list(listed, url)
            content_hash = content_hash_of(listed, content_hash, config) if with_hash else ""
    return ImageMetadataForSort(
        url,
        timestamp=metadata.taustart_ts,
        frequency=metadata.freq_eff,
        stokes=metadata.stokes,
        content_hash=content_hash,
    )
