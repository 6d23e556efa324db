"""How alike the noise of two pixels is, by their distance: what all errors rest on.

Noise in a radio image is smooth on the scale of the beam, so neither do errors shrink with the number
of pixels, nor is the scatter within a small cell all the scatter there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

from trap.extraction.correlation import beam_correlation
from trap.extraction.field import grown_mask

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.extraction.field import Field
    from trap.typing import Array


__all__ = ["measure_correlation"]

TILE = 256
"""Side of the parts of the image on which the noise is looked at, in pixels."""
COARSE = 8
"""Every which pixel is looked at to choose them; divides the side."""
N_TILES = 4
"""How many of them, and at most every fourth of an image's: each gives the correlation to 2 % with a beam of 5 pixels,
and takes as long as finding the sources in it."""
FREE_SIGMA = 4.0
"""Around pixels that stand out by this much, up or down, the noise is not looked at."""
LEAST_SAMPLES = 300.0
"""Independent patches of noise below which the beam says more about it than they do."""


def measure_correlation(field: Field) -> Array:
    """Measure the autocorrelation of the noise where no source shines.

    Parameters
    ----------
    field
        The searched field. Its beam gives the size of the table, and the values if there is too little empty sky.

    Returns
    -------
    (2 m + 1, 2 m + 1)
        At lags -m to m pixels along y and x.
    """
    beam = field.beam
    expected = beam_correlation(beam)
    m = expected.shape[0] // 2
    sums = [_lag_sums(field.significance(*tile), beam, m) for tile in _emptiest_tiles(field)]
    products, pairs = (np.sum(parts, axis=0) for parts in zip(*sums, strict=True))
    variance = products[m, m] / max(pairs[m, m], 1.0)
    if pairs[m, m] < LEAST_SAMPLES * expected.sum() or variance <= 0 or pairs.min() < 1:
        return expected
    measured: Array = products / pairs / variance
    return measured


def _emptiest_tiles(field: Field) -> list[tuple[slice, slice]]:
    """The tiles with the most pixels that count."""
    ny, nx = field.data.shape
    tiles = [
        (slice(y, y + TILE), slice(x, x + TILE))
        for y in range(0, max(ny - TILE // 2, 1), TILE)
        for x in range(0, max(nx - TILE // 2, 1), TILE)
    ]
    # A coarse look will do.
    is_free = np.abs(field.significance(slice(None, None, COARSE), slice(None, None, COARSE))) < FREE_SIGMA
    n_good = [
        np.count_nonzero(is_free[tuple(slice(s.start // COARSE, s.stop // COARSE) for s in tile)]) for tile in tiles
    ]
    n_tiles = min(N_TILES, -(-len(tiles) // N_TILES))
    return [tiles[i] for i in np.argsort(n_good)[::-1][:n_tiles]]


def _lag_sums(tile: NDArray[np.float32], beam: Array, m: int) -> tuple[Array, Array]:
    """Sums over all pairs of free pixels at each lag: of the products of their values, and of ones."""
    a, b, c = beam
    fwhm_y, fwhm_x = (np.sqrt(8 * np.log(2) * part / (a * c - b**2)) for part in (a, c))
    stands_out = np.isfinite(tile) & (np.abs(tile) >= FREE_SIGMA)
    near_sources = grown_mask(stands_out, half_y=int(np.ceil(fwhm_y)), half_x=int(np.ceil(fwhm_x)))
    free = np.isfinite(tile) & ~near_sources
    shape = [fft.next_fast_len(max(n, m + 1) + m, real=True) for n in tile.shape]
    sums = []
    for values in (np.where(free, tile, np.float32(0)), free.astype(np.float32)):
        transform = fft.rfft2(values, shape)
        lags = fft.irfft2(transform.real**2 + transform.imag**2, shape)
        sums.append(np.asarray(np.roll(lags, (m, m), (0, 1))[: 2 * m + 1, : 2 * m + 1], float))
    return sums[0], np.round(sums[1])
