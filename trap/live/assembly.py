"""The assembly of a stream of images into timesteps, which are closed in order of time."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from trap.run.planning import group_images, is_late

if TYPE_CHECKING:
    from trap.run.planning import Timestep
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

    Images belong to a timestep by the rule of batch mode, :func:`trap.run.planning.group_images`. The open images are
    grouped again whenever an image arrives, so the order of arrival does not matter. A timestep is closed when it is
    complete or when its time-out has passed, but never before an earlier one, since association is ordered in time. An
    image of a closed timestep, or of an earlier time, is late. Late images form timesteps without the others, which are
    closed by their time-out.

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
        self._images: dict[str, ImageMetadataForSort] = {}
        self._open: list[Timestep] = []
        self._arrived: dict[str, float] = {}
        self._sizes: deque[int] = deque(maxlen=N_LATEST)

    @property
    def n_open(self) -> int:
        """Number of timesteps that wait for images."""
        return len(self._open)

    def is_late(self, time: datetime) -> bool:
        """Return whether an image that starts at this time is late."""
        return is_late(time, self.latest, self._tolerance)

    def twins(self, image: ImageMetadataForSort) -> list[str]:
        """Return the paths of other open images of the same time, frequency and Stokes parameter."""
        places = [(each, each._replace(url=image.url)) for each in self._images.values()]
        return [each.url for each, place in places if place == image != each]

    def is_new(self, time: datetime) -> bool:
        """Return whether an image that starts at this time would belong to none of the open timesteps."""
        return not any(self._are_together(time, timestep.taustart_ts) for timestep in self._open)

    def add(self, image: ImageMetadataForSort, now: float) -> None:
        """Add an image to its timestep, late or not. A file that was written again replaces its first version.

        Parameters
        ----------
        image
            The image.
        now
            s — time of its arrival.
        """
        self._images[image.url] = image
        self._arrived[image.url] = now
        self._open = group_images(self._images.values(), tolerance=self._tolerance, latest=self.latest)

    def close(self, now: float) -> list[ClosedTimestep]:
        """Close the timesteps that are complete or timed out: late ones, then the others in order of time.

        Parameters
        ----------
        now
            s — the current time.
        """
        closed = []
        for timestep in self._open:
            is_complete = not timestep.is_late and len(timestep.urls) >= self._expected > 0
            if is_complete or now - min(self._arrived[url] for url in timestep.urls) >= self._timeout:
                closed.append(self._close(timestep, is_complete=is_complete))
            elif not timestep.is_late:
                break
        if closed:
            self._open = group_images(self._images.values(), tolerance=self._tolerance, latest=self.latest)
        return closed

    @property
    def _expected(self) -> int:
        return self._n_images or max(self._sizes, default=0)

    def _are_together(self, time: datetime, start: datetime) -> bool:
        return abs(time - start) <= timedelta(seconds=self._tolerance)

    def _close(self, timestep: Timestep, *, is_complete: bool) -> ClosedTimestep:
        """Drop the images of a timestep."""
        if not timestep.is_late:
            self._sizes.append(len(timestep.urls))
            # Images of the future are rejected, and make no other image late.
            if (timestep.taustart_ts - datetime.now(UTC)).total_seconds() <= self._max_future_days * 86400:
                self.latest = timestep.taustart_ts
        last_arrival = max(self._arrived.pop(url) for url in timestep.urls)
        for url in timestep.urls:
            del self._images[url]
        return ClosedTimestep(timestep=timestep, arrived=last_arrival, is_complete=is_complete)
