"""Growing arrays of catalogue entries and of their light-curve statistics, with a search by position.

Rows are appended with spare capacity, so that adding an entry does not copy the catalogue.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trap import angles
from trap.association.entries import ENTRY
from trap.association.pairs import Positions
from trap.association.sky_index import SkyIndex
from trap.flux_statistics import FLUX_STATISTICS
from trap.variability.metrics import add_points, modulation_v, weighted_eta
from trap.variability.summary import total_errors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike, NDArray

    from trap.association.entries import LightCurveKey
    from trap.catalogues import Associations, Measurements
    from trap.images.skyregion import SkyRegion
    from trap.typing import Ids, Indices


__all__ = ["EntryArrays"]

MIN_EXTENT = 1.1
"""Ratio of integrated to peak flux density above which an entry is wider than the beam; less may be a poor beam."""
MIN_POINTS = 4
"""Number of points from which on the extent of an entry is known; noise distorts the shapes of single measurements."""
MIN_CAPACITY = 256
"""Number of rows of the first arrays."""


class EntryArrays:
    """Entries by row, with the statistics of their light curves. Properties and methods return read-only views.

    Attributes
    ----------
    keeps_blends
        Whether a blend is measured on after its parts are known.
    """

    def __init__(self) -> None:
        self.keeps_blends = True
        self._n = 0
        self._entries = np.zeros(0, ENTRY)
        self._fluxes: dict[LightCurveKey, NDArray[Any]] = {}
        self._index = SkyIndex()

    def __len__(self) -> int:
        return self._n

    @property
    def entries(self) -> NDArray[Any]:
        """(n,) of :data:`ENTRY`, read-only — all rows, including forked ones, which are not ``active``."""
        return _read_only(self._entries[: self._n])

    @property
    def light_curves(self) -> tuple[LightCurveKey, ...]:
        """Bands and Stokes parameters that have measurements, in order."""
        return tuple(sorted(self._fluxes))

    def fluxes(self, key: LightCurveKey) -> NDArray[Any]:
        """Return the statistics of all entries' light curves in one band and Stokes parameter.

        Returns
        -------
        (n,) of :data:`~trap.flux_statistics.FLUX_STATISTICS`, read-only; ``n`` is 0 for an entry without points.
        """
        return _read_only(self._curves(key))

    def extent(self, rows: Indices, key: LightCurveKey, *, min_points: int = MIN_POINTS) -> NDArray[np.float64]:
        """Compute the mean integrated flux density of entries over their mean peak, for entries wider than the beam.

        Parameters
        ----------
        rows
            (n,) — rows of entries.
        key
            Band and Stokes parameter.
        min_points
            Lowest number of points.

        Returns
        -------
        (n,) — 1 for an entry that is not wider than the beam by :data:`MIN_EXTENT` and by three times its error, or
        that has too few points.
        """
        curves = self._curves(key)[rows]
        has_points = curves["n"] >= min_points
        peak, total = np.where(has_points, curves["wmean_f_peak"], 1.0), curves["wmean_f_int"]
        error = np.sqrt(sum(1 / np.where(has_points, curves[f"wsum_{name}"], 1.0) for name in ("f_peak", "f_int")))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = total / peak
            is_wide = has_points & (ratio > MIN_EXTENT) & (np.abs(total - peak) > 3 * error)
        wide: NDArray[np.float64] = np.where(is_wide, ratio, 1.0)
        return wide

    def _curves(self, key: LightCurveKey) -> NDArray[Any]:
        """Return the writable statistics of a band and Stokes parameter, adding them if they are new."""
        if key not in self._fluxes:
            self._fluxes[key] = np.zeros(len(self._entries), FLUX_STATISTICS)
        return self._fluxes[key][: self._n]

    def assign_ids(self, n_before: int, ids: Ids) -> None:
        """Record the row numbers that the database assigned to new entries.

        Parameters
        ----------
        n_before
            Number of entries that have row numbers already; they come first.
        ids
            (n - n_before,) — row numbers of the other entries, in order.
        """
        self._entries["id"][n_before : self._n] = ids

    def load_fluxes(self, key: LightCurveKey, rows: Indices, statistics: NDArray[Any]) -> None:
        """Replace the statistics of light curves by stored values.

        Parameters
        ----------
        key
            Band and Stokes parameter.
        rows
            (m,) — entries.
        statistics
            (m,) of :data:`~trap.flux_statistics.FLUX_STATISTICS`.
        """
        self._curves(key)[rows] = statistics

    def _add_to_curves(
        self, key: LightCurveKey, entry_rows: Indices, measured: Measurements, rows: Indices
    ) -> dict[str, NDArray[Any]]:
        """Add one point to the light curve of each entry.

        Returns
        -------
        Columns of the points: V, η and the number of points, up to the point.
        """
        curves = self._curves(key)
        gain_err = measured.gain_err[rows]
        columns = {
            "f_peak": (measured.f_peak[rows], measured.f_peak_err[rows]),
            "f_int": (measured.f_int[rows], measured.f_int_err[rows]),
        }
        fluxes = {name: (values, total_errors(errors, gain_err, values)) for name, (values, errors) in columns.items()}
        add_points(curves, entry_rows, fluxes)
        updated = curves[entry_rows]
        return {"v_int": modulation_v(updated), "eta_int": weighted_eta(updated), "f_datapoints": updated["n"]}

    def rebuild_light_curves(
        self, entry_rows: Indices, points: Iterable[tuple[LightCurveKey, Measurements, Associations]]
    ) -> list[Associations]:
        """Rebuild the light curves of some entries from all of their points, in order of time.

        Parameters
        ----------
        entry_rows
            (n,) — rows of the entries.
        points
            Images with points of these entries, earliest first: band and Stokes parameter, measurements, and points.
            They may have points of other entries, which stay.

        Returns
        -------
        The points of each image, with V, η and the number of points up to each.
        """
        for curves in self._fluxes.values():
            curves[entry_rows] = np.zeros((), FLUX_STATISTICS)
        rebuilt = []
        for key, measured, associations in points:
            columns = {name: values.copy() for name, values in associations.as_dict().items()}
            rows = np.flatnonzero(np.isin(associations.entry, entry_rows))
            added = self._add_to_curves(key, associations.entry[rows], measured, associations.measurement[rows])
            for name, values in added.items():
                columns[name][rows] = values
            rebuilt.append(associations.with_columns(**columns))
        return rebuilt

    def positions(self, rows: Indices) -> Positions:
        """Return the weighted mean positions of some entries, with their errors."""
        picked = self.entries[rows]
        return Positions(
            ra=picked["wm_ra"],
            dec=picked["wm_dec"],
            uncertainty_ew=1 / np.sqrt(picked["weight_ew"]),
            uncertainty_ns=1 / np.sqrt(picked["weight_ns"]),
        )

    def extend(self, entries: NDArray[Any]) -> Indices:
        """Append entries without light curves.

        Parameters
        ----------
        entries
            (m,) of :data:`ENTRY`.

        Returns
        -------
        (m,) — rows of the entries.
        """
        rows = np.arange(self._n, self._n + len(entries))
        self._n += len(entries)
        if self._n > len(self._entries):
            capacity = max(MIN_CAPACITY, 2 * self._n)
            self._entries = _grown(self._entries, capacity)
            self._fluxes = {key: _grown(curves, capacity) for key, curves in self._fluxes.items()}
        self._entries[rows] = entries
        self._index.add(entries["wm_ra"], entries["wm_dec"])
        return rows

    def near(self, ra: ArrayLike, dec: ArrayLike, radius: float) -> tuple[Indices, Indices]:
        """Find the entries around positions.

        Parameters
        ----------
        ra, dec
            (n,) deg
        radius
            deg — largest distance, inclusive. A few entries just beyond may be found too.

        Returns
        -------
        positions, rows
            (n_pairs,) — rows of the positions and of entries near them, without monitored and forked entries, and
            without blends that are not kept.
        """
        positions, rows = self._index.near(ra, dec, radius)
        entries = self.entries[rows]
        is_source = entries["active"] & ~entries["mon_src"] & ~self._is_ended(entries)
        return positions[is_source], rows[is_source]

    def _is_ended(self, entries: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which entries are blends whose light curves ended when their parts were found, (n,)."""
        ended: NDArray[np.bool_] = entries["is_blend"] & ~np.bool_(self.keeps_blends)
        return ended

    def within(self, region: SkyRegion) -> tuple[Indices, NDArray[np.float64]]:
        """Find the entries in a sky region.

        Returns
        -------
        rows
            (n,) — rows of the entries.
        distance
            (n,) deg — distances from the centre of the region.
        """
        _, rows = self._index.near([region.centre_ra], [region.centre_dec], region.xtr_radius)
        entries = self.entries[rows]
        distance = angles.separation(entries["wm_ra"], entries["wm_dec"], region.centre_ra, region.centre_dec)
        inside = entries["active"] & (distance < region.xtr_radius)
        return rows[inside], distance[inside]


def _read_only(values: NDArray[Any]) -> NDArray[Any]:
    """Return a read-only view."""
    view = values.view()
    view.flags.writeable = False
    return view


def _grown(values: NDArray[Any], capacity: int) -> NDArray[Any]:
    """Return a longer copy of an array, padded with zeros."""
    larger = np.zeros(capacity, values.dtype)
    larger[: len(values)] = values
    return larger
