"""Quality, calibration and variables of all datasets at a glance, in three statements."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import func, select

from trap.catalogues import VARIABLE_P
from trap.db.bulk import read_columns
from trap.db.models import Calibration, Image, NewSource, Rejection, RunningCatalog, VarMetric
from trap.db.patience import limited_time
from trap.errors import TooSlowError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sqlalchemy import Connection, Select

__all__ = ["Glance", "dataset_glances"]

COUNT_SECONDS = 0.5
"""s — time for the count of variable sources."""
SIGMA_OF_MAD = 1.4826
"""σ of a normal distribution in its median absolute deviations."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """Figures of a dataset.

    Parameters
    ----------
    first, last
        Start of the first and the last image; NaT without images.
    noise
        Jy/beam — median noise of the accepted images; NaN without any.
    gain_scatter
        Robust scatter of the gains of the accepted images, as a fraction; NaN with fewer than two gains.
    n_gains
        Number of accepted images with a gain.
    n_variables
        Number of variable sources; None if they take too long to count.
    last_candidate
        Highest number of a candidate; 0 without any.
    """

    first: np.datetime64
    last: np.datetime64
    noise: float
    gain_scatter: float
    n_gains: int
    n_variables: int | None
    last_candidate: int


def dataset_glances(connection: Connection) -> dict[int, Glance]:
    """Return the figures of each dataset that has images, by number.

    Parameters
    ----------
    connection
        Connection in a transaction of the caller.
    """
    images = _images(connection)
    variables = _variables(connection)
    newest = select(RunningCatalog.dataset, func.max(NewSource.id)).join(
        NewSource, NewSource.runcat == RunningCatalog.id + 0
    )
    candidates = _by_number(connection, newest.group_by(RunningCatalog.dataset))
    found = {}
    for number in np.unique(images["dataset"]).tolist():
        own = {name: values[images["dataset"] == number] for name, values in images.items()}
        is_accepted = own["rejected"] == 0
        noise, gains = (values[is_accepted & np.isfinite(values)] for values in (own["rms_qc"], own["gain"]))
        found[number] = Glance(
            first=own["taustart_ts"].min(),
            last=own["taustart_ts"].max(),
            noise=float(np.median(noise)) if len(noise) else math.nan,
            gain_scatter=_scatter(gains),
            n_gains=len(gains),
            n_variables=None if variables is None else variables.get(number, 0),
            last_candidate=candidates.get(number, 0),
        )
    return found


def _images(connection: Connection) -> dict[str, NDArray[Any]]:
    """Return the times, noise and gains of all images, and the number of rejections of each."""
    n_rejections = select(func.count()).where(Rejection.image == Image.id).correlate(Image).scalar_subquery()
    rows = select(
        *(Image.dataset, Image.taustart_ts, Image.rms_qc, Calibration.gain),
        n_rejections.label("rejected"),
    ).outerjoin(Calibration, Calibration.image == Image.id)
    return read_columns(connection, rows)


def _scatter(gains: NDArray[np.float64]) -> float:
    if len(gains) < 2:
        return math.nan
    middle = np.median(gains)
    return float(SIGMA_OF_MAD * np.median(np.abs(gains - middle)) / middle)


def _variables(connection: Connection) -> dict[int, int] | None:
    """Return the number of sources that are hardly constant, by dataset."""
    # The sums make SQLite look at the metrics first, of which few pass, instead of the metrics of each entry.
    dataset = (RunningCatalog.dataset + 0).label("dataset")
    rows = (
        select(dataset, func.count())
        .join(VarMetric, VarMetric.runcat + 0 == RunningCatalog.id)
        .where(VarMetric.eta_p_value <= VARIABLE_P)
        .group_by(dataset)
    )
    with suppress(TooSlowError), limited_time(connection, COUNT_SECONDS):
        return _by_number(connection, rows)
    return None


def _by_number(connection: Connection, rows: Select[tuple[int, int]]) -> dict[int, int]:
    return {int(number): int(n) for number, n in connection.execute(rows).tuples()}
