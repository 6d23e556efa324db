"""Trying again what failed for a reason that may pass."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

import structlog

from trap.errors import TransientError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["STORE_DELAYS", "call_patiently"]

log = structlog.get_logger(__name__)

T = TypeVar("T")

STORE_DELAYS = (0.5, 2.0, 8.0)
"""Waiting times [s] before a transaction is tried again: long enough for a server of databases to start anew."""


def call_patiently(work: Callable[[], T], delays: Sequence[float]) -> T:
    """Do some work; after an error that may pass, wait and do it again.

    Parameters
    ----------
    work
        What is done; it must leave nothing behind when it fails.
    delays
        s — waiting times, one for each further attempt.

    Raises
    ------
    TransientError
        What the last attempt raised. Any other error is raised at once.
    """
    for delay in delays:
        try:
            return work()
        except TransientError as error:
            log.warning("tried_again", reason=str(error), seconds=delay)
            time.sleep(delay)
    return work()
