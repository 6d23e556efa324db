"""Changes since the last visit, which the visitor's browser remembers: the server keeps nothing.

A cookie holds the state of each dataset at the end of the last visit, and at the latest view of this one. A visit ends
when no page of datasets is opened for half an hour.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastapi import Request
    from starlette.responses import Response

__all__ = ["Seen", "Visit", "read_visit", "remember"]

PAUSE = timedelta(minutes=30)
"""Time without a view that ends a visit."""
MAX_DATASETS = 60
"""Number of datasets in the cookie, the latest ones: browsers keep 4096 bytes."""
YEAR_SECONDS = 365 * 86400
_NUMBER = r"\d{1,12}"
_COOKIE = re.compile(rf"({_NUMBER})-([\d._]*)-({_NUMBER})-([\d._]*)")


@dataclass(frozen=True, slots=True)
class Seen:
    """The state of a dataset that a visitor has seen.

    Parameters
    ----------
    n_images, n_candidates
        Numbers of images and of transient candidates.
    last_candidate
        Highest number of a candidate.
    """

    n_images: int
    n_candidates: int
    last_candidate: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """A visit, and the end of the visit before.

    Parameters
    ----------
    since
        End of the visit before; None for the first visit.
    before
        States of the datasets then, by number.
    """

    since: datetime | None
    before: Mapping[int, Seen]

    def new(self, number: int, now: Seen) -> Seen | None:
        """Return the changes of a dataset since the visit before; None at the first visit, or without a change.

        Parameters
        ----------
        number
            Number of the dataset.
        now
            Its present state.
        """
        if self.since is None:
            return None
        before = self.before.get(number, Seen(0, 0, 0))
        change = Seen(now.n_images - before.n_images, now.n_candidates - before.n_candidates, before.last_candidate)
        return change if change.n_images or change.n_candidates else None


def read_visit(request: Request, database: str, now: datetime) -> Visit:
    """Return the visit that a request belongs to. A cookie that is damaged counts as none.

    Parameters
    ----------
    request
        Request of a visitor.
    database
        URL of the database: each one has a cookie of its own.
    now
        Present time.
    """
    before, since, last, then = _parse(request.cookies.get(_name(database), ""))
    if then is None:
        return Visit(since=None, before={})
    if now - then > PAUSE:
        return Visit(since=then, before=last)
    return Visit(since=since, before=before)


def remember(response: Response, database: str, visit: Visit, states: Mapping[int, Seen], now: datetime) -> None:
    """Set the cookie of a response.

    Parameters
    ----------
    response
        Response that shows the datasets.
    database, visit, now
        As for :func:`read_visit`, and its result.
    states
        Present states of the datasets, by number.
    """
    since = 0 if visit.since is None else int(visit.since.timestamp())
    text = f"{since}-{_written(visit.before)}-{int(now.timestamp())}-{_written(states)}"
    response.set_cookie(_name(database), text, max_age=YEAR_SECONDS, httponly=True, samesite="strict")


def _name(database: str) -> str:
    return f"transients_seen_{hashlib.sha256(database.encode()).hexdigest()[:8]}"


def _written(states: Mapping[int, Seen]) -> str:
    latest: Iterable[int] = sorted(states)[-MAX_DATASETS:]
    return "_".join(
        f"{one}.{states[one].n_images}.{states[one].n_candidates}.{states[one].last_candidate}" for one in latest
    )


def _parse(text: str) -> tuple[dict[int, Seen], datetime | None, dict[int, Seen], datetime | None]:
    """Read a cookie: the states and the end of the visit before, and the states of the latest view."""
    found = _COOKIE.fullmatch(text)
    if found is None:
        return {}, None, {}, None
    since, then = int(found[1]), int(found[3])
    return _states(found[2]), _time(since), _states(found[4]), _time(then)


def _time(seconds: int) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if 0 < seconds < 10**11 else None


def _states(text: str) -> dict[int, Seen]:
    """Read states; a damaged one is left out."""
    parts = [[int(word) for word in part.split(".") if word.isdigit() and len(word) < 13] for part in text.split("_")]
    return {part[0]: Seen(*part[1:]) for part in parts if len(part) == 4}
