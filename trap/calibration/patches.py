"""A part of the field whose sources brighten or fade together: lensing by the ionosphere, or a bad direction.

The sources within a circle are compared with all others, for circles around many calibrators and of three sizes. Three
precautions keep single sources and chance out: the source that speaks most for a patch is left out of it, the sources'
own scatter is the measure, and the significance allows for the number of places that are looked at.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import ndtri, stdtr

from trap.calibration.scatter import biweight, excess_variance

if TYPE_CHECKING:
    from trap.typing import Array, Indices

__all__ = ["MIN_CALIBRATORS", "NO_PATCH", "Patch", "find_patch"]

MIN_CALIBRATORS = 20
"""Least number of calibrators; of fewer, a third is no patch."""
MIN_MEMBERS = 5
"""Least number of calibrators in a patch."""
SHARES = (10, 5, 3)
"""Sizes of patches: the number of all calibrators over the number of members."""
MAX_CENTRES = 48
"""Largest number of places that are looked at first; neighbouring ones overlap."""
N_REFINED = 24
"""Number of calibrators nearest to the best of these places that are looked at after them."""
OVERLAP = 3.0
"""Independent patches of one size, over the number of patches that tile the field (from simulations of noise)."""
FLOOR = 0.01
"""Relative error that no source goes below: steady sources scintillate, and beams are not known better."""
OUTLIER = 6.0
"""Residual, in σ, from which a source does not count in the scatter."""
N_PARAMETERS = 2
"""Parameters of the comparison: the means inside and outside."""
LEAST_PROBABILITY = 1e-300
"""Smallest probability; its significance of 37 σ is the largest one."""


class Patch(NamedTuple):
    """The part of a field that differs most from the rest.

    Parameters
    ----------
    gain
        Flux densities inside relative to those outside, less 1. No circle fits a patch exactly, so that it is a tenth
        too small on average.
    snr
        Significance in σ, with the number of places allowed for, and the sign of the gain.
    u, v
        Coordinates of its centre.
    """

    gain: float
    snr: float
    u: float
    v: float


NO_PATCH = Patch(math.nan, math.nan, math.nan, math.nan)
"""The result for a field of too few calibrators."""


def find_patch(u: Array, v: Array, log_ratios: Array, variances: Array) -> Patch:
    """Find the part of the field whose flux densities differ most from the rest.

    Parameters
    ----------
    u, v
        (n,) — coordinates in the field, in any unit.
    log_ratios
        (n,) — logarithms of the flux densities over those of the reference.
    variances
        (n,) — squared errors of the logarithms.

    Returns
    -------
    The patch; values are NaN with fewer than :data:`MIN_CALIBRATORS` calibrators.
    """
    usable = np.isfinite(log_ratios) & np.isfinite(variances) & (variances >= 0)
    u, v, values, variances = u[usable], v[usable], log_ratios[usable], variances[usable] + FLOOR**2
    n = len(values)
    if n < MIN_CALIBRATORS:
        return NO_PATCH
    values = values - np.median(values)
    weights = 1 / (variances + _scatter(values, variances))
    # Every m-th calibrator in order of one coordinate, so that the order of the rows does not matter.
    coarse = np.lexsort((v, u))[:: math.ceil(n / MAX_CENTRES)]
    patch = _search(u, v, values, weights, coarse)
    distance = (u - patch.u) ** 2 + (v - patch.v) ** 2
    near = np.argpartition(distance, min(N_REFINED, n) - 1)[:N_REFINED]
    refined = _search(u, v, values, weights, near)
    return refined if abs(refined.snr) > abs(patch.snr) else patch


def _search(u: Array, v: Array, values: Array, weights: Array, centres: Indices) -> Patch:
    """Return the most significant patch around some calibrators."""
    n = len(values)
    distances = (u[centres, np.newaxis] - u) ** 2 + (v[centres, np.newaxis] - v) ** 2
    sizes = [max(MIN_MEMBERS, n // share) for share in SHARES]
    order = np.argpartition(distances, [size - 1 for size in sizes], axis=1)
    best, best_value = NO_PATCH, -1.0
    for n_members in sizes:
        members = order[:, :n_members]
        gains, ratios = _compare(values, weights, members)
        winner = int(np.argmax(np.abs(ratios)))
        significance = _significance(abs(float(ratios[winner])), n, OVERLAP * len(SHARES) * n / n_members)
        if significance > best_value:
            place = u[members[winner]].mean(), v[members[winner]].mean()
            sign = math.copysign(1.0, gains[winner])
            best_value = significance
            best = Patch(math.expm1(gains[winner]), sign * significance + 0.0, float(place[0]), float(place[1]))
    return best


def _scatter(values: Array, variances: Array) -> float:
    """Return the variance of the logarithms beyond their errors, without outliers.

    It is at least their robust variance, errors included, so that one or two bright sources do not speak for a patch.
    """
    spread = (1.4826 * float(np.median(np.abs(values)))) ** 2
    good = biweight(values**2 / (variances + spread), OUTLIER)
    return max(excess_variance(values, variances, good, 1.0, limit=OUTLIER), spread)


def _compare(values: Array, weights: Array, members: Indices) -> tuple[Array, Array]:
    """Compare patches with the rest of the field.

    Parameters
    ----------
    values, weights
        (n,)
    members
        (n_patches, n_members) — calibrators in each patch.

    Returns
    -------
    differences
        (n_patches,) — weighted mean inside minus that outside.
    ratios
        (n_patches,) — difference without the member that speaks most for it, over its error from the scatter inside
        and outside: a value of Student's t. It is 0 if the difference has the other sign without that member.
    """
    products, squares = weights * values, weights * values**2
    total, total_product, total_square = weights.sum(), products.sum(), squares.sum()
    inside, inside_product = weights[members], products[members]
    outside = total - inside.sum(axis=1)
    outside_mean = (total_product - inside_product.sum(axis=1)) / outside
    mean = inside_product.sum(axis=1) / inside.sum(axis=1)
    sign = np.sign(mean - outside_mean)
    # Each member in turn is left out; the smallest difference in units of its error remains.
    rest = inside.sum(axis=1, keepdims=True) - inside
    rest_mean = (inside_product.sum(axis=1, keepdims=True) - inside_product) / rest
    differences = (rest_mean - outside_mean[:, np.newaxis]) * sign[:, np.newaxis]
    errors = np.sqrt(1 / rest + 1 / outside[:, np.newaxis])
    left_out = np.argmin(differences / errors, axis=1)
    rows = np.arange(len(members))
    difference, error = differences[rows, left_out], errors[rows, left_out]
    removed = members[rows, left_out]
    rest_inside, rest_square = rest[rows, left_out], total_square - squares[removed]
    within = rest_square - rest_inside * rest_mean[rows, left_out] ** 2 - outside * outside_mean**2
    freedom = len(values) - 1 - N_PARAMETERS
    deviation = np.sqrt(np.maximum(within, 0.0) / freedom)
    ratios = np.where(difference > 0, sign * difference / (error * np.maximum(deviation, 1e-12)), 0.0)
    return mean - outside_mean, ratios


def _significance(ratio: float, n: int, n_places: float) -> float:
    """Return the significance of the largest of many values of Student's t, in σ."""
    single = 2 * float(stdtr(n - 1 - N_PARAMETERS, -ratio))
    probability = min(1.0, n_places * single)
    return float(-ndtri(max(probability, LEAST_PROBABILITY) / 2))
