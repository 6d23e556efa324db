"""The failure of a timestep: its record in the database, and the decision whether the run ends."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from trap.dataset.outcomes import TimestepOutcome
from trap.errors import DatasetLockedError, TransientError, WorkerLostError
from trap.images.patterns import path_text
from trap.retry import interrupt_behind

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
    """Process a timestep. If it fails for good, record the reason.

    Parameters
    ----------
    timestep
        Timestep to be processed.
    process
        Processes the timestep; it includes all retries.
    record_failure
        Records the time of the timestep and the reason in the database.
    settings
        ``after_failure`` decides whether every failure ends the run.

    Returns
    -------
    The outcome, with the time that it took.

    Raises
    ------
    DatasetLockedError
        If another run has taken over the dataset.
    TrapError
        If the timestep failed for a reason that may pass, such as a database that is away, or if by the settings
        every failure ends the run. If the run continued with later timesteps, this one would be late afterwards.
    """
    start = time.perf_counter()
    try:
        outcome = process()
    except DatasetLockedError:
        raise
    except Exception as error:
        if interrupt_behind(error) is not None:
            raise
        reason = path_text(f"{type(error).__name__}: {error}")
        log.exception("timestep_failed", reason=reason)
        may_pass = isinstance(error, TransientError) and not isinstance(error, WorkerLostError)
        if may_pass or settings.after_failure == "stop":
            with suppress(TransientError):
                record_failure(timestep.taustart_ts, reason)
            if not may_pass:
                raise
            msg = f"{error}; nothing of the timestep {timestep.taustart_ts} is stored, all stored before it are"
            raise TransientError(msg) from error
        record_failure(timestep.taustart_ts, reason)
        outcome = TimestepOutcome(taustart_ts=timestep.taustart_ts, failure=reason)
    return replace(outcome, seconds=time.perf_counter() - start)
