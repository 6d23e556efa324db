"""How much of a run one subflow and one task hold: enough that Prefect's part of the work stays small.

To open and to close a subflow takes a quarter of a second, and a task some 0.03 s of computing, on the
server's side for the most part. A timestep of a single image takes 0.1 s. So where timesteps are short,
subflows last half a minute and tasks three seconds, and hold as many timesteps as that takes, or calls of a step.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from trap.run.planning import TimestepGroup

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trap.run.planning import Plan, Timestep

__all__ = ["Pace"]

GROUP_SECONDS = 30.0
TASK_SECONDS = 3.0


class Pace:
    """The groups of a plan, joined as they turn out to be quick.

    Parameters
    ----------
    plan
        All groups.
    is_fixed
        Whether the groups are to be as they were planned, and every timestep a task: somebody asked for their size.
    """

    def __init__(self, plan: Plan, *, is_fixed: bool = False) -> None:
        self._waiting = deque(plan.groups)
        self._is_fixed = is_fixed
        self._seconds: float | None = None
        self.group = TimestepGroup(0, ())
        """The group given last."""

    def groups(self) -> Iterator[TimestepGroup]:
        """Give one group after the other; the time until the next is asked for tells how long a timestep takes."""
        number = 0
        while self._waiting:
            number += 1
            timesteps = list(self._waiting.popleft().timesteps)
            while self._has_time_for_more(len(timesteps)):
                timesteps += self._waiting.popleft().timesteps
            start = time.monotonic()
            self.group = TimestepGroup(number, tuple(timesteps))
            yield self.group
            self._seconds = (time.monotonic() - start) / len(timesteps)

    def _has_time_for_more(self, n_timesteps: int) -> bool:
        if self._is_fixed or self._seconds is None or not self._waiting:
            return False
        return (n_timesteps + len(self._waiting[0].timesteps)) * self._seconds <= GROUP_SECONDS

    @property
    def task_seconds(self) -> float:
        """How long a task is to last that holds several calls of a step; 0 where each is to have its own."""
        return TASK_SECONDS if self._n_per_task > 1 else 0.0

    def tasks(self, timesteps: Sequence[Timestep]) -> Iterator[Sequence[Timestep]]:
        """Share out timesteps among tasks."""
        n = self._n_per_task
        for start in range(0, len(timesteps), n):
            yield timesteps[start : start + n]

    @property
    def _n_per_task(self) -> int:
        return 1 if self._is_fixed or not self._seconds else max(1, int(TASK_SECONDS / self._seconds))
