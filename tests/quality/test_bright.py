"""Bright sources, from formulas alone."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime

import pytest
from astropy.coordinates import SkyCoord, get_body
from astropy.time import Time
from astropy.utils import iers
from check_inputs import image_input
from erfa import ErfaWarning

from trap.quality.bright import bright_position, check_bright_source

TRAPS = ("CasA", "CygA", "TauA", "HerA", "VirA", "Sun", "Jupiter")
TIME = datetime(2012, 4, 6, 3, 42, 1, tzinfo=UTC)


def check(ra, dec, time, *, names, min_separation):
    image = image_input(
        centre_ra=ra, centre_dec=dec, taustart_ts=time, bright_sources=names, limit_min_separation=min_separation
    )
    return check_bright_source(image)


@pytest.mark.parametrize(
    ("ra", "dec", "near"), [(212.836, 52.2025, None), (90.0, 0.0, None), (0.0, 0.0, "Sun"), (351.0, 40.0, "CasA")]
)
def test_pointings_near_a_bright_source_agree_with_trap(ra, dec, near):
    verdict = check(ra, dec, TIME, names=TRAPS, min_separation=20.0)
    assert verdict.passed is (near is None)
    if near:
        assert verdict.comment.endswith(f"degrees from {near}, at least 20")


@pytest.mark.parametrize("name", ["Sun", "Jupiter", "Moon"])
@pytest.mark.parametrize("time", ["1999-12-31T00:00:00", "2012-04-06T03:42:01", "2026-06-21T12:00:00"])
def test_moving_sources_are_where_astropy_puts_them(name, time):
    with iers.conf.set_temp("auto_download", False), warnings.catch_warnings():
        warnings.simplefilter("ignore", ErfaWarning)
        body = get_body(name.lower(), Time(time, scale="utc"), ephemeris="builtin")
    ours = bright_position(name, datetime.fromisoformat(time).replace(tzinfo=UTC))
    # Without light time, aberration and the axis of the day.
    assert SkyCoord(*ours, unit="deg").separation(SkyCoord(body.ra, body.dec)).deg < 0.02


def test_sun_is_at_the_solstice_in_june():
    ra, dec = bright_position("Sun", datetime(2000, 6, 21, 1, 48, tzinfo=UTC))
    assert (ra, dec) == (pytest.approx(90.0, abs=0.02), pytest.approx(23.44, abs=0.01))


def test_moon_counts_only_where_it_is_named():
    moon = bright_position("Moon", TIME)
    assert check(*moon, TIME, names=TRAPS, min_separation=5.0).passed
    assert not check(*moon, TIME, names=(*TRAPS, "Moon"), min_separation=5.0).passed
    assert check(*moon, TIME, names=(), min_separation=5.0).passed


def test_nearest_source_is_named_if_none_is_too_near():
    verdict = check(187.7059, 12.3911 + 11.0, TIME, names=TRAPS, min_separation=10.0)
    assert verdict.comment == "Pointing is 11.00 degrees from VirA, at least 10"


@pytest.mark.parametrize("year", [1, 1858, 9999])
def test_sun_has_a_position_at_any_date(year):
    # The ecliptic hardly moves while the equinox does: the Sun stays within its tropics.
    _, dec = bright_position("Sun", datetime(year, 1, 1, tzinfo=UTC))
    assert abs(dec) < 24.5
