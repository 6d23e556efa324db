"""Pages on which people rate transient candidates: the next one, and the ratings of all people with their agreement."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote, unquote, urlencode

import numpy as np
from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from trap.db.engine import make_engine, transaction
from trap.db.ratings import known_tags, rate_candidate, rater_name
from trap.db.result_tables import RESULT_TABLES, read_rows
from trap.errors import ConfigError
from trap.report.noise import chance_text, grade_text
from trap.report.sign_sentences import sign_sentences
from trap.report.text import flag_names, flux_text, megahertz, moment, number
from trap.selection import Range, Selection
from trap.vetting.agreement import consensus, pairwise_agreement
from trap.web.queries import TableQuery, parse_query
from trap.web.rendering import render, sexagesimal
from trap.web.site import CurrentDataset, CurrentSite, Editing
from trap.web.vetting_queue import read_candidate, read_epochs, read_neighbours, read_queue

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trap.db.engine import Connection
    from trap.typing import Columns
    from trap.web.site import Site

__all__ = ["router"]

router = APIRouter(include_in_schema=False)
COOKIE = "transients_rater"
A_YEAR_SECONDS = 365 * 86400
OWN = ("candidate", "queue")
"""Keys of addresses that the tables of results do not have."""
ROWS_PER_PAGE = 100
MAX_PAIRS = 30
"""Number of pairs of people on the page, those with most common candidates."""
MAX_LOOKS = 2**31 - 1
Candidate = Annotated[int | None, Query(ge=0, le=MAX_LOOKS)]
Name = Annotated[str, Form(max_length=1000)]
Note = Annotated[str, Form(max_length=100_000)]
Words = Annotated[list[str] | None, Form(max_length=100)]


@router.get("/datasets/{number}/vetting", response_class=HTMLResponse)
def show_candidate(
    request: Request, site: CurrentSite, dataset: CurrentDataset, candidate: Candidate = None, queue: str = ""
) -> HTMLResponse:
    """Show a candidate with everything that a rating needs: by default the next one that the person has not rated.

    Parameters
    ----------
    request, site, dataset
        The request with the selection, the site, and the dataset.
    candidate
        Row number of the candidate.
    queue
        ``"random"`` for an order of chance.
    """
    query, rater, is_random = _query(request, "transients"), _rater(request, site), queue == "random"
    with site.reader.read() as connection:
        listed = read_queue(connection, dataset.number, query.selection, rater, is_random=is_random)
        shown = candidate if candidate is not None else listed.first()
        if shown is None and not site.edits and len(listed.candidates):
            shown = int(listed.candidates[0])
        values = {} if shown is None else _about(connection, dataset.number, shown, rater)
        tags = known_tags(connection) if site.edits else []

    def address(**changes: object) -> str:
        return _address(query, dataset.number, **{"queue": "random" if is_random else "", **changes})

    return render(
        request,
        "vetting.html",
        number=dataset.number,
        rater=rater,
        queue=listed,
        candidate=shown,
        is_random=is_random,
        tags=tags,
        address=address,
        filters=query.filters,
        table_query=urlencode(query.filters),
        before=None if shown is None else listed.before(shown),
        after=None if shown is None else listed.after(shown),
        **values,
    )


@router.post("/datasets/{number}/vetting", dependencies=[Editing])
def store_rating(  # noqa: PLR0913 (one argument for each field of the form)
    request: Request,
    site: CurrentSite,
    dataset: CurrentDataset,
    *,
    candidate: Annotated[int, Form(ge=0, le=MAX_LOOKS)],
    rating: Annotated[str, Form(max_length=100)],
    rater: Name = "",
    tag: Words = None,
    new_tags: Name = "",
    note: Note = "",
    queue: str = "",
) -> RedirectResponse:
    """Store a rating, and go to the next candidate that the person has not rated.

    Parameters
    ----------
    request, site, dataset, queue
        As for :func:`show_candidate`.
    candidate, rating, rater, tag, note
        The fields of the form.
    new_tags
        Further tags, separated by commas.

    Raises
    ------
    ConfigError
        If a field has no meaning.
    """
    query, name = _query(request, "transients"), rater_name(rater)
    words = [*(tag or []), *new_tags.split(",")]
    with transaction(make_engine(site.url, keeps_connections=False)) as connection:
        rate_candidate(
            connection, dataset.number, candidate, rating, rater=name, now=datetime.now(UTC), tags=words, note=note
        )
    with site.reader.read() as connection:
        listed = read_queue(connection, dataset.number, query.selection, name, is_random=queue == "random")
    order = "random" if queue == "random" else ""
    address = _address(query, dataset.number, queue=order, candidate=listed.after(candidate))
    response = RedirectResponse(address, 303)
    response.set_cookie(COOKIE, quote(name), max_age=A_YEAR_SECONDS, httponly=True, samesite="strict")
    return response


@router.get("/datasets/{number}/vetting/ratings", response_class=HTMLResponse)
def show_ratings(request: Request, site: CurrentSite, dataset: CurrentDataset) -> HTMLResponse:
    """Show the latest ratings of all people, newest first, with the agreement of each two people.

    Parameters
    ----------
    request, site, dataset
        As for :func:`show_candidate`; the selection is one of ratings, and has a page.
    """
    query = _query(request, "ratings")
    with site.reader.read() as connection:
        every = read_rows(
            connection, "ratings", [dataset.number], query.selection, columns=["candidate", "rater", "rating", "tags"]
        )
        rows = read_rows(
            connection, "ratings", [dataset.number], query.selection, order=["-rating_id"], limit=ROWS_PER_PAGE,
            offset=(query.page - 1) * ROWS_PER_PAGE,
        )  # fmt: skip
    pairs = list(_records(pairwise_agreement(every["candidate"], every["rater"], every["rating"])))
    agreed = consensus(every["candidate"], every["rating"])
    words = dict(zip(agreed["candidate"].tolist(), agreed["consensus"], strict=True))
    return render(
        request,
        "vetting_ratings.html",
        number=dataset.number,
        rows=[{**row, "consensus": words[row["candidate"]]} for row in _records(rows)],
        n_ratings=len(every["rater"]),
        n_candidates=len(words),
        pages={"page": query.page, "last": max(1, -(-len(every["rater"]) // ROWS_PER_PAGE))},
        people=_people(every),
        pairs=sorted(pairs, key=lambda one: -one["n_common"])[:MAX_PAIRS],
        n_pairs=len(pairs),
        tags=_counted(word for tags in every["tags"] for word in tags.split(", ") if word),
        query=urlencode(query.filters),
    )


def _about(connection: Connection, dataset: int, candidate: int, rater: str) -> dict[str, Any]:
    """Return what the page shows about a candidate."""
    facts = read_candidate(connection, dataset, candidate)
    of_detection = Selection(ranges=(Range(column="xtrsrc", low=facts["xtrsrc"], high=facts["xtrsrc"]),))
    ratings = list(_records(read_rows(connection, "ratings", [dataset], of_detection)))
    return {
        "facts": facts,
        "numbers": list(_numbers(facts)),
        "sentences": sign_sentences(facts),
        "epochs": read_epochs(connection, dataset, facts),
        "neighbours": read_neighbours(connection, dataset, facts),
        "mine": next((one for one in ratings if one["rater"] == rater), None),
        "others": [one for one in ratings if one["rater"] != rater],
    }


def _numbers(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the numbers of a candidate: a label, and the value with its unit."""
    yield "grade, score", f"{grade_text(facts['grade'])}, {number(facts['score'], 3)}"
    yield "noise peaks expected", chance_text(facts["noise_peaks"])
    yield "newness", f"{number(facts['newness'], 3)} σ"
    yield "significance", f"{number(facts['det_sigma'], 3)} σ"
    yield "flux density", f"{' ± '.join(flux_text(facts['f_int'], facts['f_int_err']))} mJy"
    yield "peak", f"{' ± '.join(flux_text(facts['f_peak'], facts['f_peak_err']))} mJy/beam"
    yield "over the earlier noise", f"{number(facts['sigma_local'], 3)} σ"
    yield "earlier looks, measured", f"{facts['n_looks']}, {facts['n_measured']}"
    yield "first seen", f"{moment(facts['taustart_ts'])} UTC"
    yield "frequency, Stokes", f"{megahertz(facts['freq_central'] or facts['freq_eff'])} MHz, {facts['stokes']}"
    yield "detections", str(facts["datapoints"])
    yield "η, V", f"{number(facts['eta_int'])}, {number(facts['v_int'], 3)}"
    yield "flags", flag_names(facts["flags"]) or "none"
    yield "position", sexagesimal(facts["wm_ra"], facts["wm_decl"])


def _people(ratings: Columns) -> list[dict[str, Any]]:
    """Count the ratings of each person, those with most ratings first."""
    names, person = np.unique(ratings["rater"].astype(str), return_inverse=True)
    words = ratings["rating"].astype(str)
    counted = [
        {"rater": str(name), "n": int((person == row).sum())}
        | {f"n_{word}": int(((person == row) & (words == word)).sum()) for word in ("true", "false", "unsure")}
        for row, name in enumerate(names)
    ]
    return sorted(counted, key=lambda one: -one["n"])


def _counted(words: Iterator[str]) -> list[tuple[str, int]]:
    """Count words, the most frequent one first."""
    named, n = np.unique(np.array(list(words), str), return_counts=True)
    return [(str(named[row]), int(n[row])) for row in np.argsort(-n, kind="stable")]


def _records(columns: Columns) -> Iterator[dict[str, Any]]:
    """Yield rows as values of Python by column; missing ones are None."""
    listed = [values.tolist() for values in columns.values()]
    return (dict(zip(columns, row, strict=True)) for row in zip(*listed, strict=True))


def _query(request: Request, table: str) -> TableQuery:
    """Read the selection of an address."""
    items = [(key, text) for key, text in request.query_params.multi_items() if key not in OWN]
    return parse_query(items, RESULT_TABLES[table])


def _address(query: TableQuery, dataset: int, **own: object) -> str:
    """Return the address of a candidate, with the selection of another one."""
    items = [*query.filters, *((key, str(value)) for key, value in own.items() if value not in (None, ""))]
    return f"/datasets/{dataset}/vetting{'?' if items else ''}{urlencode(items)}"


def _rater(request: Request, site: Site) -> str:
    """Return the name that a person has given, or that of the user if the pages are on this machine only."""
    try:
        given = unquote(request.cookies.get(COOKIE, ""))
        return rater_name(given or ("" if site.token else getpass.getuser()))
    except (ConfigError, KeyError, OSError, ImportError):
        return ""
