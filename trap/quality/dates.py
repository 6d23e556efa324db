"""Whether an image was taken when its header says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from trap.quality.reasons import Verdict

__all__ = ["check_date", "check_stale"]

_FIRST_RADIO_ASTRONOMY = datetime(1931, 1, 1, tzinfo=UTC)
_CLOCKS = timedelta(days=1)
"""Clocks and time zones that are wrong make no more of a difference than this."""


def check_date(start: datetime) -> Verdict:
    """See whether there was radio astronomy then: dates that were never set are those of a zero."""
    comment = f"start {_text(start)}"
    if start < _FIRST_RADIO_ASTRONOMY:
        return Verdict(False, f"{comment}, before there was radio astronomy")
    return Verdict(True, comment)


def check_stale(start: datetime, now: datetime, max_age_days: float) -> Verdict:
    """See whether an image starts in the future, or too long ago.

    Parameters
    ----------
    start
        Of the image.
    now
        When it is looked at.
    max_age_days
        d — 0 takes images of any age.
    """
    age = now - start
    comment = (
        f"start {_text(start)}, {abs(age) / timedelta(days=1):.1f} days {'ago' if age >= timedelta(0) else 'ahead'}"
    )
    if age < -_CLOCKS:
        return Verdict(False, f"{comment}: in the future")
    if max_age_days and age > timedelta(days=max_age_days):
        return Verdict(False, f"{comment}, at most {max_age_days:g}")
    return Verdict(True, comment)


def _text(time: datetime) -> str:
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")
