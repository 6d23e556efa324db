from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from trap.kernels.islands import AT_EDGE, AT_GAP, connected_pixels, fit_footprints, touching
from trap.kernels.maps import IN_PEAK


def as_lists(offsets, flat):
    return [flat[start:end].tolist() for start, end in pairwise(offsets)]


@pytest.mark.parametrize("share", [0.02, 0.2, 0.35, 0.45, 0.9])
def test_regions_are_those_of_scipy_in_the_order_of_the_image(share):
    rng = np.random.default_rng(5)
    reached = np.where(rng.uniform(size=(90, 130)) < share, rng.choice([1, IN_PEAK], (90, 130), p=[0.7, 0.3]), 0)
    labels, n_labels = ndimage.label(reached, np.ones((3, 3)))
    regions = [np.flatnonzero(labels == label + 1) for label in range(n_labels)]
    expected = sorted(flat.tolist() for flat in regions if (reached.ravel()[flat] == IN_PEAK).any())
    assert as_lists(*connected_pixels(reached.astype(np.uint8))) == expected
    assert expected


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
    offsets, flat = connected_pixels(np.where(rng.uniform(size=(ny, nx)) < 0.2, IN_PEAK, 0).astype(np.uint8))
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
