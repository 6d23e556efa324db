from __future__ import annotations

import shlex
from datetime import UTC, datetime

import numpy as np
from made_up_survey import START, Field, sources

from trap.catalogues import Flag
from trap.config import PipelineConfig
from trap.dataset.outcomes import MonitorFilling, RunSummary, TimestepOutcome
from trap.dataset.records import UnreadableImage
from trap.dataset.state import DatasetState
from trap.report.run_summary import run_text
from trap.steps.association import associate_extracted_sources

DATABASE = "sqlite:///trap.db"
PROGRAM = ".venv/bin/transients"


def summary(**changes):
    return RunSummary(**{"dataset_id": 3, "outcomes": (), "unreadable": (), "known": (), "late": (), **changes})


def test_known_images_are_said_to_add_nothing():
    assert "2 images were already in dataset 3: nothing added" in run_text(
        summary(known=("a", "b")), DATABASE, program=PROGRAM
    )


def test_everything_left_out_has_its_reason():
    text = run_text(
        summary(unreadable=(UnreadableImage(url="a.fits", reason="truncated"),), late=("b.fits",)),
        DATABASE,
        program=PROGRAM,
    )
    assert "2 images left out:" in text
    assert "  a.fits: unreadable: truncated" in text
    assert "  b.fits: not later than the newest timestep of the dataset" in text


def test_failed_timesteps_have_their_reason_and_a_next_step():
    failed = TimestepOutcome(taustart_ts=datetime(2026, 1, 1, tzinfo=UTC), failure="DatabaseError: disk full")
    text = run_text(summary(outcomes=(failed,)), DATABASE, program=PROGRAM)
    assert "dataset 3: 0 timesteps stored" in text
    assert "  2026-01-01T00:00:00: DatabaseError: disk full" in text
    assert "in their order: in a new dataset (--new-dataset)" in text


def test_text_names_the_database_and_the_pages():
    text = run_text(summary(watch=("Prefect UI: http://127.0.0.1:4200",)), DATABASE, program=PROGRAM)
    assert ".venv/bin/transients candidates 3 --database sqlite:///trap.db\n" in text
    assert "     .venv/bin/transients serve sqlite:///trap.db\n" in text
    assert "Prefect UI: http://127.0.0.1:4200" in text


def test_commands_can_be_typed_whatever_is_in_the_names():
    text = run_text(summary(), "sqlite:///my sky's.db", program="/my programs/transients")
    (line,) = [line for line in text.splitlines() if line.startswith("now: ")]
    assert shlex.split(line) == [
        "now:",
        "/my programs/transients",
        "candidates",
        "3",
        "--database",
        "sqlite:///my sky's.db",
    ]


def test_monitored_positions_that_no_image_measures_are_named():
    positions = tuple((f"p{i}", "outside all images") for i in range(12))
    text = run_text(summary(monitors=15, unmeasured_monitors=positions[:1]), DATABASE, program=PROGRAM)
    assert "1 of 15 monitored positions never measured: p0 (outside all images)\n" in text
    text = run_text(summary(monitors=15, unmeasured_monitors=positions), DATABASE, program=PROGRAM)
    assert "p9 (outside all images), and 2 more\n" in text
    assert "monitored" not in run_text(summary(monitors=5), DATABASE, program=PROGRAM)


def test_earlier_images_without_added_positions_are_named():
    gone = tuple(f"gone{i}.fits" for i in range(11))
    filling = MonitorFilling(n_positions=1, n_images=20, unreadable=gone)
    text = run_text(summary(filling=filling), DATABASE, program=PROGRAM)
    assert "1 monitored position added, measured in 9 of 20 earlier images\n" in text
    assert "11 earlier images not readable any more:\n  gone0.fits\n" in text
    assert "  gone9.fits\n  … and 1 more\n" in text


def test_several_datasets_of_the_same_field_are_named():
    text = run_text(summary(same_field=((1, "a"), (2, "b"))), DATABASE, program=PROGRAM)
    assert (
        "new dataset 3; datasets 1 ('a') and 2 ('b') hold the same field, bands and settings: "
        "to extend the latest, add --dataset 2"
    ) in text


def test_sources_left_out_of_the_images_are_counted_by_reason():
    found = sources([123.0, 123.5, 124.0], 10.0).with_columns(flags=np.array([0, Flag.EDGE, Flag.FIT_FAILED], np.int32))
    images = associate_extracted_sources(DatasetState(PipelineConfig()), [Field().image(0, found)])
    outcome = TimestepOutcome(taustart_ts=START, images=images)
    lines = run_text(summary(outcomes=(outcome,)), DATABASE, program=PROGRAM).splitlines()
    assert lines[1].startswith("1 source found, ")
    assert lines[2] == "2 sources found but left out: 1 cut by the edge of the searched area, 1 without a fit"
