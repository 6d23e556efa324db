"""One timestep that may fail: what is recorded then, and when the run ends with it."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from trap.dataset.outcomes import TimestepOutcome
from trap.errors import DatasetLockedError, TransientError, WorkerLostError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from trap.config import ExecutionConfig
    from trap.run.planning import Timestep

__all__ = ["attempt_timestep"]

log = structlog.get_logger(__name__)


def attempt_timestep(
    timestep: Timestep,
    process: Callable[[], TimestepOutcome],
    record_failure: Callable[[datetime, str], None],
    settings: ExecutionConfig,
) -> TimestepOutcome:
    """Process a timestep; if it fails for good, record why.

    Parameters
    ----------
    timestep
        The timestep, for the record.
    process
        Does it, perhaps with several attempts of its own.
    record_failure
        Writes down the time of the timestep and the reason.
    settings
        ``after_failure`` decides whether any failure ends the run.

    Raises
    ------
    DatasetLockedError
        If another run has taken over the dataset.
    TrapError
        If the timestep failed for something that may pass, such as a database that is away, or if
        the settings want any failure to end the run: were the next ones stored, it would be late.
    """
    start = time.perf_counter()
    try:
        outcome = process()
    except DatasetLockedError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        log.exception("timestep_failed", reason=reason)
        may_pass = isinstance(error, TransientError) and not isinstance(error, WorkerLostError)
        if may_pass or settings.after_failure == "stop":
            with suppress(TransientError):
                record_failure(timestep.taustart_ts, reason)
            if not may_pass:
                raise
            told = f"{error}; nothing of the timestep {timestep.taustart_ts} is stored, all stored before it are"
            raise TransientError(told) from error
        record_failure(timestep.taustart_ts, reason)
        outcome = TimestepOutcome(taustart_ts=timestep.taustart_ts, failure=reason)
    return replace(outcome, seconds=time.perf_counter() - start)
