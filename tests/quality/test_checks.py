"""All checks of an image: their order, and the settings that switch them."""

from __future__ import annotations

import pkgutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from check_inputs import GOOD, NOW, earlier_input, image_input, source_input

import trap.quality
from trap.config import QualityConfig
from trap.images.beam import Beam
from trap.images.metadata import LofarStations
from trap.quality import (
    AcceptedImages,
    HistoryKey,
    RejectReason,
    check_against_earlier,
    check_image,
    check_sources,
    first_rejection,
)
from trap.quality.checks import all_checks
from trap.quality.records import Check

STATIONS = LofarStations(antenna_set="HBA", ncore=40, nremote=10, nintl=0, subbands=10, subbandwidth=2e5)
POLARISED = np.random.default_rng(5).normal(size=(2, 400, 400))
EVERY = ["flat", "nan", "rms", "beam", "beam_shape", "bright_source", "off_sky", "psf", "asymmetry", "date", "stale"]


def failures(findings):
    return [finding.check for finding in findings if not finding.passed]


def test_good_image_passes_every_check_with_a_comment():
    findings = check_image(image_input())
    assert [finding.check for finding in findings] == EVERY
    assert failures(findings) == []
    assert all(finding.comment for finding in findings)


def test_lofar_is_checked_in_traps_order():
    findings = check_image(image_input(rms=5e-3, lofar=STATIONS))
    assert [finding.check for finding in findings][:8] == [
        *("flat", "nan", "tau_time", "lofar_noise", "beam", "beam_shape", "bright_source", "rms")
    ]
    assert failures(findings) == []


@pytest.mark.parametrize(
    ("changes", "check", "reason", "action"),
    [
        ({"data": np.ones((9, 9))}, "flat", RejectReason.FLAT, "reject"),
        ({"data": np.full((9, 9), np.nan)}, "nan", RejectReason.NAN, "reject"),
        ({"rms": 101.0}, "rms", RejectReason.RMS, "reject"),
        ({"beam": None}, "beam", RejectReason.BEAM, "reject"),
        ({"lofar": STATIONS, "tau_time": 0.0}, "tau_time", RejectReason.TAU_TIME, "reject"),
        ({"lofar": STATIONS, "rms": 1.0}, "lofar_noise", RejectReason.RMS, "reject"),
        (
            {"lofar": STATIONS, "rms": 5e-3, "centre_ra": 351.0, "centre_dec": 58.0},
            *("bright_source", RejectReason.BRIGHT_SOURCE, "reject"),
        ),
        ({"centre_ra": 351.0, "centre_dec": 58.0}, "bright_source", RejectReason.BRIGHT_SOURCE, "warn"),
        ({"data": np.hypot(*POLARISED)}, "asymmetry", RejectReason.NOT_GAUSSIAN, "warn"),
        ({"taustart_ts": datetime(1858, 11, 17, tzinfo=UTC)}, "date", RejectReason.DATE, "reject"),
        ({"taustart_ts": NOW - timedelta(days=9), "max_age_days": 5.0}, "stale", RejectReason.DATE, "warn"),
    ],
)
def test_each_fault_is_found_by_its_own_check(changes, check, reason, action):
    failed = [finding for finding in check_image(image_input(**changes)) if not finding.passed]
    assert [(finding.check, finding.reason, finding.action) for finding in failed] == [(check, reason, action)]


def test_every_fault_is_listed_and_the_first_is_the_reason():
    findings = check_image(image_input(data=np.ones((9, 9)), rms=0.0, beam=None))
    assert failures(findings) == ["flat", "rms", "beam"]
    assert first_rejection(findings).reason is RejectReason.FLAT


@pytest.mark.parametrize("check", EVERY)
def test_every_check_can_be_switched_off(check):
    setting = "check_bright_source_elsewhere" if check == "bright_source" else f"check_{check}"
    findings = check_image(image_input(**{setting: "off"}))
    assert [finding.check for finding in findings] == [name for name in EVERY if name != check]


def test_check_that_warns_rejects_nothing():
    findings = check_image(image_input(rms=0.0, check_rms="warn"))
    assert failures(findings) == ["rms"]
    assert first_rejection(findings) is None


def test_negative_sources_count_in_stokes_i_alone():
    (finding,) = check_sources(source_input(11))
    assert (finding.passed, finding.reason) == (False, RejectReason.NEGATIVE)
    assert check_sources(source_input(11, stokes=4)) == ()
    assert check_sources(source_input(11, check_negative="off")) == ()


def test_image_is_compared_with_earlier_images():
    key, earlier = HistoryKey(0, 1, ""), AcceptedImages(QualityConfig())
    common = {"key": key, "earlier": earlier, "pixel_hash": "ab"}
    names = ["rms_history", "beam_jump", "frequency_jump", "repeated"]
    assert [finding.check for finding in check_against_earlier(earlier_input(**common))] == names
    for _ in range(10):
        earlier.remember(
            key,
            rms=1.0,
            beam=Beam(bmaj=2.0, bmin=1.0, bpa=0.0),
            pixel_hash="ab",
            url="a.fits",
            start=GOOD.taustart_ts,
        )
    assert failures(check_against_earlier(earlier_input(**common))) == ["beam_jump", "repeated"]
    off = {f"check_{name}": "off" for name in names}
    assert check_against_earlier(earlier_input(**common, **off)) == ()


def test_every_check_of_the_room_is_listed():
    names = (f"trap.quality.{item.name}" for item in pkgutil.iter_modules(trap.quality.__path__))
    modules = map(pkgutil.resolve_name, names)
    records = [value for module in modules for value in vars(module).values() if isinstance(value, Check)]
    assert {id(record) for record in records} == {id(record) for record in all_checks()}


def test_every_switch_belongs_to_a_check():
    switches = {name for name in QualityConfig.model_fields if name.startswith("check_")}
    assert switches == {check.setting for check in all_checks()}


def test_check_without_its_setting_cannot_be_made():
    with pytest.raises(ValueError, match=r"check x: there is no setting quality.check_x"):
        replace(all_checks()[0], name="x", setting="check_x")
