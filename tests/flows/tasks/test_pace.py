"""How many timesteps a subflow and a task hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from flows.tasks import pace
from flows.tasks.pace import Pace
from trap.run.planning import Plan, Timestep, TimestepGroup

START = datetime(2026, 1, 1, tzinfo=UTC)


def plan(n_groups):
    timesteps = [Timestep(START + timedelta(seconds=n), (f"{n}.fits",)) for n in range(10 * n_groups)]
    return Plan(groups=tuple(TimestepGroup(n + 1, tuple(timesteps[10 * n : 10 * n + 10])) for n in range(n_groups)))


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on when it is told to."""
    now = [0.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])

    def wait(seconds):
        now[0] += seconds

    return wait


def sizes(paced, clock, *, seconds):
    found = []
    for group in paced.groups():
        found.append(len(group.timesteps))
        clock(seconds * len(group.timesteps))
    return found


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(5.0, [10] * 8), (1.6, [10] * 8), (1.5, [10, 20, 20, 20, 10]), (0.75, [10, 40, 30]), (0.01, [10, 70])],
)
def test_groups_last_half_a_minute_where_timesteps_are_short(clock, seconds, expected):
    assert sizes(Pace(plan(8)), clock, seconds=seconds) == expected


def test_groups_of_a_chosen_size_stay_as_they_are_and_every_timestep_is_a_task(clock):
    fixed = Pace(plan(3), is_fixed=True)
    assert sizes(fixed, clock, seconds=0.01) == [10, 10, 10]
    assert [len(task) for task in fixed.tasks(plan(1).timesteps)] == [1] * 10
    assert fixed.task_seconds == 0


def test_joined_groups_hold_all_timesteps_in_order_and_are_numbered(clock):
    whole, paced = plan(6), Pace(plan(6))
    groups = []
    for group in paced.groups():
        groups.append(group)
        clock(0.2 * len(group.timesteps))
    assert [group.number for group in groups] == [1, 2]
    assert tuple(timestep for group in groups for timestep in group.timesteps) == whole.timesteps


@pytest.mark.parametrize(("seconds", "expected"), [(3.0, [1] * 10), (1.2, [2] * 5), (0.9, [3, 3, 3, 1]), (0.01, [10])])
def test_tasks_last_three_seconds_where_timesteps_are_short(clock, seconds, expected):
    paced = Pace(plan(2))
    assert [len(task) for task in paced.tasks(plan(1).timesteps)] == [1] * 10
    sizes(paced, clock, seconds=seconds)
    assert [len(task) for task in paced.tasks(plan(1).timesteps)] == expected


@pytest.mark.parametrize(("seconds", "expected"), [(3.0, 0.0), (1.6, 0.0), (1.4, pace.TASK_SECONDS)])
def test_calls_share_tasks_where_two_timesteps_take_no_longer(clock, seconds, expected):
    paced = Pace(plan(2))
    assert paced.task_seconds == 0
    sizes(paced, clock, seconds=seconds)
    assert paced.task_seconds == expected
