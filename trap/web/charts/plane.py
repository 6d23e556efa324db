"""η and V of all sources of a dataset, with the normal distributions of the constant ones and the cuts above them.

Both are fitted in their logarithms, see :mod:`trap.variability.outliers`; pipelines of the field cut there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from trap.report.text import count
from trap.variability.outliers import Normal, fit_bulk

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from numpy.typing import NDArray

    from trap.typing import Array, Columns, Indices

__all__ = ["DEFAULT_SIGMA", "Cuts", "Distribution", "Plane"]

DEFAULT_SIGMA = 3.0
"""σ — cuts of η and of V above the mean of the constant sources, as pipelines of the field have them."""
MIN_POINTS = 2
"""Smallest number of points of a light curve with η and V."""
CELLS = 90
"""Number of cells of a density along each axis."""
MAX_BINS = 60
"""Largest number of bins of a distribution; fewer sources have fewer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cuts:
    """Values of η and V above which a source stands out; None where too few sources allow a fit.

    Parameters
    ----------
    eta, v
        Dimensionless.
    """

    eta: float | None
    v: float | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Distribution:
    """The distribution of the logarithm of a metric.

    Parameters
    ----------
    fit
        Normal distribution of the constant sources; None if there are too few.
    numbers, edges
        (n,) numbers of sources in bins, and (n + 1,) ends of the bins.
    """

    fit: Normal | None
    numbers: NDArray[np.int64]
    edges: Array


@dataclass(frozen=True, kw_only=True, eq=False)
class Plane:
    """η and V of the sources of a dataset.

    Parameters
    ----------
    points
        Columns of :func:`trap.db.source_numbers.metric_points`.
    key
        Everything that they depend on, for results that are kept.
    """

    points: Columns
    key: tuple[Hashable, ...] = ()

    def __len__(self) -> int:
        return len(self.points["runcat"])

    @cached_property
    def shown(self) -> NDArray[np.bool_]:
        """Whether logarithmic axes have a place for a source, (n,): with two points, and positive η and V."""
        points = self.points
        is_shown: NDArray[np.bool_] = (points["n"] >= MIN_POINTS) & (points["eta"] > 0) & (points["v"] > 0)
        return is_shown & np.isfinite(points["eta"]) & np.isfinite(points["v"])

    @cached_property
    def n_shown(self) -> int:
        """Number of the sources that have a place."""
        return int(self.shown.sum())

    @cached_property
    def eta(self) -> Distribution:
        """Distribution of log10 η."""
        return _distribution(self._logarithms("eta"))

    @cached_property
    def v(self) -> Distribution:
        """Distribution of log10 V."""
        return _distribution(self._logarithms("v"))

    @cached_property
    def density(self) -> tuple[Array, Array, Array]:
        """Numbers of sources in cells of log10 V and log10 η, (n, n), and the ends of the cells, (n + 1,) each."""
        return np.histogram2d(self._logarithms("v"), self._logarithms("eta"), bins=CELLS)

    def cuts(self, sigma_eta: float = DEFAULT_SIGMA, sigma_v: float = DEFAULT_SIGMA) -> Cuts:
        """Return the cuts.

        Parameters
        ----------
        sigma_eta, sigma_v
            σ above the means.
        """
        fits = zip((self.eta.fit, self.v.fit), (sigma_eta, sigma_v), strict=True)
        eta, v = (None if fit is None else _power(fit.at(sigma)) for fit, sigma in fits)
        return Cuts(eta=eta, v=v)

    def beyond(self, cuts: Cuts) -> Indices:
        """Return the rows of the sources beyond both cuts, those with the highest η first."""
        if cuts.eta is None or cuts.v is None:
            return np.empty(0, np.intp)
        return self.inside((cuts.eta, np.inf), (cuts.v, np.inf))

    def inside(self, eta: tuple[float, float], v: tuple[float, float]) -> Indices:
        """Return the rows of the sources in a range of η and a range of V, those with the highest η first.

        Parameters
        ----------
        eta, v
            Lowest and highest value.
        """
        keep = self.shown.copy()
        for values, (low, high) in ((self.points["eta"], eta), (self.points["v"], v)):
            keep &= (values >= low) & (values <= high)
        rows = np.flatnonzero(keep)
        return rows[np.lexsort((self.points["runcat"][rows], -self.points["eta"][rows]))]

    def left_out(self) -> Iterator[str]:
        """Yield sentences with the numbers of the sources that have no place in the plane."""
        n_single = int((self.points["n"] < MIN_POINTS).sum())
        n_others = len(self) - self.n_shown - n_single
        if n_single:
            yield f"{count(n_single, 'source')} with a single point, left out: one point has no η and V."
        if n_others:
            yield f"{count(n_others, 'source')} with η or V at or below zero, left out of the logarithmic axes."

    def _logarithms(self, name: str) -> Array:
        found: Array = np.log10(self.points[name][self.shown])
        return found


def _distribution(logarithms: Array) -> Distribution:
    n_bins = int(np.clip(2 * np.sqrt(logarithms.size), 8, MAX_BINS))
    numbers, edges = np.histogram(logarithms, bins=n_bins)
    return Distribution(fit=fit_bulk(logarithms), numbers=numbers, edges=edges)


def _power(logarithm: float) -> float:
    return float(10.0 ** min(max(logarithm, -300.0), 300.0))
