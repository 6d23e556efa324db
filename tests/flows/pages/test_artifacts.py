"""Tables and summaries on the pages of a run."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest
from made_up_survey import Field, sources

from flows.pages.artifacts import group_table, position_cells, source_name, summary_text, top_variables
from trap.calibration.records import FluxScale, ImageCalibration
from trap.config import PipelineConfig
from trap.dataset.outcomes import RunSummary, TimestepOutcome
from trap.dataset.records import UnreadableImage
from trap.dataset.state import DatasetState
from trap.errors import ConfigError
from trap.quality import Rejection, RejectReason
from trap.steps.association import associate_extracted_sources

START = datetime(2012, 1, 1, tzinfo=UTC)
REJECTION = Rejection(reason=RejectReason(0), comment="a | b\nc")


@pytest.fixture
def state():
    return DatasetState(PipelineConfig())


@pytest.fixture
def outcomes(state):
    field = Field()
    good = field.image(0, sources([123.0, 123.5], 10.0), seconds={"read": 0.1, "quality": 0.0, "extraction": 0.2})
    bad = field.image(0, freq=150e6).rejected(REJECTION)
    return [
        TimestepOutcome(
            taustart_ts=START,
            images=associate_extracted_sources(state, [good, bad]),
            unreadable=(UnreadableImage(url="/in/torn.fits", reason="truncated"),),
            duplicates=("/in/again.fits",),
        ),
        TimestepOutcome(taustart_ts=START, failure="ValueError: bad"),
    ]


@pytest.fixture
def summary(outcomes):
    return RunSummary(dataset_id=7, outcomes=tuple(outcomes), unreadable=(), known=("/in/old.fits",), late=())


def test_group_table_has_a_row_for_every_image_and_every_failure(outcomes):
    rows = group_table(outcomes)
    statuses = [row["status"] for row in rows]
    assert statuses == ["accepted", "rejected", "unreadable", "duplicate", "timestep failed"]
    assert len({tuple(row) for row in rows}) == 1
    assert (rows[0]["blind"], rows[0]["new"], rows[0]["extraction [s]"]) == (2, 0, 0.2)
    assert rows[-1]["reason"] == "ValueError: bad"


def calibrated(*gains):
    """Make a summary of images whose flux densities were divided by these gains."""
    scales = [FluxScale(is_applied=True, gain=gain, gain_err=0.01) for gain in gains]
    outcomes = []
    state = DatasetState(PipelineConfig())
    for day, scale in enumerate(scales):
        image = Field().image(day, sources(123.0, 10.0), calibration=ImageCalibration(flux_scale=scale))
        outcomes.append(TimestepOutcome(taustart_ts=START, images=associate_extracted_sources(state, [image])))
    return RunSummary(dataset_id=7, outcomes=tuple(outcomes), unreadable=(), known=(), late=())


def test_summary_has_the_calibration_with_a_figure_of_several_times():
    text = summary_text(calibrated(0.9, 1.0, 1.1), None)
    assert "## Calibration of the images" in text
    assert "3 of 3 images corrected" in text
    assert "gains scatter by 10 %" in text
    assert text.count("](data:image/png;base64,") == 1


def test_calibration_of_few_images_has_no_figure_and_none_has_no_heading(summary):
    text = summary_text(calibrated(0.9, 1.1), None)
    assert "2 of 2 images corrected" in text
    assert "data:image" not in text
    assert "Calibration" not in summary_text(summary, None)


def test_figure_that_cannot_be_drawn_is_no_reason_to_end_a_run(monkeypatch):
    def fail(_columns):
        message = "matplotlib cannot be loaded"
        raise ConfigError(message)

    monkeypatch.setattr("flows.pages.artifacts.plot_calibrations", fail)
    assert "*Not shown: matplotlib cannot be loaded*" in summary_text(calibrated(0.9, 1.0, 1.1), None)


def test_group_table_can_be_sent_as_json(outcomes):
    not_measured = Field().image(1, rms_qc=np.nan)
    outcomes.append(
        TimestepOutcome(
            taustart_ts=START, images=associate_extracted_sources(DatasetState(PipelineConfig()), [not_measured])
        )
    )
    json.dumps(group_table(outcomes), allow_nan=False)


def test_summary_counts_and_names_what_was_left_out(summary, state):
    text = summary_text(summary, state.catalogue)
    lines = dict(line.strip("| ").split(" | ", 1) for line in text.splitlines() if line.count("|") == 3)
    assert (lines["timesteps"], lines["timesteps failed"]) == ("2", "1")
    assert (lines["images accepted"], lines["images left out"], lines["images already in the dataset"]) == (
        "1",
        "2",
        "2",
    )
    assert lines["sources"] == "2"
    assert "truncated" in lines["/in/torn.fits"]


def test_bars_and_line_breaks_in_reasons_do_not_break_the_table(summary, state):
    assert r"a \| b c" in summary_text(summary, state.catalogue)


def test_summary_of_a_run_without_work_reports_it():
    summary = RunSummary(dataset_id=7, outcomes=(), unreadable=(), known=("a.fits",), late=())
    assert "| timesteps | 0 |" in summary_text(summary, None)


def test_long_lists_are_cut(state):
    late = tuple(f"{n}.fits" for n in range(60))
    summary = RunSummary(dataset_id=7, outcomes=(), unreadable=(), known=(), late=late)
    text = summary_text(summary, state.catalogue)
    assert "49.fits" in text
    assert "50.fits" not in text
    assert "and 10 more" in text


def test_variables_are_ranked_by_eta(state):
    field = Field()
    # The second source doubles, the first varies by one tenth.
    for day, fluxes in enumerate([(0.02, 0.02), (0.022, 0.04)]):
        associate_extracted_sources(state, [field.image(day, sources([123.0, 123.5], 10.0, flux=np.array(fluxes)))])
    ranked = top_variables(state.catalogue)
    assert [line.ra for line in ranked] == pytest.approx([123.5, 123.0])
    assert [line.n for line in ranked] == [2, 2]
    assert [line.mean for line in ranked] == pytest.approx([0.03, 0.021])
    # η of two points a and b with equal errors σ is (a - b)² / 2σ².
    assert [line.eta for line in ranked] == pytest.approx([0.02**2 / (2 * 5e-4**2), 0.002**2 / (2 * 5e-4**2)])


def test_sources_of_the_summary_have_links_frequencies_and_one_unit(state):
    field = Field()
    outcomes = []
    for day, fluxes in enumerate([(0.02, 0.02), (0.022, 0.04)]):
        found = sources([123.0, 123.5], 10.0, flux=np.array(fluxes))
        images = associate_extracted_sources(state, [field.image(day, found)])
        outcomes.append(TimestepOutcome(taustart_ts=START, images=images))
        state.catalogue.assign_ids(0, np.arange(len(state.catalogue)) + 500)
    summary = RunSummary(dataset_id=7, outcomes=tuple(outcomes), unreadable=(), known=(), late=())
    text = summary_text(summary, state.catalogue, links={501: "/artifacts/artifact/x"})
    (row,) = (line for line in text.splitlines() if "123.50000" in line)
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[:8] == [
        "[501](/artifacts/artifact/x)",
        "123.50000",
        "+10.00000",
        "08:14:00.0 +10:00:00.0",
        "140",
        "I",
        "2",
        "30",
    ]
    assert "| 500 | 123.00000 |" in text
    assert "[Jy]" not in text


@pytest.mark.parametrize(
    ("ra", "dec", "name"),
    [
        (0.5 * 15 / 3600, 44 + 51 / 60 + 3 / 3600, "J000000.5+445103"),
        (359.99999, -0.0001, "J235959.9-000000"),
        (360.0, -90.0, "J000000.0-900000"),
    ],
)
def test_a_source_is_named_by_its_position(ra, dec, name):
    assert source_name(ra, dec) == name


def test_positions_are_written_in_degrees_and_sexagesimally():
    assert position_cells(83.633, -5.5) == ("83.63300", "-5.50000", "05:34:31.9 -05:30:00.0")


def test_names_and_reasons_are_no_marks_on_a_page(outcomes):
    name, reason = "/in/[x](javascript:alert(1))\x1b.fits", "<img src=x>: www.evil.example\n# heading"
    hostile = TimestepOutcome(taustart_ts=START, unreadable=(UnreadableImage(url=name, reason=reason),))
    summary = RunSummary(dataset_id=7, outcomes=(hostile,), unreadable=(), known=(), late=())
    text = summary_text(summary, None)
    assert "](javascript:" not in text
    assert "\\[x\\](javascript\\:alert(1))\\\\x1b.fits" in text
    assert "\\<img src=x\\>: www\\.evil.example # heading" in text
    assert group_table([hostile])[0]["image"] == "[x](javascript:alert(1))\\x1b.fits"
    assert "\n" not in group_table([hostile])[0]["reason"]


def test_links_to_pages_remain_links(summary, state):
    entry = int(state.catalogue.entries["id"][0])
    text = summary_text(summary, state.catalogue, links={entry: "/artifacts/artifact/1"})
    assert text.count("](/artifacts/") == text.count(f"[{entry}](/artifacts/artifact/1)")
