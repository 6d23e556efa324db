"""Outcomes that a long run keeps."""

from __future__ import annotations

from datetime import UTC, datetime

from made_up_survey import Field, sources

from trap.config import PipelineConfig
from trap.dataset.condensed import condense_outcome
from trap.dataset.outcomes import RunSummary, TimestepOutcome
from trap.dataset.state import DatasetState
from trap.report.run_summary import run_text
from trap.steps.association import associate_extracted_sources

TIME = datetime(2012, 1, 1, tzinfo=UTC)


def test_condensed_outcome_has_the_same_summary_and_the_measurements_of_the_candidates_alone():
    state, field = DatasetState(config=PipelineConfig()), Field()
    associate_extracted_sources(state, [field.image(0, sources(122.0, 10.0))])
    state.looks.add(state.history_key(field.image(0).metadata)[:2], image=1, region=0, rms_range=(1e-4, 3e-4))
    images = associate_extracted_sources(state, [field.image(1, sources([122.0, 123.0], [10.0, 11.0]))])
    outcome = TimestepOutcome(taustart_ts=TIME, images=images)
    short = condense_outcome(outcome)
    (image,), (kept,) = outcome.images, short.images
    assert (len(image.measurements), len(image.new_sources), len(kept.measurements)) == (2, 1, 1)
    assert kept.measurements.ra[kept.new_sources.measurement] == image.measurements.ra[image.new_sources.measurement]
    assert (kept.n_blind, len(kept.result.measurements)) == (2, 0)
    assert condense_outcome(short).images[0].n_blind == 2
    texts = [
        run_text(
            RunSummary(dataset_id=1, outcomes=(one,), unreadable=(), known=(), late=()),
            "sqlite:///trap.db",
            program="transients",
        )
        for one in (outcome, short)
    ]
    assert "2 sources found" in texts[0]
    assert texts[0] == texts[1]
