"""The assembly of a stream of images into timesteps, which are closed in order of time."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from trap.run.planning import Timestep
from trap.steps.misc import split_into_timesteps

if TYPE_CHECKING:
    from trap.steps.misc import ImageMetadataForSort

__all__ = ["Assembler", "ClosedTimestep"]

N_LATEST = 10
"""Number of latest timesteps from whose sizes the size of the next timestep is predicted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedTimestep:
    """A timestep that takes no more images.

    Parameters
    ----------
    timestep
        Its images, lowest frequency first.
    arrived
        s — arrival of its last image, on the clock of the caller.
    is_complete
        Whether it has all expected images; False if it was closed by the time-out.
    """

    timestep: Timestep
    arrived: float
    is_complete: bool


class Assembler:
    """Assemble images that arrive in any order into timesteps, and close these in order of time.

    Images belong to a timestep by the rule of batch mode: they start within the tolerance of its first image. The open
    images are split into timesteps again whenever an image arrives, so the order of arrival does not matter. A timestep
    is closed when it is complete or when its time-out has passed, but never before an earlier one, since association
    is ordered in time. An image of a closed timestep, or of an earlier time, is late.

    Parameters
    ----------
    n_images
        Number of images of a complete timestep; 0 expects the largest number among the latest ten timesteps.
    timeout_seconds
        s — time from the arrival of its first image until a timestep is closed.
    tolerance_seconds
        s — largest difference between the starts of the first and of any other image of a timestep.
    latest
        Newest timestep of the dataset; None if the dataset is new.
    max_future_days
        Time, in days, from now; images that start later are rejected. Infinite if they are not.
    """

    def __init__(
        self,
        *,
        n_images: int,
        timeout_seconds: float,
        tolerance_seconds: float = 0.0,
        latest: datetime | None = None,
        max_future_days: float = math.inf,
    ) -> None:
        self.latest = latest
        self._n_images = n_images
        self._timeout = timeout_seconds
        self._tolerance = tolerance_seconds
        self._max_future_days = max_future_days
        self._open: list[tuple[datetime, list[ImageMetadataForSort]]] = []
        self._arrived: dict[str, float] = {}
        self._sizes: deque[int] = deque(maxlen=N_LATEST)

    @property
    def n_open(self) -> int:
        """Number of timesteps that wait for images."""
        return len(self._open)

    def is_new(self, time: datetime) -> bool:
        """Return whether an image that starts at this time would belong to none of the open timesteps."""
        return not any(self._are_together(time, start) for start, _ in self._open)

    def add(self, image: ImageMetadataForSort, now: float) -> bool:
        """Add an image to its timestep.

        Parameters
        ----------
        image
            The image.
        now
            s — time of its arrival.

        Returns
        -------
        Whether the image was added; False if it is late.
        """
        # The tolerance ends a closed timestep as it ends one in batch mode.
        if self.latest is not None and image.timestamp <= self.latest + timedelta(seconds=self._tolerance):
            return False
        self._arrived[image.url] = now
        # A file that was written again replaces its first version.
        open_images = [each for _, images in self._open for each in images if each.url != image.url]
        self._open = split_into_timesteps([*open_images, image], self._tolerance)
        return True

    def close(self, now: float) -> list[ClosedTimestep]:
        """Close the timesteps that are complete or timed out, in order of time.

        Parameters
        ----------
        now
            s — the current time.
        """
        closed = []
        while self._open:
            _, images = self._open[0]
            is_complete = len(images) >= self._expected > 0
            first_arrival = min(self._arrived[image.url] for image in images)
            if not is_complete and now - first_arrival < self._timeout:
                break
            closed.append(self._close_first(is_complete=is_complete))
        return closed

    @property
    def _expected(self) -> int:
        return self._n_images or max(self._sizes, default=0)

    def _are_together(self, time: datetime, start: datetime) -> bool:
        return abs(time - start) <= timedelta(seconds=self._tolerance)

    def _close_first(self, *, is_complete: bool) -> ClosedTimestep:
        """Close the earliest timestep."""
        start, images = self._open[0]
        self._open = self._open[1:]
        self._sizes.append(len(images))
        # Images of the future are rejected, and make no other image late.
        if (start - datetime.now(UTC)).total_seconds() <= self._max_future_days * 86400:
            self.latest = start
        last_arrival = max(self._arrived.pop(image.url) for image in images)
        timestep = Timestep(start, tuple(image.url for image in images))
        return ClosedTimestep(timestep=timestep, arrived=last_arrival, is_complete=is_complete)
