"""The reasons for leaving an image out, and the results of its checks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trap.config.quality import Action

__all__ = ["Finding", "RejectReason", "Rejection", "Verdict", "first_rejection"]


class RejectReason(IntEnum):
    """A reason for leaving an image out: its number and its sentence in table ``rejectreason``.

    The reasons up to FLAT are TraP's. A number is never used again for another reason.
    """

    RMS = 0, "RMS invalid"
    BEAM = 1, "beam invalid"
    BRIGHT_SOURCE = 2, "bright source near"
    TAU_TIME = 3, "tau_time invalid"
    NAN = 4, "contains NaN"
    FLAT = 5, "data is flat"
    POINT_SPREAD = 6, "point-spread function"
    DATE = 7, "date invalid"
    NOT_GAUSSIAN = 8, "noise not Gaussian"
    NEGATIVE = 9, "negative sources"
    BEAM_JUMP = 10, "beam unlike earlier ones"
    FREQUENCY_JUMP = 11, "frequency unlike earlier ones"
    REPEATED = 12, "pixels of an earlier image"
    BEAM_SHAPE = 13, "beam elongated or undersampled"
    NEW_SOURCES = 14, "sources unlike earlier ones"
    FLUX_SCALE = 15, "flux scale unlike earlier ones"
    POSITIONS = 16, "positions scatter more than earlier ones"
    SMEARED = 17, "shapes of sources unlike earlier ones"
    PATCH = 18, "part of the field brighter or fainter"

    description: str

    def __new__(cls, code: int, description: str) -> Self:
        """Make a member from its number and its sentence."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.description = description
        return member


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """The first check that an image fails and whose setting is "reject".

    Parameters
    ----------
    reason
        Reason of the check.
    comment
        Values that failed the check, as text.
    """

    reason: RejectReason
    comment: str

    @property
    def text(self) -> str:
        """Reason and values in one line."""
        return f"{self.reason.description}: {self.comment}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of a check: whether the image passes, and the deciding values as text."""

    passed: bool
    comment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one check of one image, with the action that the settings demand.

    Parameters
    ----------
    check
        Name of the check.
    reason
        Reason for which the image is left out if it fails.
    passed
        Whether the image passes.
    comment
        Values that decided the result, as text.
    action
        Value of the check's setting: whether a failure rejects the image or is a warning.
    """

    check: str
    reason: RejectReason
    passed: bool
    comment: str
    action: Action

    @property
    def text(self) -> str:
        """Reason and values in one line."""
        return f"{self.reason.description}: {self.comment}"


def first_rejection(findings: Iterable[Finding]) -> Rejection | None:
    """Return the first finding that rejects the image; None if no finding does."""
    for finding in findings:
        if not finding.passed and finding.action == "reject":
            return Rejection(reason=finding.reason, comment=finding.comment)
    return None
