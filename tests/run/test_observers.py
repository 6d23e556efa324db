"""What is told of every timestep, in the log and in counters."""

from __future__ import annotations

from datetime import timedelta

import httpx
import numpy as np
import pytest
from made_up_survey import START, Field, sources
from structlog.testing import capture_logs

from trap.catalogues import Flag
from trap.config import PipelineConfig
from trap.dataset.outcomes import TimestepOutcome
from trap.dataset.records import UnreadableImage
from trap.dataset.state import DatasetState
from trap.quality import Rejection, RejectReason
from trap.run.observers import FieldNotice, Meters, log_outcome, serving_meters
from trap.run.planning import Timestep
from trap.steps.association import associate_extracted_sources

REJECTION = Rejection(reason=RejectReason.BEAM, comment="too long")


@pytest.fixture
def outcome():
    """An accepted image with two sources, a rejected and an unreadable one."""
    field = Field()
    good = field.image(0, sources([123.0, 123.5], 10.0), seconds={"read": 0.5, "extraction": 2.0})
    bad = field.image(0, freq=150e6).rejected(REJECTION)
    return TimestepOutcome(
        taustart_ts=START,
        images=associate_extracted_sources(DatasetState(PipelineConfig()), [good, bad]),
        unreadable=(UnreadableImage(url="torn.fits", reason="truncated"),),
        seconds=1.5,
    )


def value(meters, name, **labels):
    return meters.registry.get_sample_value(name, labels)


def test_the_log_has_a_line_for_the_timestep_and_one_for_every_image_left_out(outcome):
    with capture_logs() as logs:
        log_outcome(outcome)
    assert [log["event"] for log in logs] == ["image_left_out", "image_left_out", "timestep_stored"]
    assert logs[0]["reason"] == "unreadable: truncated"
    assert logs[1]["reason"] == "beam invalid: too long"
    assert (logs[2]["images"], logs[2]["accepted"], logs[2]["blind"], logs[2]["seconds"]) == (2, 1, 2, 1.5)


def test_the_line_of_a_timestep_counts_the_sources_left_out():
    found = sources([123.0, 123.5, 124.0], 10.0).with_columns(flags=np.array([0, Flag.EDGE, Flag.EDGE], np.int32))
    images = associate_extracted_sources(DatasetState(PipelineConfig()), [Field().image(0, found)])
    with capture_logs() as logs:
        log_outcome(TimestepOutcome(taustart_ts=START, images=images))
    assert (logs[0]["blind"], logs[0]["n_dropped_edge"]) == (1, 2)


def test_a_failed_timestep_is_told_where_it_failed_and_not_again():
    with capture_logs() as logs:
        log_outcome(TimestepOutcome(taustart_ts=START, failure="ValueError: bad"))
    assert logs == []


def test_images_are_counted_by_what_became_of_them(outcome):
    meters = Meters()
    meters.observe(outcome)
    meters.observe(TimestepOutcome(taustart_ts=START, failure="ValueError: bad"))
    assert [value(meters, "trap_images_total", status=s) for s in ("accepted", "rejected", "unreadable")] == [1, 1, 1]
    assert [value(meters, "trap_timesteps_total", status=s) for s in ("stored", "failed")] == [1, 1]
    assert value(meters, "trap_stage_seconds_total", stage="extraction") == 2.0
    assert value(meters, "trap_timestep_seconds_sum") == 1.5


def test_queue_and_lag_are_those_of_what_is_still_to_come(outcome):
    meters = Meters()
    meters.expect([Timestep(START, ("a", "b", "c")), Timestep(START + timedelta(seconds=90), ("d",))])
    assert value(meters, "trap_queue_images") == 4
    meters.observe(outcome)
    assert (value(meters, "trap_queue_images"), value(meters, "trap_lag_seconds")) == (1, 90)


def test_counters_are_served_where_they_are_asked_for_and_no_longer(outcome):
    with capture_logs() as logs, serving_meters("127.0.0.1:0") as meters:
        meters.observe(outcome)
        (url,) = [log["url"] for log in logs]
        text = httpx.get(url, trust_env=False).text
    assert 'trap_images_total{status="accepted"} 1.0' in text
    with pytest.raises(httpx.ConnectError):
        httpx.get(url, trust_env=False)


def test_a_second_run_on_the_same_port_goes_on_without():
    with capture_logs() as logs, serving_meters("127.0.0.1:0"):
        address = logs[0]["url"].removeprefix("http://").removesuffix("/metrics")
        with serving_meters(address) as meters:
            meters.observe(TimestepOutcome(taustart_ts=START))
    assert [log["event"] for log in logs] == ["metrics_served", "metrics_not_served"]


def test_without_an_address_nothing_is_served():
    with capture_logs() as logs, serving_meters(""):
        pass
    assert logs == []


class OneOther:
    """A store whose field one other dataset holds."""

    dataset_id = 2

    def same_field(self):
        return [(1, "first")]


@pytest.mark.parametrize(("is_wanted", "n_events"), [(True, 1), (False, 0)])
def test_field_of_another_dataset_is_logged_once(outcome, is_wanted, n_events):
    notice = FieldNotice(OneOther(), is_wanted=is_wanted)
    with capture_logs() as logs:
        for one in (TimestepOutcome(taustart_ts=START, failure="ValueError: bad"), outcome, outcome):
            notice.observe(one)
    assert [log["event"] for log in logs] == ["field_in_other_dataset"] * n_events
    assert notice.datasets == ((1, "first"),) * n_events
