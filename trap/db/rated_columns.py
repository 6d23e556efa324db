"""The result table of ratings: the latest one of each person and candidate, with the candidate as it is stored now.

A candidate is found by its detection whenever the table is read, so that no link between the two can be lost or
outdated: a candidate that a new computation of the dataset has again has its ratings again.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import exists, func, literal, or_, select
from sqlalchemy.orm import aliased

from trap.db.models import ExtractedSource, Image, NewSource, RatedCandidate, Rating
from trap.db.result_columns import QUERIED, Join, Query, ResultTable, result_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, ScalarSelect

__all__ = ["RATINGS", "is_latest", "matching_candidate", "rating_conditions"]

_FREQUENCY_SHARE = 1e-6
"""Largest relative difference of equal frequencies: rounding of headers that other software has written again."""
_OWN = ("dataset", "taustart_ts", "freq_eff", "stokes", "wm_ra", "wm_decl")
"""Columns of candidates that a rating has of its own; the other ones are missing if the candidate has gone."""


def matching_candidate() -> ScalarSelect[Any]:
    """Select the number of the candidate of a row of ``ratedcandidate``, in a query of that table.

    It is the candidate of the same dataset, time, frequency and Stokes parameter whose measurement is nearest to the
    rated one, and within half a beam; NULL if there is none. A fork leaves several candidates with one measurement, of
    which it is the first.
    """
    rated, candidate, image, source = RatedCandidate, aliased(NewSource), aliased(Image), aliased(ExtractedSource)
    dx, dy, dz = source.x - rated.x, source.y - rated.y, source.z - rated.z
    # The square of the chord between unit vectors is valid at RA 0 and at the poles.
    squared = dx * dx + dy * dy + dz * dz
    radius = rated.radius * math.radians(1)
    # SQLite has no columns of the outer query in ORDER BY, so that the distance is a column of an inner one.
    near = (
        select(candidate.id, squared.label("squared"))
        .join(source, source.id == candidate.trigger_xtrsrc)
        .join(image, image.id == source.image)
        .where(
            image.dataset == rated.dataset,
            image.taustart_ts == rated.taustart_ts,
            image.stokes == rated.stokes,
            func.abs(image.freq_eff - rated.freq_eff) <= _FREQUENCY_SHARE * rated.freq_eff,
            source.decl.between(rated.decl - rated.radius, rated.decl + rated.radius),
            squared <= radius * radius,
        )
        .correlate(rated)
        .subquery()
    )
    nearest = select(near.c.id).order_by(near.c.squared, near.c.id).limit(1)
    return nearest.correlate(rated).scalar_subquery()


def is_latest() -> ColumnElement[bool]:
    """Return the condition of the latest rating of a person and a candidate."""
    later = aliased(Rating)
    return ~exists(
        select(later.id).where(
            later.candidate == Rating.candidate, later.rater == Rating.rater, later.id > Rating.id
        )
    )  # fmt: skip


def rating_conditions(ratings: Sequence[str], tags: Sequence[str]) -> list[ColumnElement[bool]]:
    """Return the conditions of ratings with any of some words, and any of some tags.

    Parameters
    ----------
    ratings, tags
        Words and tags, the latter in any case; an empty list makes no condition.
    """
    found: list[ColumnElement[bool]] = [Rating.rating.in_(ratings)] if ratings else []
    # SQLite has lower-case letters in ASCII only.
    listed = [literal(", ") + stored + ", " for stored in (Rating.tags, func.lower(Rating.tags))]
    words = [word for tag in tags for word in (tag, tag.lower())]
    either = [one.contains(f", {word}, ", autoescape=True) for one in listed for word in words]
    return [*found, or_(*either)] if either else found


def _ratings() -> ResultTable:
    """Describe the ratings, with the columns of their candidates."""
    candidates = QUERIED["transients"].query
    if candidates is None:
        msg = "the table of candidates has no query"
        raise ValueError(msg)
    of_rating = ("rater", "rating", "rated_ts", "tags", "note")
    query = Query(
        root=Rating,
        joins=(
            Join(model=RatedCandidate, on=RatedCandidate.id == Rating.candidate),
            Join(model=NewSource, on=NewSource.id == matching_candidate(), is_outer=True),
            *(replace(join, is_outer=True) for join in candidates.joins),
        ),
        fields={
            "dataset": RatedCandidate.dataset,
            "rating_id": Rating.id,
            "candidate": Rating.candidate,
            **{name: getattr(Rating, name) for name in of_rating},
            **{name: getattr(RatedCandidate, name) for name in ("ra", "decl", "taustart_ts", "freq_eff", "stokes")},
            **{name: element for name, element in candidates.fields.items() if name not in _OWN},
        },
        dataset=RatedCandidate.dataset,
        time=RatedCandidate.taustart_ts,
        band=Image.band,
        stokes=RatedCandidate.stokes,
        parent="rating_id",
        order=(),
        place=RatedCandidate,
        entry=NewSource.runcat,
        flags=ExtractedSource.flags,
        where=(is_latest(),),
    )
    return result_table(
        "ratings",
        "Ratings of transient candidates by people: the latest one of each person and candidate, with the candidate.",
        query,
        signs=replace(QUERIED["transients"].columns["signs"], dtype=np.dtype("O")),
    )


RATINGS = _ratings()
"""The table of ratings."""
