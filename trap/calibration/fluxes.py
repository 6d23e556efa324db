"""The flux scale of an image: its gain against a reference, by bright, compact and isolated sources.

The flux densities I of the image and R of the reference both have errors, so that the line I = g R is fitted by the
method of effective variance (York 1966): each source weighs by the variance of I − g R, and enters with the best value
of its flux density from both. Variables are kept from deciding in three ways: they lose their weight if they lie off
the line, no source weighs more than a relative error of one per cent, and no source takes part in its own correction.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trap.calibration.records import FluxScale, OwnGains
from trap.calibration.scatter import biweight, excess_variance

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.calibration.calibrators import Matches
    from trap.config import CalibrationConfig
    from trap.typing import Array

__all__ = ["solve_flux_scale"]

FLOOR = 0.01
"""Relative error that no source goes below when it is weighed: more than that, steady sources scintillate."""
OUTLIER = 4.685
"""Residual, in σ, from which a source has no weight. With this limit, Gaussian errors cost 5 % of the information."""
MAX_SHARE = 0.05
"""Largest share of one source in the gain, if there are enough sources."""
N_PASSES = 10
"""Passes of gain, weights and scatter. They settle in a few."""
MAX_GAIN = 3.0
"""Largest gain, and inverse of the least, that is applied: a larger one is a wrong unit or a wrong match."""
MIN_LEFT = 2
"""Least number of calibrators with weight, besides a source's own, that the gain of this source needs."""


class _Line(NamedTuple):
    """A fitted line: gain, offset, scatter, and the weight and best flux density of each source."""

    gain: float
    offset: float
    scatter: float
    weight: Array
    best: Array


def solve_flux_scale(
    matches: Matches, settings: CalibrationConfig, *, reference: str, is_varying: bool
) -> tuple[FluxScale, OwnGains | None]:
    """Measure the gain of an image.

    Parameters
    ----------
    matches
        Calibrators with flux densities in image and reference.
    settings
        Least numbers and significance; mode; offset.
    reference
        Name of the reference.
    is_varying
        Whether the gains of earlier images vary: the gain is then applied always.

    Returns
    -------
    scale
        Gain and what is applied.
    own
        Gains for the calibrators themselves; None if nothing is applied.
    """
    usable = _usable(matches, settings)
    chosen = matches.take(usable)
    n = len(chosen)
    if n < settings.min_matches:
        note = f"{n} matched calibrators with flux densities, at least {settings.min_matches} (calibration.min_matches)"
        return FluxScale(reference=reference, n_matches=n, note=note), None
    line = _fit_line(chosen, with_offset=settings.flux_offset)
    own_variance = chosen.f_int_err**2 + (line.scatter * line.gain * line.best) ** 2
    lever = line.weight * line.best
    information = float((lever * chosen.ref_f_int).sum())
    gain_err = math.sqrt(float((lever**2 * own_variance).sum())) / information
    total_err = (
        math.sqrt(float((lever**2 * (own_variance + (line.gain * chosen.ref_f_int_err) ** 2)).sum())) / information
    )
    note = _objection(line, total_err, settings, is_varying=is_varying)
    scale = FluxScale(
        reference=reference,
        n_matches=n,
        is_applied=not note,
        gain=line.gain,
        gain_err=gain_err,
        offset=line.offset,
        offset_err=_offset_error(line, own_variance) if settings.flux_offset else 0.0,
        scatter=line.scatter,
        note=note,
    )
    return scale, None if note else _own_gains(chosen, line, lever, own_variance)


def _usable(matches: Matches, settings: CalibrationConfig) -> NDArray[np.bool_]:
    """Return which calibrators have a flux density in the reference, and are bright by the mean of both."""
    has_flux = (matches.ref_f_int > 0) & (matches.ref_f_int_err >= 0)
    reference = np.where(has_flux, matches.ref_f_int, 1.0)
    ratios = (matches.f_int / reference)[has_flux]
    if not ratios.size:
        return has_flux
    best = _best_values(
        matches.f_int,
        matches.f_int_err,
        reference,
        np.where(has_flux, matches.ref_f_int_err, 0.0),
        float(np.median(ratios)),
    )
    usable: NDArray[np.bool_] = has_flux & (
        best * np.median(ratios) >= settings.min_signal_to_noise * matches.f_int_err
    )
    return usable


def _best_values(flux: Array, error: Array, reference: Array, reference_error: Array, gain: float) -> Array:
    """Return the mean of reference and image, each weighted by its error, on the scale of the reference, (n,)."""
    # The weight of an exact reference would be infinite.
    image, catalogue = error**2, (gain * reference_error) ** 2
    best: Array = (catalogue * flux / gain + image * reference) / (image + catalogue)
    return best


def _fit_line(matches: Matches, *, with_offset: bool) -> _Line:
    """Fit the line, with weights and scatter that follow from the residuals."""
    flux, error, reference, reference_error = (
        matches.f_int, matches.f_int_err, matches.ref_f_int, matches.ref_f_int_err
    )  # fmt: skip
    gain, offset = float(np.median(flux / reference)), 0.0
    # The first scatter is robust: with none, the sources that scatter would all be outliers.
    scatter = 1.4826 * float(np.median(np.abs(flux / reference / gain - 1)))
    weight = best = np.ones(len(flux))
    for _ in range(N_PASSES):
        best = _best_values(flux - offset, error, reference, reference_error, gain)
        noise = error**2 + (gain * reference_error) ** 2
        variance = noise + (max(scatter, FLOOR) * gain * best) ** 2
        residual = flux - offset - gain * reference
        good = biweight(residual**2 / variance, OUTLIER)
        relative = residual / (gain * best), noise / (gain * best) ** 2
        scatter = math.sqrt(excess_variance(*relative, good, 1.0, limit=OUTLIER))
        weight = _limited(good / variance, best)
        if with_offset:
            centre = float((weight * best).sum() / weight.sum())
            mean = float((weight * reference).sum() / weight.sum()), float((weight * flux).sum() / weight.sum())
            lever = weight * (best - centre)
            gain = float((lever * (flux - mean[1])).sum() / (lever * (reference - mean[0])).sum())
            offset = mean[1] - gain * mean[0]
        else:
            lever = weight * best
            gain = float((lever * flux).sum() / (lever * reference).sum())
    return _Line(gain, offset, scatter, weight, best)


def _limited(weight: Array, best: Array) -> Array:
    """Return weights that give no source more than its largest share in the gain."""
    limit = max(MAX_SHARE, 2 / len(weight))
    for _ in range(N_PASSES):  # less weight for one source is a larger share for the others
        shares = weight * best**2 / (weight * best**2).sum()
        if shares.max() <= limit * (1 + 1e-9):
            break
        weight = weight * np.minimum(1.0, limit / np.where(shares > 0, shares, 1.0))
    return weight


def _offset_error(line: _Line, variance: Array) -> float:
    """Return the error of the offset, with the gain as a free parameter."""
    total = float(line.weight.sum())
    centre = float((line.weight * line.best).sum()) / total
    lever = line.weight * (line.best - centre)
    spread = float((lever * line.best).sum())
    terms = line.weight / total - centre * lever / spread
    return math.sqrt(float((terms**2 * variance).sum()))


def _objection(line: _Line, total_err: float, settings: CalibrationConfig, *, is_varying: bool) -> str:
    """Return the reason for which a gain is not applied; empty if it is."""
    if not 1 / MAX_GAIN <= line.gain <= MAX_GAIN:
        return f"a gain of {line.gain:.3g} is beyond a factor of {MAX_GAIN:g}: a wrong unit or wrong matches"
    significance = abs(line.gain - 1) / total_err
    if not is_varying and significance < settings.significance and not settings.flux_offset:
        shown = math.floor(10 * significance) / 10  # a value below the limit is never rounded up to it
        return f"no significant gain ({shown:.1f} σ, at least {settings.significance:g}: calibration.significance)"
    return "" if settings.flux_scale == "apply" else 'measured only (calibration.flux_scale = "measure")'


def _own_gains(matches: Matches, line: _Line, lever: Array, variance: Array) -> OwnGains | None:
    """Return the gain of the image for each calibrator, from all other calibrators."""
    values, information, noise = lever * (matches.f_int - line.offset), lever * matches.ref_f_int, lever**2 * variance
    has_weight = (lever > 0) & (np.count_nonzero(lever) > MIN_LEFT)
    rest = np.where(has_weight, information.sum() - information, 1.0)
    return OwnGains(
        rows=matches.row[has_weight],
        gain=((values.sum() - values) / rest)[has_weight],
        gain_err=(np.sqrt(np.maximum(noise.sum() - noise, 0.0)) / rest)[has_weight],
    )
