"""Calibrations compared with those before them."""

from __future__ import annotations

import numpy as np
import pytest
from check_inputs import calibration_input

from trap.calibration.records import UNCALIBRATED, Astrometry, FluxScale, ImageCalibration
from trap.images.beam import Beam
from trap.quality import check_calibration
from trap.quality.calibration import check_gain, check_patch, check_position_scatter, check_smearing
from trap.quality.checks import CALIBRATION_CHECKS

BEAM = Beam(bmaj=10 / 3600, bmin=10 / 3600, bpa=0.0)


def gained(gain, gain_err=0.002):
    return ImageCalibration(flux_scale=FluxScale(gain=gain, gain_err=gain_err, n_matches=50))


def scattered(scatter, n_matches=100):
    return ImageCalibration(astrometry=Astrometry(scatter=scatter, n_matches=n_matches))


def compact(ratio, error=0.001):
    return ImageCalibration(compactness=ratio, compactness_err=error, n_calibrators=40)


def patched(gain, snr):
    return ImageCalibration(patch_gain=gain, patch_snr=snr, patch_ra=10.0, patch_dec=-20.0)


# Of 15 equal gains the deviation is √(5 · (0.4 ln 1.2)²/20) = 0.0365, five times this 0.182 = ln 1.2.
@pytest.mark.parametrize(("gain", "passes"), [(1.0, True), (1.19, True), (1.22, False), (0.84, True), (0.82, False)])
def test_gain_beyond_the_factor_fails(gain, passes):
    verdict = check_gain(calibration_input(gained(gain), [gained(1.0)] * 15))
    assert verdict.passed is passes
    assert f"gain {gain:.4g} ± 0.002 from 50 calibrators, the median of 15 earlier images 1" in verdict.comment


# Gains that vary by ±10 %: s = 1.4826 · ln 1.1 = 0.1413, and √((100 s² + 5 · 0.0729²)/105) = 0.1389; 5 σ are ln 2.00.
@pytest.mark.parametrize(("gain", "passes"), [(1.95, True), (2.1, False), (0.52, True), (0.47, False)])
def test_gains_that_vary_widen_the_limit(gain, passes):
    earlier = [gained(g) for g in np.tile([1 / 1.1, 1.1], 50)]
    assert check_gain(calibration_input(gained(gain), earlier)).passed is passes


def test_uncertain_gain_passes():
    # 1.5 with an error of 10 %: ln 1.5 = 0.405 is below 5 σ = 0.5.
    assert check_gain(calibration_input(gained(1.5, 0.15), [gained(1.0)] * 100)).passed


def test_few_earlier_images_reject_nothing():
    assert check_gain(calibration_input(gained(2.9), [gained(1.0)] * 4)).passed
    assert not check_gain(calibration_input(gained(2.9), [gained(1.0)] * 5)).passed
    assert check_gain(calibration_input(gained(2.9), [gained(1.0)] * 5, min_history=6)).passed


def test_two_bad_images_of_five_do_not_hide_a_third():
    earlier = [gained(g) for g in (1.0, 2.5, 1.01, 2.6, 0.99)]
    assert not check_gain(calibration_input(gained(2.5), earlier)).passed
    assert check_gain(calibration_input(gained(1.0), earlier)).passed


# A twentieth of a beam of 10 arcsec is 0.5 arcsec.
@pytest.mark.parametrize(
    ("before", "scatter", "passes"), [(0.1, 0.45, True), (0.4, 0.7, True), (0.4, 2.0, False), (2.0, 0.1, True)]
)
def test_scatter_of_positions_above_the_factor_and_a_part_of_the_beam_fails(before, scatter, passes):
    image = calibration_input(scattered(scatter), [scattered(before)] * 30, beam=BEAM)
    assert check_position_scatter(image).passed is passes


def test_scatter_of_few_calibrators_is_uncertain():
    # Three calibrators: an error of 1/√12 = 29 %; five times this is a factor of 4.2.
    earlier = [scattered(0.4)] * 30
    assert check_position_scatter(calibration_input(scattered(1.6, n_matches=3), earlier, beam=BEAM)).passed
    assert not check_position_scatter(calibration_input(scattered(1.6, n_matches=100), earlier, beam=BEAM)).passed


@pytest.mark.parametrize(("ratio", "passes"), [(1.06, True), (1.1, False), (0.98, True), (0.92, False)])
def test_smeared_sources_fail(ratio, passes):
    earlier = [compact(r) for r in np.tile([1.02, 1.025, 1.03], 10)]
    verdict = check_smearing(calibration_input(compact(ratio), earlier))
    assert verdict.passed is passes
    assert "of 40 compact sources" in verdict.comment


@pytest.mark.parametrize(
    ("gain", "snr", "passes"),
    [(0.12, 6, False), (-0.12, -6, False), (0.08, 20, True), (0.3, 4, True), (0.0, 0.0, True)],
)
def test_part_of_the_field_that_brightens_fails(gain, snr, passes):
    assert check_patch(calibration_input(patched(gain, snr), [])).passed is passes


def test_figures_of_a_patch_are_in_the_comment():
    comment = check_patch(calibration_input(patched(-0.153, -7.7), [])).comment
    assert "sources around 10.0000 -20.0000 are 15.3 % fainter than the others, at 7.7 σ" in comment


def test_image_without_a_calibration_is_not_checked():
    assert check_calibration(calibration_input(UNCALIBRATED, [gained(1.0)] * 20)) == ()
    assert check_calibration(calibration_input(scattered(1.0), [scattered(0.1)] * 20, beam=None)) == ()


def test_bad_image_is_reported_once_by_each_check_and_rejected_on_request():
    bad = ImageCalibration(
        flux_scale=FluxScale(gain=2.5, gain_err=0.01),
        astrometry=Astrometry(scatter=30.0, n_matches=50),
        compactness=1.5,
        compactness_err=0.01,
        patch_gain=0.5,
        patch_snr=9.0,
    )
    good = ImageCalibration(
        flux_scale=FluxScale(gain=1.0, gain_err=0.01), astrometry=Astrometry(scatter=1.0, n_matches=50), compactness=1.0
    )
    findings = check_calibration(calibration_input(bad, [good] * 20, beam=BEAM, check_patch="reject"))
    assert [(finding.check, finding.passed, finding.action) for finding in findings] == [
        ("gain", False, "warn"),
        ("position_scatter", False, "warn"),
        ("smearing", False, "warn"),
        ("patch", False, "reject"),
    ]


@pytest.mark.parametrize("check", CALIBRATION_CHECKS, ids=lambda check: check.name)
def test_every_check_can_be_off(check):
    image = calibration_input(gained(2.5), [gained(1.0)] * 20, **{check.setting: "off"})
    assert check.run(image) is None


def test_series_of_good_images_has_hardly_any_finding():
    rng = np.random.default_rng(11)
    n_failed = n_checked = 0
    for spread in (0.01, 0.05, 0.1):
        for _ in range(10):
            earlier: list[ImageCalibration] = []
            for _ in range(40):
                image = ImageCalibration(
                    flux_scale=FluxScale(gain=float(np.exp(rng.normal(0, spread))), gain_err=0.003),
                    astrometry=Astrometry(scatter=float(np.exp(rng.normal(0, 0.15))), n_matches=20),
                    compactness=float(rng.normal(1.02, 0.1 * spread)),
                    compactness_err=0.003,
                )
                findings = check_calibration(calibration_input(image, earlier, beam=BEAM))
                n_checked += len(findings)
                n_failed += sum(not finding.passed for finding in findings)
                earlier.append(image)
    assert n_checked == 3 * 10 * 40 * 3
    assert n_failed <= 3  # one in a thousand
