"""Ratings of transient candidates by people, as tables: labels for training, and the agreement of the people."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.db.result_tables import read_rows
from trap.results.queries import Queries
from trap.results.tables import as_results
from trap.tables import Column
from trap.vetting.agreement import AGREEMENT_COLUMNS, CONSENSUS_COLUMNS, consensus, pairwise_agreement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trap.results.positions import Angle, Filter, Place
    from trap.results.tables import Results
    from trap.typing import Columns

__all__ = ["RatingTables"]

_JUDGED = ("candidate", "newsource", "rater", "rating")
_NEWSOURCE = Column(
    np.dtype("i8"), "", "Number of the candidate on the pages and in the table of candidates.", ucd="meta.id"
)


class RatingTables(Queries):
    """Tables of the ratings of a dataset."""

    def ratings(
        self,
        near: Place | None = None,
        radius: Angle | None = None,
        *,
        columns: Sequence[str] | None = None,
        order: str | Sequence[str] = (),
        limit: int | None = None,
        **filters: Filter,
    ) -> Results:
        """Return the ratings of transient candidates: the latest one of each person and candidate, oldest first.

        Next to the rating, its tags and its note, a row has the position, the time and the band of the detection, and
        the columns of the candidate: its score, its signs of artefacts, its flux density. They are missing if the
        dataset was processed again and does not have the candidate any more; the rating is kept.

        Parameters
        ----------
        near, radius, columns, order, limit
            As for :meth:`sources`.
        **filters
            As for :meth:`transients`; ``since`` and ``until`` are compared with the time of the detection.

        Examples
        --------
        >>> dataset.ratings()["rater", "rating", "tags", "score"]  # doctest: +SKIP
        """
        return self._rows("ratings", self._selection("ratings", near, radius, filters), columns, order, limit)

    def rating_agreement(self, **filters: Filter) -> Results:
        """Return how well people agree: the share of equal ratings of each two of them, and Cohen's kappa.

        Parameters
        ----------
        **filters
            As for :meth:`ratings`.

        Examples
        --------
        >>> dataset.rating_agreement()  # doctest: +SKIP
        """
        rows = self._judgements(filters)
        found = pairwise_agreement(rows["candidate"], rows["rater"], rows["rating"])
        columns = {name: (AGREEMENT_COLUMNS[name], values) for name, values in found.items()}
        return as_results(columns, self._about(table="rating_agreement"))

    def rating_consensus(self, **filters: Filter) -> Results:
        """Return the most frequent rating of each rated candidate.

        Column ``newsource`` is the number of the candidate on the pages and in :meth:`transients`, which is masked if
        the dataset does not have the candidate any more; ``candidate`` numbers the rated candidates.

        Parameters
        ----------
        **filters
            As for :meth:`ratings`.

        Examples
        --------
        >>> clear = dataset.rating_consensus()  # doctest: +SKIP
        >>> clear[clear["share"] == 1]["newsource", "consensus"]  # doctest: +SKIP
        """
        rows = self._judgements(filters)
        found = consensus(rows["candidate"], rows["rating"])
        columns = {name: (CONSENSUS_COLUMNS[name], values) for name, values in found.items()}
        # The rows of the consensus are in the order of the candidates, as those of unique are.
        _, first = np.unique(rows["candidate"], return_index=True)
        columns["newsource"] = (_NEWSOURCE, rows["newsource"][first])
        return as_results(columns, self._about(table="rating_consensus"))

    def _judgements(self, filters: dict[str, Filter]) -> Columns:
        """Read the columns of ratings that agreement is computed from."""
        near, radius = filters.pop("near", None), filters.pop("radius", None)
        selection = self._selection("ratings", near, radius, filters)
        with self._read() as connection:
            return read_rows(connection, "ratings", self._numbers, selection, columns=_JUDGED)
