"""Requests for pixels: one worker process, a limit of time, and a small memory of the latest answers.

A page that shows many images must never wait for a file for ever. Each reading has a limit of time and of memory, few
requests may wait for each other, and a file that failed is not tried again for a while.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from contextlib import contextmanager
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from trap.errors import ImageError, NotFoundError, TransientError, WorkerLostError, out_of_memory
from trap.images.patterns import path_of
from trap.workers.executors import ProcessExecutor

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Sequence
    from functools import partial

__all__ = ["ADVICE", "PIXELS", "Memory", "Pixels", "missing_files"]

TIMEOUT_SECONDS = 20.0
"""Time limit of one reading: a compressed image of a gigabyte takes ten seconds."""
MEMORY_BYTES = 3 << 30
MAX_WAITING = 16
"""Number of requests that may wait for the worker: enough for a page of cut-outs."""
IDLE_SECONDS = 60.0
"""Time without requests after which the worker is ended, and its memory is free."""
MEMORY_SIZE = 24 << 20
"""bytes — size of all answers that are remembered."""
LIFE_SECONDS, FAILURE_SECONDS = 300.0, 60.0
"""Time that an answer and a failure are remembered: files may change."""
STAT_SECONDS = 1.0
ADVICE = (
    "Put the file back at this path, or keep pixels in later runs: execution.keep_pixels = “cutouts” "
    "around candidates and monitored positions, “images” for whole images."
)
"""Sentence for an image without pixels."""

T = TypeVar("T")


class Memory(Generic[T]):
    """The latest answers by key, up to a total size. Several threads may use it.

    Parameters
    ----------
    size
        bytes — largest total size.
    """

    def __init__(self, size: int = MEMORY_SIZE) -> None:
        self._size = size
        self._kept: OrderedDict[Hashable, tuple[float, int, T]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> T | None:
        """Return an answer; None if it is not there, or too old."""
        with self._lock:
            found = self._kept.get(key)
            if found is None or found[0] < time.monotonic():
                return None
            self._kept.move_to_end(key)
            return found[2]

    def put(self, key: Hashable, value: T, size: int, life: float = LIFE_SECONDS) -> None:
        """Remember an answer, and forget the oldest ones beyond the total size.

        Parameters
        ----------
        key, value
            Key, and the answer.
        size
            bytes — its size.
        life
            s — time after which it is forgotten.
        """
        with self._lock:
            self._kept.pop(key, None)
            if size > self._size:
                return
            self._kept[key] = (time.monotonic() + life, size, value)
            while sum(each for _, each, _ in self._kept.values()) > self._size:
                self._kept.popitem(last=False)


class Pixels:
    """Readings of pixels for the pages of this process, one at a time in a worker process."""

    def __init__(self) -> None:
        self._answers: Memory[object] = Memory()
        self._reading = threading.Lock()
        self._counting = threading.Lock()
        self._n_waiting = 0
        self._worker: ProcessExecutor | None = None
        self._last_use = 0.0
        self._hung: Memory[bool] = Memory()

    def read(self, key: Hashable, step: partial[T], size: Callable[[T], int], name: str = "") -> T:
        """Return what a function reads, or the remembered answer.

        Parameters
        ----------
        key
            Key of the answer.
        step
            Function of a module with its arguments, which a worker process runs.
        size
            Function that returns the size of an answer in bytes.
        name
            Path of the file, for messages.

        Raises
        ------
        NotFoundError
            If there are no pixels; the message is a sentence with the remedy.
        TransientError
            If too many requests wait already.
        """
        known = self._answers.get(key)
        if known is None:
            self._refuse_hung(name)
            with self._turn():
                self._refuse_hung(name)
                # A request for the marks of a cut-out waits here for the request for its pixels.
                known = self._answers.get(key)
                if known is None:
                    known = self._read(key, step, size, name)
        if isinstance(known, NotFoundError):
            raise NotFoundError(*known.args)
        return cast("T", known)  # a key belongs to one kind of answer

    def close(self) -> None:
        """End the worker process; the next request starts another one."""
        with self._reading:
            self._end()

    def _read(self, key: Hashable, step: partial[T], size: Callable[[T], int], name: str) -> object:
        """Read in the worker process, and remember the answer or the failure."""
        start = time.monotonic()
        try:
            value = self._process().submit(step.func, *step.args, **step.keywords).result()
        except (ImageError, TransientError, MemoryError) as error:
            if time.monotonic() - start >= TIMEOUT_SECONDS:
                self._hung.put(_folder(name), True, 1, FAILURE_SECONDS)
            failure = NotFoundError(_sentence(error, name))
            self._answers.put(key, failure, 1000, FAILURE_SECONDS)
            return failure
        self._answers.put(key, value, size(value))
        return value

    def _refuse_hung(self, name: str) -> None:
        """Refuse to read in a folder that has just hung: a page of cut-outs would wait for each of its files."""
        if name and self._hung.get(_folder(name)):
            msg = f"{name} was not read, since its folder did not answer. It is tried again in a minute."
            raise NotFoundError(msg)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait for the worker, unless too many requests do."""
        with self._counting:
            if self._n_waiting >= MAX_WAITING:
                msg = "too many cut-outs are being read; reload the page in a moment"
                raise TransientError(msg)
            self._n_waiting += 1
        try:
            with self._reading:
                yield
        finally:
            with self._counting:
                self._n_waiting -= 1

    def _process(self) -> ProcessExecutor:
        """Return the worker process, which ends itself after a while without requests."""
        self._last_use = time.monotonic()
        if self._worker is None:
            self._worker = ProcessExecutor(1, timeout_seconds=TIMEOUT_SECONDS, memory=MEMORY_BYTES)
            threading.Thread(target=self._end_when_idle, daemon=True).start()
        return self._worker

    def _end_when_idle(self) -> None:
        while True:
            time.sleep(IDLE_SECONDS / 4)
            with self._reading:
                if time.monotonic() - self._last_use >= IDLE_SECONDS:
                    self._end()
                    return

    def _end(self) -> None:
        if self._worker is not None:
            self._worker.__exit__(None)
            self._worker = None


PIXELS = Pixels()
"""The reader of pixels of this process, for all pages."""


def missing_files(paths: Sequence[str]) -> set[str]:
    """Return which files do not exist, as far as the file system answers within a second.

    Parameters
    ----------
    paths
        Paths of the database.
    """
    missing: set[str] = set()

    def look() -> None:
        for path in paths:
            try:
                path_of(path).stat()
            except (OSError, ValueError):
                missing.add(path)

    # A hung file system holds the thread, and not the page.
    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    looking.join(STAT_SECONDS)
    return set(missing)


def _folder(path: str) -> str:
    return path.rpartition("/")[0]


def _sentence(error: Exception, name: str) -> str:
    """Return why there are no pixels, and the remedy, as sentences."""
    name = name or "The image"
    if isinstance(error, MemoryError):
        return f"{name}: {out_of_memory(error)}, with {MEMORY_BYTES >> 30} GB for a page."
    if isinstance(error, WorkerLostError):
        return f"{name} could not be read within {TIMEOUT_SECONDS:g} s. It is tried again in a minute."
    if isinstance(error, TransientError):
        return f"{name} could not be read: {error}. It is tried again in a minute."
    return f"{str(error).rstrip('.')}. {ADVICE}"
