"""What the states of runs say of them: what failed, what was left out, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from prefect.states import Cancelled, Completed, Failed

from flows.tasks.policies import time_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from prefect.client.schemas.objects import State

    from trap.dataset.outcomes import RunSummary, TimestepOutcome

__all__ = ["final_state", "group_state"]

MAX_MESSAGE = 500


def group_state(outcomes: Sequence[TimestepOutcome], n_planned: int) -> State[Any]:
    """State of a group of timesteps: Failed where some failed, Cancelled where some were left for a later run.

    Parameters
    ----------
    outcomes
        Of the timesteps that were processed.
    n_planned
        How many the group has.
    """
    failures = [outcome for outcome in outcomes if outcome.failure is not None]
    if failures:
        return Failed(message=_failure_message(failures, len(outcomes)))
    if len(outcomes) < n_planned:
        return Cancelled(message=f"stopped after {len(outcomes)} of {n_planned} timesteps")
    return Completed(message=f"{len(outcomes)} timesteps, {sum(len(outcome.images) for outcome in outcomes)} images")


def final_state(summary: RunSummary) -> State[Any]:
    """State of a run that came to its end: Partial where images were left out, Failed where timesteps failed."""
    if summary.failures:
        return Failed(message=_failure_message(summary.failures, len(summary.outcomes)))
    n_images = len(summary.images)
    if summary.left_out:
        url, reason = summary.left_out[0]
        message = f"{len(summary.left_out)} images left out, the first: {url}: {reason}"
        return Completed(name="Partial", message=message[:MAX_MESSAGE])
    known = f", {len(summary.already_known)} known before" if summary.already_known else ""
    return Completed(message=f"{len(summary.outcomes)} timesteps, {n_images} images{known}")


def _failure_message(failures: Sequence[TimestepOutcome], n_timesteps: int) -> str:
    reasons = "; ".join(f"{time_label(outcome.taustart_ts)}: {outcome.failure}" for outcome in failures)
    return f"{len(failures)} of {n_timesteps} timesteps failed: {reasons}"[:MAX_MESSAGE]
