"""Which images of a stream make a timestep, and when one does not wait any longer."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from trap.run.planning import Timestep

if TYPE_CHECKING:
    from datetime import datetime

    from trap.steps.misc import ImageMetadataForSort

__all__ = ["Assembler", "ClosedTimestep"]

N_LATEST = 10
"""Timesteps that say how many images the next one is to have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedTimestep:
    """A timestep that waits for nobody any more.

    Parameters
    ----------
    timestep
        Its images, lowest frequency first.
    arrived
        s — when the last of them came, on the clock of who asks.
    is_complete
        Whether it was closed because all were there, and not by the clock.
    """

    timestep: Timestep
    arrived: float
    is_complete: bool


@dataclass(slots=True)
class _Open:
    first: float
    last: float
    images: list[ImageMetadataForSort] = field(default_factory=list)


class Assembler:
    """Puts images that come in any order into timesteps, which it closes in order of time.

    A timestep is closed when it is complete or when its time is over, but never before an earlier
    one: association needs them in order. What comes for a time that is closed is too late.

    Parameters
    ----------
    n_images
        How many complete a timestep; 0 takes the most that one of the latest ten had.
    timeout_seconds
        From its first image until it is closed.
    latest
        Time up to which nothing can be added; None if the dataset is new.
    """

    def __init__(self, *, n_images: int, timeout_seconds: float, latest: datetime | None = None) -> None:
        self.latest = latest
        self._n_images = n_images
        self._timeout = timeout_seconds
        self._open: dict[datetime, _Open] = {}
        self._sizes: deque[int] = deque(maxlen=N_LATEST)

    @property
    def n_open(self) -> int:
        """Timesteps that still wait for images."""
        return len(self._open)

    def is_new(self, time: datetime) -> bool:
        """Tell whether an image of this time would be the first of its timestep."""
        return time not in self._open

    def add(self, image: ImageMetadataForSort, now: float) -> bool:
        """Put an image into its timestep.

        Returns
        -------
        False if it comes too late.
        """
        if self.latest is not None and image.timestamp <= self.latest:
            return False
        waiting = self._open.setdefault(image.timestamp, _Open(now, now))
        waiting.images.append(image)
        waiting.last = now
        return True

    def close(self, now: float) -> list[ClosedTimestep]:
        """Close what is complete or has waited long enough, in order of time."""
        closed = []
        for time in sorted(self._open):
            waiting = self._open[time]
            is_complete = len(waiting.images) >= self._expected > 0
            if not is_complete and now - waiting.first < self._timeout:
                break
            closed.append(self._close(time, is_complete=is_complete))
        return closed

    def close_all(self) -> list[ClosedTimestep]:
        """Close everything: no more images will come."""
        return [self._close(time, is_complete=False) for time in sorted(self._open)]

    @property
    def _expected(self) -> int:
        return self._n_images or max(self._sizes, default=0)

    def _close(self, time: datetime, *, is_complete: bool) -> ClosedTimestep:
        waiting = self._open.pop(time)
        self._sizes.append(len(waiting.images))
        self.latest = time
        ordered = sorted(waiting.images, key=lambda image: (image.frequency, image.stokes))
        timestep = Timestep(time, tuple(image.url for image in ordered))
        return ClosedTimestep(timestep=timestep, arrived=waiting.last, is_complete=is_complete)
