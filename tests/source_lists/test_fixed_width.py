"""Columns of fixed width are read as an array, with the same result as by splitting lines."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.source_lists.finder_lists import make_sky, selavy_text
from trap.source_lists.fixed_width import FixedCells
from trap.source_lists.text import TextCells, open_text

NAMES = ("name", "first", "second", "third", "comment")


def as_text(rows, decimals):
    """Print rows in columns of one width, each number with the decimals of its column."""
    heading = "#" + "".join(f"{name:>25}" for name in NAMES)
    lines = [
        f" {name:>25}"
        + "".join(f"{number:25.{places}f}" for number, places in zip(numbers, decimals, strict=True))
        + " " * 25
        for name, *numbers in rows
    ]
    return "\n".join([heading, *lines, ""]).encode()


def read_both(content):
    """Read a text as columns of fixed width, and with a blank at the end of its last row, which splits the lines."""
    fixed, split = open_text(content), open_text(content[:-1] + b" \n")
    assert isinstance(fixed.cells, FixedCells)
    assert isinstance(split.cells, TextCells)
    assert (fixed.names, fixed.units, fixed.n_rows) == (split.names, split.units, split.n_rows)
    assert fixed.place.of(fixed.n_rows - 1) == split.place.of(fixed.n_rows - 1)
    return fixed, split


def assert_same(content, numbers, labels):
    fixed, split = read_both(content)
    (values, texts), (expected, expected_texts) = fixed.cells.read(numbers, labels), split.cells.read(numbers, labels)
    assert texts == expected_texts
    for name in numbers:
        assert values[name].values.tobytes() == expected[name].values.tobytes()
        assert values[name].decimals == expected[name].decimals


@given(
    st.lists(
        st.tuples(st.from_regex(r"[A-Za-z_]{1,8}[0-9]?", fullmatch=True), *[st.floats(-1e6, 1e6)] * 3), min_size=2
    ),
    st.tuples(st.integers(0, 9), st.integers(0, 3), st.integers(1, 14)),
)
def test_numbers_are_the_same_to_the_last_bit(rows, decimals):
    assert_same(as_text(rows, decimals), NAMES[1:4], (NAMES[0], NAMES[4]))


@pytest.mark.parametrize("cells", [["1e5", "2e5"], ["nan", "1.5"], ["1.25", "12.5"], ["+1.5", "-1.5"], ["-", "5"]])
def test_numbers_of_other_forms_are_the_same(cells):
    content = (
        b"# name   value\n" + "".join(f"{name:>6}{cell:>8}\n" for name, cell in zip("ab", cells, strict=True)).encode()
    )

    assert_same(content, ["value"], ["name"])


def test_selavy_list_is_the_same():
    content = selavy_text(make_sky(200))
    names = [
        name for name in open_text(content).names if name.endswith(("_err", "_axis", "flux_int", "rms_image", "_cont"))
    ]
    names = [name for name in names if "ms_cont" not in name]

    assert_same(content, names, ["island_id", "component_id", "comment"])


@pytest.mark.parametrize("rows", [b" 1  2\r\n 3  4\r\n", b" 1  2\n#3  4\n", b" 1  2\n 3   \n", b" 1  2\n 3  4"])
def test_text_of_another_kind_is_split(rows):
    assert isinstance(open_text(b"# a  b\n" + rows).cells, TextCells)


def test_whole_numbers_beyond_double_precision_are_the_same():
    content = b"# name                value\n" + b"     a 12345678901.12345678\n     b 98765432109.87654321\n"

    assert_same(content, ["value"], ["name"])
    assert np.isfinite(open_text(content).cells.read(["value"], [])[0]["value"].values).all()
