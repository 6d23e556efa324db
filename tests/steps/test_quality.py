"""Rejected images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_up_survey import Field, sources
from sky_fixtures import Sky

from trap.association.entries import LightCurveKey
from trap.calibration.records import FluxScale, ImageCalibration
from trap.dataset.state import DatasetState
from trap.images.beam import Beam
from trap.images.image import Image
from trap.quality import RejectReason
from trap.steps import quality
from trap.steps.association import associate_extracted_sources


def test_good_image_passes(image, config):
    assert quality.reject_check(image, 1e-4, config) is None


@pytest.mark.parametrize("noise", [float("nan"), 0.0, 101.0])
def test_impossible_noise_is_rejected(image, config, noise):
    rejection = quality.reject_check(image, noise, config)
    assert rejection.reason is RejectReason.RMS


SETTINGS = {"rms_est_history": 2, "jump_history": 2, "rms_rej_factor": 1.0}


@pytest.fixture
def state(config):
    """A dataset with two earlier images."""
    return DatasetState(
        config=config.with_options(quality={"rms_est_history": 2, "jump_history": 2, "rms_rej_factor": 1.0})
    )


def accept(state, *results):
    for result in results:
        state.light_curve_key(result.metadata)
        state.remember(result)


FIELD = Field()
OTHER_BEAM = Beam(bmaj=0.2, bmin=0.15, bpa=0.0)


def test_noise_far_from_the_history_of_its_band_is_rejected(state):
    accept(state, replace(FIELD.image(0), rms_qc=0.9), replace(FIELD.image(1), rms_qc=1.1))
    good, bad = (quality.reject_against_history(replace(FIELD.image(2), rms_qc=rms), state) for rms in (1.2, 1.6))
    assert good.rejection is None
    assert bad.rejection.reason is RejectReason.RMS


def test_gain_is_compared_with_earlier_images_of_the_same_band_only(config):
    state = DatasetState(config=config)
    bands = LightCurveKey(0, 1), LightCurveKey(1, 1)
    for _ in range(10):
        for band, gain in zip(bands, (1.0, 2.0), strict=True):
            state.calibrations.remember(band, ImageCalibration(flux_scale=FluxScale(gain=gain, gain_err=0.01)))
    image = replace(FIELD.image(0), calibration=ImageCalibration(flux_scale=FluxScale(gain=2.0, gain_err=0.01)))
    assert [finding.passed for band in bands for finding in quality.compare_calibration(image, state, band)] == [
        False,
        True,
    ]


def test_short_history_rejects_nothing(state):
    accept(state, replace(FIELD.image(0), rms_qc=0.9))
    assert quality.reject_against_history(replace(FIELD.image(2), rms_qc=77.0), state).findings == ()


@pytest.mark.parametrize("other", [{"stokes": 4}, {"telescope": "elsewhere"}, {"freq_eff": 9e8}])
def test_bands_stokes_parameters_and_telescopes_have_histories_of_their_own(state, other):
    first = FIELD.image(0)
    metadata = replace(first.metadata, **other)
    accept(state, *(replace(first, metadata=metadata, rms_qc=rms) for rms in (0.9, 1.1)))
    assert quality.reject_against_history(replace(first, rms_qc=77.0), state).rejection is None


def test_rejected_images_are_no_part_of_the_history(state):
    accept(state, replace(FIELD.image(0), rms_qc=0.9), replace(FIELD.image(1), rms_qc=1.1))
    for _ in range(3):
        assert associate_extracted_sources(state, [replace(FIELD.image(2), rms_qc=9.0)])[0].result.rejection
    assert state.accepted.rms(state.history_key(FIELD.image(0).metadata)).tolist() == [0.9, 1.1]


CONFIRMED = sources(np.linspace(120, 126, 12), 10.0)


def after_two_days(state):
    for day in range(2):
        (record,) = associate_extracted_sources(state, [FIELD.image(day, CONFIRMED)])
        state.looks.add(record.key, image=day + 1, region=record.region, rms_range=(FIELD.rms_min, FIELD.rms_max))


def displaced(n_new, n_known=0):
    """Sources of which some have no counterpart in the catalogue."""
    ra = np.concatenate([np.linspace(120, 126, n_new), CONFIRMED.ra[:n_known]])
    return sources(ra, np.repeat([10.4, 10.0], [n_new, n_known]))


@pytest.mark.parametrize(
    ("n_new", "n_known", "is_rejected"), [(12, 0, True), (5, 4, True), (5, 5, False), (4, 0, False)]
)
def test_image_whose_sources_have_no_counterparts_is_rejected(state, n_new, n_known, is_rejected):
    after_two_days(state)
    (record,) = associate_extracted_sources(state, [FIELD.image(2, displaced(n_new, n_known))])
    assert (record.result.rejection is not None) is is_rejected
    if is_rejected:
        assert record.result.rejection.reason is RejectReason.NEW_SOURCES
        assert len(state.catalogue) == len(CONFIRMED)
        assert not len(record.new_sources)


@pytest.mark.parametrize(
    ("n_known", "n_new", "is_doubtful"), [(0, 25, True), (3, 31, True), (3, 29, False), (0, 9, False)]
)
def test_image_with_many_times_the_sources_of_a_nearly_empty_field_is_doubtful(state, n_known, n_new, is_doubtful):
    """Four entries or fewer cannot reject it: the field may be one whose first sources appear."""
    for day in range(2):
        (record,) = associate_extracted_sources(state, [FIELD.image(day, CONFIRMED.take(slice(n_known)))])
        state.looks.add(record.key, image=day + 1, region=record.region, rms_range=(FIELD.rms_min, FIELD.rms_max))
    (record,) = associate_extracted_sources(state, [FIELD.image(2, displaced(n_new, n_known))])
    assert record.result.rejection is None
    assert [finding.check for finding in record.result.findings] == ["many_sources"] * is_doubtful


def test_displaced_image_makes_candidates_if_it_is_only_a_warning(config):
    state = DatasetState(config=config.with_options(quality={"check_new_sources": "warn"}))
    after_two_days(state)
    (record,) = associate_extracted_sources(state, [FIELD.image(2, displaced(12))])
    assert [finding.reason for finding in record.result.findings] == [RejectReason.NEW_SOURCES]
    assert len(record.new_sources) == 12


@pytest.mark.parametrize("other", [{"stokes": 4}, {"telescope": "elsewhere"}, {"freq_eff": 9e8}, {"centre_dec": -40.0}])
def test_first_images_of_a_band_or_a_field_are_not_doubtful(state, other):
    after_two_days(state)
    image = FIELD.image(2, displaced(12))
    (record,) = associate_extracted_sources(state, [replace(image, metadata=replace(image.metadata, **other))])
    assert record.result.rejection is None


def test_deeper_image_with_many_faint_sources_is_not_doubtful(state):
    after_two_days(state)
    # The threshold of the earlier images, 5 x 3e-4 Jy, has hidden these.
    faint = sources(displaced(12).ra, 10.4, flux=4e-4, flux_err=1e-5)
    (record,) = associate_extracted_sources(state, [FIELD.image(2, faint, rms_min=1e-5, rms_max=1e-5)])
    assert record.result.rejection is None


def test_second_image_is_not_rejected_because_the_first_is_displaced(state):
    (first,) = associate_extracted_sources(state, [FIELD.image(0, displaced(12))])
    state.looks.add(first.key, image=1, region=first.region, rms_range=(FIELD.rms_min, FIELD.rms_max))
    for day in (1, 2):
        (record,) = associate_extracted_sources(state, [FIELD.image(day, CONFIRMED)])
        assert record.result.rejection is None


def test_first_images_are_compared_with_those_that_follow(config):
    state = DatasetState(config=config)
    images = [replace(FIELD.image(day), rms_qc=rms) for day, rms in enumerate([100.0, 1.0, 1.1, 0.9, 1.0, 1.2])]
    state.following = tuple(images[1:])
    (record,) = associate_extracted_sources(state, images[:1])
    assert record.result.rejection.reason is RejectReason.RMS
    # Images of another band are no others, though neither band is in the dataset yet.
    state.following = tuple(replace(one, metadata=replace(one.metadata, freq_eff=9e8)) for one in images[1:])
    (record,) = associate_extracted_sources(state, images[:1])
    assert record.result.rejection is None


def test_beam_jump_is_a_warning_by_default(state):
    accept(state, FIELD.image(0), FIELD.image(1))
    jumped = replace(FIELD.image(2), metadata=replace(FIELD.image(2).metadata, beam=OTHER_BEAM))
    result = quality.reject_against_history(jumped, state)
    assert [finding.reason for finding in result.findings] == [RejectReason.BEAM_JUMP]
    assert result.rejection is None


def test_frequency_in_no_band_long_after_the_last_new_one_is_noticed(state):
    jumped = replace(FIELD.image(2), metadata=replace(FIELD.image(2).metadata, freq_eff=3e9))
    accept(state, FIELD.image(0), FIELD.image(1))
    assert quality.reject_against_history(jumped, state).findings == ()
    accept(state, FIELD.image(2))
    result = quality.reject_against_history(jumped, state)
    assert [finding.reason for finding in result.findings] == [RejectReason.FREQUENCY_JUMP]
    assert len(state.bands) == 1


def test_pixels_of_an_earlier_image_are_noticed_and_rejected_on_request(state, config):
    accept(state, replace(FIELD.image(0), pixel_hash="ab"))
    result = quality.reject_against_history(replace(FIELD.image(1), pixel_hash="ab"), state)
    assert [finding.reason for finding in result.findings] == [RejectReason.REPEATED]
    assert result.rejection is None
    strict = DatasetState(config=config.with_options(quality={"check_repeated": "reject"}))
    accept(strict, replace(FIELD.image(0), pixel_hash="ab"))
    rejected = quality.reject_against_history(replace(FIELD.image(1), pixel_hash="ab"), strict)
    assert rejected.rejection.reason is RejectReason.REPEATED


def test_band_that_only_rejected_images_made_takes_no_image(state):
    # 100 MHz wide, so that it would take the good image's band in.
    wide = replace(FIELD.image(0).metadata, freq_bw=1e8)
    assert state.light_curve_key(wide, is_accepted=False).band == 0
    assert state.light_curve_key(FIELD.image(1).metadata).band == 1
    # A rejected image is shown with the band that it would have belonged to.
    assert state.light_curve_key(FIELD.image(2).metadata, is_accepted=False).band == 1


@pytest.mark.parametrize(("width", "failed"), [(1.0, {"beam", "beam_shape"}), (1.4, {"beam_shape"}), (2.5, set())])
def test_padded_image_of_all_the_sky_is_flagged_for_its_beam_and_for_its_corners(config, width, failed):
    sky = Sky(bmaj=width, bmin=width, dec=37.0)
    header = sky.header()
    # The horizon is r pixels from the middle, with π r² = 0.63 of 256² pixels.
    increment = np.degrees(1 / np.sqrt(0.63 * 256**2 / np.pi))
    header.update(CDELT1=-increment, CDELT2=increment, BMAJ=width * increment, BMIN=width * increment)
    image = Image.from_array(np.random.default_rng(1).normal(size=(256, 256)), header)
    findings = {finding.check: finding for finding in quality.examine(image, 1.0, config)}
    assert {name for name, finding in findings.items() if not finding.passed} == failed | {"off_sky"}
    assert float(findings["off_sky"].comment.split("%")[0]) == pytest.approx(37, abs=0.1)
    assert findings["off_sky"].action == "warn"
