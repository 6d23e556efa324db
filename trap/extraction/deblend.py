"""Which pixels of an island belong to which source, where several have grown together.

An island is flooded from its highest pixel downwards. Two peaks are joined where the water between
them first meets, the saddle; they stay apart when both are sources in their own right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trap.kernels.deblend import part_islands

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from trap.config import SourceExtractionConfig
    from trap.extraction.islands import Islands

__all__ = ["Components", "deblend"]

MIN_FLUX_SHARE = 0.005
"""Share of an island's flux that the pixels of a component above the saddle must hold (TraP, SExtractor)."""
MIN_RISE = 1.0
"""What a component must rise above the saddle, in σ: correlated noise makes shoulders, not peaks."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Components:
    """Which component of its island each pixel belongs to.

    Parameters
    ----------
    component
        (n_pixels,) — number within the island, from 0: the brightest peak first, then what has none.
    counts
        (n,) — number of components of each island, at least 1.
    """

    component: NDArray[np.intp]
    counts: NDArray[np.intp]

    @property
    def first(self) -> NDArray[np.intp]:
        """(n + 1,) — where the components of each island start among all components, and where the last ends."""
        return np.concatenate([[0], np.cumsum(self.counts)]).astype(np.intp)


def deblend(islands: Islands, config: SourceExtractionConfig) -> Components:
    """Part the islands that hold more than one source.

    TraP and SExtractor cut an island at a number of levels and look whether it falls apart. The
    flood tries every level there is, so no shallow saddle is missed between two of them. Two
    peaks are components when both reach the detection threshold, rise by 1 σ above the
    saddle between them, and hold 0.5 % of the island's flux in their pixels above the saddle.

    Parameters
    ----------
    islands
        With the pixels of one island in the order of the image.
    config
        For the detection threshold; with ``deblend_nthresh`` 0 nothing is parted.
    """
    if not config.deblend_nthresh:
        return Components(component=np.zeros(islands.x.size, np.intp), counts=np.ones(len(islands), np.intp))
    pixels = (islands.offsets, islands.x, islands.y, islands.value, islands.rms)
    component, counts = part_islands(pixels, config.detection_threshold, MIN_RISE, MIN_FLUX_SHARE)
    return Components(component=component, counts=counts)
