"""Policies of the Prefect tasks: retries, time-outs and names, by step; and the policy of whole runs.

The waiting times are defined in :mod:`trap.retry`, with the level that retries each failure. A whole run is started
again, after its process has died, by :mod:`flows.recovery`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trap.escapes import plain_text
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
"""Names of the flows: a run, and the groups of timesteps in it."""
JITTER = 0.5
"""Waiting times vary by this share, so that steps that failed together are not retried together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The policy of one step as a Prefect task. Tasks have no tags: Prefect would request limits of tags for every run.

    Parameters
    ----------
    delays
        s — waiting times, without their jitter, before the task is run again after an error that may pass and that
        nothing within the task has retried (:func:`trap.retry.is_retryable`), or after its time-out.
    timeout_seconds
        s — time after which the step is ended, and its transaction rolled back. None for steps in worker processes:
        a time-out of Prefect cannot end compiled code, while :class:`~trap.workers.executors.ProcessExecutor` kills
        the worker, which raises a transient error.
    label
        Composes the name of a task run from the arguments of the step.
    """

    delays: tuple[float, ...] = ()
    timeout_seconds: float | None = None
    label: Callable[..., str] = lambda *_, **__: ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPolicy:
    """The policy of a whole run: how it is stopped, and started again after its process has died.

    Parameters
    ----------
    poll_seconds
        s — time between two checks for a request to stop; checks are made between timesteps only.
    heartbeat_seconds
        s — time between two heartbeats of a run; Prefect's minimum is 30.
    silence_seconds
        s — time without a heartbeat after which a run counts as dead; at least three heartbeats, since the first one
        is late.
    crash_retries
        Maximum number of times that a run is started again after its process has died. It continues after the last
        stored timestep.
    crash_delay_seconds
        s — waiting time before the first restart; it doubles from one restart to the next.
    """

    poll_seconds: float = 5.0
    heartbeat_seconds: int = 30
    silence_seconds: int = 120
    crash_retries: int = 3
    crash_delay_seconds: float = 10.0


def time_label(time: datetime) -> str:
    """Format a time in UTC for display, without needless digits."""
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")


def timestep_label(timestep: Timestep) -> str:
    """Return the name of the task of a whole timestep."""
    return f"timestep {time_label(timestep.taustart_ts)}, {len(timestep.urls)} images"


def _image_label(url: str, *_: object, **__: object) -> str:
    return plain_text(Path(url).name)


def _fits_label(requests: Any, url: str, *_: object, **__: object) -> str:  # noqa: ANN401 (a table, for its length)
    return f"{plain_text(Path(url).name)}, {len(requests)} positions"


def _backward_label(positions: Any, image: Any, *_: object) -> str:  # noqa: ANN401
    return f"{plain_text(Path(image.url).name)}, {len(positions)} positions"


def _vetting_label(request: Any, url: str, *_: object, **__: object) -> str:  # noqa: ANN401
    return f"{plain_text(Path(url).name)}, {len(request.targets)} candidates"


def _association_label(_state: object, results: Any) -> str:  # noqa: ANN401
    return time_label(results[0].metadata.taustart_ts) if len(results) else "no images"


def _store_label(record: Any, *_: object) -> str:  # noqa: ANN401
    return time_label(record.taustart_ts)


POLICIES = {
    "measure_image": Policy(delays=IMAGE_DELAYS, label=_image_label),
    "perform_forced_fits": Policy(delays=IMAGE_DELAYS, label=_fits_label),
    "perform_backward_fits": Policy(delays=IMAGE_DELAYS, label=_backward_label),
    "examine_candidates": Policy(delays=IMAGE_DELAYS, label=_vetting_label),
    # A transaction is retried where it is made. Its task sees only one kind of failure by itself, a time-out.
    "load_state": Policy(delays=HANG_DELAYS, timeout_seconds=600.0),
    # Association changes the state in memory; a second attempt would add every point twice. So it is never retried
    # itself: its failure fails the timestep, and the state is loaded again from the database.
    "associate_extracted_sources": Policy(label=_association_label),
    "calibrate_images": Policy(label=_association_label),
    "store_timestep": Policy(delays=HANG_DELAYS, timeout_seconds=300.0, label=_store_label),
}
"""Policies by the name of the step. Other steps are not retried."""


def policy_of(step: str) -> Policy:
    """Return the policy of a step."""
    return POLICIES.get(step, Policy())


TIMESTEP = Policy(delays=IMAGE_DELAYS)
"""Policy of a whole timestep as one task; every attempt starts from the state in the database."""

RUN = RunPolicy()
"""Policy of a run of a deployment."""
