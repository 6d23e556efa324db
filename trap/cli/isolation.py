"""Work on single images in worker processes, so that no file can harm the command.

Over some files, compiled code of the libraries that read images ends its process, hangs, or takes all memory.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from trap.errors import WorkerLostError
from trap.workers.executors import ProcessExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from trap.config import ExecutionConfig
    from trap.workers.executors import Executor, Result
    from trap.workers.pools import Workers

__all__ = ["open_image_workers", "results_of_images"]

T = TypeVar("T")


def open_image_workers(settings: ExecutionConfig, n_images: int, *, preload: Sequence[str]) -> Workers:
    """Open worker processes of this machine for a few images, or for many.

    They import their modules while this process imports its own ones.

    Parameters
    ----------
    settings
        Number of workers, and time limit of an image.
    n_images
        Number of images, for which no more workers are started.
    preload
        Names of the modules that the workers import.

    Returns
    -------
    The workers, a context manager.
    """
    n_workers = min(settings.n_workers or len(os.sched_getaffinity(0)), max(n_images, 1))
    return ProcessExecutor(n_workers, timeout_seconds=settings.image_timeout_seconds, preload=preload)


def results_of_images(
    workers: Executor,
    step: Callable[..., T],
    paths: Sequence[str],
    more: Mapping[str, Mapping[str, object]] | None = None,
) -> Iterator[T | WorkerLostError]:
    """Run a step for each image, and yield the results in the order of the images.

    Parameters
    ----------
    workers
        Executor of the steps.
    step
        Function of the path of an image, and of further arguments by name.
    paths
        Paths of the images.
    more
        Further arguments of some images by path; None if there are none.

    Yields
    ------
    The value of the step; the error if the step ended its worker.
    """
    calls = [partial(workers.submit, step, path, **(more or {}).get(path, {})) for path in paths]
    results = [call() for call in calls]
    for call, result in zip(calls, results, strict=True):
        yield _awaited(result, call)


def _awaited(result: Result[T], again: Callable[[], Result[T]]) -> T | WorkerLostError:
    """Wait for a step, and repeat it once if another step ended its worker."""
    try:
        return result.result()
    except WorkerLostError as error:
        if error.is_culprit:
            return error
    try:
        return again().result()
    except WorkerLostError as error:
        return error
