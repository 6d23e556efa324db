from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from trap.kernels.islands import AT_EDGE, AT_GAP, fit_footprints, peak_regions, segment_pixels, touching
from trap.kernels.maps import IN_PEAK


def as_lists(offsets, flat):
    return [flat[start:end].tolist() for start, end in pairwise(offsets)]


@pytest.mark.parametrize("share", [0.02, 0.2, 0.35, 0.45, 0.9])
def test_marked_pixels_are_those_of_the_regions_of_scipy_that_hold_a_peak(share):
    rng = np.random.default_rng(5)
    classes = np.where(rng.uniform(size=(90, 130)) < share, rng.choice([1, IN_PEAK], (90, 130), p=[0.7, 0.3]), 0)
    labels, _ = ndimage.label(classes, np.ones((3, 3)))
    expected = np.isin(labels, labels[classes == IN_PEAK])
    assert np.array_equal(peak_regions(classes.astype(np.uint8)), expected)
    assert expected.any()


def test_pixels_of_a_segment_are_listed_in_the_order_of_the_image():
    rng = np.random.default_rng(6)
    labels = rng.permuted(np.arange(60 * 70) % 12).reshape(60, 70).astype(np.int32)
    expected = [np.flatnonzero(labels == label + 1).tolist() for label in range(11)]
    assert as_lists(*segment_pixels(labels, 11)) == expected
    assert as_lists(*segment_pixels(np.zeros((5, 7), np.int32), 0)) == []


def test_touching_is_looked_up_in_all_eight_directions():
    rng = np.random.default_rng(3)
    ny, nx = 12, 15
    mask, data = rng.uniform(size=(ny, nx)) < 0.05, rng.normal(size=(ny, nx)).astype(np.float32)
    data[rng.uniform(size=(ny, nx)) < 0.05] = np.nan
    flat = rng.permutation(ny * nx)
    offsets = np.arange(0, flat.size + 1, 3)
    y, x = np.divmod(flat, nx)
    expected = np.zeros(offsets.size - 1, int)
    for i in range(flat.size):
        for dy, dx in np.ndindex(3, 3):
            row, column = y[i] + dy - 1, x[i] + dx - 1
            if not (0 <= row < ny and 0 <= column < nx):
                expected[i // 3] |= AT_EDGE
            elif np.isnan(data[row, column]):
                expected[i // 3] |= AT_GAP
            elif mask[row, column]:
                expected[i // 3] |= AT_EDGE
    assert touching(offsets, x, y, mask, data).tolist() == expected.tolist()


@pytest.mark.parametrize("keep", [True, False])
def test_footprints_are_ellipses_without_what_belongs_to_others(keep):
    rng = np.random.default_rng(4)
    ny, nx = 40, 50
    labels, n_labels = ndimage.label(rng.uniform(size=(ny, nx)) < 0.2, np.ones((3, 3)))
    offsets, flat = segment_pixels(labels, n_labels)
    y, x = np.divmod(flat, nx)
    taken = rng.uniform(size=(ny, nx)) < 0.1
    taken[y, x] = True
    n = offsets.size - 1
    counts = rng.integers(1, 3, n)
    first = np.concatenate([[0], np.cumsum(counts)])
    centres = rng.uniform(-2, 52, (first[-1], 2))
    form = np.array([0.2, 0.05, 0.1])
    which = rng.permutation(n)[: n // 2]
    starts = np.concatenate([[0], np.cumsum(counts[which])])
    chosen = np.concatenate([centres[first[i] : first[i + 1]] for i in which])
    found = as_lists(*fit_footprints((offsets, x, y), taken, which, starts, chosen, form, keep))
    v, u = np.mgrid[0:ny, 0:nx]
    for i, pixels in zip(which, found, strict=True):
        own, near = np.zeros((ny, nx), bool), np.zeros((ny, nx), bool)
        own.ravel()[flat[offsets[i] : offsets[i + 1]]] = True
        for cx, cy in centres[first[i] : first[i + 1]]:
            du, dv = u - cx, v - cy
            near |= form[0] * du**2 + 2 * form[1] * du * dv + form[2] * dv**2 <= 1
        wanted = (near & (own | ~taken)) | (own & keep)
        assert pixels == np.flatnonzero(wanted).tolist()
