"""The ways to name a source or a position, and the help for those that name none."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units
from astropy.coordinates import Angle, SkyCoord

from trap.errors import ConfigError, TrapError
from trap.results.positions import as_degrees, as_position

PLACE = SkyCoord(122.0, 10.0, unit="deg")


@pytest.fixture
def dialect():
    """The queries behind names and positions are tested on both databases elsewhere."""
    return "sqlite"


@pytest.mark.parametrize(
    "given",
    [
        ("8h08m00s +10d00m00s",),
        ("122.0, 10.0",),
        (122, 10),
        (122.0, np.float64(10.0)),
        ((122.0, 10.0),),
        ([122.0 * units.deg, 600 * units.arcmin],),
        (Angle("8h08m"), 10 * units.deg),
        (PLACE,),
        (PLACE.galactic,),
        (SkyCoord([122.0], [10.0], unit="deg"),),
    ],
)
def test_position_of_any_form_is_the_same(given):
    assert as_position(*given) == pytest.approx((122.0, 10.0), abs=1e-9)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("here", "'here' is no position"),
        (object(), "is no position: give coordinates"),
        ((1.0, 2.0, 3.0), "two numbers"),
        ((10.0, 91.0), "not a position"),
        ((np.nan, 0.0), "not a position"),
        ((1 * units.Jy, 2 * units.deg), "is no position"),
        (SkyCoord([1, 2], [3, 4], unit="deg"), "one position is needed, got 2"),
    ],
)
def test_other_values_are_refused(given, message):
    with pytest.raises(ConfigError, match=message):
        as_position(given)


def test_radius_is_in_arcsec_or_a_quantity():
    assert as_degrees(36, "radius") == as_degrees(0.6 * units.arcmin, "radius") == pytest.approx(0.01)
    for wrong in (0, -1, np.nan, 181 * units.deg, "wide", 3 * units.Jy):
        with pytest.raises(ConfigError, match="radius must be"):
            as_degrees(wrong, "radius")


def test_source_is_named_in_any_way(opened, steady):
    row = opened.sources(entries=steady)[0]
    named = [
        opened.light_curve(steady),
        opened.light_curve(np.int64(steady)),
        opened.light_curve(row),
        opened.light_curve(122.001, 10.0),
        opened.light_curve(PLACE, radius=1 * units.arcsec),
        opened.light_curve("8h08m00s +10d00m00s"),
        opened.light_curve(opened.light_curve(steady)[0]),
    ]
    assert [curve.meta["entry"] for curve in named] == [steady] * len(named)
    assert opened.light_curve(name="GRB 260101A").meta["ra"] == pytest.approx(125.0)


def test_candidate_is_named_by_its_number_or_its_row(opened, transient):
    (candidate,) = opened.transients()
    assert candidate["runcat"] == transient
    for given in (candidate, int(candidate["newsource"])):
        assert opened.light_curve(candidate=given).meta["entry"] == transient
    assert opened.plot_light_curve(candidate=candidate).get_title().startswith(f"entry {transient},")
    assert opened.light_curve(candidate).meta["entry"] == transient


def test_position_without_a_source_names_the_nearest(opened, steady):
    # 0.1 degrees of right ascension at declination 10 are 0.0984808 degrees: 354.531 arcsec.
    with pytest.raises(TrapError, match=f"no source within 30 arcsec of 122.1000 .*entry {steady} at 122.0000"):
        opened.light_curve(122.1, 10.0)
    with pytest.raises(TrapError, match=r"354.5 arcsec away"):
        opened.light_curve(122.1, 10.0)
    with pytest.raises(TrapError, match=r"nearest is entry \d+ .*degrees away"):
        opened.light_curve(302.0, -10.0)


def test_source_that_does_not_exist_is_refused(opened):
    cases = [
        ([], {}, "name one source"),
        ([1], {"name": "GRB 260101A"}, "name one source"),
        ([10_000_000_000], {}, "has no entry 10000000000"),
        ([], {"candidate": 10_000_000_000}, "has no candidate 10000000000"),
        ([], {"name": "GRB260101A"}, "similar names: 'GRB 260101A'"),
        ([], {"candidate": "first"}, "candidate must be a number"),
    ]
    for source, keywords, message in cases:
        with pytest.raises(TrapError, match=message):
            opened.light_curve(*source, **keywords)
