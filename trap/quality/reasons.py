"""Why images are not searched, and what a check says of an image."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trap.config.quality import Action

__all__ = ["Finding", "RejectReason", "Rejection", "Verdict", "first_rejection"]


class RejectReason(IntEnum):
    """Why an image is not searched (rows of table ``rejectreason``); up to FLAT they are TraP's."""

    RMS = 0
    BEAM = 1
    BRIGHT_SOURCE = 2
    TAU_TIME = 3
    NAN = 4
    FLAT = 5
    POINT_SPREAD = 6
    DATE = 7
    NOT_GAUSSIAN = 8
    NEGATIVE = 9
    BEAM_JUMP = 10
    FREQUENCY_JUMP = 11
    REPEATED = 12

    @property
    def description(self) -> str:
        """The sentence that stands in the database."""
        return _DESCRIPTIONS[self]


_DESCRIPTIONS = {
    RejectReason.RMS: "RMS invalid",
    RejectReason.BEAM: "beam invalid",
    RejectReason.BRIGHT_SOURCE: "bright source near",
    RejectReason.TAU_TIME: "tau_time invalid",
    RejectReason.NAN: "contains NaN",
    RejectReason.FLAT: "data is flat",
    RejectReason.POINT_SPREAD: "point-spread function",
    RejectReason.DATE: "date invalid",
    RejectReason.NOT_GAUSSIAN: "noise not Gaussian",
    RejectReason.NEGATIVE: "negative sources",
    RejectReason.BEAM_JUMP: "beam unlike earlier ones",
    RejectReason.FREQUENCY_JUMP: "frequency unlike earlier ones",
    RejectReason.REPEATED: "pixels of an earlier image",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """The first check that an image fails.

    Parameters
    ----------
    reason
        Which check.
    comment
        The values that failed it, for people.
    """

    reason: RejectReason
    comment: str

    @property
    def text(self) -> str:
        """Reason and values in one line."""
        return f"{self.reason.description}: {self.comment}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check comes to: whether the image passes, and the figures that decided it, for people."""

    passed: bool
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check says of one image.

    Parameters
    ----------
    check
        Its name; the setting ``check_…`` of that name is its switch.
    reason
        What it speaks of.
    passed
        Whether the image is good in this respect.
    comment
        The figures that decided it, for people.
    action
        What becomes of an image that does not pass.
    """

    check: str
    reason: RejectReason
    passed: bool
    comment: str
    action: Action

    @property
    def text(self) -> str:
        """Reason and figures in one line."""
        return f"{self.reason.description}: {self.comment}"


def first_rejection(findings: Iterable[Finding]) -> Rejection | None:
    """Return the first finding that rejects the image; None where none does."""
    for finding in findings:
        if not finding.passed and finding.action == "reject":
            return Rejection(reason=finding.reason, comment=finding.comment)
    return None
