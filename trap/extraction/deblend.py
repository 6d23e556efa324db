"""Deblending: which pixels of an island belong to which source, if several sources have grown together.

An island is flooded from its highest pixel downwards. The basins of two peaks meet at the saddle between them. There
they are joined, unless both are sources in their own right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from trap.kernels.deblend import part_islands

if TYPE_CHECKING:
    from trap.config import SourceExtractionConfig
    from trap.extraction.islands import Islands
    from trap.typing import Indices

__all__ = ["Components", "deblend"]

MIN_FLUX_SHARE = 0.005
"""Share of an island's flux that the pixels of a component above the saddle must hold (TraP, SExtractor)."""
MIN_RISE = 1.0
"""Height of a component above the saddle, in σ, that it must have: correlated noise makes shoulders, not peaks."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Components:
    """Components of islands: sources that are fitted together.

    Parameters
    ----------
    component
        (n_pixels,) — number of each pixel's component within its island, from 0. The component with the brightest peak
        is the first one; components without a peak of their own come last.
    counts
        (n,) — number of components of each island, at least 1.
    """

    component: Indices
    counts: Indices

    @property
    def first(self) -> Indices:
        """(n + 1,) — index of each island's first component among all components, and the number of all."""
        return np.concatenate([[0], np.cumsum(self.counts)]).astype(np.intp)


def deblend(islands: Islands, config: SourceExtractionConfig) -> Components:
    """Part the islands that hold more than one source.

    TraP and SExtractor cut an island at a number of levels, and test at each whether it falls apart. The flood tries
    every level, so it misses no shallow saddle between two of them. Two peaks are components if both reach the
    detection threshold, rise by 1 σ above the saddle between them, and hold 0.5 % of the island's flux in their pixels
    above the saddle.

    Parameters
    ----------
    islands
        Islands; the pixels of each are in the order of the image.
    config
        Settings of the detection threshold. With ``deblend_nthresh`` 0 no island is parted.
    """
    if not config.deblend_nthresh:
        return Components(component=np.zeros(islands.x.size, np.intp), counts=np.ones(len(islands), np.intp))
    pixels = (islands.offsets, islands.x, islands.y, islands.value, islands.rms)
    component, counts = part_islands(pixels, config.detection_threshold, MIN_RISE, MIN_FLUX_SHARE)
    return Components(component=component, counts=counts)
