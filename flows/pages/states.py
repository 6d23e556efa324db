"""The final states of runs and of their groups: the result, with the number and the reasons of failures.

Prefect's automations and the list of runs depend on them; the artifacts have the details.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefect.states import Cancelled, Completed, Failed

from flows.tasks.policies import time_label
from trap.escapes import plain_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prefect.client.schemas.objects import State

    from trap.dataset.outcomes import RunSummary, TimestepOutcome

__all__ = ["final_state", "group_state"]

MAX_MESSAGE = 500
"""Maximum number of characters of a message."""


def group_state(outcomes: Sequence[TimestepOutcome], n_planned: int) -> State[Any]:
    """Return the state of a group of timesteps: Failed if one failed, Cancelled if the group was stopped early.

    Parameters
    ----------
    outcomes
        Outcomes of the timesteps that were processed.
    n_planned
        Number of timesteps in the group.
    """
    failures = [outcome for outcome in outcomes if outcome.failure is not None]
    if failures:
        return Failed(message=_failure_message(failures, len(outcomes)))
    if len(outcomes) < n_planned:
        return Cancelled(message=f"stopped after {len(outcomes)} of {n_planned} timesteps")
    n_images = sum(len(outcome.images) for outcome in outcomes)
    return Completed(message=f"{len(outcomes)} timesteps, {n_images} images")


def final_state(summary: RunSummary) -> State[Any]:
    """Return the state of a run that ended: Failed if timesteps failed, Partial if images were left out."""
    if summary.failures:
        return Failed(message=_failure_message(summary.failures, len(summary.outcomes)))
    n_images = len(summary.images)
    if summary.left_out:
        url, reason = summary.left_out[0]
        message = f"{len(summary.left_out)} images left out; the first: {url}: {reason}"
        return Completed(name="Partial", message=plain_text(message)[:MAX_MESSAGE])
    already_known = f", {len(summary.already_known)} already in the dataset" if summary.already_known else ""
    return Completed(message=f"{len(summary.outcomes)} timesteps, {n_images} images{already_known}")


def _failure_message(failures: Sequence[TimestepOutcome], n_timesteps: int) -> str:
    """Compose a message from the time and the reason of each failure, shortened to the maximum length."""
    reasons = "; ".join(f"{time_label(outcome.taustart_ts)}: {outcome.failure}" for outcome in failures)
    return plain_text(f"{len(failures)} of {n_timesteps} timesteps failed: {reasons}")[:MAX_MESSAGE]
