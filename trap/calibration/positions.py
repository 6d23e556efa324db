"""The displacement of the sources of an image, by the simplest model that explains it.

The models are a ladder: none, a shift, an affine map, and a smooth field of radial basis functions. A step up is taken
only if it predicts each calibrator from the others clearly better. The images of one timestep may share a field that
scales with the inverse square of the frequency, as refraction in the ionosphere does (Thompson, Moran & Swenson 2017,
sect. 14.1).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trap import angles
from trap.calibration.displacement import NO_DISPLACEMENT, Displacement, PositionModel, radial_basis
from trap.calibration.records import Astrometry
from trap.calibration.regression import Fit, Sample, fit_linear

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trap.calibration.calibrators import Matches
    from trap.config import CalibrationConfig
    from trap.typing import Array

__all__ = ["Field", "solve_positions"]

LADDER: tuple[PositionModel, ...] = ("shift", "affine", "field")
N_AFFINE = 3
"""Number of parameters of an affine map along one axis."""
NEEDED = {"shift": 1, "affine": 2, "field": 6}
"""Least number of calibrators of each model, in units of ``min_matches``."""
KNOT_SPACINGS = (0.4, 0.25)
"""Distance of knots with few and with many calibrators, in units of the radius of the field."""
MANY = 200
"""Number of calibrators of one image from which they are many: some three for each of the closer knots."""
KNOT_WIDTH = 1.2
"""Standard deviation of the basis functions, in units of the distance of knots."""
PENALTIES = (0.003, 0.03, 0.3)
"""Penalties of the amplitudes of the basis functions that are tried."""
GATE, FLOOR = 0.03, 0.005
"""Errors in beam widths: calibrators within six of the first are no outliers, and none weighs more than an error as
small as the second."""
MAX_SQUARE = 36.0
"""Largest squared residual that counts in a comparison of models, in σ²: one outlier does not decide."""
SAME_CENTRE = 0.05
"""Distance of the centres of two images of one field, in units of its radius."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """An image with its matched calibrators.

    Parameters
    ----------
    matches
        Calibrators.
    ra, dec
        deg — centre of the image.
    beam
        deg — full width of the beam at half maximum.
    frequency
        Hz
    reference
        Name of the reference.
    is_varying
        Whether earlier images of the band are displaced by more than their errors: a shift is then applied always.
    """

    matches: Matches
    ra: float
    dec: float
    beam: float
    frequency: float
    reference: str
    is_varying: bool = False


@dataclass(frozen=True, slots=True)
class _Choice:
    """A model with its fit, and the distance of its knots."""

    model: PositionModel
    fit: Fit
    spacing: float


def solve_positions(fields: Sequence[Field], settings: CalibrationConfig) -> list[Astrometry]:
    """Measure the displacements of the images of one timestep.

    Parameters
    ----------
    fields
        Images with their calibrators.
    settings
        Most flexible model, least numbers and significance; mode.

    Returns
    -------
    One solution for each image.
    """
    enough = [number for number, field in enumerate(fields) if len(field.matches) >= settings.min_matches]
    solutions = [_too_few(field, settings) for field in fields]
    if not enough:
        return solutions
    scale = _scale([fields[number] for number in enough])
    samples = {number: _sample([fields[number]], scale) for number in enough}
    choices = {number: _climb(samples[number], fields[number], settings) for number in enough}
    for number, choice in choices.items():
        displacement = _displacement(fields[number], scale, choice, choice.fit.coefficients)
        solutions[number] = _solution(fields[number], samples[number], choice, displacement, settings)
    first = fields[enough[0]]
    shared = [number for number in enough if choices[number].model != "none" and _is_near(fields[number], first, scale)]
    if len({fields[number].frequency for number in shared}) > 1 and settings.position_model == "field":
        choice_of = [choices[number] for number in shared]
        found = _share([fields[number] for number in shared], choice_of, scale, settings)
        solutions = [found.get(shared.index(n), one) if n in shared else one for n, one in enumerate(solutions)]
    return solutions


def _too_few(field: Field, settings: CalibrationConfig) -> Astrometry:
    """Return the solution of an image without enough calibrators."""
    n = len(field.matches)
    note = f"{n} matched calibrators, at least {settings.min_matches} (calibration.min_matches)"
    return Astrometry(reference=field.reference, n_matches=n, note=note)


def _scale(fields: Sequence[Field]) -> float:
    """Return the radius of the area with calibrators, in deg."""
    radii = [np.hypot(field.matches.u, field.matches.v).max() for field in fields]
    return max(float(max(radii)), 1e-6)


def _is_near(field: Field, other: Field, scale: float) -> bool:
    """Return whether two images have the same centre."""
    return float(angles.separation(field.ra, field.dec, other.ra, other.dec)) < SAME_CENTRE * scale


def _sample(fields: Sequence[Field], scale: float) -> Sample:
    """Collect the calibrators of images."""
    matches = [field.matches for field in fields]
    lengths = [len(one) for one in matches]

    def joined(*names: str) -> Array:
        return np.concatenate([np.stack([getattr(one, name) for name in names], axis=-1) for one in matches])

    own = joined("var_u", "var_v")
    beams = np.repeat([field.beam for field in fields], lengths)
    return Sample(
        u=joined("u")[:, 0] / scale,
        v=joined("v")[:, 0] / scale,
        values=joined("d_u", "d_v"),
        variances=own + joined("ref_var_u", "ref_var_v"),
        own_variances=own,
        gate=(GATE * beams) ** 2,
        floor=(FLOOR * beams) ** 2,
        group=np.repeat(np.arange(len(fields)), lengths),
    )


def _climb(sample: Sample, field: Field, settings: CalibrationConfig) -> _Choice:
    """Choose the simplest model that explains the displacements of one image."""
    none = np.empty((len(sample.u), 0))
    current = _Choice("none", fit_linear(none, sample, np.empty(0)), 1.0)
    for model in LADDER[: LADDER.index(settings.position_model) + 1]:
        if len(sample.u) < NEEDED[model] * settings.min_matches:
            break
        if model == "field" and not current.fit.excess.any():
            break  # the simpler model leaves nothing beyond the errors
        better = _fitted(model, sample)
        is_forced = model == "shift" and field.is_varying
        if is_forced or _is_better(better.fit, current.fit, sample, settings.significance):
            current = better
    return current


def _fitted(model: PositionModel, sample: Sample, factors: Sequence[Array] | None = None) -> _Choice:
    """Fit a model; of several penalties, take the one that predicts best."""
    parts = [np.ones(len(sample.u))] if factors is None else factors
    basis = _design(model, sample)
    design = np.concatenate([basis * part[:, np.newaxis] for part in parts], axis=1)
    is_penalised = np.tile(np.arange(basis.shape[1]) >= N_AFFINE, len(parts))
    if not is_penalised.any():
        return _Choice(model, fit_linear(design, sample, np.zeros(design.shape[1])), 1.0)
    fits = [fit_linear(design, sample, np.where(is_penalised, penalty, 0.0)) for penalty in PENALTIES]
    scores = [_score(fit.residuals, fits[0].variances(sample)).sum() for fit in fits]
    return _Choice(model, fits[int(np.argmin(scores))], _spacing(sample))


def _design(model: PositionModel, sample: Sample) -> Array:
    """Return the columns of a model: a constant, both coordinates, and the radial basis functions."""
    columns = np.stack([np.ones(len(sample.u)), sample.u, sample.v], axis=1)
    if model == "shift":
        return columns[:, :1]
    if model == "affine":
        return columns
    spacing = _spacing(sample)
    return np.concatenate([columns, radial_basis(sample.u, sample.v, _knots(spacing), KNOT_WIDTH * spacing)], axis=1)


def _spacing(sample: Sample) -> float:
    """Return the distance of knots for the calibrators of an image, or of several that share a field."""
    return KNOT_SPACINGS[len(sample.u) >= MANY * sample.n_groups]


def _knots(spacing: float) -> Array:
    """Return the knots within the unit circle, (n_knots, 2)."""
    n = int(1 / spacing)
    line = spacing * np.arange(-n, n + 1)
    knots: Array = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
    inside: Array = knots[np.hypot(knots[:, 0], knots[:, 1]) <= 1 + spacing / 4]
    return inside


def _score(residuals: Array, variances: Array) -> Array:
    """Return the limited squared residuals in units of their variance, summed over both components, (n,)."""
    score: Array = np.minimum(residuals**2 / variances, MAX_SQUARE).sum(axis=1)
    return score


def _is_better(new: Fit, old: Fit, sample: Sample, significance: float) -> bool:
    """Return whether a richer model predicts the calibrators clearly better than a simpler one."""
    # The excess of the simpler model is what the richer one explains, so that the richer one gives the variances.
    variances = new.variances(sample)
    gain = _score(old.residuals, variances) - _score(new.residuals, variances)
    total = float(gain.sum())
    # The error is the scatter about the mean: about zero, fewer than ten calibrators that agree would never be enough.
    error = math.sqrt(len(gain) * float(np.var(gain, ddof=1))) if len(gain) > 1 else math.inf
    return total > significance**2 and total > 3 * error


def _displacement(field: Field, scale: float, choice: _Choice, coefficients: Array) -> Displacement:
    """Convert coefficients of a choice to a displacement."""
    if choice.model == "none":
        return NO_DISPLACEMENT
    values = coefficients.tolist()
    linear = (*values[1], *values[2]) if len(values) >= N_AFFINE else (0.0, 0.0, 0.0, 0.0)
    is_field = choice.model == "field"
    return Displacement(
        ra=field.ra,
        dec=field.dec,
        scale=scale,
        shift=(values[0][0], values[0][1]),
        linear=(linear[0], linear[1], linear[2], linear[3]),
        knots=tuple((u, v) for u, v in _knots(choice.spacing).tolist()) if is_field else (),
        width=KNOT_WIDTH * choice.spacing,
        weights=tuple((east, north) for east, north in values[N_AFFINE:]) if is_field else (),
    )


def _solution(
    field: Field,
    sample: Sample,
    choice: _Choice,
    displacement: Displacement,
    settings: CalibrationConfig,
    group: int = 0,
) -> Astrometry:
    """Describe the solution of an image; ``group`` is its number in the sample."""
    rows = sample.group == group
    fit, weights = choice.fit, choice.fit.weights[rows, np.newaxis]
    excess, values = fit.excess[group], sample.values[rows]
    inverse = weights / (sample.variances[rows] + excess + sample.floor[rows, np.newaxis])
    total = inverse.sum(axis=0)
    if not (total > 0).all():
        note = "the displacements of the calibrators contradict each other"
        return Astrometry(reference=field.reference, n_matches=int(rows.sum()), note=note)
    shift = (inverse * values).sum(axis=0) / total
    # The reference has the same error in all images, so that only the image's own errors count.
    error = np.sqrt((inverse**2 * (sample.own_variances[rows] + excess)).sum(axis=0)) / total
    is_applied = choice.model != "none" and settings.positions == "apply"
    note = "" if is_applied else "no significant displacement"
    if choice.model != "none" and not is_applied:
        note = 'measured only (calibration.positions = "measure")'
    if choice.model != "none" and not is_applied:
        # Sources that are not corrected have the displacement as an error.
        excess = np.maximum(excess, (inverse * (values**2 - sample.variances[rows])).sum(axis=0) / total)
    arcsec = 3600.0

    def scatter(residuals: Array) -> float:
        return arcsec * math.sqrt(float((weights * residuals**2).sum()) / (2 * float(weights.sum())))

    return Astrometry(
        reference=field.reference,
        n_matches=int(rows.sum()),
        model=choice.model,
        is_applied=is_applied,
        shift_ew=arcsec * float(shift[0]),
        shift_ns=arcsec * float(shift[1]),
        shift_ew_err=arcsec * float(error[0]),
        shift_ns_err=arcsec * float(error[1]),
        scatter_before=scatter(values),
        scatter=scatter(fit.residuals[rows]),
        ew_sys_err=arcsec * math.sqrt(excess[0]),
        ns_sys_err=arcsec * math.sqrt(excess[1]),
        note=note,
        displacement=displacement if is_applied else NO_DISPLACEMENT,
    )


def _share(
    fields: Sequence[Field], choices: Sequence[_Choice], scale: float, settings: CalibrationConfig
) -> dict[int, Astrometry]:
    """Return the solutions of images that share a field, by their number; empty if they do better on their own.

    The field scales with the inverse square of the frequency. A second one, equal in all images, is the displacement
    of the reference itself.
    """
    sample = _sample(fields, scale)
    if len(sample.u) < NEEDED["field"] * settings.min_matches:
        return {}
    squares = np.array([(fields[0].frequency / field.frequency) ** 2 for field in fields])
    alone = np.concatenate([choice.fit.residuals for choice in choices])
    variances = np.concatenate(
        [choice.fit.variances(_sample([field], scale)) for choice, field in zip(choices, fields, strict=True)]
    )
    factors = [squares[sample.group], np.ones(len(sample.u))]
    tried = [_fitted("field", sample, factors[:1]), _fitted("field", sample, factors)]
    scores = [float(_score(choice.fit.residuals, variances).sum()) for choice in tried]
    best = int(np.argmin(scores))
    if scores[best] >= float(_score(alone, variances).sum()):
        return {}
    choice, solutions = tried[best], {}
    parts = choice.fit.coefficients.reshape(best + 1, -1, 2)
    for group, field in enumerate(fields):
        coefficients = parts[0] * squares[group] + (parts[1] if best else 0.0)
        displacement = _displacement(field, scale, choice, coefficients)
        solutions[group] = _solution(field, sample, choice, displacement, settings, group)
    return solutions
