"""Which new entries are transient candidates: an earlier image should have shown them.

A source that appears in sky never looked at before is no news. One that is brighter than the
faintest source an earlier image of the same band could have shown is (Swinbank et al. 2015,
sect. 4.5). The limit of an image is its noise times the detection threshold plus a margin; the
best earlier image is that with the lowest limit.

TraP knows of each image the lowest and the highest noise alone. A steady source that passes the
threshold for the first time in a noisier part of the field is then above the limit made of the
noise of the best part. So the noise that decides is, unless asked otherwise, the best earlier one
at the position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trap.catalogues import NewSources
from trap.noise_history import NoiseHistory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from trap.catalogues import Measurements
    from trap.config import PipelineConfig
    from trap.images.skyregion import SkyRegion
    from trap.noise_history import NoiseTiles
    from trap.running_catalogue import LightCurveKey

    Rows = NDArray[np.intp]

__all__ = ["LOOK", "EarlierLooks"]

LOOK = np.dtype([("image", "i8"), ("region", "i4"), ("rms_min", "f8"), ("rms_max", "f8")])
"""One accepted image as an earlier look: its database id and sky region, and the lowest and highest
noise in it [Jy/beam]."""


class EarlierLooks:
    """The best accepted image so far of every band and sky region, and the best noise at every position.

    Parameters
    ----------
    config
        The detection threshold, the margin, and which noise decides.
    """

    def __init__(self, config: PipelineConfig) -> None:
        self._limit_sigma = (
            config.source_extraction.detection_threshold + config.transient_search.new_source_sigma_margin
        )
        self._noise_at_position_decides = config.transient_search.new_source_noise == "position"
        self._best: dict[LightCurveKey, dict[int, NDArray[Any]]] = {}
        self._noise = NoiseHistory()

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
        if tiles is not None:
            self._noise.add(key, image=image, tiles=tiles)
        look = np.array((image, region, rms_min, rms_max), LOOK)
        regions = self._best.setdefault(key, {})
        known = regions.get(region)
        if known is None or (look["rms_min"], look["rms_max"]) < (known["rms_min"], known["rms_max"]):
            regions[region] = look

    def find_new_sources(
        self, key: LightCurveKey, entries: Rows, measured: Measurements, rows: Rows, regions: Sequence[SkyRegion]
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

        Returns
        -------
        A row per entry that passes: its peak is above the limit of the best earlier image at its
        lowest noise and, where that decides and is known, at the best earlier noise at its position.
        """
        looks = list(self._best.get(key, {}).values())
        if not looks or not entries.size:
            return NewSources.empty()
        table = np.array(looks, LOOK)
        table = table[np.lexsort((table["image"], table["rms_max"], table["rms_min"]))]
        ra, dec, peak = measured.ra[rows], measured.dec[rows], measured.f_peak[rows]
        covered = np.stack([regions[region].covers(ra, dec) for region in table["region"]])
        best = table[np.argmax(covered, axis=0)]
        local = self._noise.best(key, ra, dec)
        passed = covered.any(axis=0) & (peak > self._limit_sigma * best["rms_min"])
        if self._noise_at_position_decides:
            passed &= ~(peak <= self._limit_sigma * local["rms"])
        best, local, peak, f_int = best[passed], local[passed], peak[passed], measured.f_int[rows[passed]]
        return NewSources.of(
            entry=entries[passed],
            measurement=rows[passed],
            newsource_type=peak > self._limit_sigma * best["rms_max"],
            previous_limits_image=best["image"],
            sigma_rms_min=f_int / best["rms_min"],
            sigma_rms_max=f_int / best["rms_max"],
            sigma_local=peak / local["rms"],
            n_looks=local["n"],
        )
