"""Values that no source has are refused with their column, row and limit; values that finders write are not."""

from __future__ import annotations

import numpy as np
import pytest

from tests.source_lists.finder_lists import PLAIN_COLUMNS, make_metadata, make_sky, plain_table, table_bytes
from tests.source_lists.test_own import as_table, make_measurements
from trap.catalogues import Flag
from trap.config import SourceListConfig
from trap.errors import SourceListError
from trap.source_lists.read import read_source_list

SKY = make_sky()


def read(tmp_path, content, **changes):
    path = tmp_path / "list"
    path.write_bytes(content)
    return read_source_list(str(path), SourceListConfig(**changes), make_metadata())


def plain(quantity, value, row=2):
    """Return a table of a catalogue with one value changed."""
    table = plain_table(SKY)
    table[PLAIN_COLUMNS[quantity]][row] = value
    return table_bytes(table, "fits")


def own(**changes):
    """Return a list of our own finder with one value in each changed column."""
    columns = make_measurements(flags=0, f_peak=0.01).as_dict()
    for name, value in changes.items():
        columns[name] = columns[name].astype(float)
        columns[name][2] = value
    table = as_table(make_measurements())
    header = ",".join(name for name in table.columns if name in columns)
    rows = zip(*(columns[name].tolist() for name in header.split(",")), strict=True)
    return "\n".join([header, *(",".join(map(repr, row)) for row in rows), ""]).encode()


@pytest.mark.parametrize("value", [1e200, 1e-320, np.finfo(float).max])
def test_error_of_extreme_size_is_refused_with_its_limit(tmp_path, value):
    with pytest.raises(SourceListError) as raised:
        read(tmp_path, plain("f_int_err", value), columns=PLAIN_COLUMNS)

    name = PLAIN_COLUMNS["f_int_err"]
    assert f"column {name}, row 3" in raised.value.message
    assert "Jy is an error outside the limits of 1e-30 to 1e+30 Jy" in raised.value.message


def test_error_of_extreme_size_is_computed_if_the_settings_allow_it(tmp_path):
    found = read(tmp_path, plain("f_int_err", 1e200), columns=PLAIN_COLUMNS, errors="condon")

    assert 0 < found.measurements.f_int_err[2] < 1


@pytest.mark.parametrize(
    ("quantity", "value", "problem"),
    [
        ("f_int", 1e300, "is outside the limits of 1e-30 to 1e.30 Jy"),
        ("f_int", 1e-320, "is outside the limits"),
        ("rms", 1e300, "is outside the limits"),
        ("minor", 900, "is the minor axis, and longer than the major axis"),
        ("major", 1e300, "is beyond the limit of 648000 arcsec"),
        ("ew_fit_err", 1e9, "deg is an error outside the limits of 1e-12 to 180 deg"),
    ],
)
def test_impossible_value_of_a_catalogue_is_refused(tmp_path, quantity, value, problem):
    with pytest.raises(SourceListError, match=f"column {PLAIN_COLUMNS[quantity]}, row 3.*{problem}"):
        read(tmp_path, plain(quantity, value), columns=PLAIN_COLUMNS)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("significance", -5, "is negative, and the source is positive"),
        ("gain_err", 1e9, "is outside the limits of 0 to 10"),
        ("chisq", np.inf, "is outside the limits"),
        ("flags", 1e30, "is no sum of known flags"),
        ("flags", -1, "is no sum of known flags"),
        ("flags", 1.5, "is no sum of known flags"),
        ("extract_type", 9, "is no known code"),
        ("fit_type", 17, "is no known code"),
    ],
)
def test_impossible_value_of_our_own_list_is_refused(tmp_path, name, value, problem):
    with pytest.raises(SourceListError, match=rf"column {name}, row 3 \(line 4\): .* {problem}"):
        read(tmp_path, own(**{name: value}))


def test_all_known_flags_are_read(tmp_path):
    everything = sum(map(int, Flag))

    found = read(tmp_path, own(flags=everything))

    assert found.measurements.flags[2] == everything
    assert found.left_out["fit failed, by the finder"] == 1


@pytest.mark.parametrize("text", ["1_0", "٣"])
def test_digits_that_only_python_takes_are_no_numbers(tmp_path, text):
    lines = own().decode().split("\n")
    cells = lines[3].split(",")
    cells[lines[0].split(",").index("rms")] = text
    lines[3] = ",".join(cells)

    with pytest.raises(SourceListError, match=rf"column rms, row 3 \(line 4\): '{text}' is no number"):
        read(tmp_path, "\n".join(lines).encode())


def test_unclosed_quotation_mark_is_named_by_row_and_column(tmp_path):
    lines = own().decode().split("\n")
    cells = lines[3].split(",")
    cells[1] = f'"{cells[1]}'
    lines[3] = ",".join(cells)

    with pytest.raises(SourceListError, match=r"row 3 \(line 4\), column 2: a quotation mark is not closed"):
        read(tmp_path, "\n".join(lines).encode())


def test_line_ends_of_old_macintosh_files_are_refused_with_the_cure(tmp_path):
    with pytest.raises(SourceListError, match=r"line 1 has a carriage return .*convert the line ends.*tr"):
        read(tmp_path, own().replace(b"\n", b"\r"))
