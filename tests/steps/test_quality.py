"""Rejected images."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_up_survey import Field

from trap.dataset.state import DatasetState
from trap.images.beam import Beam
from trap.quality import RejectReason
from trap.steps import quality
from trap.steps.association import associate_extracted_sources


def test_good_image_passes(image, config):
    assert quality.reject_check(image, 1e-4, config) is None


@pytest.mark.parametrize("noise", [float("nan"), 0.0, 101.0])
def test_impossible_noise_is_rejected(image, config, noise):
    rejection = quality.reject_check(image, noise, config)
    assert rejection.reason is RejectReason.RMS


@pytest.fixture
def state(config):
    """A dataset with two earlier images."""
    return DatasetState(config=config.with_options(quality={"rms_est_history": 2, "jump_history": 2}))


def accept(state, *results):
    for result in results:
        state.light_curve_key(result.metadata)
        state.remember(result)


FIELD = Field()
OTHER_BEAM = Beam(bmaj=0.2, bmin=0.15, bpa=0.0)


def test_noise_far_from_the_history_of_its_band_is_rejected(state):
    accept(state, replace(FIELD.image(0), rms_qc=0.9), replace(FIELD.image(1), rms_qc=1.1))
    good, bad = (quality.reject_against_history(replace(FIELD.image(2), rms_qc=rms), state) for rms in (1.2, 1.4))
    assert good.rejection is None
    assert bad.rejection.reason is RejectReason.RMS


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
