"""Hypotheses about sources close together: each is a source of its own, or an image shows several as one.

The χ² of position and flux density of a hypothesis is

    χ² = r² + (I − Ī)² / (σ_I² + σ_Ī² + (0.05 I)²)

with r the de Ruiter radius and Ī the weighted mean of the earlier flux densities in the band. The last term
allows for the flux scales of two images, which differ by several per cent; without it, the flux density of
a bright source never agrees with the one before, and any faint neighbour seems to explain the difference.
Several sources seen as one have the sum of their flux densities, at the mean of their positions weighted by
flux density.

If they are single sources instead, the image lacks some of the entries, or shows sources that are not
entries. Faint ones may be hidden by the noise: −2 ln P is added for each, with P the probability of a peak
below the detection threshold. A source may also vary, so P is at least the share of variables, 0.001.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.special import log_ndtr

from trap.angles import displacement, move, offsets, separation

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from trap.association.groups import GroupLimits
    from trap.association.pairs import CandidatePairs
    from trap.catalogues import Measurements
    from trap.typing import Array, Indices

__all__ = ["ImageLimits", "KnownEntries", "Source", "measured_as_one"]

ODDS = 2 * math.log(1000)
"""Difference in χ² that makes a hypothesis a thousand times as likely as another."""
FLUX_SCALE_ERROR = 0.05
"""Relative error of the flux scale of an image; 5 to 15 per cent are usual between epochs."""
MAX_SEPARATION = 1.5
"""Largest distance of a part from the next one, in widths of the beam along its major axis.

Sources farther apart have peaks of their own."""


class ImageLimits(NamedTuple):
    """Limits of an image: closer sources are not shown apart, fainter ones not at all.

    Parameters
    ----------
    resolution
        deg — full width at half maximum of the beam along its major axis; 0 if it is unknown.
    threshold
        Lowest ratio of peak to local noise of a detection.
    coincidence
        deg — distance below which the beam cannot separate two sources in any direction.
    groups
        Sources that are measured jointly where the image does not show them one-to-one; None for no source.
    """

    resolution: float
    threshold: float
    coincidence: float = 0.0
    groups: GroupLimits | None = None


@dataclass(frozen=True, slots=True)
class KnownEntries:
    """Entries and light curves before an image, and the limit for pairs.

    Parameters
    ----------
    entries
        (n,) of :data:`~trap.association.entries.ENTRY`.
    curves
        (n,) of :data:`~trap.flux_statistics.FLUX_STATISTICS`, in the band and Stokes parameter of the image.
    other_bands
        The same, (n,) each, in all other bands and Stokes parameters.
    max_radius
        Largest de Ruiter radius of a pair.
    limits
        Sources that the image cannot show apart, or at all.
    """

    entries: NDArray[Any]
    curves: NDArray[Any]
    other_bands: tuple[NDArray[Any], ...]
    max_radius: float
    limits: ImageLimits

    def as_one(self, rows: Indices) -> Source | None:
        """Combine entries into one source.

        If an entry has no flux density in this band, the flux density of the source is unknown, and the
        shares of the entries are taken from another band.

        Parameters
        ----------
        rows
            Rows of the entries.

        Returns
        -------
        The source; None for several entries that were not all measured in any one band.
        """
        picked = self.entries[rows]
        position, variances = (picked["wm_ra"], picked["wm_dec"]), (1 / picked["weight_ew"], 1 / picked["weight_ns"])
        for curves in (self.curves, *self.other_bands):
            if (curves["n"][rows] > 0).all():
                flux, variance = curves["wmean_f_int"][rows], 1 / curves["wsum_f_int"][rows]
                one = _as_one(position, variances, (flux, variance))
                return one if curves is self.curves else one._replace(flux=0.0, flux_variance=np.inf)
        # A single entry without any flux density still has a position.
        return _as_one(position, variances, (np.ones(1), np.full(1, np.inf))) if len(rows) == 1 else None

    def absence(self, rows: Indices, variance: float) -> float:
        """Compute χ² of the hypothesis that all these entries have faded; never below the limit for pairs.

        Parameters
        ----------
        rows
            Rows of the entries.
        variance
            Jy² — variance of the flux density in the image.
        """
        curves = self.curves[rows]
        measured = curves[curves["n"] > 0]
        faded = float((measured["wmean_f_int"] ** 2 / (variance + 1 / measured["wsum_f_int"])).sum())
        return max(faded, self.max_radius**2)

    def of_pairs(self, pairs: CandidatePairs, measured: Measurements) -> Array:
        """Compute χ² of single pairs; an entry without a flux density in the band contributes its position only.

        Parameters
        ----------
        pairs
            Pairs of measurements and entries.
        measured
            Measurements of the image.

        Returns
        -------
        (n_pairs,)
        """
        total: Array = pairs.de_ruiter_radius**2 + np.nan_to_num(self.of_fluxes(pairs, measured), nan=0.0)
        return total

    def of_fluxes(self, pairs: CandidatePairs, measured: Measurements) -> Array:
        """Compute χ² of the flux densities of single pairs.

        Parameters
        ----------
        pairs, measured
            As for :meth:`of_pairs`.

        Returns
        -------
        (n_pairs,) — NaN for an entry without a flux density in the band.
        """
        curves, flux = self.curves[pairs.entry], measured.f_int[pairs.measurement]
        has_flux = curves["n"] > 0
        variance = measured.f_int_err[pairs.measurement] ** 2 + (FLUX_SCALE_ERROR * flux) ** 2
        variance += 1 / np.where(has_flux, curves["wsum_f_int"], 1.0)
        return np.where(has_flux, (flux - curves["wmean_f_int"]) ** 2 / variance, np.nan)

    def faintness(self, rows: Indices, rms: float) -> Array:
        """Compute χ² of the hypothesis that noise hides entries of constant flux density below the threshold.

        Parameters
        ----------
        rows
            (n,) — rows of the entries.
        rms
            Jy/beam — noise at their place.

        Returns
        -------
        (n,) — −2 ln of the probability, at most :data:`ODDS`, since sources may vary; 0 without a flux density.
        """
        curves = self.curves[rows]
        has_flux = curves["n"] > 0
        error = np.sqrt(rms**2 + 1 / np.where(has_flux, curves["wsum_f_peak"], 1.0))
        return np.where(has_flux, self._hidden(np.abs(curves["wmean_f_peak"]), rms, error), 0.0)

    def newness(self, measured: Measurements, rows: Indices) -> Array:
        """Compute χ² of the hypothesis that measurements are of sources that were too faint before.

        Parameters
        ----------
        measured
            Measurements of the image.
        rows
            (n,) — rows of the measurements.

        Returns
        -------
        (n,) — as for :meth:`faintness`.
        """
        return self._hidden(np.abs(measured.f_peak[rows]), measured.rms[rows], measured.f_peak_err[rows])

    def _hidden(self, peaks: Array, rms: ArrayLike, errors: Array) -> Array:
        """Return −2 ln of the probability that peaks are below the threshold, at most the odds of a variable."""
        hidden: Array = -2 * log_ndtr((self.limits.threshold * np.asarray(rms) - peaks) / errors)
        return np.minimum(hidden, ODDS)

    def is_unresolved(self, ra: Array, dec: Array) -> bool:
        """Return whether sources are so close that one Gaussian may be fitted to all: each has a near neighbour.

        Parameters
        ----------
        ra, dec
            (n,) deg — positions of the sources, n ≥ 2.
        """
        apart = separation(ra[:, np.newaxis], dec[:, np.newaxis], ra, dec)
        np.fill_diagonal(apart, np.inf)
        return bool((apart.min(axis=1) <= MAX_SEPARATION * self.limits.resolution).all())

    def deviation(self, one: Source, several: Source | None, alone: float) -> float | None:
        """Compute χ² of several sources seen as one, if they explain an image much better than a single source.

        Parameters
        ----------
        one, several
            The source that is seen as one, and the combined sources; None if their combination is unknown.
        alone
            χ² of the hypothesis of single sources.

        Returns
        -------
        χ²; None if it does not fall below ``alone`` by :data:`ODDS`, or exceeds the limit for pairs.
        """
        if several is None:
            return None
        squared, of_flux = one.chi_squared(several)
        deviation = squared + of_flux
        return deviation if deviation < min(self.max_radius**2, alone - ODDS) else None


class Source(NamedTuple):
    """A position [deg] with variances [deg²], and a flux density [Jy] with its variance (infinite if unknown)."""

    ra: float
    dec: float
    variance_ew: float
    variance_ns: float
    flux: float
    flux_variance: float

    def chi_squared(self, other: Source) -> tuple[float, float]:
        """Return r² and the χ² of the flux densities for two sources; the latter is 0 if a flux density is unknown."""
        east, north = (float(offset) for offset in offsets(self.ra, self.dec, other.ra, other.dec))
        squared = east**2 / (self.variance_ew + other.variance_ew) + north**2 / (self.variance_ns + other.variance_ns)
        scale_variance = (FLUX_SCALE_ERROR * self.flux) ** 2
        return squared, (self.flux - other.flux) ** 2 / (self.flux_variance + other.flux_variance + scale_variance)


def _as_one(position: tuple[Array, Array], variances: tuple[Array, Array], fluxes: tuple[Array, Array]) -> Source:
    """Add up flux densities at their weighted mean position; weights are equal if all are noise."""
    (ra, dec), (flux, flux_variance) = position, fluxes
    # A sum below -5 σ is of negative sources, as in Stokes V; any other negative flux density is noise.
    sizes = -flux if flux.sum() < -5 * np.sqrt(flux_variance.sum()) else flux
    share = np.maximum(sizes, 0.0) if (sizes > 0).any() else np.ones(len(flux))
    share = share / share.sum()
    east, north = displacement(ra, dec, ra[0], dec[0])
    mean_ra, mean_dec = move(ra[0], dec[0], (share * east).sum(), (share * north).sum())
    ew, ns = (float((share**2 * variance).sum()) for variance in variances)
    return Source(float(mean_ra), float(mean_dec), ew, ns, float(flux.sum()), float(flux_variance.sum()))


def measured_as_one(measured: Measurements, rows: Indices) -> Source:
    """Combine measurements into one source.

    Parameters
    ----------
    measured
        Measurements of an image.
    rows
        (n,) — rows of the measurements to combine.
    """
    picked = measured.take(rows)
    return _as_one(
        (picked.ra, picked.dec),
        (picked.uncertainty_ew**2, picked.uncertainty_ns**2),
        (picked.f_int, picked.f_int_err**2),
    )
