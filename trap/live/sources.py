"""Where the images of live mode come from: a folder that is watched, or streams that are received."""

from __future__ import annotations

import itertools
import os
import socket
import threading
import time
from collections import deque
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol

import structlog

from trap.errors import ConfigError, ImageError
from trap.images.incoming import IncomingFolder
from trap.images.stream import read_frame
from trap.retry import STREAM_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trap.config import LiveConfig
    from trap.images.stream import Frame

__all__ = ["FolderSource", "Source", "StreamSource", "open_source"]

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.1
CONNECT_SECONDS = 5.0
STALL_SECONDS = 30.0
"""Within an image. Between two of them one waits for ever: it is the sender who knows the cadence."""
TICK_SECONDS = 0.5


class Source(Protocol):
    """Gives images, each as a file, once and complete."""

    def take(self) -> list[str]:
        """Return the images that have come since the last time; does not wait."""

    def release(self, urls: Sequence[str]) -> None:
        """Take note that a timestep of these images is done with."""

    def close(self) -> None:
        """Receive no more."""


def open_source(live: LiveConfig) -> Source:
    """Make the source that the settings name.

    Raises
    ------
    ConfigError
        If the folder does not exist, or the spool cannot be made.
    """
    return StreamSource(live) if live.streams else FolderSource(live)


class FolderSource:
    """A folder in which others write images."""

    def __init__(self, live: LiveConfig) -> None:
        self._folder = IncomingFolder(Path(live.folder), live.patterns, live.settle_seconds)
        self._next_look = 0.0

    def take(self) -> list[str]:
        """Return images that have become complete."""
        start = time.monotonic()
        if start < self._next_look:
            return []
        arrivals = self._folder.scan(start)
        # A folder of ten thousand files takes some 50 ms: looking may cost a tenth of a core, and no more.
        self._next_look = start + max(LOOK_SECONDS, 10 * (time.monotonic() - start))
        return [str(arrival.path) for arrival in arrivals]

    def release(self, urls: Sequence[str]) -> None:
        """Leave the files to whom they belong."""

    def close(self) -> None:
        """There is nothing to be closed."""


class StreamSource:
    """Senders at addresses of their own, each read by a thread; what they send becomes files in the spool.

    A connection that is lost is made again, for as long as it takes.
    """

    def __init__(self, live: LiveConfig) -> None:
        self._live = live
        self._spool = Path(live.spool).absolute()
        try:
            self._spool.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            msg = f"the spool {self._spool} cannot be made: {error.strerror or error}"
            raise ConfigError(msg) from error
        self._arrived: SimpleQueue[str] = SimpleQueue()
        self._kept: deque[Sequence[str]] = deque()
        self._numbers = itertools.count()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._receive, args=(address,), daemon=True) for address in live.streams
        ]
        for thread in self._threads:
            thread.start()

    def take(self) -> list[str]:
        """Return images that were received."""
        taken = []
        while True:
            try:
                taken.append(self._arrived.get_nowait())
            except Empty:
                return taken

    def release(self, urls: Sequence[str]) -> None:
        """Delete the files of the oldest timestep, where there are more than are to be kept."""
        self._kept.append(urls)
        while len(self._kept) > self._live.keep_timesteps > 0:
            for url in self._kept.popleft():
                Path(url).unlink(missing_ok=True)

    def close(self) -> None:
        """End all connections."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _receive(self, address: str) -> None:
        told = ""
        while not self._stopping.is_set():
            try:
                self._read_from(address)
            except (OSError, EOFError, ImageError) as error:
                # Not at every attempt: a sender that is away for the night would fill the log.
                if (reason := f"{type(error).__name__}: {error}") != told:
                    log.warning("stream_lost", address=address, reason=reason)
                    told = reason
            self._stopping.wait(STREAM_SECONDS)

    def _read_from(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS) as connection:
            connection.settimeout(TICK_SECONDS)
            log.info("stream_connected", address=address)
            while not self._stopping.is_set():
                frame = read_frame(partial(self._read, connection), self._live.pixel_order)
                self._arrived.put(str(self._write(frame, port)))

    def _read(self, connection: socket.socket, n: int) -> bytes:
        """Read so many bytes; fewer where the stream, or the run, ends."""
        data, n_read, last = bytearray(n), 0, time.monotonic()
        view = memoryview(data)
        while n_read < n:
            try:
                got = connection.recv_into(view[n_read:])
            except TimeoutError:
                if self._stopping.is_set():
                    break
                if n_read and time.monotonic() - last > STALL_SECONDS:
                    msg = f"nothing came for {STALL_SECONDS:g} s in the middle of an image"
                    raise EOFError(msg) from None
                continue
            if not got:
                break
            n_read, last = n_read + got, time.monotonic()
        return bytes(view[:n_read])

    def _write(self, frame: Frame, port: str) -> Path:
        """Write an image under another name first: what is in the spool under its own is whole."""
        name = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{port}-{os.getpid()}-{next(self._numbers):06d}.fits"
        path = self._spool / name
        unfinished = path.with_name(f".{name}")
        frame.to_fits().writeto(unfinished, output_verify="silentfix")
        return unfinished.rename(path)
