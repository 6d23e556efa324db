"""Dates that were never set, or not yet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from check_inputs import image_input

from trap.quality.dates import check_date, check_stale

NOW = datetime(2026, 1, 10, tzinfo=UTC)


def stale(start, max_age_days):
    return check_stale(image_input(taustart_ts=start, now=NOW, max_age_days=max_age_days))


@pytest.mark.parametrize(("year", "passes"), [(1858, False), (1930, False), (1931, True), (2011, True)])
def test_there_was_no_radio_astronomy_before_1931(year, passes):
    assert check_date(image_input(taustart_ts=datetime(year, 1, 1, tzinfo=UTC))).passed is passes


@pytest.mark.parametrize(
    ("age", "limit", "passes"), [(9000, 0, True), (5.1, 5, False), (4.9, 5, True), (-0.9, 0, True), (-1.1, 0, False)]
)
def test_images_of_the_future_and_old_ones_are_stale(age, limit, passes):
    assert stale(NOW - timedelta(days=age), limit).passed is passes


@pytest.mark.parametrize(
    ("ahead", "limit", "passes"),
    [(0.9, None, True), (1.1, None, False), (355_000, None, False), (40, 50, True), (60, 50, False), (0.001, 0, False)],
)
def test_image_of_the_future_is_rejected_beyond_the_tolerance(ahead, limit, passes):
    changes = {} if limit is None else {"max_future_days": limit}
    verdict = check_date(image_input(taustart_ts=NOW + timedelta(days=ahead), now=NOW, **changes))
    assert verdict.passed is passes
    assert ("days in the future" in verdict.comment) is not passes


def test_comment_has_the_age_of_the_image():
    assert stale(NOW - timedelta(days=2), 0).comment == "start 2026-01-08 00:00:00, 2.0 days ago"
    assert stale(NOW + timedelta(days=2), 0).comment.endswith("2.0 days ahead: in the future")
