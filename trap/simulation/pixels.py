"""The pixels of a simulated image: point sources with the shape of the beam, and noise correlated over the beam."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.typing import Array


__all__ = ["broadened_form", "noise_transfer", "render_noise", "render_sources"]

_STAMP_FWHMS = 3.0
"""Half size of the box around a source, in beam widths: the beam has fallen to 10⁻¹¹ of its peak there."""
_SOURCES_AT_ONCE = 64
_EIGHT_LN2 = 8 * np.log(2)


def render_sources(
    x: Array, y: Array, flux: Array, *, beam_form: tuple[float, float, float], shape: tuple[int, int]
) -> Array:
    """Draw point sources: the beam at their exact positions, sampled at the centres of the pixels.

    Parameters
    ----------
    x, y
        (n,) pix — positions; the centre of the first pixel is (0, 0).
    flux
        (n,) Jy — flux densities.
    beam_form
        (3,) pix⁻² — coefficients (a, b, c) of :meth:`trap.images.beam.Beam.quadratic_form`.
    shape
        Numbers of rows and columns.

    Returns
    -------
    (ny, nx) Jy/beam
    """
    a, b, c = beam_form
    # The smaller eigenvalue of the form belongs to the major axis.
    smaller_eigenvalue = float((a + c) / 2 - np.hypot((a - c) / 2, b))
    half = int(np.ceil(_STAMP_FWHMS * np.sqrt(_EIGHT_LN2 / smaller_eigenvalue)))
    steps = np.arange(-half, half + 1)
    pixels = np.zeros(shape)
    # A few sources at a time, so that many wide stamps do not fill the memory.
    for start in range(0, len(x), _SOURCES_AT_ONCE):
        # Axes of the stamps: source, row, column.
        some = np.s_[start : start + _SOURCES_AT_ONCE, np.newaxis, np.newaxis]
        columns = np.rint(x).astype(int)[some] + steps
        rows = np.rint(y).astype(int)[some] + steps[:, np.newaxis]
        u, v = columns - x[some], rows - y[some]
        values = flux[some] * np.exp(-0.5 * (a * u**2 + 2 * b * u * v + c * v**2))
        inside = (columns >= 0) & (columns < shape[1]) & (rows >= 0) & (rows < shape[0])
        rows, columns = np.broadcast_arrays(rows, columns)
        # Stamps overlap, so the sum must be unbuffered.
        np.add.at(pixels, (rows[inside], columns[inside]), values[inside])
    return pixels


def broadened_form(beam_form: tuple[float, float, float], lowered: float) -> tuple[float, float, float]:
    """Convolve the beam with a circular Gaussian that lowers its peak.

    Phase errors that are uncorrelated between antennas convolve an image in this way.

    Parameters
    ----------
    beam_form
        (3,) pix⁻² — as for :func:`render_sources`.
    lowered
        Fraction by which the peak of a source is lowered, from 0 to below 1. Its integral stays.

    Returns
    -------
    (3,) pix⁻²
    """
    if lowered == 0:
        return beam_form
    a, b, c = beam_form
    determinant = a * c - b**2
    # The covariance is the inverse of the form. Its trace and determinant are those of the variances along the axes.
    trace, product = (a + c) / determinant, 1 / determinant
    # The area grows as the root of the determinant: (u + t) (v + t) = u v / (1 − lowered)², for the variances u and v.
    variance = (np.sqrt(trace**2 + 4 * product * ((1 - lowered) ** -2 - 1)) - trace) / 2
    broadened = np.linalg.inv(np.array([[c, -b], [-b, a]]) / determinant + variance * np.eye(2))
    return float(broadened[0, 0]), float(broadened[0, 1]), float(broadened[1, 1])


def noise_transfer(beam_form: tuple[float, float, float], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Compute the Fourier transform of the beam, normalised to keep the variance of white noise.

    Parameters
    ----------
    beam_form, shape
        As for :func:`render_sources`.

    Returns
    -------
    (ny, nx // 2 + 1)
        Non-negative frequencies along x, for :func:`render_noise`. All images of one shape and beam
        share it.
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
    """Draw noise of unit variance that is correlated on the scale of the beam.

    White noise is convolved with the beam in Fourier space, so the noise is periodic at the edges.

    Parameters
    ----------
    rng
        Source of the random numbers.
    transfer
        (ny, nx // 2 + 1) — from :func:`noise_transfer`.
    shape
        Numbers of rows and columns.

    Returns
    -------
    (ny, nx)
    """
    white = rng.standard_normal(shape, dtype=np.float32)
    noise: NDArray[np.float32] = fft.irfft2(fft.rfft2(white) * transfer, s=shape)
    return noise
