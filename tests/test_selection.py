from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import SkyCoord
from astropy.time import Time

from trap.codes import Flag
from trap.errors import ConfigError
from trap.selection import Cone, Range, Selection, parse_position


@pytest.mark.parametrize(
    "words",
    [
        ["173.1367", "27.6989"],
        ["173.1367,27.6989"],
        ["11h32m32.808s", "+27d41m56.04s"],
        ["11:32:32.808", "+27:41:56.04"],
        ["11 32 32.808 +27 41 56.04"],
        ["J113232.808+274156.04"],
        ["173.1367d 27.6989d"],
    ],
    ids=" ".join,
)
def test_a_position_is_read_in_any_usual_form(words):
    assert parse_position(words) == pytest.approx((173.1367, 27.6989), abs=1e-6)


def test_southern_declination_between_0_and_1_degree_keeps_its_sign():
    assert parse_position(["00:00:00.5", "-00:30:00"]) == pytest.approx((0.0020833, -0.5), abs=1e-6)


@pytest.mark.parametrize("words", [["somewhere"], ["10", "95"], ["400", "0"], ["12:00:00"], ["1", "2", "3"]])
def test_other_text_is_refused(words):
    with pytest.raises(ConfigError, match="position"):
        parse_position(words)


@pytest.mark.parametrize(
    "near",
    [
        "173.1367 27.6989",
        "11:32:32.808 +27:41:56.04",
        (173.1367, 27.6989),
        np.array([173.1367, 27.6989]),
        SkyCoord(173.1367, 27.6989, unit="deg"),
        SkyCoord(173.1367, 27.6989, unit="deg").galactic,
    ],
    ids=str,
)
def test_cone_is_made_of_a_position_in_any_form(near):
    cone = Selection.of(near=near, radius=36).near
    assert (cone.ra, cone.dec, cone.radius) == pytest.approx((173.1367, 27.6989, 0.01), abs=1e-6)


def test_radius_is_in_arcsec_unless_it_has_a_unit():
    assert Selection.of(near=(10, 20)).near == Cone(ra=10.0, dec=20.0, radius=30 / 3600)
    assert Selection.of(near=(-10, 20), radius=2 * units.deg).near == Cone(ra=350.0, dec=20.0, radius=2.0)


def test_limits_become_ranges_of_their_columns():
    made = Selection.of(min_eta_int=5, max_eta_int=7.5, max_wm_decl=-20, min_v=None)
    assert made.ranges == (Range(column="eta_int", low=5.0, high=7.5), Range(column="wm_decl", high=-20.0))


@pytest.mark.parametrize(
    "moment",
    [
        "2026-05-01",
        "2026-05-01T00:00:00Z",
        "2026-05-01 02:00+02:00",
        61161,
        "61161.0",
        datetime(2026, 5, 1),  # noqa: DTZ001 (a time without a zone is in UTC)
        datetime(2026, 5, 1, 2, tzinfo=timezone(timedelta(hours=2))),
        np.datetime64("2026-05-01T00:00:00.000000000"),
        Time(61161, format="mjd", scale="utc"),
    ],
    ids=str,
)
def test_times_are_in_utc_unless_they_have_a_zone(moment):
    assert Selection.of(since=moment, until=moment).since == datetime(2026, 5, 1, tzinfo=UTC)


def test_bands_stokes_flags_and_entries_have_the_forms_of_users():
    made = Selection.of(
        band=[888, 1.4 * units.GHz], stokes="i,V", without_flags="edge, masked-pixels", entries=np.array([3, 4])
    )
    assert (made.bands, made.stokes, made.entries) == ((888e6, 1.4e9), (1, 4), (3, 4))
    assert made.without_flags == Flag.EDGE | Flag.MASKED_PIXELS
    assert Selection.of(without_flags=Flag.EDGE, band=150, entries=7) == Selection(
        without_flags=4, bands=(150e6,), entries=(7,)
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"near": "somewhere"}, "'somewhere' is no position; examples: 173.1367"),
        ({"near": (10, 95)}, "not a position: ra 10, dec 95"),
        ({"near": (np.nan, 5)}, "not a position"),
        ({"near": 5}, "5 is no position"),
        ({"near": (10, 5), "radius": 0}, "above 0 and at most 180 degrees, got 0"),
        ({"near": (10, 5), "radius": "wide"}, "radius must be a number, got 'wide'"),
        ({"radius": 5}, "radius 5 needs a position"),
        ({"min_eta": "high"}, "min_eta must be a number, got 'high'"),
        ({"min_eta": np.nan}, "no value of eta is from nan"),
        ({"min_eta": 5, "max_eta": 4}, "no value of eta is from 5.0 to 4.0"),
        ({"sokes": "I"}, "unknown filter 'sokes'; did you mean stokes"),
        ({"band": "L"}, "band must be a number, got 'L'"),
        ({"stokes": "K"}, "stokes K: no Stokes parameter; choose one of I, Q, U, V"),
        ({"without_flags": "egde"}, "unknown flag 'egde'; did you mean edge"),
        ({"without_flags": 128}, "flags 128 is no sum of flags"),
        ({"entries": "three"}, "entries must be row numbers"),
        ({"entries": True}, "entries must be row numbers"),
        ({"entries": 1.5}, "entries must be row numbers"),
        ({"band": []}, "band is empty"),
        ({"stokes": ""}, "stokes is empty"),
        ({"candidates_only": "x"}, "candidates_only must be True or False"),
        ({"since": True}, "is no time"),
        ({"since": "2026-01-02", "until": "2026-01-01"}, "no time is since 2026-01-02"),
        ({"since": "yesterday"}, "since 'yesterday' is no time; examples: 2026-05-01"),
        ({"until": 1e12}, "until 1000000000000.0 is no time"),
    ],
    ids=str,
)
def test_values_without_a_meaning_are_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        Selection.of(**given)


def test_importing_the_filters_imports_nothing_slow():
    code = "import sys, trap.selection; print(*{'astropy', 'numpy', 'pydantic', 'sqlalchemy'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


def test_no_entries_are_another_choice_than_all_entries():
    assert Selection.of(entries=[]).entries == ()
    assert Selection.of().entries is None
