"""Whether the date of an image can be right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from trap.codes import RejectReason
from trap.quality.reasons import Verdict
from trap.quality.records import Check

if TYPE_CHECKING:
    from trap.quality.records import ImageInput

__all__ = ["DATE", "STALE", "check_date", "check_stale"]

_FIRST_RADIO_ASTRONOMY = datetime(1931, 1, 1, tzinfo=UTC)


def check_date(image: ImageInput) -> Verdict:
    """Check that there was radio astronomy at the start, and that the start is not in the future.

    A date that was never set is usually a zero point. One date in the future would make all later images late.
    """
    start, allowed = image.metadata.taustart_ts, image.config.quality.max_future_days
    comment = f"start {_text(start)}"
    ahead = (start - image.now) / timedelta(days=1)
    if ahead > allowed:
        return Verdict(False, f"{comment}, {ahead:.1f} days in the future, at most {allowed:g}")
    if start < _FIRST_RADIO_ASTRONOMY:
        return Verdict(False, f"{comment}, before there was radio astronomy")
    return Verdict(True, comment)


DATE = Check(
    name="date",
    setting="check_date",
    reason=RejectReason.DATE,
    fails_if="the image starts before 1931, or more than `max_future_days` in the future",
    function=check_date,
)


def check_stale(image: ImageInput) -> Verdict:
    """Check that an image starts neither in the future nor more than ``max_age_days`` ago; 0 allows any age."""
    start, max_age_days = image.metadata.taustart_ts, image.config.quality.max_age_days
    age = image.now - start
    days = f"{abs(age) / timedelta(days=1):.1f} days {'ago' if age >= timedelta(0) else 'ahead'}"
    comment = f"start {_text(start)}, {days}"
    if age < -timedelta(days=image.config.quality.max_future_days):
        return Verdict(False, f"{comment}: in the future")
    if max_age_days and age > timedelta(days=max_age_days):
        return Verdict(False, f"{comment}, at most {max_age_days:g}")
    return Verdict(True, comment)


STALE = Check(
    name="stale",
    setting="check_stale",
    reason=RejectReason.DATE,
    fails_if="the image starts in the future, or more than `max_age_days` ago",
    function=check_stale,
)


def _text(time: datetime) -> str:
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")
