"""Watch a folder and emit an event to Prefect when images in it are complete.

The watcher is optional: the scheduled runs of the sensor find the same images, only later. Its first event contains all
images in the folder; the sensor selects the new ones.
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

MAX_SCAN_SHARE = 0.1
"""Maximum fraction of the time spent on scans. A scan of a folder with 100,000 images takes a second."""


def watch(folder: IncomingFolder, stop: Event, *, poll_seconds: float = 2.0) -> None:
    """Scan a folder repeatedly, and emit one event for the new images of each scan.

    Parameters
    ----------
    folder
        Folder of incoming images.
    stop
        Event that ends the function when it is set.
    poll_seconds
        s — minimum pause between two scans.
    """
    log.info("watching", folder=str(folder.folder), patterns=list(folder.patterns))
    pause = 0.0
    while not stop.wait(pause):
        begin = time.monotonic()
        arrivals = folder.scan(begin)
        if arrivals:
            log.info("images_arrived", n_images=len(arrivals), first=str(arrivals[0].path))
            emit_observation_arrived(folder.folder, arrivals)
        pause = max(poll_seconds, (time.monotonic() - begin) / MAX_SCAN_SHARE)
