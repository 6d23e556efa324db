from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from trap.report.text import MISSING, count, moment, number, sky_position, text_table


def test_columns_are_aligned_with_their_headings():
    rows = [{"name": "a", "flux": "1.5"}, {"name": "long", "flux": "12.25"}]
    assert text_table(rows, right=("flux",)) == "name   flux\na       1.5\nlong  12.25"


def test_no_rows_are_no_table():
    assert text_table([]) == ""


@pytest.mark.parametrize(("value", "text"), [(1.23456, "1.235"), (0, "0"), (np.nan, MISSING), (None, MISSING)])
def test_number_has_four_digits_or_is_a_dash(value, text):
    assert number(value) == text


@pytest.mark.parametrize(("n", "text"), [(0, "0 entries"), (1, "1 entry"), (2, "2 entries")])
def test_count_agrees_with_its_noun(n, text):
    assert count(n, "entry", "entries") == text


def test_position_shows_the_sign_of_the_declination():
    assert sky_position(0.00004, 45.0) == "0.0000 +45.0000"
    assert sky_position(359.9, -0.5) == "359.9000 -0.5000"


@pytest.mark.parametrize("time", [datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC), np.datetime64("2026-01-02T03:04:05.6")])
def test_time_is_written_to_the_second(time):
    assert moment(time) == "2026-01-02T03:04:05"


@pytest.mark.parametrize("time", [None, np.datetime64("NaT")])
def test_missing_time_is_a_dash(time):
    assert moment(time) == MISSING
