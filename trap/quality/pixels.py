"""What the pixels alone tell of an image: whether they are the sky, and what the noise is like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trap.quality.reasons import Verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.config import QualityConfig

__all__ = ["check_asymmetry", "check_flat", "check_nan", "check_psf", "check_rms", "rms_qc"]

_CLIP_SIGMA = 4.0
_MOST_PIXELS = 1 << 14
"""As many pixels tell the asymmetry of noise to a percent."""
_CHANCE_SIGMA = 5.0
"""The error of the ratio is about one over the square root of the number of independent values."""
_NORMALISED = 0.02
"""A point-spread function is 1 at its peak; this far it may be off."""
_ANNULUS = (3.0, 8.0)
"""Between these distances from the peak, in widths of the beam, the sidelobes are compared."""
_SYMMETRIC = 0.9
"""Correlation of the sidelobes with themselves turned by 180°. LOFAR's with wide-field effects have 0.97, real
images of the sky up to 0.2."""
_LEAST_SIDELOBES = 1e-3
_LEAST_ANNULUS = 50


def rms_qc(data: NDArray[Any], *, sigma: float, fraction: int) -> float:
    """Noise in the middle of an image, clipped about the median (TraP's ``rms_qc``).

    Parameters
    ----------
    data
        (ny, nx) Jy/beam — pixels without a finite value are left out. (TraP gives up on the
        whole image for a single one.)
    sigma
        Values farther than this many standard deviations from the median are clipped, again and
        again until none is.
    fraction
        f: the region is the central one of side 2·⌊n/f⌋ pixels on each axis.

    Returns
    -------
    float
        Jy/beam — root mean square about the median of what is left; NaN where the region holds
        no finite value.
    """
    region = data[tuple(_central(size, fraction) for size in data.shape)]
    values = _clipped(region[np.isfinite(region)].astype(float), sigma)
    return float(np.sqrt(np.mean((values - np.median(values)) ** 2))) if values.size else float("nan")


def _clipped(values: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Values without those far from the median, clipped again and again."""
    while values.size:
        kept = values[np.abs(values - np.median(values)) <= sigma * values.std()]
        if kept.size in (0, values.size):
            break
        values = kept
    return values


def _central(size: int, fraction: int) -> slice:
    middle, half = size // 2, size // fraction
    # An axis shorter than f pixels would have no central part at all.
    return slice(middle - half, middle + half) if half else slice(None)


def check_flat(data: NDArray[Any]) -> Verdict:
    """See whether the pixels differ; those without a value do not count."""
    values = data[np.isfinite(data)]
    if not values.size:
        return Verdict(True, "no pixel has a value")
    low, high = float(values.min()), float(values.max())
    if low == high:
        return Verdict(False, f"all pixels are {low:g}")
    return Verdict(True, f"pixels from {low:g} to {high:g} Jy/beam")


def check_nan(data: NDArray[Any], config: QualityConfig) -> Verdict:
    """See how many pixels have no value."""
    share = 1.0 - float(np.isfinite(data).mean()) if data.size else 1.0
    if share == 1:
        return Verdict(False, "no pixel has a finite value")
    comment = f"{share:.2%} of the pixels without a value, at most {config.max_nan_share:.2%}"
    return Verdict(share <= config.max_nan_share, comment)


def check_rms(rms: float, config: QualityConfig) -> Verdict:
    """See whether the noise is strictly between its limits; NaN is not."""
    figures = f"{rms:g}, {config.rms_est_min:g} and {config.rms_est_max:g} Jy/beam"
    if config.rms_est_min < rms < config.rms_est_max:
        return Verdict(True, f"RMS value within min and max: {figures}")
    return Verdict(False, f"RMS value not within min and max: {figures}")


def check_asymmetry(data: NDArray[Any], config: QualityConfig, *, beam_area_pix: float = 1.0) -> Verdict:
    """Compare the noise above the median with that below it, after clipping.

    Gaussian noise gives 1, a polarised intensity (Rayleigh noise) 1.44. Bright sources that are poorly cleaned
    raise it too. In a small image chance makes more of a difference than the limit, which is widened by that.

    Parameters
    ----------
    data
        (ny, nx) Jy/beam
    beam_area_pix
        pix — area within which noise is the same.
    """
    values = data[np.isfinite(data)]
    values = _clipped(values[:: max(1, values.size // _MOST_PIXELS)].astype(float), _CLIP_SIGMA)
    offsets = values - np.median(values) if values.size else values
    above, below = (float(np.sqrt(np.mean(side**2))) if side.size else 0.0 for side in (_up(offsets), _up(-offsets)))
    if not (above > 0 and below > 0):
        return Verdict(True, "no noise on both sides of the median")
    n_independent = max(1.0, np.count_nonzero(np.isfinite(data)) / max(1.0, beam_area_pix))
    limit = config.max_asymmetry + _CHANCE_SIGMA / np.sqrt(n_independent)
    comment = f"noise {above:g} above and {below:g} below the median: {above / below:.2f}, limit {limit:.2f}"
    return Verdict(bool(max(above / below, below / above) <= limit), comment)


def _up(offsets: NDArray[np.float64]) -> NDArray[np.float64]:
    return offsets[offsets > 0]


def check_psf(data: NDArray[Any], width_pix: float) -> Verdict:
    """See whether an image is a point-spread function.

    That is the Fourier transform of a real weighting: 1 at its peak, and the same when turned by 180° about it.

    Parameters
    ----------
    data
        (ny, nx) Jy/beam
    width_pix
        pix — full width of the beam at half maximum.
    """
    if not np.isfinite(data).any():
        return Verdict(True, "no pixel has a value")
    row, column = (int(place) for place in np.unravel_index(int(np.nanargmax(data)), data.shape))
    peak = float(data[row, column])
    if abs(peak - 1) > _NORMALISED:
        return Verdict(True, f"peak {peak:g}, not 1")
    correlation = _symmetry(data, row, column, width_pix)
    comment = f"peak {peak:g} at pixel ({column}, {row}), sidelobes symmetric about it to {correlation:.3f}"
    return Verdict(not correlation > _SYMMETRIC, comment)


def _symmetry(data: NDArray[Any], row: int, column: int, width_pix: float) -> float:
    """Correlation of what is around a pixel with itself turned by 180°; NaN where there is too little of it."""
    ny, nx = data.shape
    reach = min(int(np.ceil(_ANNULUS[1] * width_pix)), row, column, ny - 1 - row, nx - 1 - column)
    part = data[row - reach : row + reach + 1, column - reach : column + reach + 1].astype(float)
    y, x = np.indices(part.shape) - reach
    turned = part[::-1, ::-1]
    chosen = (np.hypot(x, y) > _ANNULUS[0] * width_pix) & np.isfinite(part) & np.isfinite(turned)
    one, other = part[chosen], turned[chosen]
    if one.size < _LEAST_ANNULUS or one.std() < _LEAST_SIDELOBES:
        return float("nan")
    return float(np.corrcoef(one, other)[0, 1])
