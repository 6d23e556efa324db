"""The sky regions of a dataset: which of them a pointing belongs to, and which cover a position.

Pointings jitter and drift. With a region for each, every new source would be linked to all of them;
those that nearly coincide share one, and the others are found by where they are, so that the cost
does not depend on how many there were before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.angles import separation
from trap.association.sky_index import SkyIndex
from trap.images.skyregion import SkyRegion

if TYPE_CHECKING:
    from collections.abc import Container

    from numpy.typing import ArrayLike

    from trap.typing import Array, Indices


__all__ = ["SkyRegions"]


class SkyRegions(list[SkyRegion]):
    """Sky regions in order of appearance, which is their number; they are only ever appended."""

    def __init__(self) -> None:
        super().__init__()
        self._index = SkyIndex()
        self._largest = 0.0
        self._numbers: dict[SkyRegion, int] = {}

    def append(self, region: SkyRegion) -> None:
        """Add a region at the next number."""
        self._numbers.setdefault(region, len(self))
        super().append(region)
        self._index.add([region.centre_ra], [region.centre_dec])
        self._largest = max(self._largest, region.xtr_radius)

    def find(self, region: SkyRegion, *, tolerance: float, among: Container[int] | None = None) -> int | None:
        """Find the region that a pointing belongs to, the nearest if there are several.

        Parameters
        ----------
        region
            Circle of the pointing.
        tolerance
            How far the centres may be apart and by how much the radii may differ, in units of the
            pointing's radius; 0 takes only the very same circle.
        among
            Numbers of the regions that may be found; None: all.
        """
        same = self._numbers.get(region)
        if same is not None and (among is None or same in among):
            return same
        limit = tolerance * region.xtr_radius
        _, numbers = self._index.near([region.centre_ra], [region.centre_dec], limit)
        known = [number for number in numbers.tolist() if among is None or number in among]
        found = [number for number in known if self._belongs(self[number], region, limit)]
        centre = region.centre_ra, region.centre_dec
        return min(
            found, key=lambda n: (float(separation(*centre, self[n].centre_ra, self[n].centre_dec)), n), default=None
        )

    def _belongs(self, known: SkyRegion, region: SkyRegion, limit: float) -> bool:
        if limit == 0:
            return known == region
        distance = separation(known.centre_ra, known.centre_dec, region.centre_ra, region.centre_dec)
        return bool(distance <= limit) and abs(known.xtr_radius - region.xtr_radius) <= limit

    def covering(self, ra: ArrayLike, dec: ArrayLike) -> tuple[Indices, Indices, Array]:
        """Find all regions that cover positions.

        Parameters
        ----------
        ra, dec
            (n,) deg

        Returns
        -------
        positions, numbers, distances
            (n_pairs,) — positions, numbers of the regions that cover them, and distances from their
            centres [deg]; ordered by position and then by number.
        """
        ra, dec = np.atleast_1d(np.asarray(ra, float)), np.atleast_1d(np.asarray(dec, float))
        positions, numbers = self._index.near(ra, dec, self._largest)
        picked = [self[number] for number in numbers.tolist()]
        centre_ra, centre_dec, radius = (
            np.array([getattr(region, name) for region in picked], float)
            for name in ("centre_ra", "centre_dec", "xtr_radius")
        )
        distance = separation(ra[positions], dec[positions], centre_ra, centre_dec)
        inside = distance < radius
        return positions[inside], numbers[inside], distance[inside]
