"""Checks of the pixels of an image: whether they show the sky, and whether the noise is acceptable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.stats import sigma_clip

from trap.codes import RejectReason
from trap.quality.reasons import Verdict
from trap.quality.records import Check, has_beam, has_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.quality.records import ImageInput
    from trap.typing import Array

__all__ = [
    "ASYMMETRY",
    "FLAT",
    "NAN",
    "OFF_SKY",
    "PSF",
    "RMS",
    "check_asymmetry",
    "check_flat",
    "check_nan",
    "check_off_sky",
    "check_psf",
    "check_rms",
    "rms_qc",
]

_CLIP_SIGMA = 4.0
_MAX_PIXELS = 1 << 14
"""Number of pixels from which the asymmetry of noise follows to a percent."""
_CHANCE_SIGMA = 5.0
"""Allowance for chance, in units of the ratio's error: one over the square root of the number of independent values."""
_PEAK_TOLERANCE = 0.02
"""Largest difference between 1 and the peak of a point-spread function."""
_ANNULUS = (3.0, 8.0)
"""Distances from the peak, in beam widths, between which the sidelobes are compared."""
_MIN_SYMMETRY = 0.9
"""Correlation, above which an image is a point-spread function, of the sidelobes with themselves turned by 180°.
LOFAR's point-spread functions with wide-field effects have 0.97, real images of the sky up to 0.2."""
_MIN_SIDELOBES = 1e-3
"""Smallest standard deviation of sidelobes, as a share of the peak."""
_MIN_ANNULUS_PIXELS = 50


def rms_qc(data: NDArray[Any], *, sigma: float, fraction: int) -> float:
    """Measure the noise in the central region of an image by clipping about the median (TraP's ``rms_qc``).

    Parameters
    ----------
    data
        (ny, nx) Jy/beam — pixels. Those without a finite value are left out. (In TraP a single one of them made the
        noise of the whole image NaN.)
    sigma
        Number of standard deviations from the median beyond which values are clipped. Clipping is repeated until no
        value is removed.
    fraction
        f, where the central region has sides of 2·⌊n/f⌋ pixels.

    Returns
    -------
    float
        Jy/beam — root mean square of the remaining values about their median; NaN if no value remains, as happens
        only in a region without finite values, or with ``sigma`` below √2.
    """
    region = data[tuple(_central(size, fraction) for size in data.shape)]
    values = _clipped(region[np.isfinite(region)].astype(float), sigma)
    return float(np.sqrt(np.mean((values - np.median(values)) ** 2))) if values.size else float("nan")


def _clipped(values: Array, sigma: float) -> Array:
    """Return finite values without outliers from the median, clipping until no value is removed."""
    clipped: Array = sigma_clip(values, sigma, maxiters=None, cenfunc="median", stdfunc="std", masked=False)
    return clipped


def _central(size: int, fraction: int) -> slice:
    middle, half = size // 2, size // fraction
    # An axis shorter than f pixels would have no central part at all.
    return slice(middle - half, middle + half) if half else slice(None)


def check_flat(image: ImageInput) -> Verdict:
    """Check that the finite pixels are not all the same."""
    values = image.data[np.isfinite(image.data)]
    if not values.size:
        return Verdict(True, "no pixel has a value")
    low, high = float(values.min()), float(values.max())
    if low == high:
        return Verdict(False, f"all pixels are {low:g}")
    return Verdict(True, f"pixels from {low:g} to {high:g} Jy/beam")


FLAT = Check(
    name="flat",
    setting="check_flat",
    reason=RejectReason.FLAT,
    fails_if="all pixels are the same",
    function=check_flat,
)


def check_nan(image: ImageInput) -> Verdict:
    """Check that no more than the share ``max_nan_share`` of the pixels is without a value."""
    data, max_share = image.data, image.config.quality.max_nan_share
    share = 1.0 - float(np.isfinite(data).mean()) if data.size else 1.0
    if share == 1:
        return Verdict(False, "no pixel has a finite value")
    comment = f"{share:.2%} of the pixels without a value, at most {max_share:.2%}"
    return Verdict(share <= max_share, comment)


NAN = Check(
    name="nan",
    setting="check_nan",
    reason=RejectReason.NAN,
    fails_if="no pixel has a value, or a larger share than `max_nan_share` has none",
    function=check_nan,
)


def check_off_sky(image: ImageInput) -> Verdict:
    """Check that no more than the share ``max_off_sky`` of the pixels has no position on the sky."""
    share, max_share = image.off_sky, image.config.quality.max_off_sky
    comment = f"{share:.2%} of the pixels off the sky, at most {max_share:.2%} (quality.max_off_sky)"
    return Verdict(share <= max_share, comment)


OFF_SKY = Check(
    name="off_sky",
    setting="check_off_sky",
    reason=RejectReason.NAN,
    fails_if="a larger share of the pixels than `max_off_sky` has no position on the sky",
    function=check_off_sky,
)


def check_rms(image: ImageInput) -> Verdict:
    """Check that the noise lies strictly between its limits; NaN fails."""
    rms, config = image.rms, image.config.quality
    figures = f"{rms:g}, {config.rms_est_min:g} and {config.rms_est_max:g} Jy/beam"
    if config.rms_est_min < rms < config.rms_est_max:
        return Verdict(True, f"RMS value within min and max: {figures}")
    return Verdict(False, f"RMS value not within min and max: {figures}")


RMS = Check(
    name="rms",
    setting="check_rms",
    reason=RejectReason.RMS,
    fails_if="the noise of the central region is outside `rms_est_min` and `rms_est_max`",
    function=check_rms,
    needs=(has_values,),
)


def check_asymmetry(image: ImageInput) -> Verdict:
    """Compare the noise above the median with the noise below it, after clipping.

    The ratio is 1 for Gaussian noise and 1.44 for a polarised intensity (Rayleigh noise). Bright sources that are
    poorly cleaned raise it too. In a small image chance alone can exceed the limit, so the limit is widened by
    ``_CHANCE_SIGMA`` / √n, where n is the number of beam areas with a value.
    """
    data, metadata = image.data, image.metadata
    is_finite = np.isfinite(data)
    values = data[is_finite]
    n_finite = values.size
    sample = values[:: max(1, n_finite // _MAX_PIXELS)].astype(float)
    clipped = _clipped(sample, _CLIP_SIGMA)
    offsets = clipped - np.median(clipped) if clipped.size else clipped
    above, below = _rms_of(offsets[offsets > 0]), _rms_of(offsets[offsets < 0])
    if not (above > 0 and below > 0):
        return Verdict(True, "no noise on both sides of the median")
    # Noise is the same within the area of a beam.
    beam_area = 1.0 if metadata.beam is None else metadata.beam.area_pixels(metadata.deltax, metadata.deltay)
    n_independent = max(1.0, n_finite / max(1.0, beam_area))
    limit = image.config.quality.max_asymmetry + _CHANCE_SIGMA / np.sqrt(n_independent)
    comment = f"noise {above:g} above and {below:g} below the median: {above / below:.2f}, limit {limit:.2f}"
    return Verdict(bool(max(above / below, below / above) <= limit), comment)


ASYMMETRY = Check(
    name="asymmetry",
    setting="check_asymmetry",
    reason=RejectReason.NOT_GAUSSIAN,
    fails_if="the noise above and below the median differs by more than the factor `max_asymmetry`",
    function=check_asymmetry,
    needs=(has_values,),
)


def _rms_of(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else 0.0


def check_psf(image: ImageInput) -> Verdict:
    """Check that an image is not a point-spread function.

    A point-spread function is the Fourier transform of a real weighting: it is 1 at its peak, and symmetric about it.
    """
    data, metadata = image.data, image.metadata
    if metadata.beam is None:
        return Verdict(True, "no beam")
    if not image.any_finite:
        return Verdict(True, "no pixel has a value")
    row, column = (int(index) for index in np.unravel_index(int(np.nanargmax(data)), data.shape))
    peak = float(data[row, column])
    if abs(peak - 1) > _PEAK_TOLERANCE:
        return Verdict(True, f"peak {peak:g}, not 1")
    width_pix = 2 * metadata.beam.semi_axes_pixels(metadata.deltax, metadata.deltay)[0]
    correlation = _symmetry(data, row, column, width_pix)
    comment = f"peak {peak:g} at pixel ({column}, {row}), sidelobes symmetric about it to {correlation:.3f}"
    # An unknown correlation, NaN, passes.
    return Verdict(not correlation > _MIN_SYMMETRY, comment)


PSF = Check(
    name="psf",
    setting="check_psf",
    reason=RejectReason.POINT_SPREAD,
    fails_if="the peak is 1 and the sidelobes are the same when turned by 180°",
    function=check_psf,
    needs=(has_values, has_beam),
)


def _symmetry(data: NDArray[Any], row: int, column: int, width_pix: float) -> float:
    """Correlate the annulus around a pixel with itself turned by 180°; NaN if it has too few pixels or no sidelobes.

    Parameters
    ----------
    data
        (ny, nx) Jy/beam — pixels.
    row, column
        Array indices of the centre.
    width_pix
        pix — full width of the beam at half maximum.
    """
    ny, nx = data.shape
    reach = min(int(np.ceil(_ANNULUS[1] * width_pix)), row, column, ny - 1 - row, nx - 1 - column)
    part = data[row - reach : row + reach + 1, column - reach : column + reach + 1].astype(float)
    y, x = np.indices(part.shape) - reach
    turned = part[::-1, ::-1]
    in_annulus = (np.hypot(x, y) > _ANNULUS[0] * width_pix) & np.isfinite(part) & np.isfinite(turned)
    one, other = part[in_annulus], turned[in_annulus]
    if one.size < _MIN_ANNULUS_PIXELS or one.std() < _MIN_SIDELOBES:
        return float("nan")
    return float(np.corrcoef(one, other)[0, 1])
