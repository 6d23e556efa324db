"""Images calibrated against a catalogue in a file, and their quality."""

from __future__ import annotations

import numpy as np
import pytest
from made_up_survey import Field, sources

from trap.config import PipelineConfig
from trap.dataset.state import DatasetState
from trap.steps.association import associate_extracted_sources
from trap.steps.calibration import calibrate_images

N = 256
GAIN, SHIFT = 1.15, 60.0  # arcsec, to the north
FREQUENCY = 140e6


@pytest.fixture(scope="module")
def sky():
    """Positions and flux densities of sources far from each other, in a field at declination 10°."""
    rng = np.random.default_rng(3)
    east, north = np.meshgrid(np.linspace(-6, 6, 16), np.linspace(-6, 6, 16))
    ra = 123 + (east.ravel() + rng.uniform(-0.1, 0.1, N)) / np.cos(np.radians(10 + north.ravel()))
    return ra, 10 + north.ravel() + rng.uniform(-0.1, 0.1, N), rng.uniform(0.02, 0.2, N)


@pytest.fixture(scope="module")
def catalogue(sky, tmp_path_factory):
    """The same sky in mJy at twice the frequency of the images, with a spectral index of -1."""
    path = tmp_path_factory.mktemp("reference") / "survey.csv"
    ra, dec, flux = sky
    rows = [f"{a:.8f},{d:.8f},{500 * f:.8f}" for a, d, f in zip(ra, dec, flux, strict=True)]
    path.write_text("\n".join(["RAJ2000,DEJ2000,Sint [mJy]", *rows]), encoding="utf-8")
    return str(path)


def image(sky, seed, *, gain=GAIN, shift=SHIFT, day=0.0):
    """An image with errors of 1 % and 2 arcsec."""
    ra, dec, flux = sky
    rng = np.random.default_rng(seed)
    error = 0.01 * flux
    found = sources(
        ra + rng.normal(0, 2, N) / 3600,
        dec + (shift + rng.normal(0, 2, N)) / 3600,
        flux=gain * flux + rng.normal(0, error),
        flux_err=error,
        error_radius=2.0,
        systematics=0.0,
    )
    return Field().image(day, found, freq=FREQUENCY)


def settings(**options):
    return PipelineConfig().with_options(calibration=options)


def test_first_image_is_calibrated_against_the_file(sky, catalogue):
    config = settings(
        position_catalogue=catalogue, flux_catalogue=catalogue, flux_frequency=2 * FREQUENCY, flux_spectral_index=-1.0
    )
    (result,) = calibrate_images(DatasetState(config=config), [image(sky, 1)])
    scale, astrometry = result.calibration.flux_scale, result.calibration.astrometry
    assert scale.reference == astrometry.reference == "survey.csv"
    assert scale.is_applied
    assert astrometry.is_applied
    # 256 sources of 1 % each determine the gain to 0.06 %, of 2 arcsec each the shift to 0.13 arcsec.
    assert scale.gain == pytest.approx(GAIN, abs=4 * 0.01 * GAIN / 16)
    assert astrometry.shift_ns == pytest.approx(SHIFT, abs=4 * 2 / 16)
    assert np.median(result.measurements.f_int / sky[2]) == pytest.approx(1, abs=0.004)
    assert np.median(result.measurements.dec - sky[1]) * 3600 == pytest.approx(0, abs=0.6)


def test_one_file_for_positions_leaves_the_flux_scale_to_the_first_image(sky, catalogue):
    state = DatasetState(config=settings(position_catalogue=catalogue))
    (result,) = calibrate_images(state, [image(sky, 1)])
    assert result.calibration.astrometry.is_applied
    assert result.calibration.flux_scale.reference == "running catalogue"
    assert result.calibration.flux_scale.gain == 1.0
    assert not result.calibration.flux_scale.is_applied


def test_one_file_for_flux_densities_leaves_the_positions_to_the_first_image(sky, catalogue):
    state = DatasetState(config=settings(flux_catalogue=catalogue))
    (result,) = calibrate_images(state, [image(sky, 1)])
    assert not result.calibration.astrometry.is_applied
    # At the frequency of the image, the catalogue has half the flux densities.
    assert result.calibration.flux_scale.gain == pytest.approx(2 * GAIN, rel=0.01)


def test_part_of_the_field_that_brightens_is_a_finding_with_its_place(sky):
    state = DatasetState(config=PipelineConfig())
    steady = image(sky, 1, gain=1.0, shift=0.0)
    ra, dec, _ = sky
    inside = np.hypot((ra - 126) * np.cos(np.radians(dec)), dec - 12) < 3.0
    lensed = image(sky, 2, gain=np.where(inside, 1.3, 1.0), shift=0.0, day=1.0)
    findings = []
    for one in (steady, lensed):
        (record,) = associate_extracted_sources(state, calibrate_images(state, [one]))
        findings.append([finding.check for finding in record.result.findings])
        calibration = record.result.calibration
    assert findings == [[], ["patch"]]
    assert calibration.patch_gain == pytest.approx(0.3, abs=0.08)
    assert np.hypot((calibration.patch_ra - 126) * np.cos(np.radians(12)), calibration.patch_dec - 12) < 1.5
