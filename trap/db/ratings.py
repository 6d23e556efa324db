"""Ratings of transient candidates by people: stored, found again, and carried to the dataset that replaces another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from trap import angles
from trap.db.bulk import read_columns
from trap.db.models import Dataset, ExtractedSource, Image, NewSource, RatedCandidate, Rating, RunningCatalog
from trap.db.rated_columns import is_latest, matching_candidate, rating_conditions
from trap.errors import ConfigError, DatabaseError, NotFoundError
from trap.escapes import plain_text
from trap.selection import VERDICTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from trap.typing import Columns, Ids

__all__ = [
    "DEFAULT_TAGS",
    "carry_ratings",
    "differing_ratings",
    "known_tags",
    "rate_candidate",
    "rated_measurements",
    "rater_name",
    "rating_history",
]

DEFAULT_TAGS = (
    "flaring star",
    "AGN",
    "pulsar",
    "variable source",
    "artefact",
    "sidelobe",
    "noise",
    "aircraft or satellite",
    "unknown",
)
"""Tags that are offered before anybody has added one."""
MAX_NAME, MAX_TAGS, MAX_NOTE = 100, 20, 10_000
"""Largest numbers of characters of a name or a tag, of tags, and of characters of a note."""
DEFAULT_BEAM_PIXELS = 3.0
"""Full width of the beam of an image without one, in pixels."""
IDENTITY = ("taustart_ts", "freq_eff", "stokes", "ra", "decl")
"""Columns that identify a rated candidate in its dataset."""
JUDGEMENT = ("rating", "tags", "note")
"""Columns that a person fills in."""


def rate_candidate(
    connection: Connection,
    dataset_id: int,
    candidate: int,
    rating: str,
    *,
    rater: str,
    now: datetime,
    tags: Sequence[str] = (),
    note: str = "",
) -> int:
    """Store a rating. Earlier ratings of the same person stay; the latest one counts.

    Several people may rate at once, and while a run writes the dataset.

    Parameters
    ----------
    connection
        Connection in a transaction of the caller that may write.
    dataset_id, candidate
        Numbers of the dataset, and of the candidate in table ``newsource``.
    rating
        One of :data:`trap.selection.VERDICTS`.
    rater
        Name of the person.
    now
        Time of the rating, with a time zone.
    tags
        Words of any list; those of :data:`DEFAULT_TAGS` and of earlier ratings are the usual ones.
    note
        Text of any length up to 10,000 characters.

    Returns
    -------
    Number of the rating.

    Raises
    ------
    ConfigError
        If the rating is no such word, or a text is empty or too long.
    NotFoundError
        If the dataset has no such candidate.
    DatabaseError
        If the dataset is being deleted.
    """
    if rating not in VERDICTS:
        msg = f"rating {plain_text(rating)} is none of {', '.join(VERDICTS)}"
        raise ConfigError(msg)
    values = {
        "candidate": _identified(connection, dataset_id, candidate),
        "rater": rater_name(rater),
        "rating": rating,
        "rated_ts": now,
        "tags": ", ".join(_tags(tags)),
        "note": _note(note),
    }
    number: int = connection.execute(insert(Rating).values(values).returning(Rating.id)).scalar_one()
    return number


def rater_name(text: str) -> str:
    """Return the name of a person as it is stored: on one line, without control characters.

    Parameters
    ----------
    text
        Name as the person wrote it.

    Raises
    ------
    ConfigError
        If it is empty, or longer than 100 characters.
    """
    return _name("the name of the rater", text)


def rated_measurements(
    connection: Connection,
    datasets: Sequence[int],
    *,
    rater: str | None = None,
    ratings: Sequence[str] = (),
    tags: Sequence[str] = (),
) -> Ids:
    """Return the measurements whose candidates have a rating: column ``xtrsrc`` of the candidates.

    Parameters
    ----------
    connection, datasets
        Open connection, and numbers of the datasets.
    rater
        Name of the person; None for anybody.
    ratings, tags
        Words and tags, in any case: the latest rating of the person has any of each. Without words, any rating counts.

    Returns
    -------
    (n,) — row numbers of measurements, in order. Ratings of candidates that the dataset no longer has are left out.
    """
    rated = select(Rating.candidate).where(is_latest(), *rating_conditions(ratings, tags))
    if rater is not None:
        rated = rated.where(Rating.rater == rater)
    of_datasets = RatedCandidate.dataset.in_([int(number) for number in datasets])
    found = select(matching_candidate().label("id")).where(of_datasets, RatedCandidate.id.in_(rated)).subquery()
    measured = select(NewSource.trigger_xtrsrc).join(found, found.c.id == NewSource.id).distinct()
    return np.sort(np.array(connection.execute(measured).scalars().all(), np.int64))


def rating_history(connection: Connection, dataset_id: int) -> Columns:
    """Return all ratings of a dataset, also those that later ones replace, oldest first.

    Parameters
    ----------
    connection, dataset_id
        Open connection, and number of the dataset.

    Returns
    -------
    (n,) — number of the rating ``id``, number of the rated ``candidate`` as in the result table ``ratings``, and the
    columns of table ``rating`` and of the identity of the candidate.
    """
    rows = (
        select(
            *(Rating.id, Rating.candidate, Rating.rater, Rating.rating, Rating.rated_ts, Rating.tags, Rating.note),
            *(getattr(RatedCandidate, name) for name in (*IDENTITY, "radius")),
        )
        .join(RatedCandidate, RatedCandidate.id == Rating.candidate)
        .where(RatedCandidate.dataset == dataset_id)
        .order_by(Rating.id)
    )
    return read_columns(connection, rows)


def known_tags(connection: Connection) -> list[str]:
    """Return the default tags, and then the other tags that ratings of any dataset have, in alphabetical order.

    Parameters
    ----------
    connection
        Open connection.
    """
    used = connection.execute(select(Rating.tags).where(Rating.tags != "").distinct()).scalars()
    words = {word for tags in used for word in tags.split(", ")}
    return [*DEFAULT_TAGS, *sorted(words - set(DEFAULT_TAGS), key=str.casefold)]


def carry_ratings(connection: Connection, old: int, new: int) -> None:
    """Give the ratings of a dataset to the one that replaces it.

    Parameters
    ----------
    connection
        Connection in a transaction of the caller.
    old, new
        Numbers of the datasets. Their candidates need not be the same: a rating whose candidate the new dataset does
        not have is kept for the day when it has it again.
    """
    mine, theirs = RatedCandidate.__table__.alias(), RatedCandidate.__table__.alias()
    same = [mine.c[name] == theirs.c[name] for name in IDENTITY]
    pairs = select(mine.c.id, theirs.c.id).where(mine.c.dataset == old, theirs.c.dataset == new, *same)
    # A person may have rated a candidate of the new dataset, which is on show while it is made.
    for number, other in connection.execute(pairs).all():
        connection.execute(update(Rating).where(Rating.candidate == number).values(candidate=other))
        connection.execute(delete(RatedCandidate).where(RatedCandidate.id == number))
    connection.execute(update(RatedCandidate).where(RatedCandidate.dataset == old).values(dataset=new))


def differing_ratings(first: tuple[Connection, int], second: tuple[Connection, int]) -> Iterator[str]:
    """Compare the latest ratings of two datasets, if both have some: an unrated copy of a dataset holds the same.

    Parameters
    ----------
    first, second
        Connection in a transaction of the caller, and number, of each dataset.

    Yields
    ------
    Differences, as sentences.
    """
    ours, theirs = (_latest(*side) for side in (first, second))
    if not (ours and theirs):
        return
    for one in ours:
        partner = next((other for other in theirs if _is_same(one, other)), None)
        if partner is None:
            yield f"{_called(one)} is in the first only"
            continue
        theirs.remove(partner)
        if any(one[name] != partner[name] for name in JUDGEMENT):
            yield f"{_called(one)} is {_shown(one)}, in the second {_shown(partner)}"
    yield from (f"{_called(one)} is in the second only" for one in theirs)


def _latest(connection: Connection, dataset_id: int) -> list[dict[str, Any]]:
    """Return the latest rating of each candidate by each person."""
    rows = rating_history(connection, dataset_id)
    listed = [dict(zip(rows, values, strict=True)) for values in zip(*(rows[n].tolist() for n in rows), strict=True)]
    return list({(row["candidate"], row["rater"]): row for row in listed}.values())


def _is_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two ratings are of one person and one detection, in two datasets."""
    if any(one[name] != other[name] for name in ("rater", *IDENTITY[:3])):
        return False
    distance = angles.separation(*(row[name] for row in (one, other) for name in ("ra", "decl")))
    return bool(distance <= one["radius"])


def _called(rating: Mapping[str, Any]) -> str:
    place = f"{rating['ra']:.5f} {rating['decl']:+.5f}, {rating['freq_eff'] / 1e6:g} MHz, {rating['taustart_ts']}"
    return f"rating of {place} by {plain_text(rating['rater'])}"


def _shown(rating: Mapping[str, Any]) -> str:
    return plain_text(" · ".join(filter(None, (rating[name] for name in JUDGEMENT))))


def _identified(connection: Connection, dataset_id: int, candidate: int) -> int:
    """Return the row of ``ratedcandidate`` of a candidate, which is inserted if it has none."""
    identity = _identity(connection, dataset_id, candidate)
    # The dataset may have been processed again with other settings, which move positions a little.
    trigger = select(NewSource.trigger_xtrsrc).where(NewSource.id == candidate).scalar_subquery()
    first = select(func.min(NewSource.id)).where(NewSource.trigger_xtrsrc == trigger).scalar_subquery()
    near = RatedCandidate.decl.between(
        identity["decl"] - 2 * identity["radius"], identity["decl"] + 2 * identity["radius"]
    )
    found = select(RatedCandidate.id).where(
        RatedCandidate.dataset == dataset_id,
        RatedCandidate.taustart_ts == identity["taustart_ts"],
        near,
        matching_candidate() == first,
    )
    number = connection.execute(found.order_by(RatedCandidate.id)).scalars().first()
    if number is not None:
        return int(number)
    kind: Any = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    values = {"dataset": dataset_id, **identity}
    # Another person may rate the same candidate at this moment: PostgreSQL waits here for the end of that transaction.
    connection.execute(kind(RatedCandidate).values(values).on_conflict_do_nothing())
    mine = select(RatedCandidate.id).where(
        RatedCandidate.dataset == dataset_id, *(getattr(RatedCandidate, name) == identity[name] for name in IDENTITY)
    )
    return int(connection.execute(mine).scalar_one())


def _identity(connection: Connection, dataset_id: int, candidate: int) -> dict[str, Any]:
    """Return what identifies a candidate: its detection."""
    source, image = ExtractedSource, Image
    beam = func.coalesce(image.fwhm_arcsec / 3600, DEFAULT_BEAM_PIXELS * func.abs(image.deltay), 1 / 3600)
    rows = (
        select(
            *(image.taustart_ts, image.freq_eff, image.stokes),
            *(source.ra, source.decl, source.x, source.y, source.z),
            (beam / 2).label("radius"),
            Dataset.state,
        )
        .select_from(NewSource)
        .join(RunningCatalog, RunningCatalog.id == NewSource.runcat)
        .join(Dataset, Dataset.id == RunningCatalog.dataset)
        .join(source, source.id == NewSource.trigger_xtrsrc)
        .join(image, image.id == source.image)
        .where(NewSource.id == candidate, RunningCatalog.dataset == dataset_id)
        # The dataset must not be deleted, nor replaced by another one, before the rating is stored.
        .with_for_update(of=Dataset, read=True)
    )
    row = connection.execute(rows).mappings().first()
    if row is None:
        msg = f"dataset {dataset_id} has no transient candidate {candidate}"
        raise NotFoundError(msg)
    if row["state"] == "deleting":
        msg = f"dataset {dataset_id} is being deleted; nothing can be added to it"
        raise DatabaseError(msg)
    return {name: value for name, value in row.items() if name != "state"}


def _name(what: str, text: str) -> str:
    """Check a name or a tag, which is one line."""
    plain = plain_text(" ".join(_storable(text).split()))
    if not 0 < len(plain) <= MAX_NAME:
        msg = f"{what} must have 1 to {MAX_NAME} characters, got {len(plain)}"
        raise ConfigError(msg)
    return plain


def _tags(tags: Sequence[str]) -> list[str]:
    """Check tags, and sort them; one tag, in any case of letters, is there once."""
    named = {str(tag).strip().casefold(): _name("a tag", str(tag)) for tag in tags if str(tag).strip()}
    usual = {tag.casefold(): tag for tag in DEFAULT_TAGS}
    if len(named) > MAX_TAGS or any("," in tag for tag in named.values()):
        msg = f"a rating has at most {MAX_TAGS} tags, each without a comma"
        raise ConfigError(msg)
    return sorted({usual.get(key, tag) for key, tag in named.items()}, key=str.casefold)


def _note(text: str) -> str:
    note = _storable(text).replace("\r\n", "\n").strip()
    if len(note) > MAX_NOTE:
        msg = f"a note has at most {MAX_NOTE} characters, got {len(note)}"
        raise ConfigError(msg)
    return note


def _storable(text: str) -> str:
    """Replace what a database cannot hold: a character of number 0, and halves of characters."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
