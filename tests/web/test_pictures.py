import io

import numpy as np
import pytest
from PIL import Image

from trap.errors import ConfigError
from trap.web.pictures import COLOURS, Scale, as_png, colour_stops, source_scale, statistics_scale


def picture(pixels, scale, colours="viridis"):
    return np.asarray(Image.open(io.BytesIO(as_png(np.array(pixels, float), scale, colours))).convert("RGB"))


def colour(text):
    return tuple(bytes.fromhex(text.removeprefix("#")))


def points(**columns):
    """Points of a source of 9 mJy in noise of 1 mJy, in two epochs."""
    nothing = np.full(2, np.nan)
    return {"f_peak": np.array([9e-3, 1e-3]), "f_peak_raw": nothing, "rms": np.array([1e-3, 1e-3])} | columns


def test_faintest_and_brightest_have_the_ends_of_the_colours():
    drawn = picture([[0.0, 1.0]], Scale(low=0.0, high=1.0))
    assert [tuple(each) for each in drawn[0]] == [
        colour(colour_stops("viridis")[0]),
        colour(colour_stops("viridis")[-1]),
    ]


def test_values_beyond_the_scale_have_the_colours_of_its_ends():
    scale = Scale(low=0.0, high=1.0)
    np.testing.assert_array_equal(picture([[-5.0, 7.0]], scale), picture([[0.0, 1.0]], scale))


def test_first_row_is_at_the_bottom():
    drawn = picture([[0.0, 0.0], [1.0, 1.0]], Scale(low=0.0, high=1.0))
    assert tuple(drawn[0, 0]) == colour(colour_stops("viridis")[-1])


@pytest.mark.parametrize("colours", COLOURS)
def test_missing_pixels_have_a_colour_of_their_own(colours):
    scale = Scale(low=0.0, high=1.0)
    missing = tuple(picture([[np.nan]], scale, colours)[0, 0])
    every = {tuple(each) for each in picture([np.linspace(0, 1, 1000)], scale, colours)[0]}
    assert missing not in every
    # Nor is any other one near it: 30 of 255 along one of the three axes at least.
    assert min(max(abs(int(a) - int(b)) for a, b in zip(missing, other, strict=True)) for other in every) >= 30


@pytest.mark.parametrize("colours", COLOURS)
def test_brighter_is_lighter_for_every_kind_of_colour_vision(colours):
    drawn = picture([np.linspace(0, 1, 255)], Scale(low=0.0, high=1.0), colours)[0].astype(float)
    # Luminance of Rec. 709, from linear light.
    light = (drawn / 255) ** 2.2 @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(light) > -1e-3).all()
    assert light[-1] - light[0] > 0.6


def test_colours_in_a_linear_scale_are_proportional_to_the_brightness():
    scale = Scale(low=-1.0, high=3.0)
    np.testing.assert_allclose(scale.shares([-1.0, 0.0, 1.0, 3.0]), [0, 0.25, 0.5, 1])


def test_asinh_shows_faint_next_to_bright():
    scale = Scale(low=0.0, high=1000.0, stretch="asinh", soft=1.0)
    # asinh 1 = 0.8814 and asinh 1000 = 7.6009.
    assert scale.shares(1.0) == pytest.approx(0.8814 / 7.6009, abs=1e-4)


def test_scale_of_a_source_reaches_from_three_sigma_below_zero_to_the_brightest_epoch():
    scale = source_scale(points())
    assert (scale.low, scale.high) == pytest.approx((-3e-3, 9e-3))


def test_scale_of_a_faint_source_reaches_five_sigma():
    assert source_scale(points(f_peak=np.array([2e-3, np.nan]))).high == pytest.approx(5e-3)


def test_scale_follows_the_pixels_and_not_their_calibration():
    assert source_scale(points(f_peak_raw=np.array([18e-3, np.nan]))).high == pytest.approx(18e-3)


def test_scale_of_circular_polarisation_reaches_down_to_the_deepest_epoch():
    assert source_scale(points(f_peak=np.array([-40e-3, 1e-3]))).low == pytest.approx(-40e-3)


@pytest.mark.parametrize(
    "columns",
    [
        {"f_peak": np.full(2, np.nan), "rms": np.full(2, np.nan)},
        {"f_peak": np.zeros(2), "rms": np.zeros(2)},
        {name: np.empty(0) for name in ("f_peak", "f_peak_raw", "rms")},
    ],
)
def test_source_without_numbers_has_a_scale(columns):
    scale = source_scale(points(**columns))
    assert scale.low < scale.high


def test_image_without_a_value_has_a_scale():
    assert statistics_scale(np.nan, np.nan, np.nan) == Scale(low=0.0, high=1.0)


@pytest.mark.parametrize("ends", [(1.0, 1.0), (2.0, 1.0), (np.nan, 1.0), (0.0, np.inf)])
def test_impossible_scale_is_refused_with_its_numbers(ends):
    with pytest.raises(ConfigError, match="a scale needs low below high, got low = "):
        Scale(low=ends[0], high=ends[1])


def test_numbers_of_any_size_make_a_picture():
    for stretch in ("linear", "asinh"):
        picture([[0.0, 1e300]], Scale(low=-1e308, high=1e308, stretch=stretch, soft=5e-324))


def test_unknown_colours_are_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="colours must be one of viridis, grey, got 'jet'"):
        as_png(np.zeros((1, 1)), Scale(low=0.0, high=1.0), "jet")


@pytest.mark.parametrize("stretch", ["linear", "asinh"])
def test_numbers_along_the_scale_are_its_ends_and_stand_apart(stretch):
    ticks = Scale(low=-3e-4, high=0.2, stretch=stretch, soft=3e-4).ticks()
    assert (ticks[0], ticks[-1]) == (pytest.approx((-0.3, 0.0)), pytest.approx((200, 1.0)))
    assert min(np.diff([place for _, place in ticks])) > 0.1
