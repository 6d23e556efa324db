from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from trap.report.text import MISSING, constancy_text, count, flux_text, moment, number, sky_position, text_table
from trap.variability.constancy import compare_with_constant


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


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (3.0000123, 1.1e-3, ("3000.0", "1.1")),
        (5.95e-3, 1.3e-4, ("5.95", "0.13")),
        (15.834, 0.21, ("15830", "210")),
        (-1.2e-6, 9.96e-8, ("-0.001200", "0.000100")),
        (np.nan, 1e-4, (MISSING, MISSING)),
        (2e-3, np.nan, ("2", MISSING)),
        (2e-3, 0.0, ("2", MISSING)),
    ],
)
def test_flux_density_has_the_digits_of_its_error(value, error, text):
    assert flux_text(value, error) == text


def test_light_curves_that_scatter_beyond_their_errors_point_to_the_flux_scale():
    rng = np.random.default_rng(1)
    constant = constancy_text(compare_with_constant(rng.random(50)))
    assert constant == "50 light curves: fluxes scatter as their errors explain"
    scattered = constancy_text(compare_with_constant(1e-9 * rng.random(50), np.full(50, 0.0981)))
    assert "most fluxes scatter by 9.8 % more than their errors explain: check the flux scale" in scattered
    some = np.concatenate([np.full(20, 1e-9), rng.random(60)])
    assert "some fluxes scatter more than their errors explain" in constancy_text(compare_with_constant(some))
    assert "scatter less" in constancy_text(compare_with_constant(1 - 0.01 * rng.random(50)))
