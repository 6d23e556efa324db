"""Which subflows and tasks a run is divided into."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from made_up_survey import Field

from flows.tasks import granularity
from flows.tasks.granularity import Granularity, Pace
from trap.config import ExecutionConfig, PipelineConfig
from trap.dataset.outcomes import TimestepOutcome
from trap.dataset.state import DatasetState
from trap.run.planning import Plan, Timestep, TimestepGroup
from trap.steps.association import associate_extracted_sources

AUTO = ExecutionConfig()
START = datetime(2026, 1, 1, tzinfo=UTC)


def plan(n_groups):
    timesteps = [Timestep(START + timedelta(seconds=n), (f"{n}.fits",)) for n in range(10 * n_groups)]
    return Plan(groups=tuple(TimestepGroup(n + 1, tuple(timesteps[10 * n : 10 * n + 10])) for n in range(n_groups)))


def plan_of(n_timesteps):
    timesteps = tuple(Timestep(START + timedelta(seconds=n), (f"{n}.fits",)) for n in range(n_timesteps))
    return Plan(groups=(TimestepGroup(1, timesteps),))


def outcome(seconds):
    images = [Field().image(0, seconds={"read": seconds / 4, "extraction": 3 * seconds / 4})]
    return TimestepOutcome(
        taustart_ts=START, images=associate_extracted_sources(DatasetState(PipelineConfig()), images)
    )


@pytest.mark.parametrize("setting", ["image", "timestep"])
@pytest.mark.parametrize("group_size", [0, 10])
def test_an_explicit_granularity_is_kept_and_no_task_is_shared(clock, setting, group_size):
    settings = ExecutionConfig(granularity=setting, group_size=group_size)
    for n_timesteps in (1, 1000):
        assert Pace(plan_of(n_timesteps), settings, 2).granularity([]) == setting
    paced = Pace(plan(2), settings, 2)
    sizes(paced, clock, seconds=0.01)
    assert [len(task) for task in paced.tasks(plan(1).timesteps)] == [1] * 10
    assert paced.shared_seconds == 0


def test_a_short_run_shows_every_step():
    assert Pace(plan_of(50), AUTO, 2).granularity([]) is Granularity.IMAGE


def test_a_long_run_begins_with_whole_timesteps():
    assert Pace(plan_of(51), AUTO, 2).granularity([]) is Granularity.TIMESTEP


def test_a_long_run_of_slow_timesteps_goes_on_with_every_step():
    # Five seconds of work on two workers are two and a half.
    assert Pace(plan_of(51), AUTO, 2).granularity([outcome(5.0)]) is Granularity.IMAGE
    assert Pace(plan_of(51), AUTO, 4).granularity([outcome(5.0)]) is Granularity.TIMESTEP


def test_timesteps_that_failed_count_as_no_work():
    failed = TimestepOutcome(taustart_ts=START, failure="ValueError: bad")
    assert Pace(plan_of(51), AUTO, 2).granularity([failed]) is Granularity.TIMESTEP


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on by the seconds that it is called with."""
    now = [0.0]
    monkeypatch.setattr(granularity.time, "monotonic", lambda: now[0])

    def wait(seconds):
        now[0] += seconds

    return wait


def sizes(paced, clock, *, seconds):
    n_timesteps = []
    for group in paced.groups():
        n_timesteps.append(len(group.timesteps))
        clock(seconds * len(group.timesteps))
    return n_timesteps


@pytest.mark.parametrize("setting", ["auto", "image", "timestep"])
@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(5.0, [10] * 8), (1.6, [10] * 8), (1.5, [10, 20, 20, 20, 10]), (0.75, [10, 40, 30]), (0.01, [10, 70])],
)
def test_groups_last_half_a_minute_where_timesteps_are_short(clock, setting, seconds, expected):
    assert sizes(Pace(plan(8), ExecutionConfig(granularity=setting), 2), clock, seconds=seconds) == expected


def test_groups_of_a_chosen_size_stay_as_they_are_and_their_tasks_are_still_shared(clock):
    paced = Pace(plan(3), ExecutionConfig(group_size=10), 2)
    assert sizes(paced, clock, seconds=0.01) == [10, 10, 10]
    assert [len(task) for task in paced.tasks(plan(1).timesteps)] == [10]
    assert paced.shared_seconds == granularity.TASK_SECONDS


def test_joined_groups_hold_all_timesteps_in_order_and_are_numbered(clock):
    whole, paced = plan(6), Pace(plan(6), AUTO, 2)
    groups = []
    for group in paced.groups():
        groups.append(group)
        clock(0.2 * len(group.timesteps))
    assert [group.number for group in groups] == [1, 2]
    assert tuple(timestep for group in groups for timestep in group.timesteps) == whole.timesteps


@pytest.mark.parametrize(("seconds", "expected"), [(3.0, [1] * 10), (1.2, [2] * 5), (0.9, [3, 3, 3, 1]), (0.01, [10])])
def test_tasks_last_three_seconds_where_timesteps_are_short(clock, seconds, expected):
    paced = Pace(plan(2), AUTO, 2)
    assert [len(task) for task in paced.tasks(plan(1).timesteps)] == [1] * 10
    sizes(paced, clock, seconds=seconds)
    assert [len(task) for task in paced.tasks(plan(1).timesteps)] == expected


@pytest.mark.parametrize(("seconds", "expected"), [(3.0, 0.0), (1.6, 0.0), (1.4, granularity.TASK_SECONDS)])
def test_calls_share_tasks_where_two_timesteps_take_no_longer(clock, seconds, expected):
    paced = Pace(plan(2), AUTO, 2)
    assert paced.shared_seconds == 0
    sizes(paced, clock, seconds=seconds)
    assert paced.shared_seconds == expected
