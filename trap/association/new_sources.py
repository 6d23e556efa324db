"""Selection of transient candidates: new entries that earlier images should have shown.

A new entry is a candidate only if earlier images of the same band cover its position and are deep
enough. TraP (Swinbank et al. 2015, sect. 4.5) requires its peak to exceed the limit of the best
earlier image: the lowest noise of that image times the sum of the detection threshold and a margin. A
steady source can pass this test in two ways: it may lie where the noise is higher than the lowest,
and noise may lift it over the threshold by more than the margin after it was missed by as little.
So there are two more tests: TraP's with the best earlier noise at the position, and the significance
against any steady source (``newness``), which counts the earlier images of the position.
Noise makes new sources too: each candidate has the number of noise peaks as high that were to be expected so
far, and a grade by it (:mod:`trap.association.noise_peaks`).

A negative source, as in Stokes V, is tested by the absolute value of its flux densities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import log_ndtr, ndtri_exp

from trap.association.negative_peaks import NegativeHistory
from trap.association.noise_history import DEPTH_POWER, NoiseHistory
from trap.association.noise_peaks import NoiseChance, SearchedArea
from trap.catalogues import Grade, NewSources
from trap.tables import ColumnTable, column

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from trap.association.entries import LightCurveKey
    from trap.association.negative_peaks import NegativePeaks
    from trap.association.noise_history import NoiseTiles
    from trap.association.sky_regions import SkyRegions
    from trap.catalogues import Measurements
    from trap.config import PipelineConfig
    from trap.typing import Array, Indices


__all__ = ["LOOK", "EarlierFluxes", "EarlierLooks", "significance_of_newness"]

LOOK = np.dtype([("image", "i8"), ("region", "i4"), ("rms_min", "f8"), ("rms_max", "f8")])
"""Record of one accepted image: its database id and the number of its sky region, and the lowest and
highest noise in it [Jy/beam]. Such an image is a *look* at the positions that it covers."""

GOLDEN_RATIO = (5**0.5 - 1) / 2
"""Ratio of the lengths of the search interval after and before a step of the golden-section search."""
N_STEPS = 60
"""Number of steps of the search, which shorten the interval to 1e-12 of its length."""
MAX_LOG_PROBABILITY = -1e-12
"""Highest logarithm of a probability: a source that is certainly steady has a significance of -7 σ."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EarlierFluxes(ColumnTable):
    """Forced fits at the positions of new sources in earlier images, averaged: one row per new source."""

    n: NDArray[np.int64] = column("i8", "", "Number of images with a measurement.")
    mean: NDArray[np.float64] = column("f8", "Jy/beam", "Weighted mean of the peak flux densities; unused if n is 0.")
    error: NDArray[np.float64] = column("f8", "Jy/beam", "1σ error of the mean; unused if n is 0.")


def significance_of_newness(
    peak: ArrayLike,
    error: ArrayLike,
    *,
    threshold: float,
    rms: ArrayLike,
    n_looks: ArrayLike,
    earlier: EarlierFluxes | None = None,
) -> Array:
    """Compute the significance, in σ, against a steady source that every earlier look happened to miss.

    A look with noise σ misses a steady source of flux density S with the probability Φ(T - S/σ); the
    new measurement reaches the peak P with the probability Φ((S - P)/σ_P). The steady source that
    is hardest to exclude has the S at which both together are most probable,

        p = max over S of  Φ(T - S/σ)ⁿ Φ((S - P)/σ_P).

    Such a source has had n + 1 chances to be found for the first time. The significance is therefore
    the normal deviate that is exceeded with the probability (n + 1) p. It rises with the peak, and
    mostly with the number of looks: one look hardly excludes sources near the threshold, while after
    a hundred looks no steady source remains undetected there.

    If earlier images were measured at the position, the change is measured and not inferred: their mean M
    takes the place of all looks, which may have shown the source as a blend with its neighbours. Then
    Φ((M - S)/σ_M), the probability of a mean as low as M, is the first factor.

    Looks that are noisier than the best count less, as (σ/σ_k)⁶ of a look. This is close to the ratio
    of the logarithms of Φ(T - S/σ_k) and Φ(T - S/σ) at the relevant S.

    Parameters
    ----------
    peak, error
        (n,) Jy/beam — peak flux density and its error.
    threshold
        Detection threshold T, in σ.
    rms
        (n,) Jy/beam — best earlier noise at the position.
    n_looks
        (n,) — number of looks with that noise; fractions are allowed.
    earlier
        (n,) — forced fits in some of these looks; None if there are no fits.

    Returns
    -------
    (n,) σ
    """
    peak, error, rms, n_looks = (np.asarray(values, float) for values in (peak, error, rms, n_looks))
    fits = EarlierFluxes(n=np.zeros(len(peak), int), mean=peak, error=error) if earlier is None else earlier
    n_unmeasured = np.where(fits.n > 0, 0.0, n_looks)

    def log_probability(snr: Array) -> Array:
        """Logarithm of the product of all factors at S = snr · rms."""
        missed = n_unmeasured * log_ndtr(threshold - snr)
        low = np.where(fits.n > 0, log_ndtr((fits.mean - snr * rms) / fits.error), 0.0)
        total: Array = missed + low + log_ndtr((snr * rms - peak) / error)
        return total

    # Each factor is log-concave, and so is their product: one maximum, within these bounds.
    lowest = np.where(fits.n > 0, np.minimum(fits.mean, peak), peak) / rms
    low, high = np.minimum(threshold, lowest) - 10.0, np.maximum(peak / rms, threshold) + 10.0
    for _ in range(N_STEPS):
        step = GOLDEN_RATIO * (high - low)
        rises = log_probability(high - step) < log_probability(low + step)
        low, high = np.where(rises, high - step, low), np.where(rises, high, low + step)
    log_chance = log_probability((low + high) / 2) + np.log1p(n_looks)
    # A probability of 1 would be minus infinity.
    significance: Array = -ndtri_exp(np.minimum(log_chance, MAX_LOG_PROBABILITY))
    return significance


class EarlierLooks:
    """The best accepted image so far of every band and sky region, and the best noise at every position.

    Parameters
    ----------
    config
        All settings; the detection threshold and the section ``transient_search`` are used.
    """

    def __init__(self, config: PipelineConfig) -> None:
        self._search = config.transient_search
        self._threshold = config.source_extraction.detection_threshold
        self._extraction = config.source_extraction
        self._best: dict[LightCurveKey, dict[int, NDArray[Any]]] = {}
        self._noise = NoiseHistory()
        self._without_tiles: set[LightCurveKey] = set()
        self._searched: dict[LightCurveKey, SearchedArea] = {}
        self._negative = NegativeHistory()

    def add(
        self,
        key: LightCurveKey,
        *,
        image: int,
        region: int,
        rms_range: tuple[float, float],
        tiles: NoiseTiles | None = None,
        searched: SearchedArea | None = None,
        negative: NegativePeaks | None = None,
    ) -> None:
        """Add an accepted image: its noise on the sky, and the image itself if it is the best of its region.

        An image without noise (NaN: no part of it could be searched) is left out.

        Parameters
        ----------
        key
            Band and Stokes parameter.
        image, region
            Database id of the image, and number of its sky region.
        rms_range
            Jy/beam — lowest and highest noise of the image.
        tiles
            Noise of the image on the sky; None if it is unknown.
        searched
            Searched area of the image; None for no area.
        negative
            Negative peaks of the image; None for no peaks.
        """
        if negative is not None:
            self._negative.add(key, negative)
        if searched is not None:
            self._searched[key] = self.searched(key) + searched
        rms_min, rms_max = rms_range
        if not rms_min <= rms_max:
            return
        if tiles is None:
            self._without_tiles.add(key)
        else:
            self._noise.add(key, image=image, tiles=tiles)
        look = np.array((image, region, rms_min, rms_max), LOOK)
        regions = self._best.setdefault(key, {})
        best = regions.get(region)
        if best is None or (look["rms_min"], look["rms_max"]) < (best["rms_min"], best["rms_max"]):
            regions[region] = look

    def searched(self, key: LightCurveKey) -> SearchedArea:
        """Return the searched area of all images so far with a band and Stokes parameter."""
        return self._searched.get(key, SearchedArea())

    def find_new_sources(
        self,
        key: LightCurveKey,
        entries: Indices,
        measured: Measurements,
        rows: Indices,
        regions: SkyRegions,
        *,
        chance: NoiseChance,
        earlier: EarlierFluxes | None = None,
    ) -> NewSources:
        """Test the new entries of an image against the earlier looks at their positions.

        Parameters
        ----------
        key
            Band and Stokes parameter of the image.
        entries
            (n,) — rows of the new entries in the running catalogue.
        measured
            Measurements of the image.
        rows
            (n,) — rows of ``measured``: row i made entry i.
        regions
            All sky regions of the dataset; looks refer to them by number.
        chance
            Chance of noise in the image.
        earlier
            (n,) — forced fits at the positions of the new entries in earlier images; None if there are no fits.

        Returns
        -------
        A row per entry that passes the configured test.
        """
        if not entries.size or key not in self._best:
            return NewSources.empty()
        new = measured.take(rows)
        covered, best = self._best_looks(key, new, regions)
        new, rows, entries = new.take(covered), rows[covered], entries[covered]
        local = self._noise.best(key, new.ra, new.dec)
        fits = None if earlier is None else earlier.take(covered)
        newness = self._newness(new, best, local, fits)
        peak, flux = np.abs(new.f_peak), np.abs(new.f_int)
        limit = self._threshold + self._search.new_source_sigma_margin
        if self._search.new_source_test == "significance":
            passed = newness >= self._search.new_source_significance
        else:
            passed = peak > limit * best["rms_min"]
        if self._search.new_source_test == "position":
            passed &= ~(peak <= limit * local["rms"])
        if self._search.new_source_test != "image" and key not in self._without_tiles:
            # A position within the circle of an image may still lie outside all searched areas.
            passed &= local["n"] > 0
        candidates = NewSources.of(
            entry=entries,
            measurement=rows,
            newsource_type=peak > limit * best["rms_max"],
            previous_limits_image=best["image"],
            sigma_rms_min=flux / best["rms_min"],
            sigma_rms_max=flux / best["rms_max"],
            sigma_local=peak / local["rms"],
            n_looks=local["n"],
            n_measured=0 if fits is None else fits.n,
            newness=newness,
            upper_limit=self._threshold * np.where(local["n"] > 0, local["rms"], np.nan),
            noise_peaks=np.nan,
            grade=int(Grade.POSSIBLE),
        )
        if not passed.any():
            # Few new entries pass, and the chance of noise takes some ms.
            return NewSources.empty()
        return self._graded(candidates.take(passed), key, new.take(passed), chance)

    def _graded(self, candidates: NewSources, key: LightCurveKey, new: Measurements, chance: NoiseChance) -> NewSources:
        """Add the chance of noise and the grade to the candidates of an image."""
        # The number of noise peaks is that of highest pixels. The fitted peak of a blended source is lower.
        height = np.minimum(np.abs(new.f_peak) / new.rms, np.abs(new.significance))
        is_polarised = self._extraction.searches_negative(key.stokes)
        negative = None if is_polarised else self._negative.sums(key, chance.negative)
        noise = chance.peaks(height, new.ra, new.dec, n_looks=candidates.n_looks, negative=negative)
        return candidates.with_columns(noise_peaks=noise, grade=chance.grades(noise, self._search.max_false_likely))

    def _best_looks(self, key: LightCurveKey, new: Measurements, regions: SkyRegions) -> tuple[Indices, NDArray[Any]]:
        """Return the rows of the new sources that earlier images cover, and the best look at each."""
        best = self._best.get(key, {})
        rows, numbers, _ = regions.covering(new.ra, new.dec)
        has_look = np.array([number in best for number in numbers.tolist()], bool)
        rows, looks = rows[has_look], np.array([best[number] for number in numbers[has_look].tolist()], LOOK)
        best_first = np.lexsort((looks["image"], looks["rms_max"], looks["rms_min"], rows))
        covered, first = np.unique(rows[best_first], return_index=True)
        return covered, looks[best_first][first]

    def _newness(
        self, new: Measurements, best: NDArray[Any], local: NDArray[Any], earlier: EarlierFluxes | None
    ) -> Array:
        """Compute the newness from the noise at the position, or else from the lowest noise of the best image."""
        has_local_noise = local["n"] > 0
        rms = np.where(has_local_noise, local["rms"], best["rms_min"])
        n_looks = np.where(has_local_noise, local["depth"] * rms**DEPTH_POWER, 1.0)
        sign = np.sign(new.f_peak)
        if earlier is not None:
            earlier = earlier.with_columns(mean=sign * earlier.mean)
        return significance_of_newness(
            sign * new.f_peak, new.f_peak_err, threshold=self._threshold, rms=rms, n_looks=n_looks, earlier=earlier
        )
