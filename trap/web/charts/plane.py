"""η and V of all sources of a dataset, with the normal distributions of the constant ones and the cuts above them.

Both are fitted in their logarithms, see :mod:`trap.variability.outliers`; TraP and the pipelines after it cut there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.report.text import count
from trap.variability.outliers import Normal, fit_bulk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from trap.typing import Array, Indices

__all__ = ["DEFAULT_SIGMA", "Cuts", "Plane"]

DEFAULT_SIGMA = 3.0
"""σ — cuts of η and of V above the mean of the constant sources, as pipelines of the field have them."""
MIN_POINTS = 2
"""Smallest number of points of a light curve with η and V."""


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


@dataclass(frozen=True, kw_only=True, eq=False)
class Plane:
    """η and V of the sources of a dataset.

    Parameters
    ----------
    points
        (n,) records of :func:`trap.db.source_numbers.metric_points`.
    """

    points: NDArray[Any]

    @cached_property
    def shown(self) -> Indices:
        """Rows of the sources that logarithmic axes have a place for: with two points, and positive η and V."""
        points = self.points
        is_shown = (points["n"] >= MIN_POINTS) & (points["eta"] > 0) & (points["v"] > 0)
        return np.flatnonzero(is_shown & np.isfinite(points["eta"]) & np.isfinite(points["v"]))

    @cached_property
    def fits(self) -> tuple[Normal | None, Normal | None]:
        """Normal distributions of log10 η and of log10 V of the constant sources."""
        return fit_bulk(self.logarithms("eta")), fit_bulk(self.logarithms("v"))

    def logarithms(self, name: str) -> Array:
        """Return log10 of a metric of the shown sources.

        Parameters
        ----------
        name
            "eta" or "v".
        """
        found: Array = np.log10(self.points[name][self.shown])
        return found

    def cuts(self, sigma_eta: float = DEFAULT_SIGMA, sigma_v: float = DEFAULT_SIGMA) -> Cuts:
        """Return the cuts.

        Parameters
        ----------
        sigma_eta, sigma_v
            σ above the means.
        """
        fits = zip(self.fits, (sigma_eta, sigma_v), strict=True)
        eta, v = (None if fit is None else _power(fit.at(sigma)) for fit, sigma in fits)
        return Cuts(eta=eta, v=v)

    def beyond(self, cuts: Cuts) -> Indices:
        """Return the rows of the sources beyond both cuts, those with the highest η first."""
        if cuts.eta is None or cuts.v is None:
            return np.empty(0, np.intp)
        return self.inside((cuts.eta, np.inf), (cuts.v, np.inf))

    def inside(self, eta: tuple[float, float], v: tuple[float, float]) -> Indices:
        """Return the rows of the shown sources in a range of η and a range of V, those with the highest η first.

        Parameters
        ----------
        eta, v
            Lowest and highest value.
        """
        points = self.points[self.shown]
        keep = (points["eta"] >= eta[0]) & (points["eta"] <= eta[1]) & (points["v"] >= v[0]) & (points["v"] <= v[1])
        rows = self.shown[keep]
        return rows[np.lexsort((self.points["runcat"][rows], -self.points["eta"][rows]))]

    def left_out(self) -> Iterator[str]:
        """Yield sentences with the numbers of the sources that have no place in the plane."""
        points = self.points
        n_single = int((points["n"] < MIN_POINTS).sum())
        n_others = len(points) - len(self.shown) - n_single
        if n_single:
            yield f"{count(n_single, 'source')} with a single point, left out: one point has no η and V."
        if n_others:
            yield f"{count(n_others, 'source')} with η or V at or below zero, left out of the logarithmic axes."


def _power(logarithm: float) -> float:
    return float(10.0 ** min(max(logarithm, -300.0), 300.0))
