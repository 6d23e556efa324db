"""The results of the checks of an image, and its rejection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trap.codes import RejectReason
    from trap.config.quality import Action

__all__ = ["Finding", "Rejection", "Verdict", "first_rejection"]


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
