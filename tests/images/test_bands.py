import pytest
from hypothesis import given
from hypothesis import strategies as st

from trap.images.bands import Band, band_of, find_band

MHZ = 1e6
FIRST = band_of(124.021911 * MHZ, 1.757813 * MHZ)


@pytest.mark.parametrize(
    ("frequency", "bandwidth", "expected"),
    [
        (124.021911, 1.757813, 0),  # the same again
        (114.021911, 1.757813, None),  # 10 MHz lower
        (124.021911, 175.7813, 0),  # a hundred times as wide
        (123.924255, 1.953125, 0),  # TraP's neighbouring sub-band
    ],
)
def test_images_join_bands_as_in_trap(frequency, bandwidth, expected):
    assert find_band([FIRST], band_of(frequency * MHZ, bandwidth * MHZ)) == expected


def test_bandwidth_max_replaces_the_bandwidth():
    options = {"bandwidth_max": 0.05 * MHZ}
    bands = [band_of(50 * MHZ, 2 * MHZ, **options)]
    assert find_band(bands, band_of(47 * MHZ, 5 * MHZ, **options)) is None
    assert find_band([band_of(50 * MHZ, 2 * MHZ)], band_of(47 * MHZ, 5 * MHZ)) == 0


def test_bands_that_only_touch_are_different():
    assert find_band([band_of(50 * MHZ, 2 * MHZ)], band_of(52 * MHZ, 2 * MHZ)) is None


def test_bands_that_overlap_are_one():
    assert find_band([band_of(50 * MHZ, 2 * MHZ)], band_of(51 * MHZ, 2 * MHZ)) == 0


def test_gap_below_the_tolerance_is_bridged():
    # From 51 to 52 MHz there is a gap of 1 MHz.
    bands, candidate = [band_of(50 * MHZ, 2 * MHZ)], band_of(53 * MHZ, 2 * MHZ)
    assert find_band(bands, candidate, tolerance=0.9 * MHZ) is None
    assert find_band(bands, candidate, tolerance=1.1 * MHZ) == 0


def test_first_band_has_precedence():
    bands = [band_of(60 * MHZ, 2 * MHZ), band_of(50 * MHZ, 4 * MHZ), band_of(53 * MHZ, 4 * MHZ)]
    assert find_band(bands, band_of(51.5 * MHZ, 1 * MHZ)) == 1


def test_no_bands_hold_no_candidate():
    assert find_band([], FIRST) is None


@given(frequency=st.floats(1e7, 1e10), bandwidth=st.floats(0, 1e9))
def test_every_band_finds_itself_even_at_zero_width(frequency, bandwidth):
    band = band_of(frequency, bandwidth)
    assert find_band([band], band) == 0


@given(
    first=st.tuples(st.floats(1e8, 2e8), st.floats(1, 1e8)),
    second=st.tuples(st.floats(1e8, 2e8), st.floats(1, 1e8)),
)
def test_overlap_is_as_in_trap_and_symmetric(first, second):
    one, two = band_of(*first), band_of(*second)
    span = max(one.freq_high, two.freq_high) - min(one.freq_low, two.freq_low)
    excess = first[1] + second[1] - span
    if abs(excess) > 1:
        assert (find_band([one], two) == 0) == (excess > 0) == (find_band([two], one) == 0)


def test_limits_out_of_order_are_refused():
    with pytest.raises(ValueError, match="out of order"):
        Band(freq_central=1e9, freq_low=1.1e9, freq_high=1.2e9)
