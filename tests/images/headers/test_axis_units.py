import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trap.images.headers.axis_units import angle_unit, unit_factor

CASES = st.sampled_from([str.lower, str.upper, str.title, str.swapcase])


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        *(("deg", "deg"), ("DEG", "deg"), ("Degrees", "deg"), ("degree", "deg"), ("°", "deg"), ("RADIANS", "rad")),
        *(("ARCSEC", "arcsec"), ("Arc Seconds", "arcsec"), ('"', "arcsec"), ("''", "arcsec"), ("ArcMin", "arcmin")),
        *(("MAS", "mas"), ("milliarcsec", "mas"), ("uas", "uas")),
    ],
)
def test_angle_has_the_spelling_of_the_standard(text, unit):
    assert angle_unit(text) == unit


@settings(max_examples=40)
@given(st.sampled_from([("", 1.0), ("k", 1e3), ("M", 1e6), ("G", 1e9)]), st.sampled_from(["hz", "hertz"]), CASES)
def test_frequency_is_read_in_any_case(prefix, name, case):
    text = case(prefix[0] + name)
    # Only the exact spelling is milli.
    assert unit_factor(text, "Hz") == (1e-3 if text == "mHz" else prefix[1])


@settings(max_examples=40)
@given(
    st.sampled_from([("m", 1.0), ("km", 1e3), ("cm", 1e-2)]),
    st.sampled_from(["/", " / ", " per "]),
    st.sampled_from(["s", "sec", "second"]),
    CASES,
)
def test_speed_is_read_in_any_case_and_spelling(length, between, time, case):
    assert unit_factor(case(length[0] + between + time), "m / s") == pytest.approx(length[1])
    for product in (f"{length[0]} {time}-1", f"{length[0]}.{time}**-1", f"{length[0]}*{time}^(-1)"):
        assert unit_factor(case(product), "m / s") == pytest.approx(length[1])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *(("parsnips", "deg"), ("Hz", "deg"), ("h", "deg"), ("", "deg"), ("deg", "Hz"), ("m", "Hz")),
        *(("10**999999 Hz", "Hz"), ("ms", "m / s"), ("MS", "m / s"), ("s", "m / s"), ("((", "m / s"), ("mhz", "m / s")),
    ],
)
def test_other_units_are_refused(text, expected):
    with pytest.raises(ValueError, match=f"not a unit that converts to {expected}"):
        unit_factor(text, expected)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("text", ["10**99999999999 Hz", "Hz^(99999999)", "10^(-123456) m", "99999999999999 Hz"])
def test_wild_power_is_refused_at_once(text):
    with pytest.raises(ValueError, match="not a unit"):
        unit_factor(text, "Hz")
