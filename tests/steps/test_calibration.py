"""The calibration of a timestep: polarised images, forced fits, and the systematic error that it leaves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_up_survey import Field, sources

from trap.catalogues import FitRequests, Flag
from trap.config import PipelineConfig
from trap.dataset.state import DatasetState
from trap.steps.association import associate_extracted_sources
from trap.steps.calibration import calibrate_images

N = 100
GAIN, SHIFT = 1.2, 90.0


def state_after(*images, **options):
    state = DatasetState(config=PipelineConfig().with_options(**options))
    for image in images:
        associate_extracted_sources(state, calibrate_images(state, [image]))
    return state


def image(seed, *, gain=1.0, shift=0.0, day=0.0, n=N, **options):
    """An image of a grid of sources, with errors of 1 % and 3 arcsec."""
    sky, rng = np.random.default_rng(1), np.random.default_rng(seed)
    line = np.linspace(-4, 4, 10)
    east, north = (axis.ravel()[:n] for axis in np.meshgrid(line, line))
    flux = sky.uniform(0.05, 0.2, N)[:n]
    found = sources(
        123 + east / np.cos(np.radians(10 + north)) + rng.normal(0, 3, n) / 3600,
        10 + north + (shift + rng.normal(0, 3, n)) / 3600,
        flux=gain * flux * rng.normal(1, 0.01, n),
        flux_err=0.01 * flux,
        error_radius=3.0,
        systematics=40.0,
    )
    return Field().image(day, found, **options)


def test_polarised_images_take_the_correction_of_stokes_i():
    state = state_after(image(1))
    total, circular = image(2, gain=GAIN, shift=SHIFT, day=1.0), image(3, gain=-0.1, shift=SHIFT, day=1.0, stokes=4)
    corrected = calibrate_images(state, [total, circular])
    assert corrected[0].calibration.flux_scale.gain == pytest.approx(GAIN, rel=0.005)
    assert corrected[1].calibration.flux_scale == corrected[0].calibration.flux_scale
    assert corrected[1].calibration.astrometry == corrected[0].calibration.astrometry
    assert np.median(corrected[1].measurements.f_int / circular.measurements.f_int) == pytest.approx(
        1 / GAIN, rel=0.005
    )
    assert np.median(corrected[1].measurements.dec - circular.measurements.dec) * 3600 == pytest.approx(-SHIFT, abs=1.5)
    (alone,) = calibrate_images(state, [circular])
    assert alone.calibration.flux_scale.note == "no Stokes I image of this band in its timestep"
    assert np.array_equal(alone.measurements.f_int, circular.measurements.f_int)


def test_nothing_changes_if_the_calibration_is_off():
    state = state_after(image(1), calibration={"positions": "off", "flux_scale": "off"})
    spoilt = image(2, gain=GAIN, shift=SHIFT, day=1.0)
    assert calibrate_images(state, [spoilt]) == [spoilt]


def test_rejected_images_are_left_as_they_are():
    state = state_after(image(1))
    rejected = replace(image(2, gain=GAIN, day=1.0), rejection=object())
    (result,) = calibrate_images(state, [rejected])
    assert result is rejected


def test_corrections_and_their_inverses_agree():
    (result,) = calibrate_images(state_after(image(1)), [image(2, gain=GAIN, shift=SHIFT, day=1.0)])
    calibration, corrected = result.calibration, result.measurements
    shown = calibration.as_in_image(corrected)
    assert np.array_equal(shown.f_int, corrected.f_int_raw)
    assert np.array_equal(shown.dec, corrected.dec_raw)
    requests = FitRequests.of(ra=corrected.ra, dec=corrected.dec, kind=1, target=np.arange(N))
    there = calibration.requests_in_image(requests)
    assert there.dec == pytest.approx(corrected.dec_raw, abs=1e-9)
    fits = calibration.correct_fits(shown.with_columns(ra=there.ra, dec=there.dec), requests)
    assert np.array_equal(fits.ra, corrected.ra)
    assert np.array_equal(fits.dec, corrected.dec)
    assert fits.f_int == pytest.approx(corrected.f_int, rel=5e-3)
    relative = calibration.flux_scale.gain_err / calibration.flux_scale.gain
    assert fits.gain_err == pytest.approx(relative)


def test_the_measured_systematic_error_replaces_the_assumed_one_of_single_sources():
    second = image(2, day=1.0)
    blended = np.where(np.arange(N) < 10, Flag.BLENDED, 0)
    second = replace(second, measurements=second.measurements.with_columns(flags=blended))
    (result,) = calibrate_images(state_after(image(1)), [second])
    error = result.calibration.astrometry.ew_sys_err
    assert error < 1
    assert result.measurements.ew_sys_err[10:] == pytest.approx(error)
    assert result.measurements.ew_sys_err[:10] == pytest.approx(np.hypot(40, error))
    numbers = {"source_extraction": {"ew_sys_err": 5.0, "ns_sys_err": "auto"}}
    (result,) = calibrate_images(state_after(image(1), **numbers), [second])
    assert (result.measurements.ew_sys_err == 40).all()
    assert result.measurements.ns_sys_err[10:] == pytest.approx(error, abs=1)


def test_all_bands_of_a_timestep_are_compared_with_the_timesteps_before():
    state = state_after(image(1))
    low, high = (image(seed, shift=SHIFT, day=1.0, freq=freq) for seed, freq in ((2, 140e6), (3, 180e6)))
    together = calibrate_images(state, [low, high])
    apart = [calibrate_images(state, [one])[0] for one in (low, high)]
    assert [one.calibration.astrometry.shift_ns for one in together] == pytest.approx(
        [one.calibration.astrometry.shift_ns for one in apart], abs=0.5
    )
    # The second band has no flux densities yet.
    assert together[1].calibration.flux_scale.note == "the first image of its band sets the flux scale"


def test_images_vary_in_series():
    state = state_after(*(image(seed, gain=1 + 0.1 * (seed % 3), day=float(seed)) for seed in range(1, 6)))
    key = next(iter(state.catalogue.light_curves))
    for seed in range(1, 6):
        (result,) = calibrate_images(state, [image(seed, gain=1 + 0.1 * (seed % 3), day=10.0 + seed)])
        state.calibrations.remember(key, result.calibration)
    assert state.calibrations.has_varying_gains(key)
    assert not state.calibrations.has_varying_shifts(key)
    (result,) = calibrate_images(state, [image(1, gain=1.1, day=20.0)])
    assert result.calibration.flux_scale.is_applied
