from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from photutils.segmentation import detect_sources

from trap.kernels.islands import AT_EDGE, AT_GAP, fit_footprints, list_islands, touching


def by_photutils(significance, analysis, detection):
    """Sets of the pixels of each island, in the order of their labels."""
    if not (significance >= detection).any():
        return []
    labels = detect_sources(significance, np.nextafter(np.float32(analysis), np.float32(-np.inf)), n_pixels=1).data
    kept = np.unique(labels[significance >= detection])
    islands = [np.flatnonzero(labels == label).tolist() for label in kept]
    return sorted(islands, key=lambda pixels: pixels[0])


def as_lists(offsets, flat):
    return [flat[start:end].tolist() for start, end in pairwise(offsets)]


@pytest.mark.parametrize("density", [0.05, 0.3, 0.45, 0.6, 0.9])
@pytest.mark.parametrize("shape", [(40, 60), (1, 30), (30, 1), (3, 3)])
def test_islands_are_photutils(density, shape):
    rng = np.random.default_rng(int(100 * density))
    for _ in range(5):
        significance = np.where(rng.uniform(size=shape) < density, rng.uniform(3, 6, shape), -np.inf).astype(np.float32)
        assert as_lists(*list_islands(significance, 3.0, 5.0)) == by_photutils(significance, 3.0, 5.0)


@given(st.lists(st.lists(st.sampled_from([0.0, 3.0, 5.0]), min_size=6, max_size=6), min_size=1, max_size=6))
def test_small_islands_of_any_form_are_photutils(rows):
    significance = np.array(rows, np.float32)
    assert as_lists(*list_islands(significance, 3.0, 5.0)) == by_photutils(significance, 3.0, 5.0)


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
    significance = np.where(rng.uniform(size=(ny, nx)) < 0.2, 6.0, -np.inf).astype(np.float32)
    offsets, flat = list_islands(significance, 3.0, 5.0)
    y, x = np.divmod(flat, nx)
    mask = rng.uniform(size=(ny, nx)) < 0.1
    n = offsets.size - 1
    counts = rng.integers(1, 3, n)
    first = np.concatenate([[0], np.cumsum(counts)])
    centres = rng.uniform(-2, 52, (first[-1], 2))
    form = np.array([0.2, 0.05, 0.1])
    found = as_lists(*fit_footprints((offsets, x, y), mask, first, centres, form, np.full(n, keep)))
    v, u = np.mgrid[0:ny, 0:nx]
    taken = np.zeros((ny, nx), bool)
    taken[y, x] = True
    for i in range(n):
        own, near = np.zeros((ny, nx), bool), np.zeros((ny, nx), bool)
        own.ravel()[flat[offsets[i] : offsets[i + 1]]] = True
        for cx, cy in centres[first[i] : first[i + 1]]:
            du, dv = u - cx, v - cy
            near |= form[0] * du**2 + 2 * form[1] * du * dv + form[2] * dv**2 <= 1
        wanted = ((near & (own | ~taken)) | (own & keep)) & ~mask
        assert found[i] == np.flatnonzero(wanted).tolist()
