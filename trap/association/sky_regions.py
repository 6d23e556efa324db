"""Sky regions of a dataset: the region of a pointing, and the regions that cover a position.

Pointings jitter and drift. If each had a region of its own, every new source would be linked to all
of them. So pointings that nearly coincide share a region, and regions are searched by position, at a
cost that does not depend on their number.
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
    """Sky regions in order of appearance, which is their number; regions are only appended."""

    def __init__(self) -> None:
        super().__init__()
        self._index = SkyIndex()
        self._largest = 0.0
        self._numbers: dict[SkyRegion, int] = {}

    def append(self, region: SkyRegion) -> None:
        """Add a region with the next number."""
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
            Largest distance of the centres and largest difference of the radii, in units of the
            pointing's radius; 0 accepts only an identical circle.
        among
            Numbers of the regions to choose from; None allows all.

        Returns
        -------
        Number of the region; None if the pointing belongs to no region.
        """
        identical = self._numbers.get(region)
        if identical is not None and (among is None or identical in among):
            return identical
        limit = tolerance * region.xtr_radius
        _, numbers = self._index.near([region.centre_ra], [region.centre_dec], limit)
        allowed = [number for number in numbers.tolist() if among is None or number in among]
        similar = [number for number in allowed if self._is_similar(self[number], region, limit)]

        def distance_and_number(number: int) -> tuple[float, int]:
            return _distance(self[number], region), number

        return min(similar, key=distance_and_number, default=None)

    def _is_similar(self, one: SkyRegion, other: SkyRegion, limit: float) -> bool:
        """Return whether centres and radii of two regions differ by no more than a limit [deg]."""
        if limit == 0:
            return one == other
        return _distance(one, other) <= limit and abs(one.xtr_radius - other.xtr_radius) <= limit

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


def _distance(one: SkyRegion, other: SkyRegion) -> float:
    return float(separation(one.centre_ra, one.centre_dec, other.centre_ra, other.centre_dec))
