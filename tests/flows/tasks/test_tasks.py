"""Which steps are tried again, which are not, and what their runs are called."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from made_up_survey import Field
from prefect.cache_policies import NO_CACHE
from prefect.states import Failed
from prefect.task_engine import TaskRunTimeoutError

from flows.tasks.policies import POLICIES, TIMESTEP, Policy, time_label
from flows.tasks.tasks import call_task, is_transient, make_task
from trap import retry
from trap.config import PipelineConfig
from trap.db.store import Store
from trap.errors import DatabaseError, ImageError, TransientError, WorkerLostError
from trap.run import image_measurement
from trap.steps import association, backward_fitting, calibration, forced_fitting, vetting

STEPS = {
    step.__name__: step
    for step in (
        image_measurement.measure_image,
        forced_fitting.perform_forced_fits,
        backward_fitting.perform_backward_fits,
        vetting.examine_candidates,
        Store.load_state,
        calibration.calibrate_images,
        association.associate_extracted_sources,
        Store.store_timestep,
    )
}


def test_every_policy_is_for_a_step_that_the_pipeline_has():
    assert set(POLICIES) == set(STEPS)


@pytest.mark.parametrize("error", [TransientError("busy"), WorkerLostError("killed"), TaskRunTimeoutError("late")])
def test_what_may_pass_is_tried_again(error):
    assert is_transient(None, None, Failed(data=error))


@pytest.mark.parametrize(
    "error", [ImageError("no beam"), DatabaseError("no table"), ValueError("bad"), OSError("gone")]
)
def test_bad_data_is_never_tried_again(error):
    assert not is_transient(None, None, Failed(data=error))


def test_association_is_never_tried_again_by_itself():
    assert POLICIES["associate_extracted_sources"].delays == ()


@pytest.mark.parametrize("policy", [TIMESTEP, *(POLICIES[name] for name in STEPS if name.startswith(("me", "per")))])
def test_measurements_and_fits_are_retried_by_their_tasks(policy):
    assert policy.delays == retry.IMAGE_DELAYS


@pytest.mark.parametrize("step", ["load_state", "store_timestep"])
def test_a_task_repeats_a_transaction_that_hangs_and_none_that_was_retried_within(step):
    assert POLICIES[step].delays == retry.HANG_DELAYS
    error = TransientError("the database is away")
    error.was_retried = True
    assert not is_transient(None, None, Failed(data=error))
    assert is_transient(None, None, Failed(data=TaskRunTimeoutError("late")))


def test_only_what_runs_in_this_process_has_a_time_out_of_prefects():
    limited = {name for name, policy in POLICIES.items() if policy.timeout_seconds is not None}
    assert limited == {"load_state", "store_timestep"}
    assert make_task("store_timestep", POLICIES["store_timestep"]).timeout_seconds == 300


def test_a_task_does_the_work_it_is_given():
    assert make_task("add", Policy()).fn("one and two", lambda: 1 + 2) == 3


def test_a_task_keeps_no_results_and_asks_no_cache():
    task = make_task("add", Policy(delays=(2.0, 4.0)))
    assert (task.name, task.retries, task.persist_result, task.cache_policy) == ("add", 2, False, NO_CACHE)
    assert task.tags == set()


def test_tasks_of_different_steps_have_different_keys():
    assert make_task("add", Policy()).task_key != make_task("subtract", Policy()).task_key


def test_a_task_waits_as_long_as_its_policy_says():
    assert make_task("add", Policy(delays=(2.0, 4.0, 8.0))).retry_delay_seconds == [2.0, 4.0, 8.0]


def test_a_task_called_outside_a_flow_raises_what_the_work_raised(monkeypatch):
    # Without a run around it Prefect would look for a server; the function of the task is what is called.
    with pytest.raises(ImageError, match="no beam"):
        call_task(make_task("add", Policy()).fn, "", _refuse)


def _refuse():
    raise ImageError("no beam")


def test_runs_are_called_after_what_they_work_on():
    result = Field().image(0.5)
    config = PipelineConfig()
    record = SimpleNamespace(taustart_ts=result.metadata.taustart_ts)
    labels = [
        POLICIES["measure_image"].label("/far/away/a.fits", config),
        POLICIES["perform_forced_fits"].label([1, 2], "/far/away/a.fits", config, background=None, neighbours=None),
        POLICIES["load_state"].label(config),
        POLICIES["associate_extracted_sources"].label(None, [result]),
        POLICIES["associate_extracted_sources"].label(None, []),
        POLICIES["store_timestep"].label(record, None),
    ]
    time = "2012-01-01 12:00:00"
    assert labels == ["a.fits", "a.fits, 2 positions", "", time, "no images", time]


def test_times_are_shown_in_utc_and_no_finer_than_they_are():
    summer = timezone(timedelta(hours=2))
    assert time_label(datetime(2026, 7, 1, 1, 30, tzinfo=summer)) == "2026-06-30 23:30:00"
    assert time_label(datetime(2026, 7, 1, 1, 30, 0, 500_000, tzinfo=UTC)) == "2026-07-01 01:30:00.500000"
