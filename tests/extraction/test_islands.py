from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from photutils.segmentation import detect_sources
from plain_field import field_of, islands_of

from trap.catalogues import Flag
from trap.extraction.islands import find_islands, fitted_pixels, flag_islands, segment_image


def pixel_sets(islands):
    return [
        set(zip(islands.x[p].tolist(), islands.y[p].tolist(), strict=True))
        for p in map(islands.pixels, range(len(islands)))
    ]


def test_island_reaches_down_to_the_analysis_threshold():
    islands = islands_of(field_of([[0, 3.5, 6, 3.2, 2.9, 0]]))
    assert pixel_sets(islands) == [{(1, 0), (2, 0), (3, 0)}]
    assert islands.value.tolist() == pytest.approx([3.5, 6, 3.2])


def test_island_below_the_detection_threshold_is_none():
    assert len(islands_of(field_of([[0, 4.9, 4.9, 0]]))) == 0


def test_peak_exactly_at_the_detection_threshold_counts():
    assert len(islands_of(field_of([[0, 5, 0]]))) == 1


def test_single_pixel_is_an_island_when_both_thresholds_are_its_significance():
    assert len(islands_of(field_of([[0, 5, 0]]), analysis=5.0)) == 1


def test_pixels_that_touch_at_a_corner_are_one_island():
    assert len(islands_of(field_of([[6, 0, 0], [0, 6, 0], [0, 0, 6]]))) == 1


def test_islands_come_in_the_order_of_the_image_each_with_its_own_pixels():
    islands = islands_of(field_of([[0, 0, 0, 0, 7], [0, 0, 0, 0, 4], [8, 0, 3.5, 0, 0], [4, 0, 0, 0, 0]]))
    assert pixel_sets(islands) == [{(4, 0), (4, 1)}, {(0, 2), (0, 3)}]
    assert islands.island.tolist() == [0, 0, 1, 1]


def test_masked_pixels_belong_to_no_island():
    islands = islands_of(field_of([[9, 9, 9]], mask=[[1, 0, 1]]))
    assert pixel_sets(islands) == [{(1, 0)}]


def test_significance_is_that_of_the_local_noise():
    field = field_of([[6, 0, 6]], rms=[[1, 1, 2]])
    assert pixel_sets(islands_of(field)) == [{(0, 0)}]


def test_image_without_noise_has_no_islands():
    assert len(islands_of(field_of([[1, 2, 3]], rms=np.nan))) == 0


def test_negative_islands_are_those_of_the_image_upside_down():
    field = field_of([[0, -6, -4, 0, 7, 0]])
    assert pixel_sets(islands_of(field.negative())) == [{(1, 0), (2, 0)}]
    assert pixel_sets(islands_of(field)) == [{(4, 0)}]


def test_island_at_the_edge_and_island_at_a_gap_are_flagged():
    rows = np.zeros((9, 9))
    rows[0, 4], rows[4, 4], rows[7, 7], rows[7, 2] = 9, 9, 9, 9
    mask = np.zeros((9, 9), bool)
    mask[3, 3] = True  # no value
    mask[8, 8] = True  # outside the searched area
    rows[3, 3] = np.nan
    field = field_of(rows, mask)
    flags = flag_islands(islands_of(field), field)
    assert flags.tolist() == [Flag.EDGE, Flag.MASKED_PIXELS, 0, Flag.EDGE]


def fitted_to(field, centres, **settings):
    islands = islands_of(field)
    which, first = np.arange(len(islands)), np.arange(len(islands) + 1)
    # Within 1.2 pixels along y, 2.2 along x.
    form = np.array([1 / 2.2**2, 0.0, 1 / 1.2**2])
    settings |= {"which": which, "first": first, "centres": np.array(centres), "form": form}
    return pixel_sets(fitted_pixels(islands, field.without(islands.x, islands.y), **settings))


def test_fit_leaves_out_masked_pixels_and_those_of_other_islands():
    rows = np.zeros((5, 7))
    rows[2, 2], rows[2, 4:] = 9, 9
    mask = np.zeros(rows.shape, bool)
    mask[1, 2] = True
    fitted = fitted_to(field_of(rows, mask), [[2.0, 2.0], [6.0, 2.0]], keep=False)
    assert fitted == [
        {(0, 2), (1, 2), (2, 2), (3, 2), (1, 3), (2, 3), (3, 3)} | {(1, 1), (3, 1)},
        {(4, 2), (5, 2), (6, 2)} | {(5, y) for y in (1, 3)} | {(6, y) for y in (1, 3)},
    ]


def test_fit_may_keep_the_island_beyond_its_surroundings():
    rows = np.zeros((3, 12))
    rows[1, 1:11] = 9
    all_near, own = ({(x, y) for x in (2, 3, 4) for y in (0, 2)}, {(x, 1) for x in range(1, 11)})
    assert fitted_to(field_of(rows), [[3.0, 1.0]], keep=True) == [all_near | own]
    assert fitted_to(field_of(rows), [[3.0, 1.0]], keep=False) == [all_near | {(x, 1) for x in range(1, 6)}]


def expected_islands(significance):
    """Flat indices of photutils' segments above the analysis threshold that reach the detection threshold."""
    if not (significance >= 3.0).any():  # photutils warns when it finds nothing
        return []
    segments = detect_sources(significance, np.nextafter(np.float32(3.0), np.float32(0.0)), n_pixels=1, connectivity=8)
    regions = [np.flatnonzero(segments.data == label) for label in segments.labels]
    return [flat.tolist() for flat in regions if significance.ravel()[flat].max() >= 5.0]


def check_islands(rows, mask=None):
    significance = np.where(np.zeros(np.shape(rows), bool) if mask is None else mask, 0, np.float32(rows))
    field = field_of(rows, mask)
    expected = expected_islands(np.nan_to_num(significance))
    segments = segment_image(field.threshold_map(analysis=3.0, detection=5.0))
    assert segments.labels.tolist() == list(range(1, len(expected) + 1))
    assert [np.flatnonzero(segments.data == label).tolist() for label in segments.labels] == expected
    islands = find_islands(field, segments)
    flat = islands.y * field.data.shape[1] + islands.x
    assert [flat[islands.pixels(i)].tolist() for i in range(len(islands))] == expected
    # They are in the order of their first pixels, row by row.
    assert (np.diff(flat[islands.offsets[:-1]]) > 0).all()
    assert islands.value.tolist() == field.data.ravel()[flat].tolist()
    return len(expected)


@given(st.lists(st.lists(st.sampled_from([0.0, 3.0, 5.0]), min_size=6, max_size=6), min_size=1, max_size=6))
def test_islands_of_any_form_are_the_segments_of_photutils_that_have_a_peak(rows):
    check_islands(rows)


@pytest.mark.parametrize("share", [0.0, 0.02, 0.2, 0.35, 0.45, 1.0])
def test_islands_of_masked_images_with_gaps_are_the_segments_of_photutils_that_have_a_peak(share):
    rng = np.random.default_rng(5)
    rows = np.where(rng.uniform(size=(90, 130)) < share, rng.choice([3.0, 6.0], (90, 130), p=[0.7, 0.3]), 0.0)
    rows[rng.uniform(size=rows.shape) < 0.02] = np.nan
    n_islands = check_islands(rows, rng.uniform(size=rows.shape) < 0.05)
    assert (n_islands > 0) == (share > 0)


@pytest.mark.parametrize(
    ("rows", "n_islands"),
    [
        (np.full((40, 30), 7.0), 1),
        (np.full((40, 30), 4.0), 0),
        (np.full((40, 30), np.nan), 0),
        (np.zeros((40, 30)), 0),
        (np.full((1, 1), 5.0), 1),
        (np.where(np.indices((40, 30)).sum(axis=0) % 2, 5.0, 0.0), 1),
        (np.where((np.indices((40, 30)) % 2 == 0).all(axis=0), 5.0, 0.0), 300),
    ],
    ids=["full", "weak", "nan", "empty", "pixel", "chessboard", "single pixels"],
)
def test_islands_of_uniform_images_are_the_segments_of_photutils_that_have_a_peak(rows, n_islands):
    assert check_islands(rows) == n_islands
