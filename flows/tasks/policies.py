"""What is tried again, how often, and when: all of it in one table.

Only what may pass is tried again (a lost worker, a busy database, a network file system that is
away), never bad data. A step is tried again by its task; a whole run, after its process has died, by
:mod:`flows.recovery`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trap.retry import HANG_DELAYS, IMAGE_DELAYS

if TYPE_CHECKING:
    from trap.run.planning import Timestep

__all__ = [
    "FLOW",
    "GROUP_FLOW",
    "POLICIES",
    "RUN",
    "TIMESTEP",
    "Policy",
    "RunPolicy",
    "policy_of",
    "time_label",
    "timestep_label",
]

FLOW, GROUP_FLOW = "process-dataset", "timestep-group"
"""Names of the flows that the policies are for: a run, and the groups of timesteps in it."""
JITTER = 0.5
"""Waiting times vary by half, so that steps that failed together do not come back together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How Prefect runs one step. Not with tags: for each task that has any, Prefect asks the server for limits of them.

    Parameters
    ----------
    delays
        s — waiting times, without their jitter, before the task is run again after an error that may pass and that
        nothing within the task has retried (:func:`trap.retry.is_retryable`), or after its time-out.
    timeout_seconds
        s — after which the step is given up, and what it had begun in the database taken back. None for what
        runs in worker processes: a time-out of Prefect's would end nothing that sits in compiled code, while
        :class:`~trap.workers.executors.ProcessExecutor` kills the worker, which is a transient error.
    label
        Tells, from the step's arguments, what a run of it works on.
    """

    delays: tuple[float, ...] = ()
    timeout_seconds: float | None = None
    label: Callable[..., str] = lambda *_, **__: ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPolicy:
    """How a whole run is begun, stopped, and taken up again when its process has died.

    Parameters
    ----------
    poll_seconds
        s — how often a run asks whether it is to stop; between timesteps only.
    heartbeat_seconds
        s — how often a run says that it is alive; Prefect allows no less than 30.
    silence_seconds
        s — a run that has said nothing for so long is taken for dead. Below three heartbeats a run in good health
        would be: the first one comes late.
    crash_retries
        How often a run whose process has died is started again. It goes on after the last stored timestep.
    crash_delay_seconds
        s — waiting time before the first of these; it doubles from one to the next.
    """

    poll_seconds: float = 5.0
    heartbeat_seconds: int = 30
    silence_seconds: int = 120
    crash_retries: int = 3
    crash_delay_seconds: float = 10.0


def time_label(moment: datetime) -> str:
    """Write a time in UTC for people, no finer than it is."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")


def timestep_label(timestep: Timestep) -> str:
    """Return the name of the task of a whole timestep."""
    return f"timestep {time_label(timestep.taustart_ts)}, {len(timestep.urls)} images"


def _image_label(url: str, *_: object, **__: object) -> str:
    return Path(url).name


def _fits_label(requests: Any, url: str, *_: object, **__: object) -> str:  # noqa: ANN401 (a table, of which the length)
    return f"{Path(url).name}, {len(requests)} positions"


def _backward_label(positions: Any, image: Any, *_: object) -> str:  # noqa: ANN401
    return f"{Path(image.url).name}, {len(positions)} positions"


def _association_label(_state: object, results: Any) -> str:  # noqa: ANN401
    return time_label(results[0].metadata.taustart_ts) if len(results) else "no images"


def _store_label(record: Any, *_: object) -> str:  # noqa: ANN401
    return time_label(record.taustart_ts)


POLICIES = {
    "measure_image": Policy(delays=IMAGE_DELAYS, label=_image_label),
    "perform_forced_fits": Policy(delays=IMAGE_DELAYS, label=_fits_label),
    "perform_backward_fits": Policy(delays=IMAGE_DELAYS, label=_backward_label),
    # A transaction is retried where it is made. Its task sees only one kind of failure by itself, a time-out.
    "load_state": Policy(delays=HANG_DELAYS, timeout_seconds=600.0),
    # Association changes the survey in memory. Done twice it would add every point twice, so it is never tried again
    # by itself: if it fails, so does its timestep, and the state is loaded anew from the database.
    "associate_extracted_sources": Policy(label=_association_label),
    # One transaction, which leaves nothing behind when it fails, and changes nothing in memory.
    "store_timestep": Policy(delays=HANG_DELAYS, timeout_seconds=300.0, label=_store_label),
}
"""By the name of the step. One that is not named here is tried once."""


def policy_of(step: str) -> Policy:
    """Look up how a step is run."""
    return POLICIES.get(step, Policy())


TIMESTEP = Policy(delays=IMAGE_DELAYS)
"""A whole timestep as one task; every attempt starts from the state that the database holds."""

RUN = RunPolicy()
"""A run of a deployment."""
