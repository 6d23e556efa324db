"""When every step is a task, and when a whole timestep is one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from made_up_survey import Field

from flows.tasks.granularity import Granularity, choose_granularity
from trap.config import ExecutionConfig, PipelineConfig
from trap.dataset.outcomes import TimestepOutcome
from trap.dataset.state import DatasetState
from trap.run.planning import Plan, Timestep, TimestepGroup
from trap.steps.association import associate_extracted_sources

AUTO = ExecutionConfig()
START = datetime(2026, 1, 1, tzinfo=UTC)


def plan_of(n_timesteps):
    timesteps = tuple(Timestep(START + timedelta(seconds=n), (f"{n}.fits",)) for n in range(n_timesteps))
    return Plan(groups=(TimestepGroup(1, timesteps),))


def outcome(seconds):
    images = [Field().image(0, seconds={"read": seconds / 4, "extraction": 3 * seconds / 4})]
    return TimestepOutcome(
        taustart_ts=START, images=associate_extracted_sources(DatasetState(PipelineConfig()), images)
    )


@pytest.mark.parametrize("asked", ["image", "timestep"])
def test_what_is_asked_for_is_done(asked):
    for n_timesteps in (1, 1000):
        assert choose_granularity(ExecutionConfig(granularity=asked), plan_of(n_timesteps), [], 2) == asked


def test_a_short_run_shows_every_step():
    assert choose_granularity(AUTO, plan_of(50), [], 2) is Granularity.IMAGE


def test_a_long_run_begins_with_whole_timesteps():
    assert choose_granularity(AUTO, plan_of(51), [], 2) is Granularity.TIMESTEP


def test_a_long_run_of_slow_timesteps_goes_on_with_every_step():
    # Five seconds of work on two workers are two and a half.
    assert choose_granularity(AUTO, plan_of(51), [outcome(5.0)], 2) is Granularity.IMAGE
    assert choose_granularity(AUTO, plan_of(51), [outcome(5.0)], 4) is Granularity.TIMESTEP


def test_timesteps_that_failed_count_as_no_work():
    failed = TimestepOutcome(taustart_ts=START, failure="ValueError: bad")
    assert choose_granularity(AUTO, plan_of(51), [failed], 2) is Granularity.TIMESTEP
