"""Agreement of people who rated candidates: how often two of them give the same rating, and what most of them think."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.tables import Column

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from trap.typing import Array, Columns

__all__ = ["AGREEMENT_COLUMNS", "CONSENSUS_COLUMNS", "cohen_kappa", "consensus", "pairwise_agreement"]

AGREEMENT_COLUMNS = {
    "first": Column(np.dtype("O"), "", "Name of a person.", ucd="meta.id"),
    "second": Column(np.dtype("O"), "", "Name of another person.", ucd="meta.id"),
    "n_common": Column(np.dtype("i8"), "", "Number of candidates that both have rated.", ucd="meta.number"),
    "agreement": Column(np.dtype("f8"), "", "Share of these candidates with the same rating.", ucd="stat.correlation"),
    "kappa": Column(
        np.dtype("f8"),
        "",
        "Agreement beyond chance, Cohen's kappa: 1 for complete agreement, 0 for that of chance; NaN if both gave one "
        "rating only.",
        ucd="stat.correlation",
    ),
}
"""Columns of :func:`pairwise_agreement`."""
CONSENSUS_COLUMNS = {
    "candidate": Column(
        np.dtype("i8"), "", "Number of the rated candidate, as in the table of ratings.", ucd="meta.id"
    ),
    "n_ratings": Column(np.dtype("i8"), "", "Number of people who have rated it.", ucd="meta.number"),
    **{
        f"n_{word}": Column(np.dtype("i8"), "", f"Number of people who rated it {word}.", ucd="meta.number")
        for word in ("true", "false", "unsure")
    },
    "consensus": Column(
        np.dtype("O"), "", "Most frequent rating; unsure if two are equally frequent.", ucd="meta.code"
    ),
    "share": Column(np.dtype("f8"), "", "Share of the ratings that are the consensus.", ucd="stat.value"),
}
"""Columns of :func:`consensus`."""
_WORDS = ("true", "false", "unsure")


def cohen_kappa(counts: ArrayLike) -> Array:
    """Compute the agreement of two people beyond chance.

    With the share p of candidates with the same rating, and the share q that chance would give two people with their
    numbers of ratings of each kind, κ = (p - q) / (1 - q): Cohen (1960), Educational and Psychological Measurement 20,
    37, eq. 1.

    Parameters
    ----------
    counts
        (…, k, k) — numbers of candidates, by the rating of the first person and that of the second one.

    Returns
    -------
    (…) — κ; NaN without candidates, and if both gave the same rating to all.
    """
    table = np.asarray(counts, float)
    total = table.sum(axis=(-2, -1))
    with np.errstate(divide="ignore", invalid="ignore"):
        observed = np.trace(table, axis1=-2, axis2=-1) / total
        expected = (table.sum(axis=-1) * table.sum(axis=-2)).sum(axis=-1) / total**2
        kappa: Array = np.where(expected < 1, (observed - expected) / (1 - expected), np.nan)
    return kappa


def pairwise_agreement(candidate: ArrayLike, rater: ArrayLike, rating: ArrayLike) -> Columns:
    """Compare each two people by the candidates that both have rated.

    Parameters
    ----------
    candidate
        (n,) — numbers of the rated candidates.
    rater
        (n,) — names of the people; each has at most one rating of a candidate.
    rating
        (n,) — "true", "false" or "unsure".

    Returns
    -------
    Columns of :data:`AGREEMENT_COLUMNS`, one row for each two people with a common candidate, in alphabetical order.
    """
    names, person = np.unique(np.asarray(rater, str), return_inverse=True)
    _, row = np.unique(np.asarray(candidate, np.int64), return_inverse=True)
    is_rated = np.zeros((len(_WORDS), int(row.max(initial=-1)) + 1, len(names)))
    is_rated[_codes(rating), row, person] = 1
    counts = np.einsum("kcp,lcq->pqkl", is_rated, is_rated, optimize=True)
    first, second = np.triu_indices(len(names), k=1)
    pairs = counts[first, second]
    total = pairs.sum(axis=(-2, -1))
    is_common = total > 0
    first, second, pairs, total = first[is_common], second[is_common], pairs[is_common], total[is_common]
    return {
        "first": names[first].astype(object),
        "second": names[second].astype(object),
        "n_common": total.astype(np.int64),
        "agreement": np.trace(pairs, axis1=-2, axis2=-1) / total,
        "kappa": cohen_kappa(pairs),
    }


def consensus(candidate: ArrayLike, rating: ArrayLike) -> Columns:
    """Return the most frequent rating of each candidate.

    Parameters
    ----------
    candidate, rating
        (n,) — numbers of the rated candidates, and latest ratings of all people, as for :func:`pairwise_agreement`.

    Returns
    -------
    Columns of :data:`CONSENSUS_COLUMNS`, one row for each candidate in order of its number.
    """
    numbers, row = np.unique(np.asarray(candidate, np.int64), return_inverse=True)
    votes = np.zeros((len(numbers), len(_WORDS)), np.int64)
    np.add.at(votes, (row, _codes(rating)), 1)
    most, total = votes.max(axis=1, initial=0), votes.sum(axis=1)
    is_tie = (votes == most[:, np.newaxis]).sum(axis=1) > 1
    chosen = np.where(is_tie, _WORDS.index("unsure"), votes.argmax(axis=1))
    return {
        "candidate": numbers,
        "n_ratings": total,
        **{f"n_{word}": votes[:, code] for code, word in enumerate(_WORDS)},
        "consensus": np.array(_WORDS, object)[chosen],
        "share": votes[np.arange(len(numbers)), chosen] / np.maximum(total, 1),
    }


def _codes(rating: ArrayLike) -> NDArray[np.intp]:
    """Return ratings as positions in the list of words."""
    words = np.asarray(rating, str)
    order = np.argsort(_WORDS)
    codes: NDArray[np.intp] = order[np.searchsorted(np.array(_WORDS)[order], words)]
    return codes
