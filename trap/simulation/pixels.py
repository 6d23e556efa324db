"""The pixels of a simulated image: point sources under the beam, and noise as correlated as real noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.typing import Array


__all__ = ["noise_transfer", "render_noise", "render_sources"]

# Where the beam has fallen to 10⁻¹¹ of its peak.
_STAMP_FWHMS = 3.0
_EIGHT_LN2 = 8 * np.log(2)


def render_sources(
    x: Array, y: Array, flux: Array, *, beam_form: tuple[float, float, float], shape: tuple[int, int]
) -> Array:
    """Draw point sources: the beam sampled at the centres of the pixels, at the exact positions.

    Parameters
    ----------
    x, y
        (n,) pix — positions; the centre of the first pixel is (0, 0).
    flux
        (n,) Jy — flux densities.
    beam_form
        pixel⁻² — coefficients of :meth:`trap.images.beam.Beam.quadratic_form`.
    shape
        Rows and columns.

    Returns
    -------
    (ny, nx) Jy/beam
    """
    a, b, c = beam_form
    half = int(np.ceil(_STAMP_FWHMS * np.sqrt(_EIGHT_LN2 / _smallest_eigenvalue(a, b, c))))
    steps = np.arange(-half, half + 1)
    columns = np.rint(x).astype(int)[:, np.newaxis, np.newaxis] + steps
    rows = np.rint(y).astype(int)[:, np.newaxis, np.newaxis] + steps[:, np.newaxis]
    u, v = columns - x[:, np.newaxis, np.newaxis], rows - y[:, np.newaxis, np.newaxis]
    values = flux[:, np.newaxis, np.newaxis] * np.exp(-0.5 * (a * u**2 + 2 * b * u * v + c * v**2))
    inside = (columns >= 0) & (columns < shape[1]) & (rows >= 0) & (rows < shape[0])
    pixels = np.zeros(shape)
    rows, columns = np.broadcast_arrays(rows, columns)
    np.add.at(pixels, (rows[inside], columns[inside]), values[inside])
    return pixels


def noise_transfer(beam_form: tuple[float, float, float], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Fourier transform of the beam, normalised so that white noise keeps its variance.

    Parameters
    ----------
    beam_form
        pixel⁻² — coefficients of :meth:`trap.images.beam.Beam.quadratic_form`.
    shape
        Rows and columns.

    Returns
    -------
    (ny, nx // 2 + 1)
        What :func:`render_noise` needs, once for all images of one shape.
    """
    a, b, c = beam_form
    covariance = np.linalg.inv(np.array([[a, b], [b, c]]))
    fy, fx = fft.fftfreq(shape[0])[:, np.newaxis], fft.fftfreq(shape[1])
    exponent = covariance[0, 0] * fx**2 + 2 * covariance[0, 1] * fx * fy + covariance[1, 1] * fy**2
    transform = np.exp(-2 * np.pi**2 * exponent)
    transform /= np.sqrt(np.mean(transform**2))
    half: NDArray[np.float32] = transform[:, : shape[1] // 2 + 1].astype(np.float32)
    return half


def render_noise(
    rng: np.random.Generator, transfer: NDArray[np.float32], shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Draw noise of unit variance, correlated on the scale of the beam.

    White noise convolved with the beam, by way of the Fourier transform; it wraps at the edges.

    Parameters
    ----------
    rng
        Source of randomness.
    transfer
        From :func:`noise_transfer`.
    shape
        Rows and columns.

    Returns
    -------
    (ny, nx)
    """
    white = rng.standard_normal(shape, dtype=np.float32)
    noise: NDArray[np.float32] = fft.irfft2(fft.rfft2(white) * transfer, s=shape)
    return noise


def _smallest_eigenvalue(a: float, b: float, c: float) -> float:
    """Of a symmetric 2 by 2 matrix: for a beam, that of its major axis."""
    return float((a + c) / 2 - np.hypot((a - c) / 2, b))
