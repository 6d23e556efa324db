"""Names, states and parameters of the flow; what it does with a server is in tests/e2e."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from uuid import uuid4

import numpy as np
import pytest
from prefect.utilities.callables import parameter_schema

from flows.pages.states import final_state, group_state
from flows.process_dataset import (
    _may_open_later,
    _of_batch,
    _shorten_images,
    process_dataset,
    run_with_prefect,
)
from flows.service.calling import MonitoredPosition, as_parameter, as_table
from flows.service.identity import resumable
from trap.catalogues import MonitorPositions
from trap.config import PipelineConfig
from trap.dataset.outcomes import RunSummary, TimestepOutcome
from trap.errors import ConfigError, DatabaseError, DatasetLockedError, TransientError
from trap.retry import call_with_retries

START = datetime(2026, 1, 1, tzinfo=UTC)
DONE = TimestepOutcome(taustart_ts=START)
FAILED = TimestepOutcome(taustart_ts=START, failure="ValueError: no such thing")


def summary(*outcomes, **left_out):
    return RunSummary(dataset_id=1, outcomes=outcomes, **({"unreadable": (), "known": (), "late": ()} | left_out))


def test_a_group_with_a_failed_timestep_has_failed_and_names_it_with_the_reason():
    state = group_state([DONE, FAILED], 2)
    assert state.is_failed()
    assert state.message == "1 of 2 timesteps failed: 2026-01-01 00:00:00: ValueError: no such thing"


def test_a_group_without_failures_is_completed():
    assert group_state([DONE], 1).is_completed()


def test_a_run_that_left_images_out_is_partial():
    state = final_state(summary(DONE, late=("old.fits",)))
    assert (state.is_completed(), state.name) == (True, "Partial")
    assert "old.fits" in state.message


def test_a_run_with_failed_timesteps_has_failed():
    assert final_state(summary(DONE, FAILED, late=("old.fits",))).is_failed()


def test_a_run_in_order_is_completed():
    state = final_state(summary(DONE, known=("old.fits",)))
    assert (state.name, state.message) == ("Completed", "1 timesteps, 0 images, 1 already in the dataset")


def test_messages_stay_short():
    endless = TimestepOutcome(taustart_ts=START, failure="x" * 5000)
    assert len(group_state([endless] * 5, 5).message) <= 500


def test_monitored_positions_survive_the_way_through_json():
    table = MonitorPositions.of(ra=[0.1, 359.9], dec=[-90.0, 45.0], name=["pole", ""])
    sent = json.loads(json.dumps([position.model_dump() for position in as_parameter(table)]))
    back = as_table([MonitoredPosition(**position) for position in sent])
    for column in ("ra", "dec", "name"):
        np.testing.assert_array_equal(getattr(back, column), getattr(table, column))


def test_no_positions_are_none():
    assert as_table([]) is None
    assert as_parameter(None) == []


def test_a_list_of_images_that_prefect_would_refuse_is_shortened_for_show():
    config = PipelineConfig().with_options(execution={"images": tuple(f"{n}.fits" for n in range(5000))})
    assert _shorten_images(config).execution.images == ("0.fits", "… 4998 more …", "4999.fits")
    short = PipelineConfig().with_options(execution={"images": ("a.fits",)})
    assert _shorten_images(short) is short


def test_a_wrong_pattern_is_an_error_before_a_server_is_contacted(tmp_path, monkeypatch):
    monkeypatch.setattr("flows.service.calling.ensure_server", lambda: pytest.fail("looked for a server"))
    config = PipelineConfig().with_options(execution={"images": (str(tmp_path / "*.fits"),)})
    with pytest.raises(ConfigError, match="no image matches"):
        run_with_prefect(config)


def test_an_interrupt_from_the_keyboard_cancels_the_run(monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("flows.process_dataset.open_workers", interrupted)
    monkeypatch.setattr("flows.process_dataset.label_process", lambda: None)
    state = process_dataset.fn(PipelineConfig())
    assert (state.name, state.type.value) == ("Cancelled", "CANCELLED")
    assert "interrupted from the keyboard" in state.message


def test_the_form_describes_every_setting():
    definitions = parameter_schema(process_dataset).definitions
    fields = [field for model in definitions.values() for field in model.get("properties", {}).values()]
    assert len(fields) > 30
    assert all("description" in field or "$ref" in field for field in fields)


def test_the_form_has_the_bounds_and_the_defaults_of_every_setting():
    definitions = parameter_schema(process_dataset).definitions
    extraction = definitions["SourceExtractionConfig"]["properties"]
    threshold = extraction["detection_threshold"]
    assert (threshold["exclusiveMinimum"], threshold["default"]) == (0, 5.0)
    assert extraction["errors"]["enum"] == ["autocorrelation", "condon"]


def test_the_form_describes_its_parameters():
    properties = parameter_schema(process_dataset).properties
    assert set(properties) == {"config", "monitors", "batch"}


def test_a_new_dataset_of_a_run_gets_the_run_as_its_key(monkeypatch):
    number = uuid4()
    monkeypatch.setattr("flows.service.identity.flow_run_id", lambda: number)
    new = PipelineConfig().with_options(persistence={"dataset_id": -1})
    assert resumable(new).persistence.dataset_key == f"flow-run:{number}"
    # The others are found again by what they have already.
    for known in ({"dataset_id": 0}, {"dataset_id": 7}, {"dataset_id": -1, "dataset_key": "field"}):
        config = PipelineConfig().with_options(persistence=known)
        assert resumable(config) is config


@pytest.mark.parametrize("error", [TransientError("away"), DatasetLockedError("another run")])
def test_a_database_that_is_away_and_a_dataset_that_is_written_are_waited_for(error, monkeypatch):
    attempts, waits = [error, error], []
    monkeypatch.setattr("trap.retry.time.sleep", waits.append)

    def opening():
        if attempts:
            raise attempts.pop()
        return "opened"

    assert call_with_retries(opening, (1.0, 2.0, 3.0), is_retried=_may_open_later) == "opened"
    assert waits == [1.0, 2.0]


def test_a_database_that_cannot_be_used_is_not_waited_for():
    def opening():
        raise DatabaseError("no table")

    with pytest.raises(DatabaseError, match="no table"):
        call_with_retries(opening, (1e6,), is_retried=_may_open_later)


def test_a_batch_that_is_not_in_the_ledger_is_refused(tmp_path):
    config = PipelineConfig().with_options(execution={"database": f"sqlite:///{tmp_path / 'trap.db'}"})
    with pytest.raises(ConfigError, match="'unknown'"):
        _of_batch(config, "unknown")
