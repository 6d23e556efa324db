"""Measurement of images ahead of association, so that no core waits for the association of a timestep.

The window of images under way reaches across the ends of timestep groups. It is bounded, because measurements that have
not been fetched take memory.
"""

from __future__ import annotations

from collections import Counter, deque
from functools import partial
from threading import Lock
from typing import TYPE_CHECKING, Protocol

import structlog

from trap.dataset.records import ImageResult, UnreadableImage
from trap.errors import WorkerLostError
from trap.retry import call_with_retries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from trap.workers.executors import Result

    Measured = ImageResult | UnreadableImage

__all__ = ["ImageMeasurements", "LookAhead"]

log = structlog.get_logger(__name__)

MAX_LOST_WORKERS = 3
"""Number of lost worker processes after which an image is left out."""


class ImageMeasurements(Protocol):
    """A source of measurements of images."""

    def result(self, url: str) -> ImageResult | UnreadableImage:
        """Return the measurements of an image. Each call consumes them; a second call measures the image again."""


class LookAhead:
    """Measurements of images that are under way before they are fetched. Several threads may fetch them.

    Parameters
    ----------
    measure
        Begins to measure an image.
    urls
        Images in the order of their use.
    depth
        Maximum number of images that are being measured or wait to be fetched.
    retry_delays
        s — waiting times before an image is measured again after an error that may pass; empty if the caller retries.
    """

    def __init__(
        self,
        measure: Callable[[str], Result[Measured]],
        urls: Iterable[str] = (),
        *,
        depth: int,
        retry_delays: Sequence[float] = (),
    ) -> None:
        self._measure = measure
        self._ahead = deque(urls)
        self._depth = depth
        self._retry_delays = retry_delays
        self._pending: dict[str, Result[Measured]] = {}
        self._lost_workers: Counter[str] = Counter()
        self._lock = Lock()
        self._fill()

    def expect(self, urls: Iterable[str]) -> None:
        """Append images that will be fetched after all others. An image that was expected before is measured again."""
        with self._lock:
            for url in urls:
                if self._pending.pop(url, None) is None and url in self._ahead:
                    self._ahead.remove(url)
                self._ahead.append(url)
            self._fill()

    def result(self, url: str) -> Measured:
        """Wait for the measurements of an image, with retries.

        Returns
        -------
        The measurements. An image whose measurement ended its worker process :data:`MAX_LOST_WORKERS` times gives an
        :class:`~trap.dataset.records.UnreadableImage`, so that it costs itself and not its timestep.

        Raises
        ------
        TransientError
            If the image could not be measured for a reason that may pass.
        """
        return call_with_retries(partial(self.attempt, url), self._retry_delays)

    def attempt(self, url: str) -> Measured:
        """Wait for the measurements of an image, as :meth:`result` does, without retries."""
        pending = self._pop(url)
        try:
            return pending.result()
        except WorkerLostError as error:
            if error.is_culprit:
                self._lost_workers[url] += 1
            if self._lost_workers[url] < MAX_LOST_WORKERS:
                raise
            reason = f"measuring it cost {MAX_LOST_WORKERS} worker processes, the last time: {error}"
            log.warning("image_given_up", image=url, reason=reason)
            return UnreadableImage(url=url, reason=reason)

    def _pop(self, url: str) -> Result[Measured]:
        """Remove the measurement of an image from the window, and fill the window with the next images."""
        with self._lock:
            pending = self._pending.pop(url, None)
            if pending is None:
                if url in self._ahead:
                    self._ahead.remove(url)
                pending = self._measure(url)
            self._fill()
        return pending

    def _fill(self) -> None:
        while self._ahead and len(self._pending) < self._depth:
            url = self._ahead.popleft()
            self._pending[url] = self._measure(url)
