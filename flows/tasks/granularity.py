"""How finely a run is cut into Prefect tasks: every step of every image, or whole timesteps.

A task per step shows more and retries less, but costs more (:mod:`flows.tasks.pace`): with few images a twentieth of a
timestep of two seconds. Of shorter ones, steps share tasks, and show less.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trap.config import ExecutionConfig
    from trap.dataset.outcomes import TimestepOutcome
    from trap.run.planning import Plan

__all__ = ["Granularity", "choose_granularity"]

FEW_TIMESTEPS = 50
"""So few are over soon, and are worth seeing in full."""
WORTHWHILE_SECONDS = 2.0


class Granularity(StrEnum):
    """What is a Prefect task."""

    IMAGE = "image"
    TIMESTEP = "timestep"


def choose_granularity(
    settings: ExecutionConfig, plan: Plan, outcomes: Sequence[TimestepOutcome], n_workers: int
) -> Granularity:
    """Choose what is a task in the next group.

    Parameters
    ----------
    settings
        ``granularity`` decides, unless it is ``auto``.
    plan
        Tells how many timesteps there are.
    outcomes
        Of the timesteps so far, which tell how long one takes.
    n_workers
        Processes that measure side by side.
    """
    if settings.granularity != "auto":
        return Granularity(settings.granularity)
    if len(plan.timesteps) <= FEW_TIMESTEPS:
        return Granularity.IMAGE
    seconds = [sum(sum(image.result.seconds.values()) for image in outcome.images) for outcome in outcomes]
    is_slow = bool(seconds) and float(np.mean(seconds)) / n_workers >= WORTHWHILE_SECONDS
    return Granularity.IMAGE if is_slow else Granularity.TIMESTEP
