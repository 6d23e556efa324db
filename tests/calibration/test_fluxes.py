"""The gain of an image: its error, variables, and what is applied."""

from __future__ import annotations

import numpy as np
import pytest

from tests.calibration.made_up_matches import made_up_matches
from trap.calibration.fluxes import solve_flux_scale
from trap.config import CalibrationConfig

SETTINGS = CalibrationConfig()


def solved(matches, settings=SETTINGS, *, is_varying=False):
    return solve_flux_scale(matches, settings, reference="made up", is_varying=is_varying)


@pytest.mark.parametrize("n_earlier", [1, 10**6])
def test_gains_have_no_bias_and_correct_errors(n_earlier):
    pulls, deviations = [], []
    for seed in range(200):
        gain = 0.8 + 0.4 * seed / 199
        scale, _ = solved(made_up_matches(100, seed=seed, gain=gain, n_earlier=n_earlier))
        deviations.append(scale.gain - gain)
        pulls.append((scale.gain - gain) / scale.gain_err)
    # With one earlier image the reference is as noisy as the image, and its part of the error is not the image's own.
    expected = np.sqrt(1 + np.mean(np.linspace(0.8, 1.2, 200) ** 2)) if n_earlier == 1 else 1.0
    assert np.std(pulls) == pytest.approx(expected, abs=0.15 * expected)
    assert abs(np.mean(pulls)) < 3.5 * expected / np.sqrt(len(pulls))
    assert np.std(deviations) < 0.01


def test_the_brightest_source_does_not_decide_by_its_variation():
    for seed in range(10):
        matches = made_up_matches(60, seed=seed, gain=1.1)
        brightest = np.argmax(matches.ref_f_int)
        steady, _ = solved(matches)
        # A small change may be scatter that all sources have; a large one is an outlier.
        for change, allowed in ((-0.2, 2e-3), (-0.04, 7e-3), (0.04, 7e-3), (0.2, 2e-3)):
            flux = matches.f_int.copy()
            flux[brightest] *= 1 + change
            varied, _ = solved(matches.with_columns(f_int=flux))
            assert varied.gain == pytest.approx(steady.gain, rel=allowed)


def test_no_calibrator_takes_part_in_its_own_correction():
    matches = made_up_matches(40, seed=3, gain=1.2)
    _, own = solved(matches)
    brightest = int(np.argmax(matches.ref_f_int))
    flux = matches.f_int.copy()
    flux[brightest] *= 1.03
    _, changed = solved(matches.with_columns(f_int=flux))
    place = own.rows.tolist().index(brightest)
    # Its own flux density does not enter; scatter and weights of the others follow by less than a tenth of the change.
    assert changed.gain[place] == pytest.approx(own.gain[place], rel=3e-3)
    others = np.delete(np.arange(len(own.rows)), place)
    assert (changed.gain[others] > own.gain[others]).all()
    assert (own.gain_err[place] >= own.gain_err[others]).all()


def test_nothing_is_applied_to_images_on_the_scale_of_the_reference():
    scales = [solved(made_up_matches(n, seed=seed))[0] for n in (5, 60) for seed in range(150)]
    assert np.mean([scale.is_applied for scale in scales]) < 0.02
    assert all(scale.note for scale in scales if not scale.is_applied)
    scale, own = solved(made_up_matches(60, seed=1), is_varying=True)
    assert scale.is_applied
    assert own is not None


def test_intrinsic_scatter_is_measured_and_enlarges_the_error():
    rng = np.random.default_rng(5)
    matches = made_up_matches(200, seed=5, gain=1.1)
    steady, _ = solved(matches)
    scale, _ = solved(matches.with_columns(f_int=matches.f_int * rng.normal(1, 0.08, 200)))
    assert steady.scatter < 0.02
    assert scale.scatter == pytest.approx(0.08, rel=0.25)
    assert scale.gain_err > 2 * steady.gain_err


@pytest.mark.parametrize("n", [0, 2, 4])
def test_too_few_calibrators_are_stated(n):
    scale, own = solved(made_up_matches(n, seed=1, gain=1.3))
    assert own is None
    assert not scale.is_applied
    assert scale.note == f"{n} matched calibrators with flux densities, at least 5 (calibration.min_matches)"
    assert np.isnan(scale.gain)


def test_sources_without_a_flux_density_in_the_reference_are_left_out():
    matches = made_up_matches(30, seed=2, gain=1.2)
    reference = matches.ref_f_int.copy()
    reference[:20] = np.nan
    scale, own = solved(matches.with_columns(ref_f_int=reference))
    assert scale.n_matches <= 10
    assert own.rows.min() >= 20
    assert scale.gain == pytest.approx(1.2, rel=0.1)


def test_a_wrong_unit_is_not_applied():
    scale, own = solved(made_up_matches(50, seed=2, gain=1000.0))
    assert own is None
    assert "beyond a factor of 3" in scale.note


def test_a_gain_may_be_measured_and_not_applied():
    scale, own = solved(made_up_matches(50, seed=2, gain=1.2), CalibrationConfig(flux_scale="measure"))
    assert own is None
    assert not scale.is_applied
    assert scale.gain == pytest.approx(1.2, rel=0.02)
    assert scale.note == 'measured only (calibration.flux_scale = "measure")'


def test_an_offset_is_fitted_on_request():
    pulls = []
    for seed in range(60):
        matches = made_up_matches(100, seed=seed, gain=1.1, n_earlier=10**6)
        matches = matches.with_columns(f_int=matches.f_int + 2e-3)
        scale, _ = solved(matches, CalibrationConfig(flux_offset=True))
        pulls.append((scale.offset - 2e-3) / scale.offset_err)
    assert abs(np.mean(pulls)) < 0.5
    assert np.std(pulls) == pytest.approx(1, abs=0.35)
