"""Robust weighted least squares of displacements with a ridge penalty; each row is predicted by all others as well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trap.calibration.scatter import biweight, excess_variance

if TYPE_CHECKING:
    from trap.typing import Array, Indices

__all__ = ["OUTLIER", "Fit", "Sample", "fit_linear"]

OUTLIER = 6.0
"""Residual, in σ, from which a calibrator has no weight."""
N_PASSES = 4
"""Passes of the weights; they settle in two or three."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Displacements of calibrators.

    Parameters
    ----------
    u, v
        (n,) — coordinates in the field, about 1 at its rim.
    values
        (n, 2) — displacements along u and v.
    variances, own_variances
        (n, 2) — squared errors of image and reference together, and of the image alone.
    gate, floor
        (n,) — squared errors that are added, the first to judge whether a calibrator is an outlier, the second so that
        no bright source decides alone.
    group
        (n,) — number of the image, from 0.
    """

    u: Array
    v: Array
    values: Array
    variances: Array
    own_variances: Array
    gate: Array
    floor: Array
    group: Indices

    @property
    def n_groups(self) -> int:
        """Number of images."""
        return int(self.group.max(initial=-1)) + 1


class Fit(NamedTuple):
    """A fit of one model.

    Parameters
    ----------
    coefficients
        (n_parameters, 2)
    residuals
        (n, 2) — each value minus its prediction from all other values.
    excess
        (n_groups, 2) — variance beyond the errors.
    weights
        (n,) — 1 for good calibrators, 0 for outliers.
    """

    coefficients: Array
    residuals: Array
    excess: Array
    weights: Array

    def variances(self, sample: Sample) -> Array:
        """Return the variances of the values, excess and floor included, (n, 2)."""
        total: Array = sample.variances + self.excess[sample.group] + sample.floor[:, np.newaxis]
        return total


def fit_linear(design: Array, sample: Sample, penalty: Array) -> Fit:
    """Fit both components by the same linear model.

    Rows that lie far off lose their weight; the variance beyond the errors is estimated with the model.

    Parameters
    ----------
    design
        (n, n_parameters) — no columns for the model without a displacement.
    sample
        (n,) displacements.
    penalty
        (n_parameters,) — share of the mean information on penalised parameters that is added to the diagonal; 0 for
        free parameters.
    """
    start = sample.values - np.median(sample.values, axis=0) if design.shape[1] else sample.values
    excess = np.zeros((sample.n_groups, 2))
    spread = np.median(np.abs(start), axis=0) ** 2 * 1.4826**2
    weights = _weights(start, sample, sample.variances + spread)
    coefficients, left_out = np.zeros((design.shape[1], 2)), sample.values
    for _ in range(N_PASSES):
        total = sample.variances + excess[sample.group] + sample.floor[:, np.newaxis]
        coefficients, residuals, left_out, leverage = _solve(
            design, sample.values, weights[:, np.newaxis] / total, penalty
        )
        excess = _excess(residuals, leverage, sample, weights)
        weights = _weights(left_out, sample, sample.variances + excess[sample.group])
    return Fit(coefficients, left_out, excess, weights)


def _weights(residuals: Array, sample: Sample, variances: Array) -> Array:
    """Return the weights of the rows by their distance from the model."""
    return biweight((residuals**2 / (variances + sample.gate[:, np.newaxis])).sum(axis=1), OUTLIER)


def _solve(design: Array, values: Array, information: Array, penalty: Array) -> tuple[Array, Array, Array, Array]:
    """Return coefficients, residuals, residuals against the other rows, and leverages of both components."""
    coefficients = np.zeros((design.shape[1], 2))
    residuals, left_out, leverages = values.copy(), values.copy(), np.zeros_like(values)
    for component in range(2 if design.shape[1] else 0):
        weighted = design * information[:, component, np.newaxis]
        normal = design.T @ weighted
        scale = float(normal.diagonal()[penalty > 0].mean()) if (penalty > 0).any() else 0.0
        # The tiny term keeps a matrix regular whose rows have all lost their weight.
        inverse = np.linalg.inv(normal + np.diag(penalty * scale + 1e-12 * normal.diagonal().max() + 1e-300))
        coefficients[:, component] = inverse @ (weighted.T @ values[:, component])
        residual = values[:, component] - design @ coefficients[:, component]
        leverage = ((weighted @ inverse) * design).sum(axis=1)
        residuals[:, component], leverages[:, component] = residual, leverage
        left_out[:, component] = residual / np.maximum(1 - leverage, 0.05)
    return coefficients, residuals, left_out, leverages


def _excess(residuals: Array, leverages: Array, sample: Sample, weights: Array) -> Array:
    """Return the variance beyond the errors in each image, (n_groups, 2)."""
    excess = np.zeros((sample.n_groups, 2))
    for group in range(sample.n_groups):
        rows = sample.group == group
        for component in range(2):
            n_parameters = float(leverages[rows, component].sum())
            values = residuals[rows, component], sample.variances[rows, component], weights[rows]
            excess[group, component] = excess_variance(*values, n_parameters, limit=OUTLIER, dimensions=2)
    return excess
