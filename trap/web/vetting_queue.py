"""The candidates that a person has still to rate, in order, and what the page shows about one of them."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trap import angles
from trap.association.noise_peaks import rank_candidates
from trap.db.ratings import rated_measurements
from trap.db.result_tables import read_rows
from trap.errors import NotFoundError
from trap.selection import Cone, Range, Selection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from trap.db.engine import Connection
    from trap.typing import Ids

__all__ = ["Queue", "read_candidate", "read_epochs", "read_neighbours", "read_queue"]

NEIGHBOUR_ARCSEC = 300.0
"""arcsec — largest distance of a neighbour."""
MAX_NEIGHBOURS = 5


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Queue:
    """Candidates in the order in which they are rated.

    Parameters
    ----------
    candidates
        (n,) — row numbers of the candidates.
    is_rated
        (n,) — whether the person has rated them.
    """

    candidates: Ids
    is_rated: NDArray[np.bool_]

    @property
    def n_rated(self) -> int:
        """Number of candidates that the person has rated."""
        return int(self.is_rated.sum())

    def first(self) -> int | None:
        """Return the first candidate without a rating; None if all have one."""
        left = self.candidates[~self.is_rated]
        return int(left[0]) if len(left) else None

    def after(self, candidate: int) -> int | None:
        """Return the next candidate without a rating, beginning again at the end; None if no other one is left.

        Parameters
        ----------
        candidate
            Row number of the candidate before it, which need not be in the queue.
        """
        start = self._place(candidate)
        order = np.roll(np.arange(len(self.candidates)), -start - 1)
        left = [row for row in order.tolist() if not self.is_rated[row] and self.candidates[row] != candidate]
        return int(self.candidates[left[0]]) if left else None

    def before(self, candidate: int) -> int | None:
        """Return the candidate before one in the order, rated or not; None for the first one.

        Parameters
        ----------
        candidate
            Row number of the candidate.
        """
        place = self._place(candidate)
        return int(self.candidates[place - 1]) if place > 0 else None

    def _place(self, candidate: int) -> int:
        """Return the place of a candidate, from 0; -1 if it is not in the queue."""
        found = np.flatnonzero(self.candidates == candidate)
        return int(found[0]) if len(found) else -1


def read_queue(
    connection: Connection, dataset: int, selection: Selection, rater: str, *, is_random: bool = False
) -> Queue:
    """Read the candidates that a selection has, in the order in which they are rated.

    Parameters
    ----------
    connection, dataset, selection
        Connection in a transaction of the caller, number of the dataset, and filters of candidates.
    rater
        Name of the person.
    is_random
        Whether the order is one of chance, which is always the same for a person and a dataset; without it, the
        highest score comes first. Two people who begin at different ends rate more candidates in the same time.
    """
    # With a column of the metrics, the rows are as in the table with all columns: the latest candidate of an entry.
    columns = ["newsource", "xtrsrc", "score", "grade", "noise_peaks", "newness", "eta_int"]
    rows = read_rows(connection, "transients", [dataset], selection, columns=columns, order=["newsource"])
    if is_random:
        seed = zlib.crc32(f"{dataset} {rater}".encode("utf-8", "replace"))
        order = np.random.default_rng(seed).permutation(len(rows["newsource"]))
    else:
        grade = np.ma.filled(rows["grade"].astype(float), np.nan)
        order = rank_candidates(rows["score"], grade, rows["noise_peaks"], rows["newness"])
    # A fork leaves several candidates with one detection, which is rated once.
    _, first = np.unique(rows["xtrsrc"][order], return_index=True)
    kept = order[np.sort(first)]
    rated = rated_measurements(connection, [dataset], rater=rater) if rater else np.empty(0, np.int64)
    return Queue(candidates=rows["newsource"][kept], is_rated=np.isin(rows["xtrsrc"][kept], rated))


def read_candidate(connection: Connection, dataset: int, candidate: int) -> dict[str, Any]:
    """Read a row of the result table ``transients``; missing values are None.

    Parameters
    ----------
    connection, dataset, candidate
        Connection in a transaction of the caller, number of the dataset, and row number of the candidate.

    Raises
    ------
    NotFoundError
        If the dataset has no such candidate.
    """
    rows = read_rows(connection, "transients", [dataset], _only("newsource", candidate))
    if not len(rows["newsource"]):
        msg = f"dataset {dataset} has no transient candidate {candidate}"
        raise NotFoundError(msg)
    return {name: values[:1].tolist()[0] for name, values in rows.items()}


def read_epochs(connection: Connection, dataset: int, facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Read the images to compare: the best earlier one, that of the detection, and the next one of the same band.

    Parameters
    ----------
    connection, dataset
        As for :func:`read_candidate`.
    facts
        The candidate.

    Returns
    -------
    ``label``, ``image``, ``taustart_ts`` and ``freq_central`` of each image that exists.
    """
    columns = ["image", "taustart_ts", "freq_central", "band", "stokes"]
    points = read_rows(connection, "lightcurves", [dataset], Selection(entries=(facts["runcat"],)), columns=columns)
    is_later = (points["taustart_ts"] > np.datetime64(facts["taustart_ts"])) & (points["band"] == facts["band"])
    later = points["image"][is_later & (points["stokes"] == facts["stokes"])]
    chosen = {"best earlier image": facts["previous_limits_image"], "detection": facts["image"]}
    chosen |= {"next image": int(later[0])} if len(later) else {}
    epochs = []
    for label, image in chosen.items():
        rows = read_rows(connection, "images", [dataset], _only("image", image), columns=columns[:3])
        if len(rows["image"]):
            epochs.append({"label": label, **{name: values[0] for name, values in rows.items()}})
    return epochs


def read_neighbours(connection: Connection, dataset: int, facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Read the sources around a candidate, nearest first.

    Parameters
    ----------
    connection, dataset, facts
        As for :func:`read_epochs`.

    Returns
    -------
    Values of the result table ``sources``, and ``distance`` [arcsec].
    """
    cone = Cone(ra=facts["wm_ra"], dec=facts["wm_decl"], radius=NEIGHBOUR_ARCSEC / 3600)
    columns = ["runcat", "wm_ra", "wm_decl", "datapoints", "lightcurve_wavg", "v_int", "eta_int"]
    rows = read_rows(connection, "sources", [dataset], Selection(near=cone), columns=columns)
    distance = 3600 * angles.separation(rows["wm_ra"], rows["wm_decl"], facts["wm_ra"], facts["wm_decl"])
    others = np.flatnonzero(rows["runcat"] != facts["runcat"])
    nearest = others[np.argsort(distance[others], kind="stable")][:MAX_NEIGHBOURS]
    return [{"distance": distance[row], **{name: values[row] for name, values in rows.items()}} for row in nearest]


def _only(column: str, number: int) -> Selection:
    """Select the row of a number."""
    return Selection(ranges=(Range(column=column, low=number, high=number),))
