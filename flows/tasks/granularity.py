"""The division of a run into Prefect subflows and tasks. This module alone defines the tasks.

A subflow costs a quarter of a second to open and to close, and a task some 0.03 s of computing, most of it on the
server. A timestep of a single image takes 0.1 s. Short timesteps therefore share subflows, which last half a minute,
and under ``granularity = "auto"`` also tasks, which last three seconds.

=================  ===========================================  ===============================
``granularity``    tasks                                        calls or timesteps share a task
=================  ===========================================  ===============================
``"image"``        each step of each image and timestep         never
``"timestep"``     each timestep                                never
``"auto"``         steps, if the run has few timesteps or slow  if two timesteps take less than
                   ones; otherwise timesteps                    three seconds
=================  ===========================================  ===============================
"""

from __future__ import annotations

import time
from collections import deque
from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from trap.run.planning import TimestepGroup

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trap.config import ExecutionConfig
    from trap.dataset.outcomes import TimestepOutcome
    from trap.run.planning import Plan, Timestep

__all__ = ["Granularity", "Pace"]

GROUP_SECONDS = 30.0
"""Duration of a subflow if timesteps are short."""
TASK_SECONDS = 3.0
"""Duration of a shared task."""
FEW_TIMESTEPS = 50
"""Number of timesteps up to which every step is worth a task: such a run is short, and is looked at in detail."""
SLOW_SECONDS = 2.0
"""Time to measure a timestep from which on tasks for its steps are cheap in comparison: a twentieth of it."""


class Granularity(StrEnum):
    """Unit of work that is a Prefect task."""

    IMAGE = "image"
    TIMESTEP = "timestep"


class Pace:
    """The groups and tasks of a run, whose sizes follow the measured duration of a timestep.

    Parameters
    ----------
    plan
        Groups of timesteps of the run.
    settings
        ``granularity``, see above. ``group_size``, if it is not 0, keeps the groups as they were planned.
    n_workers
        Number of worker processes that measure images.

    Attributes
    ----------
    group
        Group that is being processed.
    """

    def __init__(self, plan: Plan, settings: ExecutionConfig, n_workers: int) -> None:
        self._waiting = deque(plan.groups)
        self._n_timesteps = len(plan.timesteps)
        self._granularity = settings.granularity
        self._keeps_groups = bool(settings.group_size)
        self._n_workers = n_workers
        self._seconds_per_timestep: float | None = None
        self.group = TimestepGroup(0, ())

    def groups(self) -> Iterator[TimestepGroup]:
        """Yield the groups in order, timing the consumer to estimate the duration of a timestep."""
        number = 0
        while self._waiting:
            number += 1
            timesteps = list(self._waiting.popleft().timesteps)
            while self._has_time_for_more(len(timesteps)):
                timesteps += self._waiting.popleft().timesteps
            start = time.monotonic()
            self.group = TimestepGroup(number, tuple(timesteps))
            yield self.group
            self._seconds_per_timestep = (time.monotonic() - start) / len(timesteps)

    def granularity(self, outcomes: Sequence[TimestepOutcome]) -> Granularity:
        """Choose the granularity of the next group.

        Parameters
        ----------
        outcomes
            Outcomes of the timesteps so far, with the computing time of their images.
        """
        if self._granularity != "auto":
            return Granularity(self._granularity)
        if self._n_timesteps <= FEW_TIMESTEPS:
            return Granularity.IMAGE
        seconds = [sum(sum(image.result.seconds.values()) for image in outcome.images) for outcome in outcomes]
        is_slow = bool(seconds) and float(np.mean(seconds)) / self._n_workers >= SLOW_SECONDS
        return Granularity.IMAGE if is_slow else Granularity.TIMESTEP

    @property
    def shared_seconds(self) -> float:
        """Duration [s] of a task that several calls of a step share; 0 if each call has its own task."""
        return TASK_SECONDS if self._n_per_task > 1 else 0.0

    def tasks(self, timesteps: Sequence[Timestep]) -> Iterator[Sequence[Timestep]]:
        """Divide timesteps into tasks.

        Parameters
        ----------
        timesteps
            Timesteps of a group, in order.

        Yields
        ------
        Consecutive timesteps that share a task.
        """
        n_per_task = self._n_per_task
        for start in range(0, len(timesteps), n_per_task):
            yield timesteps[start : start + n_per_task]

    @property
    def _n_per_task(self) -> int:
        if self._granularity != "auto" or not self._seconds_per_timestep:
            return 1
        return max(1, int(TASK_SECONDS / self._seconds_per_timestep))

    def _has_time_for_more(self, n_timesteps: int) -> bool:
        """Return whether the next planned group still fits into a subflow that has this many timesteps already."""
        if self._keeps_groups or self._seconds_per_timestep is None or not self._waiting:
            return False
        n_joined = n_timesteps + len(self._waiting[0].timesteps)
        return n_joined * self._seconds_per_timestep <= GROUP_SECONDS
