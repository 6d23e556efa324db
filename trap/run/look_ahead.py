"""Images measured before they are needed, so that no core waits for the association of a timestep.

The window goes over the ends of timestep groups, and is bounded: measurements that nobody has asked
for yet take memory.
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
"""An image that has cost so many worker processes is left out: the next one would go the same way."""


class ImageMeasurements(Protocol):
    """Where the measurements of images come from."""

    def result(self, url: str) -> ImageResult | UnreadableImage:
        """Return what was measured in an image; asked again, it is measured again."""


class LookAhead:
    """Measurements of images, under way before they are asked for; may be asked from several threads.

    Parameters
    ----------
    measure
        Begins to measure an image.
    urls
        Images in the order in which they will be asked for.
    depth
        How many are measured, or wait to be asked for, at once.
    retry_delays
        s — waiting times before an image is measured again after an error that may pass.
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
        """Add images that will be asked for after those that are known."""
        with self._lock:
            self._ahead.extend(urls)
            self._fill()

    def result(self, url: str) -> Measured:
        """Wait for the measurements of an image.

        Returns
        -------
        An :class:`~trap.dataset.records.UnreadableImage` also where measuring ended its worker process again
        and again: such an image costs itself, and not its timestep.

        Raises
        ------
        TransientError
            If the image could not be measured, and may be when it is asked for again.
        """
        return call_with_retries(partial(self.attempt, url), self._retry_delays)

    def attempt(self, url: str) -> Measured:
        """Wait for the measurements of an image, as :meth:`result`, without trying again."""
        pending = self._take(url)
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

    def _take(self, url: str) -> Result[Measured]:
        """Take the measurement of an image out of the window, which moves on."""
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
