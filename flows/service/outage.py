"""Outages of the Prefect server during a run: they are noticed within a minute, and cost only pages.

All results of a run are in its own database. Without a server, its groups are processed without subflows, as by
``--no-prefect``; they have subflows again when the server is back.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager, suppress
from contextvars import ContextVar, copy_context
from queue import Empty
from typing import TYPE_CHECKING, Any, TypeVar

import httpx
import structlog
from prefect.client.orchestration import get_client
from prefect.events.worker import EventsWorker
from prefect.settings import (
    PREFECT_API_REQUEST_TIMEOUT,
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    temporary_settings,
)

from flows.service.log import RUN_LOGGER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["MAX_RETRIES", "ServerWatch", "publish", "watching_server"]

log = structlog.get_logger(__name__)

T = TypeVar("T")

CHECK_SECONDS = 5.0
"""Time between two checks of the server, and time limit of a check."""
MAX_FAILURES = 3
"""Number of failed checks in a row after which the server counts as lost: 10 to 30 s."""
PAUSE_SECONDS = 600.0
"""Time without requests after one that failed, although the server responds. If its disk is full, each takes 30 s."""
MAX_RETRIES = 3
"""Number of times that Prefect's client repeats a request in a run: its waiting times add up to 14 s."""
SERVER_LOGGERS = (
    "prefect.events.clients",
    "prefect._internal.concurrency",
    "prefect.flow_runs",
    "prefect.task_runs",
    RUN_LOGGER,
)
"""Loggers that print a line for every event and request that does not reach the server, or send lines to it."""


class ServerWatch:
    """Watch of the server of a run, by a thread that checks it at intervals.

    Parameters
    ----------
    is_healthy
        Checks the server, in a few seconds.
    check_seconds
        s — time between two checks.
    """

    def __init__(self, is_healthy: Callable[[], bool], check_seconds: float = CHECK_SECONDS) -> None:
        self._is_healthy = is_healthy
        self._check_seconds = check_seconds
        self._failures = 0
        self._lost_at = self._paused_until = 0.0
        self._has_ended = threading.Event()
        self._lock = threading.Lock()

    @property
    def is_lost(self) -> bool:
        """Whether the server has not responded for a while."""
        return self._failures >= MAX_FAILURES

    def check(self) -> bool:
        """Check the server now, log its loss or its return, and return whether it is healthy."""
        is_healthy = self._is_healthy()
        with self._lock:
            if not is_healthy or time.monotonic() >= self._paused_until:
                self._count(0 if is_healthy else self._failures + 1, "no response")
        return is_healthy

    def note_failure(self, reason: object) -> None:
        """Count the server as lost after a request that failed in spite of its repetitions.

        A server that refuses a request, such as a page that is too large, is not lost.

        Parameters
        ----------
        reason
            The failure.
        """
        if isinstance(reason, httpx.HTTPStatusError) and reason.response.is_client_error:
            log.warning("prefect_request_refused", reason=str(reason).partition("\n")[0])
            return
        is_healthy = self._is_healthy()
        with self._lock:
            self._paused_until = time.monotonic() + PAUSE_SECONDS if is_healthy else 0.0
            self._count(max(self._failures, MAX_FAILURES), reason)

    @contextmanager
    def tolerating(self) -> Iterator[None]:
        """Take an error of Prefect's client for an outage instead of the end of the run."""
        try:
            yield
        except httpx.HTTPError as error:
            self.note_failure(error)

    def run(self) -> None:
        """Check the server until :meth:`end` is called."""
        while not self._has_ended.wait(self._check_seconds):
            self.check()

    def end(self) -> None:
        """End the checks."""
        self._has_ended.set()

    def _count(self, failures: int, reason: object) -> None:
        """Set the number of failed checks in a row, and log a change between lost and found."""
        was_lost, self._failures = self.is_lost, failures
        if self.is_lost and not was_lost:
            self._lost_at = time.monotonic()
            text = str(reason).partition("\n")[0]
            log.warning("prefect_server_lost", reason=text, effect="the run goes on, but its pages are incomplete")
        elif was_lost and not self.is_lost:
            log.warning("prefect_server_back", seconds=round(time.monotonic() - self._lost_at))


_watch: ContextVar[ServerWatch | None] = ContextVar("server_watch", default=None)


@contextmanager
def watching_server() -> Iterator[ServerWatch]:
    """Watch the server of the current flow run in a thread; without the address of a server, nothing is watched.

    While the server is lost, the lines of Prefect's loggers about it are hidden. Events that have not reached a lost
    server by the end are dropped: Prefect would try to send each of them for seconds before the process can end.

    Yields
    ------
    The watch, which :func:`publish` uses.
    """
    watch = ServerWatch(_responds)
    token = _watch.set(watch)
    thread = threading.Thread(target=copy_context().run, args=(watch.run,), name="server-watch", daemon=True)
    if PREFECT_API_URL.value():
        thread.start()
    try:
        with _hidden_while(watch), temporary_settings({PREFECT_CLIENT_MAX_RETRIES: MAX_RETRIES}):
            yield watch
    finally:
        _watch.reset(token)
        watch.end()
        if watch.is_lost:
            _drop_events()


def publish(function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T | None:  # noqa: ANN401 (of any function)
    """Call a function of Prefect that stores a page; a server that is away costs the page, not the run.

    Parameters
    ----------
    function, args, kwargs
        Function to be called, and its arguments.

    Returns
    -------
    Its value; None if the server is lost.
    """
    watch = _watch.get()
    if watch is not None and watch.is_lost:
        return None
    try:
        return function(*args, **kwargs)
    except httpx.HTTPError as error:
        if watch is None:
            raise
        watch.note_failure(error)
        return None


def _responds() -> bool:
    """Return whether the server responds, without retries."""
    settings = {PREFECT_CLIENT_MAX_RETRIES: 0, PREFECT_API_REQUEST_TIMEOUT: CHECK_SECONDS}
    try:
        with temporary_settings(settings), get_client(sync_client=True) as client:
            return client.api_healthcheck() is None
    except Exception:  # noqa: BLE001 (an outage takes many forms, and a check must not end the thread)
        return False


@contextmanager
def _hidden_while(watch: ServerWatch) -> Iterator[None]:
    """Hide the lines of Prefect's loggers while the server is lost.

    If it is still lost at the end, they stay hidden until the next watch, since Prefect's threads go on.
    """

    def is_shown(_record: logging.LogRecord) -> bool:
        return not watch.is_lost

    _show_again()
    _filters.append(is_shown)
    for name in SERVER_LOGGERS:
        logging.getLogger(name).addFilter(is_shown)
    try:
        yield
    finally:
        if not watch.is_lost:
            _show_again()


_filters: list[Callable[[logging.LogRecord], bool]] = []
"""Filters of the latest watch."""


def _show_again() -> None:
    for name in SERVER_LOGGERS:
        for each in _filters:
            logging.getLogger(name).removeFilter(each)
    _filters.clear()


def _drop_events() -> None:
    """Drop the events that wait to be sent. Prefect has no function for this."""
    for worker in tuple(getattr(EventsWorker, "_instances", {}).values()):
        events = getattr(worker, "_queue", None)
        with suppress(Empty):
            while isinstance(worker, EventsWorker) and events is not None:
                events.get_nowait()
                events.task_done()
