"""The query of an address is a selection, and a selection is the query of an address."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trap.codes import STOKES, Flag
from trap.db.result_tables import RESULT_TABLES
from trap.errors import ConfigError
from trap.selection import Selection
from trap.web.queries import MAX_ENTRIES, parse_query, selection_items

SOURCES, MEASUREMENTS = RESULT_TABLES["sources"], RESULT_TABLES["measurements"]
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def selections(draw):
    ends = draw(st.dictionaries(st.sampled_from(["f_int", "ra", "flags", "det_sigma"]), st.tuples(NUMBERS, NUMBERS)))
    times = sorted(draw(st.lists(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)), max_size=2)))  # noqa: DTZ001
    has_place = draw(st.booleans())
    return Selection.of(
        near=(draw(st.floats(0, 359)), draw(st.floats(-90, 90))) if has_place else None,
        radius=draw(st.none() | st.floats(0.001, 648_000)) if has_place else None,
        band=draw(st.lists(st.floats(1, 1e5), max_size=3)) or None,
        stokes=draw(st.lists(st.sampled_from(list(STOKES)), max_size=3)) or None,
        without_flags=draw(st.integers(0, 2 * max(Flag) - 1)),
        candidates_only=draw(st.booleans()),
        entries=draw(st.none() | st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=4)),
        since=times[0] if times else None,
        until=times[1] if times[1:] else None,
        **{f"min_{name}": min(pair) for name, pair in ends.items()},
        **{f"max_{name}": max(pair) for name, pair in ends.items()},
    )


@given(selections())
def test_every_selection_has_an_address_that_means_the_same(selection):
    query = parse_query(selection_items(selection), MEASUREMENTS)
    found = query.selection
    assert sorted(found.ranges, key=str) == sorted(selection.ranges, key=str)
    for name in ("near", "bands", "stokes", "without_flags", "candidates_only", "entries", "since", "until"):
        assert getattr(found, name) == getattr(selection, name)
    again = parse_query(parse_qsl(query.address().removeprefix("?")), MEASUREMENTS)
    assert again == query


def test_an_address_has_the_words_of_python():
    items = [("near", "11h32m32.8s +27d41m56s"), ("radius", "60"), ("min_eta", "3"), ("max_p", "1e-4"), ("band", "150"),
             ("since", "2026-05-01"), ("candidates_only", "true"), ("stokes", "i"), ("stokes", "V"), ("until", ""),
             ("order", "-eta,runcat"), ("page", "3"), ("size", "20"), ("columns", "v_int,runcat")]  # fmt: skip
    query = parse_query(items, SOURCES)
    assert query.selection == Selection.of(
        near="11h32m32.8s +27d41m56s", radius=60, min_eta_int=3, max_eta_p_value=1e-4, band=150, stokes=["I", "V"],
        since=datetime(2026, 5, 1, tzinfo=UTC), candidates_only=True,
    )  # fmt: skip
    assert (query.order, query.offset, query.size) == (("-eta_int", "runcat"), 40, 20)
    assert query.columns == ("runcat", "v_int")  # in the order of the table
    assert "page" not in query.address(order="runcat")
    assert "min_eta" not in query.address(without=["min_eta_int"])


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([("min_eta_in", "3")], "unknown key 'min_eta_in' in the address; did you mean min_eta_int"),
        ([("xyz", "red")], "unknown key 'xyz' in the address; choose from near, radius, band"),
        ([("x" * 5000, "1")], "unknown key 'xxxx"),
        ([("min_name", "3")], "column name of table sources has no numbers"),
        ([("min_eta", "three")], "min_eta_int must be a number, got 'three'"),
        ([("min_eta", "nan")], "no value of eta_int is from nan"),
        ([("min_eta", "3"), ("max_eta", "2")], "no value of eta_int is from 3.0 to 2.0"),
        ([("min_eta", "3"), ("min_eta_int", "4")], "min_eta_int is given twice, '3' and '4'"),
        ([("near", "somewhere")], "'somewhere' is no position; examples"),
        ([("near", "1\0 2")], "near has a character without a meaning"),
        ([("near", "0 99")], "not a position"),
        ([("near", "9" * 301)], "near is too long: 301 characters, at most 300"),
        ([("radius", "3")], "radius 3 needs a position, near"),
        ([("near", "1 2"), ("radius", "-3")], "radius of a cone must be above 0"),
        ([("entries", "9" * 30)], "entries must be row numbers"),
        ([("entries", ",".join(["1"] * (MAX_ENTRIES + 1)))], f"an address can have {MAX_ENTRIES}"),
        ([("since", "0001-01-01T00:00+14:00")], "since '0001-01-01T00:00+14:00' is no time"),
        ([("stokes", "Z")], "no Stokes parameter"),
        ([("candidates_only", "maybe")], "candidates_only must be true or false, got 'maybe'"),
        ([("order", "-colour")], "order: table sources has no column 'colour'"),
        ([("columns", "eta_in")], "columns: table sources has no column 'eta_in'; did you mean eta_int"),
        ([("page", "0")], "page must be a whole number from 1 to"),
        ([("page", "9" * 200)], "page must be a whole number"),
        ([("size", "1001")], "size must be a whole number from 1 to 1000, got '1001'"),
        ([("size", "٣")], "size must be a whole number"),
    ],
)
def test_nonsense_is_refused_by_its_key(items, message):
    with pytest.raises(ConfigError) as caught:
        parse_query(items, SOURCES)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 2500
