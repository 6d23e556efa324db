"""Reasons and their codes."""

from __future__ import annotations

from trap.quality import Finding, RejectReason, first_rejection

TRAPS = {
    0: "RMS invalid",
    1: "beam invalid",
    2: "bright source near",
    3: "tau_time invalid",
    4: "contains NaN",
    5: "data is flat",
}


def finding(reason, action, *, passed=False):
    return Finding(check="x", reason=reason, passed=passed, comment="", action=action)


def test_reasons_of_trap_have_its_codes_and_descriptions():
    described = {reason.value: reason.description for reason in RejectReason}
    assert {code: described[code] for code in TRAPS} == TRAPS


def test_every_reason_has_its_own_description():
    assert len({reason.description for reason in RejectReason}) == len(RejectReason) == max(RejectReason) + 1


def test_first_failure_that_rejects_is_the_rejection():
    findings = [
        finding(RejectReason.FLAT, "reject", passed=True),
        finding(RejectReason.DATE, "warn"),
        finding(RejectReason.BEAM, "reject"),
        finding(RejectReason.RMS, "reject"),
    ]
    assert first_rejection(findings).reason is RejectReason.BEAM
    assert first_rejection(findings[:2]) is None
