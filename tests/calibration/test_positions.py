"""The choice of the model of displacements, its errors, and the field that bands share."""

from __future__ import annotations

import numpy as np
import pytest

from tests.calibration.made_up_matches import BEAM, made_up_field, made_up_matches
from trap import angles
from trap.calibration.positions import solve_positions
from trap.config import CalibrationConfig

SETTINGS = CalibrationConfig()
ARCSEC = 1 / 3600


def solved(matches, **options):
    (solution,) = solve_positions([made_up_field(matches, **options)], SETTINGS)
    return solution


def residuals(solution, displacement, radius=0.5):
    """Return the errors of a solution on a grid, in arcsec, (2, n)."""
    line = np.linspace(-0.65, 0.65, 9)
    u, v = (axis.ravel() for axis in np.meshgrid(line, line))
    model = solution.displacement
    ra, dec = angles.move(np.full(u.size, 30.0), np.full(u.size, -40.0), u * radius, v * radius)
    return 3600 * (np.stack(model.at(ra, dec)) - np.stack(displacement(u, v)))


def uniform(u, _v):
    return np.full(u.size, 2 * ARCSEC), np.full(u.size, -1 * ARCSEC)


def rotated(u, v):
    return 1.5 * ARCSEC * v, -1.5 * ARCSEC * u


def waves(u, v):
    return 3 * ARCSEC * np.sin(4 * u + v), 3 * ARCSEC * np.cos(4 * v - u)


@pytest.mark.parametrize(
    ("displacement", "model", "n"), [(uniform, "shift", 60), (rotated, "affine", 60), (waves, "field", 300)]
)
def test_the_simplest_model_that_explains_the_sources_is_taken(displacement, model, n):
    for seed in range(5):
        solution = solved(made_up_matches(n, seed=seed, displacement=displacement))
        assert solution.model == model
        assert solution.is_applied
        assert not solution.note
        assert np.sqrt((residuals(solution, displacement) ** 2).mean()) < 0.35
        assert solution.scatter < solution.scatter_before


def test_nothing_is_applied_to_perfect_images():
    solutions = [solved(made_up_matches(n, seed=seed)) for n in (5, 40, 400) for seed in range(70)]
    assert np.mean([solution.is_applied for solution in solutions]) < 0.02
    formal = 0.6 * BEAM * 3600 / 20
    errors = np.array([max(solution.ew_sys_err, solution.ns_sys_err) for solution in solutions])
    assert (errors < 0.1 * formal).mean() > 0.97
    assert {solution.note for solution in solutions if not solution.is_applied} == {"no significant displacement"}


def test_shifts_have_correct_errors():
    pulls = []
    for seed in range(150):
        solution = solved(made_up_matches(80, seed=seed, displacement=uniform, n_earlier=10**6))
        pulls += [(solution.shift_ew - 2) / solution.shift_ew_err, (solution.shift_ns + 1) / solution.shift_ns_err]
    assert abs(np.mean(pulls)) < 3 / np.sqrt(len(pulls))
    assert np.std(pulls) == pytest.approx(1, abs=3 / np.sqrt(2 * len(pulls)))


def test_the_scatter_beyond_the_errors_is_the_systematic_error():
    found = [solved(made_up_matches(120, seed=seed, scatter=0.8 * ARCSEC)).ew_sys_err for seed in range(20)]
    assert np.mean(found) == pytest.approx(0.8, rel=0.1)


def test_a_shift_within_the_errors_is_applied_if_earlier_images_were_displaced():
    matches = made_up_matches(30, seed=2)
    assert not solved(matches).is_applied
    assert solved(matches, is_varying=True).is_applied


@pytest.mark.parametrize("n", [5, 7, 9])
def test_a_clear_shift_of_few_calibrators_is_applied(n):
    def clear(u, v):
        return np.full(u.size, 4 * ARCSEC), np.full(v.size, -2 * ARCSEC)

    for seed in range(20):
        solution = solved(made_up_matches(n, seed=seed, displacement=clear))
        assert (solution.model, solution.is_applied) == ("shift", True)
        assert np.hypot(solution.shift_ew - 4, solution.shift_ns + 2) < 5 * solution.shift_ew_err
        assert solution.ew_sys_err < 0.6


def test_wrong_matches_move_nothing():
    matches = made_up_matches(60, seed=4, displacement=uniform)
    wrong = np.arange(0, 60, 7)
    d_u = matches.d_u.copy()
    d_u[wrong] += np.where(wrong % 2, 0.9, -0.7) * BEAM
    right, spoilt = solved(matches), solved(matches.with_columns(d_u=d_u))
    assert spoilt.shift_ew == pytest.approx(right.shift_ew, abs=3 * right.shift_ew_err)
    assert spoilt.ew_sys_err < 0.1


@pytest.mark.parametrize("n", [0, 2, 4])
def test_too_few_calibrators_are_stated(n):
    solution = solved(made_up_matches(n, seed=1, displacement=uniform))
    assert (solution.model, solution.is_applied, solution.n_matches) == ("none", False, n)
    assert solution.note == f"{n} matched calibrators, at least 5 (calibration.min_matches)"
    assert solution.displacement.is_zero


def test_a_displacement_may_be_measured_and_not_applied():
    settings = CalibrationConfig(positions="measure")
    (solution,) = solve_positions([made_up_field(made_up_matches(60, seed=1, displacement=uniform))], settings)
    assert solution.model == "shift"
    assert solution.shift_ew == pytest.approx(2, abs=0.2)
    assert not solution.is_applied
    assert solution.displacement.is_zero


def test_bands_share_a_field_that_scales_with_the_wavelength_squared():
    frequencies = np.array([60e6, 64e6, 68e6, 72e6])
    alone, together = [], []
    for seed in range(3):
        fields = []
        for band, frequency in enumerate(frequencies):
            factor = (frequencies[0] / frequency) ** 2

            def displacement(u, v, factor=factor):
                east, north = waves(u, v)
                return factor * east, factor * north

            # Noise as large as the displacement itself: a single band hardly shows it.
            matches = made_up_matches(150, seed=10 * seed + band, displacement=displacement, beam=8 * BEAM)
            fields.append((made_up_field(matches, frequency=frequency, beam=8 * BEAM), displacement))
        for (field, displacement), solution in zip(
            fields, solve_positions([field for field, _ in fields], SETTINGS), strict=True
        ):
            together.append((residuals(solution, displacement) ** 2).mean())
            alone.append((residuals(solve_positions([field], SETTINGS)[0], displacement) ** 2).mean())
    assert np.sqrt(np.mean(together)) < 0.75 * np.sqrt(np.mean(alone))


def test_a_displacement_that_is_not_applied_is_a_systematic_error():
    settings = CalibrationConfig(positions="measure")
    (solution,) = solve_positions([made_up_field(made_up_matches(60, seed=1, displacement=uniform))], settings)
    assert solution.ew_sys_err == pytest.approx(2, abs=0.3)
    assert solution.ns_sys_err == pytest.approx(1, abs=0.3)
