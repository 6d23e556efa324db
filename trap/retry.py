"""Retries: all waiting times of the library, and the function that retries.

Only failures that may pass are retried: a lost connection, a busy database, a lost worker process, a file system that
is away. Bad data is never retried.

=========================  =====================================  =================================================
waiting times              wait for                               level of the retry
=========================  =====================================  =================================================
:data:`HEADER_DELAYS`      the file system, for a header          each header, in :mod:`trap.run.scanning`
:data:`IMAGE_DELAYS`       the file system or a worker process,   each image, in :mod:`trap.run.look_ahead`; where a
                           for measurements and forced fits       step is a Prefect task, each task; otherwise the
                                                                  timestep, for fits and for kept pixels
:data:`STORE_DELAYS`       the database                           each transaction, in every way of running
:data:`OPENING_DELAYS`     the database and the dataset's lock,   the start of a run of a Prefect deployment
                           before a run begins
:data:`HANG_DELAYS`        nothing: a transaction that hangs      the Prefect task that ended it by its time-out
:data:`SERVER_DELAYS`      the Prefect server, when a run ends    each request, in :mod:`flows.service.stopping`
:data:`START_DELAYS`       the system, for processes              each start, in :mod:`trap.workers.executors`
:data:`STREAM_SECONDS`     the sender of a stream                 each connection, in :mod:`trap.live.sources`
=========================  =====================================  =================================================

A failure is retried at one level only. An error that was retried to no avail carries ``was_retried``, and passes
through all levels above without another attempt. Whole runs whose process has died are started again by
:mod:`flows.recovery`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

import structlog

from trap.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "HANG_DELAYS",
    "HEADER_DELAYS",
    "IMAGE_DELAYS",
    "OPENING_DELAYS",
    "SERVER_DELAYS",
    "START_DELAYS",
    "STORE_DELAYS",
    "STREAM_SECONDS",
    "call_with_retries",
    "interrupt_behind",
    "is_retryable",
]

log = structlog.get_logger(__name__)

T = TypeVar("T")

HEADER_DELAYS = (0.5, 2.0, 8.0)
"""Waiting times [s] before a header is read again. They are short, since a plan needs thousands of headers."""
IMAGE_DELAYS = (1.0, 5.0, 25.0)
"""Waiting times [s] before an image is measured, or its sources are fitted, again."""
STORE_DELAYS = (0.5, 2.0, 8.0, 20.0, 30.0)
"""Waiting times [s] before a transaction is repeated: about a minute, enough for a database server to restart."""
OPENING_DELAYS = (2.0, 5.0, 10.0, 20.0, 40.0)
"""Waiting times [s] before a database that is away, or a dataset that another run still writes, is opened again."""
HANG_DELAYS = (2.0,)
"""Waiting times [s] before a transaction that was ended by a time-out is repeated."""
SERVER_DELAYS = (0.5, 1.0, 2.0, 4.0)
"""Waiting times [s] before a request to the Prefect server is repeated: less than the 30 s until a worker kills."""
START_DELAYS = (0.5, 2.0, 8.0)
"""Waiting times [s] before worker processes are started again: their server died, or there were too many processes."""
STREAM_SECONDS = 2.0
"""Waiting time [s] before a lost connection to a sender is opened again, without a limit on the attempts."""


def is_retryable(error: BaseException) -> bool:
    """Return whether an error may pass, and no level below has retried it.

    Parameters
    ----------
    error
        Any error.
    """
    return isinstance(error, TransientError) and not error.was_retried


def call_with_retries(
    work: Callable[[], T], delays: Sequence[float], *, is_retried: Callable[[BaseException], bool] = is_retryable
) -> T:
    """Call a function, and retry it after each of the given delays while it fails for a reason that may pass.

    Parameters
    ----------
    work
        Function to be called; it must leave nothing behind when it fails.
    delays
        s — waiting times, one for each further attempt.
    is_retried
        Whether an error is followed by a further attempt.

    Raises
    ------
    TransientError
        The error of the last attempt, marked as retried. Any other error is raised at once.
    """
    for delay in delays:
        try:
            return work()
        except Exception as error:
            if not is_retried(error):
                raise
            log.warning("retried", reason=str(error), seconds=delay)
            time.sleep(delay)
    try:
        return work()
    except TransientError as error:
        error.was_retried = error.was_retried or bool(delays)
        raise


def interrupt_behind(error: BaseException) -> KeyboardInterrupt | None:
    """Return the interrupt from the keyboard that an error is, or that it followed; None for any other error.

    An interrupt in the middle of a statement leaves a closed connection, and then the end of the transaction fails.
    """
    while not isinstance(error, KeyboardInterrupt):
        if error.__context__ is None:
            return None
        error = error.__context__
    return error
