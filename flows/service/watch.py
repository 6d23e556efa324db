"""Watch a folder, and tell Prefect when images have come completely.

Nothing depends on the watcher being there: the schedules of the sensor find the same images, only later.
When it starts it tells of all that lies there; the sensor knows what of that is new.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import structlog

from flows.pages.events import emit_observation_arrived

if TYPE_CHECKING:
    from threading import Event

    from trap.images.incoming import IncomingFolder

__all__ = ["watch"]

log = structlog.get_logger(__name__)

LOOKING_SHARE = 0.1
"""Most of the time is left between looks, however long one takes: a folder with 100,000 images takes a second."""


def watch(folder: IncomingFolder, stop: Event, *, poll_seconds: float = 2.0) -> None:
    """Look at a folder again and again, and emit an event for the images of each look.

    Parameters
    ----------
    folder
        What to look at.
    stop
        Ends the watching when it is set.
    poll_seconds
        s — time between two looks, at least.
    """
    log.info("watching", folder=str(folder.folder), patterns=list(folder.patterns))
    pause = 0.0
    while not stop.wait(pause):
        begin = time.monotonic()
        arrivals = folder.scan(begin)
        if arrivals:
            log.info("images_arrived", n_images=len(arrivals), first=str(arrivals[0].path))
            emit_observation_arrived(folder.folder, arrivals)
        pause = max(poll_seconds, (time.monotonic() - begin) / LOOKING_SHARE)
