"""Sources that a command line names."""

from __future__ import annotations

import pytest

from trap.cli.selection import parse_position
from trap.errors import ConfigError


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
