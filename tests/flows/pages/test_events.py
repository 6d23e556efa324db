"""Events for automations: their names, resources and payloads."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from made_up_survey import START, Field, sources

from flows.pages import events
from flows.pages.event_fields import EVENTS
from flows.pages.events import (
    IMAGE_REJECTED,
    TIMESTEP_FAILED,
    TRANSIENT_DETECTED,
    emit_observation_arrived,
    emit_outcome,
)
from trap.catalogues import Grade
from trap.config import PipelineConfig
from trap.dataset.outcomes import TimestepOutcome
from trap.dataset.records import UnreadableImage
from trap.dataset.state import DatasetState
from trap.images.incoming import Arrival
from trap.quality import Rejection, RejectReason
from trap.steps.association import associate_extracted_sources


@pytest.fixture
def emitted(monkeypatch):
    emitted_events = []
    monkeypatch.setattr(events, "emit_event", lambda **event: emitted_events.append(event))
    return emitted_events


@pytest.fixture
def state():
    return DatasetState(PipelineConfig())


def with_new_sources(state, n):
    """Add a second image with ``n`` sources far above the noise of the first, which shows none."""
    field = Field()
    images = associate_extracted_sources(state, [field.image(0)])
    state.looks.add(images[0].key, image=1, region=0, rms_range=(1e-4, 3e-4), tiles=None)
    found = sources(np.linspace(122, 124, n), 10.0)
    images = associate_extracted_sources(state, [field.image(1, found)])
    state.catalogue.assign_ids(0, np.arange(len(state.catalogue)) + 500)
    return TimestepOutcome(taustart_ts=START, images=images)


def test_every_new_source_is_an_event_about_that_source(emitted, state):
    outcome = with_new_sources(state, 2)
    emit_outcome("ab12cd-7", outcome, state.catalogue)
    assert [event["event"] for event in emitted] == [TRANSIENT_DETECTED] * 2
    first = emitted[0]
    assert first["resource"]["prefect.resource.id"] == "trap.dataset.ab12cd-7.source.500"
    assert first["related"][0]["prefect.resource.id"] == "trap.dataset.ab12cd-7"
    assert (first["payload"]["source"], first["payload"]["ra"], first["payload"]["f_int_jy"]) == (500, 122.0, 0.015)
    (image,) = outcome.images
    assert first["payload"]["newness"] == pytest.approx(image.new_sources.newness[0])
    assert first["payload"]["noise_peaks"] == image.new_sources.noise_peaks[0]
    assert first["payload"]["likely"] == (image.new_sources.grade[0] == 1)
    assert first["payload"]["significance"] == pytest.approx(
        image.measurements.significance[image.new_sources.measurement[0]]
    )


@pytest.mark.parametrize(("grade", "word"), [(Grade.LIKELY, "likely"), (Grade.POSSIBLE, "possible")])
def test_automations_can_select_candidates_by_grade_and_stokes_parameter(emitted, state, grade, word):
    outcome = with_new_sources(state, 1)
    (image,) = outcome.images
    graded = replace(image, new_sources=image.new_sources.with_columns(grade=[grade]))
    emit_outcome("a-7", replace(outcome, images=(graded,)), state.catalogue)
    (event,) = emitted
    assert (event["resource"]["trap.grade"], event["resource"]["trap.stokes"]) == (word, "I")


def test_event_has_the_score_and_the_signs(emitted, state):
    outcome = with_new_sources(state, 2)
    (image,) = outcome.images
    vetted = image.new_sources.with_columns(score=[0.25, np.nan], ring_sigma=[2.0, np.nan])
    emit_outcome("a-7", replace(outcome, images=(replace(image, new_sources=vetted),)), state.catalogue)
    assert [(event["payload"]["score"], event["payload"]["signs"]) for event in emitted] == [(0.25, "ring"), (None, "")]


def test_new_sources_beyond_the_limit_are_counted(emitted, state, monkeypatch):
    monkeypatch.setattr(events, "MAX_CANDIDATES", 3)
    emit_outcome("ab12cd-7", with_new_sources(state, 5), state.catalogue)
    assert [event["payload"].get("n_more_in_image") for event in emitted] == [None, None, 2]


def test_an_image_without_measurements_is_an_event_with_its_reason(emitted, state):
    rejected = Field().image(0).rejected(Rejection(reason=RejectReason.BEAM, comment="too long"))
    outcome = TimestepOutcome(
        taustart_ts=START,
        images=associate_extracted_sources(state, [rejected]),
        unreadable=(UnreadableImage(url="/in/torn.fits", reason="truncated"),),
    )
    emit_outcome("ab12cd-7", outcome, state.catalogue)
    assert [(event["event"], event["payload"]["reason"]) for event in emitted] == [
        (IMAGE_REJECTED, "unreadable: truncated"),
        (IMAGE_REJECTED, "beam invalid: too long"),
    ]
    assert emitted[0]["resource"]["prefect.resource.id"] == "trap.dataset.ab12cd-7.image.torn.fits"


def test_a_failed_timestep_is_an_event_with_its_reason(emitted):
    emit_outcome("ab12cd-7", TimestepOutcome(taustart_ts=START, failure="ValueError: bad"), None)
    (event,) = emitted
    assert (event["event"], event["payload"]["reason"]) == (TIMESTEP_FAILED, "ValueError: bad")


def test_a_timestep_without_problems_emits_no_event(emitted, state):
    emit_outcome("ab12cd-7", TimestepOutcome(taustart_ts=START), state.catalogue)
    assert emitted == []


def test_fields_of_payloads_are_the_described_ones(emitted, state, monkeypatch, tmp_path):
    monkeypatch.setattr(events, "MAX_CANDIDATES", 3)
    emit_outcome("ab12cd-7", with_new_sources(state, 5), state.catalogue)
    emit_outcome("ab12cd-7", TimestepOutcome(taustart_ts=START, failure="ValueError: bad"), None)
    torn = UnreadableImage(url="/in/torn.fits", reason="truncated")
    emit_outcome("ab12cd-7", TimestepOutcome(taustart_ts=START, unreadable=(torn,)), None)
    emit_observation_arrived(tmp_path, [Arrival(path=tmp_path / "a.fits", size=1, mtime_ns=1)])
    fields = {event["event"]: event["payload"].keys() for event in emitted}
    assert fields == {name: kind.payload.keys() for name, kind in EVENTS.items()}
    for event in emitted:
        kind = EVENTS[event["event"]]
        form = kind.resource.rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
        place = re.escape(form).replace("LABEL", "ab12cd-7")
        assert re.match(place, event["resource"]["prefect.resource.id"])
        assert event["resource"].keys() - {"prefect.resource.id", "prefect.resource.name"} == kind.labels.keys()
