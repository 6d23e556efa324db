"""Which new entries are transient candidates: an earlier image should have shown them.

A source that appears in sky never looked at before is no news. One that is brighter than the
faintest source an earlier image of the same band could have shown is (Swinbank et al. 2015,
sect. 4.5). The limit of an image is its noise times its detection threshold plus a margin; the
best earlier image is that with the lowest limit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trap.catalogues import NewSources

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trap.catalogues import Measurements
    from trap.images.skyregion import SkyRegion
    from trap.running_catalogue import LightCurveKey

    Rows = NDArray[np.intp]

__all__ = ["LOOK", "EarlierLooks"]

LOOK = np.dtype(
    [("image", "i8"), ("region", "i4"), ("rms_min", "f8"), ("rms_max", "f8"), ("low", "f8"), ("high", "f8")]
)
"""One accepted image as an earlier look: its database id and sky region, the lowest and highest
noise in it, and the limits made of them [Jy/beam]."""


class EarlierLooks:
    """The best accepted image so far of every band and sky region.

    Parameters
    ----------
    sigma_margin
        By how many σ beyond its detection threshold an image should have shown a source.
    """

    def __init__(self, sigma_margin: float) -> None:
        self._margin = sigma_margin
        self._best: dict[LightCurveKey, dict[int, NDArray[Any]]] = {}

    def add(
        self, key: LightCurveKey, *, image: int, region: int, rms_min: float, rms_max: float, threshold: float
    ) -> None:
        """Remember an image where it is the best look at its region: lowest low limit, then lowest high one.

        An image without noise (NaN: nothing of it could be searched) is no look at all.
        """
        if not rms_min <= rms_max:
            return
        factor = threshold + self._margin
        look = np.array((image, region, rms_min, rms_max, rms_min * factor, rms_max * factor), LOOK)
        regions = self._best.setdefault(key, {})
        known = regions.get(region)
        if known is None or (look["low"], look["high"]) < (known["low"], known["high"]):
            regions[region] = look

    def find_new_sources(
        self, key: LightCurveKey, entries: Rows, rows: Rows, measured: Measurements, regions: Sequence[SkyRegion]
    ) -> NewSources:
        """Test the new entries of an image against the earlier looks at their positions.

        Parameters
        ----------
        key
            Band and Stokes parameter of the image.
        entries, rows
            (n,) — rows of the new entries, and of the measurements that made them.
        measured
            The image's measurements.
        regions
            All sky regions of the dataset; looks refer to them by number.

        Returns
        -------
        A row per entry that passes: its peak is above the low limit of the best earlier look.
        """
        looks = list(self._best.get(key, {}).values())
        if not looks or not entries.size:
            return NewSources.empty()
        table = np.array(looks, LOOK)
        table = table[np.lexsort((table["image"], table["high"], table["low"]))]
        covered = np.stack(
            [regions[region].covers(measured.ra[rows], measured.dec[rows]) for region in table["region"]]
        )
        best = table[np.argmax(covered, axis=0)]
        peak = measured.f_peak[rows]
        passed = covered.any(axis=0) & (peak > best["low"])
        best, f_int = best[passed], measured.f_int[rows[passed]]
        return NewSources(
            entry=entries[passed],
            measurement=rows[passed],
            newsource_type=peak[passed] > best["high"],
            previous_limits_image=best["image"],
            sigma_rms_min=f_int / best["rms_min"],
            sigma_rms_max=f_int / best["rms_max"],
        )
