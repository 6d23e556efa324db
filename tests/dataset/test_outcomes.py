"""Summaries and exit codes of runs."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from trap.dataset.outcomes import ExitCode, RunSummary, TimestepOutcome
from trap.dataset.records import UnreadableImage

TIME = datetime(2012, 1, 1, tzinfo=UTC)
BAD = UnreadableImage(url="bad.fits", reason="truncated")


def summary(*outcomes, **parts):
    empty = {"unreadable": (), "known": (), "late": ()}
    return RunSummary(dataset_id=1, outcomes=outcomes, **{**empty, **parts})


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (summary(), ExitCode.COMPLETE),
        (summary(known=("a.fits",)), ExitCode.COMPLETE),
        (summary(unreadable=(BAD,)), ExitCode.IMAGES_LEFT_OUT),
        (summary(late=("a.fits",)), ExitCode.IMAGES_LEFT_OUT),
        (summary(TimestepOutcome(taustart_ts=TIME, unreadable=(BAD,))), ExitCode.IMAGES_LEFT_OUT),
        (summary(TimestepOutcome(taustart_ts=TIME, failure="no"), unreadable=(BAD,)), ExitCode.TIMESTEPS_FAILED),
    ],
)
def test_exit_code_is_the_worst_that_happened(made, code):
    assert made.exit_code is code


def test_everything_left_out_has_its_reason():
    made = summary(TimestepOutcome(taustart_ts=TIME, unreadable=(BAD,), duplicates=("twin.fits",)), late=("old.fits",))
    assert made.left_out == [
        ("bad.fits", "unreadable: truncated"),
        ("old.fits", "not later than the newest timestep of the dataset"),
    ]
    assert made.already_known == ("twin.fits",)
