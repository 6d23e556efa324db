"""Sources of images for live mode: a folder, or streams from senders."""

from __future__ import annotations

import itertools
import os
import re
import socket
import threading
import time
from collections import deque
from contextlib import suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol

import structlog

from trap.config import PipelineConfig
from trap.dataset.records import UnreadableImage
from trap.errors import ConfigError, ImageError, TrapError
from trap.images.incoming import IncomingFolder
from trap.images.patterns import path_of, path_text
from trap.images.stream import fits_file, read_frame
from trap.retry import STREAM_SECONDS
from trap.run.pairing import check_pattern, lists_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trap.config import LiveConfig

__all__ = ["FolderSource", "ListedSource", "Source", "StreamSource", "open_source"]

log = structlog.get_logger(__name__)

SCAN_SECONDS = 0.1
"""Minimum time between two scans of a folder."""
CONNECT_SECONDS = 5.0
"""Time limit of a connection attempt."""
STALL_SECONDS = 30.0
"""Maximum pause within an image. Between two images there is no limit: only the sender knows the cadence."""
MAX_SETTLE_SECONDS = 5.0
"""Maximum time without a change after which a source list is complete: it is written at once."""
TICK_SECONDS = 0.5
"""Time after which a receiving thread checks whether the run ends."""


class Source(Protocol):
    """A source of images: each is a complete file, and is returned once.

    Attributes
    ----------
    origin
        Patterns of the paths of its images, now and in earlier runs; ``*`` stands for any text.
    """

    origin: tuple[str, ...]

    def receive(self) -> list[str | UnreadableImage]:
        """Return the paths of images that have arrived since the last call, without waiting.

        An image that arrived but cannot be made a file is returned with the reason.

        Raises
        ------
        TrapError
            If no more images can be received.
        """

    def release(self, urls: Sequence[str]) -> None:
        """Release the images of a timestep that was processed or left out."""

    def close(self) -> None:
        """Stop receiving images."""


def open_source(live: LiveConfig, config: PipelineConfig | None = None) -> Source:
    """Open the source that the settings name.

    Parameters
    ----------
    live
        Settings of live mode.
    config
        All settings; None means the defaults. With source lists, each image of a folder waits for its list.

    Raises
    ------
    ConfigError
        If the folder does not exist, the spool folder cannot be made, or source lists are not named by a pattern.
    """
    config = PipelineConfig() if config is None else config
    pattern = config.reading.catalogues
    if not pattern:
        return StreamSource(live) if live.streams else FolderSource(live)
    check_pattern(pattern)
    if live.streams or not {"{stem}", "{name}"} & set(re.findall(r"{\w+}", pattern)):
        msg = (
            f"reading.catalogues = {pattern!r}: in live mode images come from a folder (--folder), and a pattern with "
            "{stem} or {name} names the list of each; `transients run` takes all patterns and tables"
        )
        raise ConfigError(msg)
    return ListedSource(live, config)


class FolderSource:
    """A folder into which other programs write images."""

    def __init__(self, live: LiveConfig) -> None:
        folder = path_of(live.folder).absolute()
        self.origin: tuple[str, ...] = (f"{path_text(folder)}/*",)
        self._folder = IncomingFolder(folder, live.patterns, live.settle_seconds)
        self._next_scan = 0.0

    def receive(self) -> list[str | UnreadableImage]:
        """Return the paths of images that have become complete."""
        start = time.monotonic()
        if start < self._next_scan:
            return []
        arrivals = self._folder.scan(start)
        # A scan of ten thousand files takes some 50 ms: scanning may use a tenth of a core.
        self._next_scan = start + max(SCAN_SECONDS, 10 * (time.monotonic() - start))
        return [path_text(arrival.path) for arrival in arrivals]

    def release(self, urls: Sequence[str]) -> None:
        """Keep the files: they belong to other programs."""

    def close(self) -> None:
        """Do nothing: a folder needs no closing."""


class ListedSource(FolderSource):
    """A folder into which other programs write images and the lists of their sources, in any order.

    Parameters
    ----------
    live
        Settings of live mode. An image waits for its list as long as a timestep waits for its images.
    config
        All settings, among them the pattern of the lists.
    """

    def __init__(self, live: LiveConfig, config: PipelineConfig) -> None:
        super().__init__(live)
        self._config = config
        # Marker files complete images alone.
        self._settle = min(live.settle_seconds, MAX_SETTLE_SECONDS)
        self._timeout = live.timestep_timeout_seconds
        self._waiting: dict[str, float] = {}
        self._lists: dict[str, tuple[tuple[int, int], float]] = {}

    def receive(self) -> list[str | UnreadableImage]:
        """Return the paths of images that are complete with their lists, and the images whose lists did not come."""
        now = time.monotonic()
        ready: list[str | UnreadableImage] = []
        for image in super().receive():
            # A file that is written again waits again.
            ready += [] if isinstance(image, str) else [image]
            self._waiting |= {image: now} if isinstance(image, str) else {}
        for url, listed in lists_of(list(self._waiting), self._config).items():
            if not listed.problem and self._is_settled(listed.catalogue, now):
                ready.append(url)
            elif now - self._waiting[url] > self._timeout:
                reason = listed.problem or f"its source list {listed.catalogue} is still being written"
                ready.append(UnreadableImage(url=url, reason=f"{reason}, after {self._timeout:g} s"))
            else:
                continue
            del self._waiting[url]
        return ready

    def _is_settled(self, path: str, now: float) -> bool:
        """Return whether a list has not changed for the time after which an image is complete."""
        try:
            status = path_of(path).stat()
        except OSError:
            return False
        state = status.st_size, status.st_mtime_ns
        before, since = self._lists.get(path, (state, now))
        self._lists[path] = state, since if before == state else now
        is_settled = now - self._lists[path][1] >= self._settle
        if is_settled:
            del self._lists[path]
        return is_settled


class StreamSource:
    """Senders, each at its own address and read by its own thread. Their images become files in the spool folder.

    A lost connection is opened again, without a limit on the attempts. An image that cannot become a file costs itself.

    Parameters
    ----------
    live
        Addresses, order of pixels, spool folder, and number of timesteps that stay in it.

    Raises
    ------
    ConfigError
        If the spool folder cannot be made.
    """

    def __init__(self, live: LiveConfig) -> None:
        self._live = live
        self._spool = path_of(live.spool).absolute()
        try:
            self._spool.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            msg = f"the spool {self._spool} cannot be made: {error.strerror or error}"
            raise ConfigError(msg) from error
        self.origin = tuple(f"{path_text(self._spool)}/*-{address.rpartition(':')[2]}-*" for address in live.streams)
        self._arrived: SimpleQueue[str | UnreadableImage] = SimpleQueue()
        self._failure: TrapError | None = None
        self._released: deque[Sequence[str]] = deque()
        self._numbers = itertools.count()
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._receive_until_end, args=(address,), daemon=True) for address in live.streams
        ]
        for thread in self._threads:
            thread.start()

    def receive(self) -> list[str | UnreadableImage]:
        """Return the paths of images that were received, and the images that cannot become files.

        Raises
        ------
        TrapError
            If a thread that receives has ended by an error, and all images were returned.
        """
        failure = self._failure
        images: list[str | UnreadableImage] = []
        with suppress(Empty):
            while True:
                images.append(self._arrived.get_nowait())
        if failure is not None and not images:
            raise failure
        return images

    def release(self, urls: Sequence[str]) -> None:
        """Delete the files of the oldest timesteps, beyond the number that is kept."""
        self._released.append(urls)
        while len(self._released) > self._live.keep_timesteps > 0:
            for url in self._released.popleft():
                path_of(url).unlink(missing_ok=True)

    def close(self) -> None:
        """Close all connections."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _receive_until_end(self, address: str) -> None:
        """Receive images until the run ends; an error that ends the thread is raised by :meth:`receive`."""
        try:
            self._receive(address)
        except BaseException as error:  # noqa: BLE001 (raised in the other thread)
            self._failure = TrapError(f"{address}: receiving has ended: {type(error).__name__}: {error}")
            self._failure.__cause__ = error

    def _receive(self, address: str) -> None:
        """Receive images from a sender until the run ends, and open the connection again whenever it is lost."""
        logged_reason = ""
        while not self._stopping.is_set():
            try:
                self._read_from(address)
            except (OSError, EOFError, ImageError, MemoryError) as error:
                # Only once for each reason: a sender that is away for a night would fill the log.
                if (reason := f"{type(error).__name__}: {error}") != logged_reason:
                    log.warning("stream_lost", address=address, reason=reason)
                    logged_reason = reason
            self._stopping.wait(STREAM_SECONDS)

    def _read_from(self, address: str) -> None:
        """Receive images over one connection until it is lost or the run ends."""
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS) as connection:
            connection.settimeout(TICK_SECONDS)
            log.info("stream_connected", address=address)
            for number in itertools.count(1):
                if self._stopping.is_set():
                    return
                frame = read_frame(partial(self._read, connection))
                try:
                    self._arrived.put(path_text(self._write(fits_file(frame, self._live.pixel_order), port)))
                except (ImageError, OSError, MemoryError) as error:
                    name, reason = f"{address}, image {number} of the connection", str(error) or type(error).__name__
                    self._arrived.put(UnreadableImage(url=name, reason=reason))

    def _read(self, connection: socket.socket, n: int) -> bytes:
        """Read n bytes; fewer if the stream or the run ends."""
        data, n_read, last = bytearray(n), 0, time.monotonic()
        view = memoryview(data)
        while n_read < n:
            try:
                n_received = connection.recv_into(view[n_read:])
            except TimeoutError:
                if self._stopping.is_set():
                    break
                if n_read and time.monotonic() - last > STALL_SECONDS:
                    msg = f"no data for {STALL_SECONDS:g} s in the middle of an image"
                    raise EOFError(msg) from None
                continue
            if not n_received:
                break
            n_read, last = n_read + n_received, time.monotonic()
        return bytes(view[:n_read])

    def _write(self, content: bytes, port: str) -> Path:
        """Write an image under a hidden name, and rename it when it is complete."""
        name = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{port}-{os.getpid()}-{next(self._numbers):06d}.fits"
        path = self._spool / name
        unfinished = path.with_name(f".{name}")
        try:
            unfinished.write_bytes(content)
            return unfinished.rename(path)
        except OSError:
            with suppress(OSError):
                unfinished.unlink()
            raise
