"""Radio source counts: the number of sources on the real sky as a function of flux density."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.polynomial.polynomial import polyval

from trap.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from trap.typing import Array


__all__ = ["HOPKINS_2003", "MANDAL_2021", "SourceCounts"]

_GRID_POINTS = 4096
_MJY = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCounts:
    """Differential source counts: a polynomial log₁₀(S^2.5 dN/dS) = Σ aᵢ xⁱ with x = log₁₀(S/mJy).

    Parameters
    ----------
    coefficients
        a₀, a₁, … for S^2.5 dN/dS in Jy^1.5 sr⁻¹.
    frequency_hz
        Frequency of the counts.
    flux_min, flux_max
        Jy — validity range of the polynomial. It is not evaluated outside.
    """

    coefficients: tuple[float, ...]
    frequency_hz: float
    flux_min: float
    flux_max: float

    def euclidean(self, flux: ArrayLike) -> Array:
        """Evaluate S^2.5 dN/dS in Jy^1.5 sr⁻¹ at flux densities in Jy."""
        x = np.log10(np.asarray(flux, float) / _MJY)
        normalised: Array = 10.0 ** polyval(x, np.asarray(self.coefficients))
        return normalised

    def number(self, flux_low: float, flux_high: float = np.inf) -> float:
        """Count the sources per sr between two flux densities.

        Parameters
        ----------
        flux_low, flux_high
            Jy — limits. They are narrowed to the validity range of the counts.

        Raises
        ------
        ConfigError
            If the counts are not valid between the limits.
        """
        return float(self._cumulative(flux_low, flux_high)[1][-1])

    def draw(self, rng: np.random.Generator, n: int, flux_low: float, flux_high: float = np.inf) -> Array:
        """Draw flux densities between two limits by inverting the cumulative counts.

        Parameters
        ----------
        rng
            Source of the random numbers.
        n
            Number of flux densities.
        flux_low, flux_high
            Jy — limits, as for :meth:`number`.

        Returns
        -------
        (n,) Jy

        Raises
        ------
        ConfigError
            If the counts are not valid between the limits.
        """
        flux, cumulative = self._cumulative(flux_low, flux_high)
        drawn: Array = np.interp(rng.random(n) * cumulative[-1], cumulative, flux)
        return drawn

    def _cumulative(self, flux_low: float, flux_high: float) -> tuple[Array, Array]:
        """Return a grid of increasing flux densities in Jy, and the number of sources per sr below each."""
        low, high = max(flux_low, self.flux_min), min(flux_high, self.flux_max)
        if low >= high:
            msg = f"no counts between {flux_low} and {flux_high} Jy: valid from {self.flux_min} to {self.flux_max} Jy"
            raise ConfigError(msg)
        flux = np.geomspace(low, high, _GRID_POINTS)
        # dN = S dN/dS d(ln S), integrated by the trapezium rule on an even grid of ln S.
        density = self.euclidean(flux) * flux**-1.5
        steps = (density[1:] + density[:-1]) / 2 * np.diff(np.log(flux))
        return flux, np.concatenate([[0.0], np.cumsum(steps)])


HOPKINS_2003 = SourceCounts(
    coefficients=(0.859, 0.508, 0.376, -0.049, -0.121, 0.057, -0.008),
    frequency_hz=1.4e9,
    flux_min=0.05e-3,
    flux_max=1.0,
)
"""Hopkins et al. (2003), AJ 125, 465: 1.4 GHz."""

MANDAL_2021 = SourceCounts(
    coefficients=(1.655, -0.1150, 0.2272, 0.51788, -0.449661, 0.160265, -0.028541, 0.002041),
    frequency_hz=150e6,
    flux_min=0.2e-3,
    flux_max=10.0,
)
"""Mandal et al. (2021), A&A 648, A5: 150 MHz."""
