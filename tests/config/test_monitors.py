from __future__ import annotations

import json

import pytest
from astropy.table import Table

from trap.config.monitors import load_monitors, parse_positions
from trap.errors import ConfigError


def write(tmp_path, content):
    path = tmp_path / "monitor.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_pairs_and_objects_are_positions(tmp_path):
    content = [[123.5, -10.25], {"name": "GRB 130427A", "ra": 173.1367, "dec": 27.6989}, {"ra": 0, "dec": 90}]
    monitors = load_monitors(write(tmp_path, content))
    assert monitors.ra.tolist() == [123.5, 173.1367, 0.0]
    assert monitors.dec.tolist() == [-10.25, 27.6989, 90.0]
    assert monitors.name.tolist() == ["", "GRB 130427A", ""]


def test_negative_right_ascension_is_wrapped(tmp_path):
    assert load_monitors(write(tmp_path, [[-0.5, 0], [360, 0]])).ra.tolist() == [359.5, 0.0]


def test_empty_list_holds_no_positions(tmp_path):
    assert len(load_monitors(write(tmp_path, []))) == 0


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("{", "cannot read the positions"),
        ({"ra": 1, "dec": 2}, "must be a JSON list of positions, got dict"),
        ([[1, 2, 3]], "got [1, 2, 3]"),
        ([{"ra": 1}], 'got {"ra": 1}'),
        ([{"ra": 1, "dec": 2, "flux": 3}], '"flux": 3'),
        ([["12h", 2]], 'ra must be a number of degrees, got "12h"'),
        ([[True, 2]], "ra must be a number of degrees, got true"),
        ("[[NaN, 2]]", "ra must be a number of degrees, got NaN"),
        ([[400, 2]], "ra must be between -360 and 360 degrees, got 400"),
        ([[1, -91]], "dec must be between -90 and 90 degrees, got -91"),
        ([{"name": 7, "ra": 1, "dec": 2}], "a name must be text of at most 100 characters, got 7"),
        ([{"name": "x" * 101, "ra": 1, "dec": 2}], "a name must be text of at most 100 characters"),
    ],
)
def test_invalid_position_is_refused_with_file_and_value(tmp_path, content, complaint):
    path = write(tmp_path, content)
    with pytest.raises(ConfigError) as refused:
        load_monitors(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert complaint in str(refused.value)


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere\.json: cannot read the positions to monitor"):
        load_monitors(tmp_path / "nowhere.json")


def test_csv_may_hold_more_than_positions(tmp_path):
    path = tmp_path / "positions.CSV"
    path.write_text("\ufeffName, RA, flux, Dec\nhere, 359.5, 1, -10.25\n, -0.5, , 4\n", encoding="utf-8")
    monitors = load_monitors(path)
    assert monitors.ra.tolist() == [359.5, 359.5]
    assert monitors.dec.tolist() == [-10.25, 4.0]
    assert monitors.name.tolist() == ["here", ""]


@pytest.mark.parametrize("suffix", [".vot", ".votable", ".xml"])
def test_votable_may_hold_more_than_positions(tmp_path, suffix):
    path = tmp_path / f"positions{suffix}"
    table = Table({"Name": ["here", "there"], "RA": [12.5, 0.0], "DEC": [-1.5, 90.0], "flux": [1.0, 2.0]})
    table["RA"].unit = "deg"
    table.write(path, format="votable")
    monitors = load_monitors(path)
    assert monitors.ra.tolist() == [12.5, 0.0]
    assert monitors.dec.tolist() == [-1.5, 90.0]
    assert monitors.name.tolist() == ["here", "there"]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("a.csv", "x,y\n1,2\n", "or with the UCDs pos.eq.ra and pos.eq.dec), got x, y"),
        ("a.csv", "", "pos.eq.dec), got none"),
        ("a.csv", "ra,dec\n1,\n", "dec must be a number of degrees or a sexagesimal angle, got ''"),
        ("a.csv", "ra,dec\n1\n", "dec must be a number of degrees or a sexagesimal angle, got None"),
        ("a.csv", "ra,dec\n10:20:xx,2\n", "ra must be a number of degrees or a sexagesimal angle, got '10:20:xx'"),
        (
            "a.csv",
            "ra [pix],dec\n10,2\n",
            "column ra must be in deg, rad, hourangle or another unit of angles, got pix",
        ),
        ("a.csv", "ra,dec\nnan,2\n", "ra must be a number of degrees, got NaN"),
        ("a.csv", "ra,dec\n1,95\n", "dec must be between -90 and 90 degrees, got 95.0"),
        ("a.vot", "no table", "cannot read the positions to monitor"),
        ("nowhere.vot", None, "cannot read the positions to monitor"),
        ("nowhere.csv", None, "cannot read the positions to monitor"),
    ],
)
def test_table_without_positions_is_refused_with_file_and_value(tmp_path, name, content, complaint):
    path = tmp_path / name
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError) as refused:
        load_monitors(path)
    assert str(refused.value).startswith(f"{path}: ")
    assert complaint in str(refused.value)


def test_units_of_a_votable_are_converted(tmp_path):
    table = Table({"ra": [0.5], "dec": [-0.25]}, units={"ra": "hourangle", "dec": "rad"})
    table.write(tmp_path / "a.vot", format="votable")
    monitors = load_monitors(tmp_path / "a.vot")
    assert (monitors.ra[0], monitors.dec[0]) == pytest.approx((7.5, -14.323945))


@pytest.mark.parametrize(
    ("heading", "row"),
    [
        ("RA_J2000,DE_J2000", "150.5,-30.25"),
        ("_RAJ2000,_DEJ2000", "150.5,-30.25"),
        ("ra (deg),Dec [deg]", "150.5,-30.25"),
        ("RA [h],Dec", "10.033333333,-30.25"),
        ("RAJ2000,DEJ2000", "10:02:00,-30:15:00"),
        ("RAJ2000,DEJ2000", "10 02 00,-30 15 00"),
        ("ra,dec", "10h02m00s,-30d15m"),
        ("ra,dec", "150.5d,-30.25"),
    ],
)
def test_columns_of_catalogues_are_positions(tmp_path, heading, row):
    path = tmp_path / "a.csv"
    path.write_text(f"{heading}\n{row}\n")
    monitors = load_monitors(path)
    assert (monitors.ra[0], monitors.dec[0]) == pytest.approx((150.5, -30.25), abs=1e-6)


def test_columns_of_a_votable_are_found_by_their_ucds(tmp_path):
    table = Table({"a": [1.0], "x": [150.5], "y": [-30.25], "label": ["pulsar"]})
    ucds = {"a": "pos.eq.ra", "x": "pos.eq.ra;meta.main", "y": "pos.eq.dec;meta.main", "label": "meta.id;meta.main"}
    for name, ucd in ucds.items():
        table[name].meta["ucd"] = ucd
    table.write(tmp_path / "a.vot", format="votable")
    monitors = load_monitors(tmp_path / "a.vot")
    assert (monitors.ra[0], monitors.dec[0], monitors.name[0]) == (150.5, -30.25, "pulsar")


def test_positions_are_read_from_text():
    assert parse_positions("[[1, 2], [3, 4]]").dec.tolist() == [2, 4]
    with pytest.raises(ConfigError, match="cannot read the positions"):
        parse_positions("1, 2")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "[" * 3000 + "]" * 3000,
        '[{"name": ' + "[" * 900 + "]" * 900 + ', "ra": 1, "dec": 2}]',
        f"[[{'9' * 400}, 0]]",
        f"[[0, -{'9' * 5000}]]",
        "[[1e400, 0]]",
        "[[NaN, 0]]",
    ],
)
def test_deep_or_endless_json_is_one_line(text):
    with pytest.raises(ConfigError) as raised:
        parse_positions(text)
    assert len(str(raised.value)) < 400


@pytest.mark.parametrize("name", ["a\\u0000b", "a\\ud800b", "\\udfff"])
def test_name_with_characters_that_cannot_be_stored_or_shown_is_refused(name):
    with pytest.raises(ConfigError, match="NUL character or halves"):
        parse_positions(f'[{{"name": "{name}", "ra": 180, "dec": 30}}]')
