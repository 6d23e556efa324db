"""Which new entries are transient candidates: earlier images should have shown them.

A source that appears in sky never looked at before is no news. One that earlier images of the same
band would have shown is. TraP (Swinbank et al. 2015, sect. 4.5) asks that its peak be above the
limit of the best earlier image, its lowest noise times the detection threshold plus a margin. That
leaves two ways for a steady source to seem new: it may lie where the noise is higher than the
lowest, and noise may lift it over the threshold, by more than the margin, after it was missed by as
little. So two more tests stand beside TraP's: the same with the best earlier noise at the position,
and the significance against any steady source, which counts how often the position was looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import log_ndtr, ndtri_exp

from trap.association.noise_history import DEPTH_POWER, NoiseHistory
from trap.catalogues import NewSources
from trap.tables import ColumnTable, column

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from trap.association.entries import LightCurveKey
    from trap.association.noise_history import NoiseTiles
    from trap.association.sky_regions import SkyRegions
    from trap.catalogues import Measurements
    from trap.config import PipelineConfig
    from trap.typing import Array, Indices


__all__ = ["LOOK", "EarlierFluxes", "EarlierLooks", "significance_of_newness"]

LOOK = np.dtype([("image", "i8"), ("region", "i4"), ("rms_min", "f8"), ("rms_max", "f8")])
"""One accepted image as an earlier look: its database id and sky region, and the lowest and highest
noise in it [Jy/beam]."""

SHRINKING = (5**0.5 - 1) / 2
LEAST = -1e-12
"""Logarithm of the highest probability: what is certain has a significance of -7 σ."""
N_SHRINKINGS = 60
"""So often is the interval of the search made smaller by the golden section: to 1e-12 of its length."""


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
    """Tell how many σ speak against a steady source that every earlier look happened to miss.

    A look at a steady source of flux density S misses it with the probability Φ(T - S/σ), the
    measurement now reaches the peak P with the probability Φ((S - P)/σ_P). The steady source that
    is hardest to exclude has the S at which both together are most probable,

        p = max over S of  Φ(T - S/σ)ⁿ Φ((S - P)/σ_P),

    and as such a source has had n + 1 chances to be found for the first time, the significance is
    that of a normal deviate which is exceeded with the probability (n + 1) p. It rises with the peak,
    and mostly with the number of looks: one look excludes little of what lies near the threshold, a
    hundred leave no steady source there to be found.

    Where k of the earlier images were measured at the position, that says more than that nothing was
    found: n is n - k, and p has a third factor, Φ((M - S)/σ_M), the probability of a mean as low as
    the measured M.

    Looks that are noisier than the best say less. They count as (σ/σ_k)⁶ of a look, which is close
    to the ratio of the logarithms of Φ(T - S/σ_k) and Φ(T - S/σ) at the S that matter.

    Parameters
    ----------
    peak, error
        (n,) Jy/beam — peak flux density and its error.
    threshold
        T, in σ.
    rms
        (n,) Jy/beam — best earlier noise at the position.
    n_looks
        (n,) — looks as good as that, which need not be a whole number.
    earlier
        What was measured in some of them, if it was.
    """
    peak, error, rms, n_looks = (np.asarray(values, float) for values in (peak, error, rms, n_looks))
    fits = EarlierFluxes(n=np.zeros(len(peak), int), mean=peak, error=error) if earlier is None else earlier
    n_unmeasured = np.maximum(n_looks - fits.n, 0.0)

    def log_probability(snr: Array) -> Array:
        missed = n_unmeasured * log_ndtr(threshold - snr)
        low = np.where(fits.n > 0, log_ndtr((fits.mean - snr * rms) / fits.error), 0.0)
        total: Array = missed + low + log_ndtr((snr * rms - peak) / error)
        return total

    # Each factor is log-concave, and so is their product: one maximum, within these bounds.
    lowest = np.where(fits.n > 0, np.minimum(fits.mean, peak), peak) / rms
    low, high = np.minimum(threshold, lowest) - 10.0, np.maximum(peak / rms, threshold) + 10.0
    for _ in range(N_SHRINKINGS):
        step = SHRINKING * (high - low)
        rises = log_probability(high - step) < log_probability(low + step)
        low, high = np.where(rises, high - step, low), np.where(rises, high, low + step)
    chance = log_probability((low + high) / 2) + np.log1p(n_looks)
    # A probability of 1 would be minus infinity.
    significance: Array = -ndtri_exp(np.minimum(chance, LEAST))
    return significance


class EarlierLooks:
    """The best accepted image so far of every band and sky region, and the best noise at every position.

    Parameters
    ----------
    config
        The detection threshold, and which test decides.
    """

    def __init__(self, config: PipelineConfig) -> None:
        self._search = config.transient_search
        self._threshold = config.source_extraction.detection_threshold
        self._best: dict[LightCurveKey, dict[int, NDArray[Any]]] = {}
        self._noise = NoiseHistory()
        self._without_tiles: set[LightCurveKey] = set()

    def add(
        self,
        key: LightCurveKey,
        *,
        image: int,
        region: int,
        rms_range: tuple[float, float],
        tiles: NoiseTiles | None = None,
    ) -> None:
        """Remember an image: as the best look at its region if its noise is the lowest, and its noise on the sky.

        An image without noise (NaN: nothing of it could be searched) is no look at all.

        Parameters
        ----------
        key
            Band and Stokes parameter.
        image, region
            Its database id, and the number of its sky region.
        rms_range
            Jy/beam — lowest and highest noise.
        tiles
            Its noise on the sky, where that is known.
        """
        rms_min, rms_max = rms_range
        if not rms_min <= rms_max:
            return
        if tiles is None:
            self._without_tiles.add(key)
        else:
            self._noise.add(key, image=image, tiles=tiles)
        look = np.array((image, region, rms_min, rms_max), LOOK)
        regions = self._best.setdefault(key, {})
        known = regions.get(region)
        if known is None or (look["rms_min"], look["rms_max"]) < (known["rms_min"], known["rms_max"]):
            regions[region] = look

    def find_new_sources(
        self,
        key: LightCurveKey,
        entries: Indices,
        measured: Measurements,
        rows: Indices,
        regions: SkyRegions,
        *,
        earlier: EarlierFluxes | None = None,
    ) -> NewSources:
        """Test the new entries of an image against the earlier looks at their positions.

        Parameters
        ----------
        key
            Band and Stokes parameter of the image.
        entries
            (n,) — rows of the new entries.
        measured, rows
            The image's measurements, and (n,) the rows of those that made the entries.
        regions
            All sky regions of the dataset; looks refer to them by number.
        earlier
            (n,) — what was measured at the positions of the new entries in earlier images.

        Returns
        -------
        A row per entry that passes the test of the settings.
        """
        if not entries.size or key not in self._best:
            return NewSources.empty()
        new = measured.take(rows)
        places, best = self._best_looks(key, new, regions)
        new, rows, entries = new.take(places), rows[places], entries[places]
        local = self._noise.best(key, new.ra, new.dec)
        fits = None if earlier is None else earlier.take(places)
        significance = self._significance(new, best, local, fits)
        peak, limit = new.f_peak, self._threshold + self._search.new_source_sigma_margin
        if self._search.new_source_test == "significance":
            passed = significance >= self._search.new_source_significance
        else:
            passed = peak > limit * best["rms_min"]
        if self._search.new_source_test == "position":
            passed &= ~(peak <= limit * local["rms"])
        if self._search.new_source_test != "image" and key not in self._without_tiles:
            # Within the circle of an image, but nowhere that it could be searched.
            passed &= local["n"] > 0
        return NewSources.of(
            entry=entries,
            measurement=rows,
            newsource_type=peak > limit * best["rms_max"],
            previous_limits_image=best["image"],
            sigma_rms_min=new.f_int / best["rms_min"],
            sigma_rms_max=new.f_int / best["rms_max"],
            sigma_local=peak / local["rms"],
            n_looks=local["n"],
            newness=significance,
            upper_limit=self._threshold * np.where(local["n"] > 0, local["rms"], np.nan),
        ).take(passed)

    def _best_looks(self, key: LightCurveKey, new: Measurements, regions: SkyRegions) -> tuple[Indices, NDArray[Any]]:
        """Indices of the new sources that some earlier image covers, and the best of these images."""
        best = self._best.get(key, {})
        places, numbers, _ = regions.covering(new.ra, new.dec)
        known = np.array([number in best for number in numbers.tolist()], bool)
        looks = np.array([best[number] for number in numbers[known].tolist()], LOOK)
        order = np.lexsort((looks["image"], looks["rms_max"], looks["rms_min"], places[known]))
        covered, first = np.unique(places[known][order], return_index=True)
        return covered, looks[order][first]

    def _significance(
        self, new: Measurements, best: NDArray[Any], local: NDArray[Any], earlier: EarlierFluxes | None
    ) -> Array:
        """Significance by the noise at the position, or by the lowest of the best image where that is not known."""
        is_known = local["n"] > 0
        rms = np.where(is_known, local["rms"], best["rms_min"])
        n_looks = np.where(is_known, local["depth"] * rms**DEPTH_POWER, 1.0)
        return significance_of_newness(
            new.f_peak, new.f_peak_err, threshold=self._threshold, rms=rms, n_looks=n_looks, earlier=earlier
        )
