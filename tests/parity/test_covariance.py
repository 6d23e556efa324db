from __future__ import annotations

import numpy as np
import pytest

from trap.extraction.correlation import valid_correlation
from trap.kernels import covariance
from trap.kernels.covariance import fit_covariances
from trap.kernels.gaussian import slopes_at

ONE = np.array([[9.0, 8.3, 7.8, 0.20, 0.05, 0.15]])
TWO = np.concatenate([ONE, [[6.0, 12.9, 10.1, 0.22, -0.03, 0.18]]])
V, U = np.mgrid[-6:7, -6:7]
CORRELATION = np.exp(-(0.2 * U**2 + 0.1 * U * V + 0.15 * V**2) / 4)


def twin(x, y, parameters, n_free):
    """Dense matrices."""
    jacobian = np.zeros((x.size, len(parameters), n_free))
    for i in range(x.size):
        slopes, active = np.empty((len(parameters), 6)), np.empty(len(parameters), np.intp)
        n, _ = slopes_at(x[i], y[i], parameters, n_free, slopes, active)
        jacobian[i, active[:n]] = slopes[:n, :n_free]
    jacobian = jacobian.reshape(x.size, -1)
    u, v = np.subtract.outer(x, x), np.subtract.outer(y, y)
    near = (np.abs(u) <= 6) & (np.abs(v) <= 6)
    noise = np.where(near, CORRELATION[np.clip(v, -6, 6) + 6, np.clip(u, -6, 6) + 6], 0.0)
    inverse = np.linalg.inv(jacobian.T @ jacobian)
    whole = inverse @ jacobian.T @ noise @ jacobian @ inverse
    return np.array([whole[k : k + n_free, k : k + n_free] for k in range(0, len(whole), n_free)])


# More components at a pixel than there is room for at first.
SIX = np.concatenate([TWO + np.array([0, shift, -shift / 2, 0, 0, 0]) for shift in (-5.0, 0.0, 5.0)])


@pytest.mark.parametrize("parameters", [ONE, TWO, SIX])
@pytest.mark.parametrize("n_free", [1, 3, 6])
def test_covariances_are_those_of_dense_matrices(parameters, n_free):
    y, x = (a.ravel()[np.random.default_rng(8).uniform(size=a.size) < 0.7] for a in np.mgrid[0:18, 0:20])
    size = min(x.size, y.size)
    flat = np.unique(y[:size] * 20 + x[:size])
    y, x = np.divmod(flat, 20)
    offsets, first = np.array([0, x.size]), np.array([0, len(parameters)])
    found = fit_covariances(offsets, (x, y), first, parameters, n_free, CORRELATION)
    assert found == pytest.approx(twin(x, y, parameters, n_free), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize(
    "wide",
    [
        [[9.0, 40.0, 40.0, 0.004, 0.0, 0.003]],
        [[9.0, 25.0, 40.0, 0.01, 0.0, 0.008], [7.0, 55.0, 35.0, 0.012, 0.0, 0.01]],
    ],
)
def test_sample_of_the_pixels_of_a_large_island_gives_the_same(wide):
    wide = np.array(wide)
    y, x = (a.ravel() for a in np.mgrid[10:66, 10:66])
    assert x.size > 2 * covariance.MAX_PIXELS
    offsets, first = np.array([0, x.size]), np.array([0, len(wide)])
    found = fit_covariances(offsets, (x, y), first, wide, 6, CORRELATION)
    for block, expected in zip(found, twin(x, y, wide, 6), strict=True):
        assert block.diagonal() == pytest.approx(expected.diagonal(), rel=0.1)


def test_failed_fit_has_no_covariance():
    parameters = np.concatenate([np.full((1, 6), np.nan), ONE])
    y, x = (np.tile(a.ravel(), 2) for a in np.mgrid[0:15, 0:15])
    found = fit_covariances(np.array([0, 225, 450]), (x, y), np.array([0, 1, 2]), parameters, 3, CORRELATION)
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1]).all()


@pytest.mark.parametrize("form", [0.8, 0.2], ids=["all pixels", "coarser grid"])
def test_errors_of_a_large_irregular_island_are_a_covariance(form):
    rng = np.random.default_rng(4)
    y, x = np.divmod(np.flatnonzero(rng.uniform(size=110 * 90) < 0.35), 90)
    grid = np.stack(np.meshgrid(np.arange(6.0, 90, 11), np.arange(6.0, 110, 11)), axis=-1).reshape(-1, 2)
    # Each with a companion within its width: the difference of such a pair is poorly known.
    centres = np.concatenate([grid, grid + rng.uniform(2, 3, grid.shape)])
    n = len(centres)
    crowd = np.column_stack([rng.uniform(1, 100, n), centres, np.tile([0.05, 0.02, 0.04], (n, 1))])
    v, u = np.mgrid[-12:13, -12:13]
    noise = valid_correlation(np.exp(-form * (u**2 + v**2) / 4))
    # An island of 3,500 pixels.
    found = fit_covariances(np.array([0, x.size]), (x, y), np.array([0, n]), crowd, 3, noise)
    scale = np.sqrt(abs(np.diagonal(found, axis1=1, axis2=2)))
    assert np.linalg.eigvalsh(found / scale[:, np.newaxis] / scale[..., np.newaxis]).min() > 0
